"""What a route needs to know of a tenant: where it answers, and what runs there."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import OutputRefused, RouteRefused
from control_plane.manifest import Manifest
from control_plane.models import JsonObject, Tenant
from control_plane.services import owned_addresses
from control_plane.settings import RouteSettings, settings
from control_plane.store.listing import Listing, why_not
from control_plane.store.sources import Sources
from workers.route_records import Record, Records

_HOST = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$")


@dataclass(frozen=True)
class Member:
    """A deployed tenant. `target`: the host name that its manifest's `[route]` means; `current`:
    what the table says of it."""

    tenant: Tenant
    target: str
    manifest: Manifest
    current: JsonObject


def member(of: Tenant, org: str) -> Member:
    """The tenant of an organization, beside the one whose route it is.

    Raises RouteRefused for one that is not deployed, or has nothing that a route could lead to.
    """
    tenant, table = of.model_copy(update={"org": org}), settings(RouteSettings).table_name
    current = Listing(table).current(tenant) or {}
    if "last_good" not in current:
        raise RouteRefused(why_not(tenant, current, "was never deployed with success"))
    manifest = Sources(table).described(tenant.application, current["source"])
    if manifest is None:
        raise RouteRefused(
            f"the source {current['source'][:12]} of {tenant.stack_name} is not known any more: "
            "push it again, or deploy the tenant"
        )
    if manifest.route is None:
        raise RouteRefused(
            f"{tenant.stack_name} was deployed from a source without [route] in its manifest: "
            "which output does a route lead to? add it, and deploy the tenant again"
        )
    value = str(current.get("outputs", {}).get(manifest.route.output, ""))
    target = (urlsplit(value).hostname or value).rstrip(".").lower()
    if not _HOST.match(target):
        raise RouteRefused(
            f"{tenant.stack_name} has no address in its output {manifest.route.output}, only "
            f"{value[:100]!r}"
        )
    _check_own(tenant, manifest, current)
    return Member(tenant, target, manifest, current)


def _check_own(tenant: Tenant, manifest: Manifest, current: JsonObject) -> None:
    """Raise RouteRefused when the tenant's stack is not what answers at its addresses: people would
    be led to another tenant, and a signed request sent there."""
    outputs = {name: str(value) for name, value in current.get("outputs", {}).items()}
    tested = str(current.get("endpoint") or outputs.get(manifest.tests.endpoint, ""))
    try:
        owned_addresses.check_route(tenant, manifest, {**outputs, manifest.tests.endpoint: tested})
    except OutputRefused as error:
        raise RouteRefused(f"{tenant.stack_name}: {error}") from error
    except ClientError as error:
        if aws.error_code(error) != "ValidationError":
            raise
        raise RouteRefused(f"{tenant.stack_name} has no stack any more: {error}") from error


def records(of: Tenant, weights: dict[str, int]) -> Records:
    """The records that a route of these weights has. Raises RouteRefused."""
    return {org: Record(member(of, org).target, weight) for org, weight in weights.items()}


def records_back(of: Tenant, weights: dict[str, int], live: Records) -> Records:
    """The records of a way back, which must not fail for a tenant that is gone meanwhile.

    It keeps the record that it has; without one, it is left out unless it is to get traffic.
    """
    found: Records = {}
    for org, weight in weights.items():
        try:
            found[org] = Record(member(of, org).target, weight)
        except RouteRefused:
            if org in live:
                found[org] = Record(live[org].target, weight)
            elif weight:
                raise
    return found
