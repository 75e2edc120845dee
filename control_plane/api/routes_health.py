"""How a tenant did: read from what AWS measured, not from the history."""

from typing import Annotated

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from control_plane.api.routes import ApplicationQuery, OrgPath, front
from control_plane.api.routes import tenant as tenant_named
from control_plane.models import Env, JsonObject
from control_plane.use_cases import health

router = Router()  # type: ignore[no-untyped-call]  # Powertools does not type it

PeriodQuery = Annotated[str, Query(max_length=8, description="hours or days: 24h, 7d")]


@router.get("/envs/<env>/orgs/<org>/health", tags=["tenants"])
def get_health(
    env: Env, org: OrgPath, application: ApplicationQuery = None, period: PeriodQuery = "24h"
) -> JsonObject:
    """The tenant's function over a period: duration, calls, errors, cold starts."""
    return health.show(front(), tenant_named(env, org, application), period)
