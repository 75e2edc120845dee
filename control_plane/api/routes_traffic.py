"""The API's routes about routes in DNS: which tenant gets how much of somebody's traffic."""

from aws_lambda_powertools.event_handler.api_gateway import Router

from control_plane.api.routes import (
    ACCEPTED,
    ApplicationQuery,
    OrgPath,
    caller,
    changed_tenant,
    front,
    tenant,
)
from control_plane.models import Env, JsonObject, Tenant
from control_plane.traffic_requests import ReverseRequest, RouteRequest, ShiftRequest
from control_plane.use_cases import traffic

router = Router()  # type: ignore[no-untyped-call]  # Powertools does not type it


@router.get("/envs/<env>/orgs/<org>/route", tags=["routes"])
def get_route(env: Env, org: OrgPath, application: ApplicationQuery = None) -> JsonObject:
    """The weights of an organization's route, its shift, its changes."""
    return traffic.show(front(), tenant(env, org, application))


@router.put("/envs/<env>/orgs/<org>/route", tags=["routes"])
def put_route(env: Env, org: OrgPath, request: RouteRequest) -> JsonObject:
    """Set all weights of the route at once."""
    of = _changed(env, org, request.application)
    return traffic.put(front(), of, request.weights, _by())


@router.post("/envs/<env>/orgs/<org>/route/shift", tags=["routes"], responses=ACCEPTED)
def shift_route(env: Env, org: OrgPath, request: ShiftRequest) -> tuple[JsonObject, int]:
    """Bring traffic to another tenant, in steps that are tested."""
    of = _changed(env, org, request.application)
    return traffic.shift(front(), of, request, _by()), 202


@router.post("/envs/<env>/orgs/<org>/route/reverse", tags=["routes"])
def reverse_route(env: Env, org: OrgPath, request: ReverseRequest) -> JsonObject:
    """Go back to the weights before the last change, and end a shift that runs."""
    of = _changed(env, org, request.application)
    return traffic.reverse(front(), of, _by())


def _changed(env: Env, org: str, application: str | None) -> Tenant:
    return changed_tenant(env, org, application, "it has no routes in DNS")


def _by() -> str | None:
    return caller(router.current_event)
