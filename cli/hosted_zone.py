"""Where `syndi install` lets weighted routes be made: a hosted zone, and a domain in it."""

import re

from botocore.exceptions import ClientError

from cli.failure import Refused
from cli.options import NOWHERE
from control_plane import aws

_ZONE = re.compile(r"^Z[A-Z0-9]{1,31}$")
_DOMAIN = re.compile(r"^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+$")


def routes_in(zone: str | None, domain: str | None, installed: dict[str, str]) -> tuple[str, str]:
    """Hosted zone and domain of routes: as given, otherwise as installed. Raises Refused.

    What is given is looked up in Route 53; what was installed is believed, so that who repairs a
    control plane needs no permission for it.
    """
    if zone == NOWHERE:
        return "", ""
    asked = zone is not None or domain is not None
    zone = zone if zone is not None else installed.get("HostedZoneId", "")
    domain = domain if domain is not None else installed.get("Domain", "")
    if bool(zone) != bool(domain):
        raise Refused(
            "routes need both: --hosted-zone Z0123456789 and --domain example.com; --hosted-zone "
            f"{NOWHERE} takes them away"
        )
    if zone and not _ZONE.match(zone):
        raise Refused(f"--hosted-zone {zone}: must be a zone's id, such as Z0123456789")
    if domain and not _DOMAIN.match(domain):
        raise Refused(f"--domain {domain}: must be a domain in lowercase, such as example.com")
    if zone and asked:
        _check_zone(zone, domain)
    return zone, domain


def _check_zone(zone: str, domain: str) -> None:
    """Raise Refused unless the zone is there and the domain is its own, or one below."""
    try:
        found = aws.route53().get_hosted_zone(Id=zone)["HostedZone"]
    except ClientError as error:
        if aws.error_code(error) == "NoSuchHostedZone":
            raise Refused(f"--hosted-zone {zone}: there is no such zone in this account") from error
        raise
    name = str(found["Name"]).rstrip(".")
    if domain != name and not domain.endswith(f".{name}"):
        raise Refused(
            f"--domain {domain}: the zone {zone} is of {name}; routes are made there or below"
        )
