"""Whether the tenant that gets the traffic is well."""

from control_plane.models import JsonObject
from control_plane.rules.proof import asks_for_a_token
from control_plane.services.client import signed_get
from control_plane.services.live import get
from control_plane.settings import RouteSettings, settings
from workers.live_tests import health, refusal
from workers.route_tenants import Member


def tests(of: Member) -> list[JsonObject]:
    """The tests of the tenant that need no user: it answers with the build that was deployed last,
    and asks strangers for a token.

    Raises TenantNotReady while it does not answer with that build.
    """
    table, current = of.manifest.tests, of.current
    endpoint = str(current["endpoint"]).rstrip("/")
    url = endpoint + table.health
    answer = signed_get(url, settings(RouteSettings).aws_region) if table.signed else get(url)
    results = [health(answer, table, current["running"])]
    parameters = current.get("stack", {}).get("parameters", {})
    if table.protected and asks_for_a_token(of.manifest.stack, table, parameters):
        results.append(refusal("no-token", get(endpoint + table.protected), (401,)))
    return results
