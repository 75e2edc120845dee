"""Routes that read and set what belongs to a tenant, and the sources."""

from aws_lambda_powertools.event_handler.api_gateway import Router

from control_plane import own
from control_plane.api.routes import (
    ApplicationQuery,
    Digest,
    ModeQuery,
    OrgPath,
    VersionLimit,
    caller,
    changed_tenant,
    front,
    refuse_own,
)
from control_plane.api.routes import tenant as tenant_named
from control_plane.errors import InvalidRequest, NotFound
from control_plane.events import ConfigRequest, ScheduleRequest, SourceRequest, SourcesRequest
from control_plane.models import Env, JsonObject, Mode
from control_plane.store.listing import why_not
from control_plane.use_cases import configuring, creation, overview, pushes, schedules

router = Router()  # type: ignore[no-untyped-call]  # Powertools does not type it


@router.get("/tenants", tags=["tenants"])
def list_tenants() -> JsonObject:
    """Every tenant: its last good state, its health, its last attempt, what is in progress."""
    return {"tenants": overview.tenants(front().listing)}


@router.get("/envs/<env>/orgs/<org>", tags=["tenants"])
def get_tenant(env: Env, org: OrgPath, application: ApplicationQuery = None) -> JsonObject:
    """The tenant's last good state."""
    tenant = tenant_named(env, org, application)
    current = front().listing.current(tenant) or {}
    if "last_good" not in current:
        raise NotFound(why_not(tenant, current, "was never deployed with success"))
    return current


@router.get("/envs/<env>/orgs/<org>/creation", tags=["tenants"])
def get_creation(env: Env, org: OrgPath, application: ApplicationQuery = None) -> JsonObject:
    """Whether a deployment would create the tenant, must say so, and who else may be meant."""
    known = front().settings.explicit_creation_environments
    return creation.outlook(front().listing, tenant_named(env, org, application), known)


@router.get("/envs/<env>/orgs/<org>/config", tags=["tenants"])
def get_config(
    env: Env, org: OrgPath, application: ApplicationQuery = None, explain: bool = False
) -> JsonObject:
    """The configuration that is live, and whether it is what was deployed."""
    return configuring.show(front(), tenant_named(env, org, application), explained=explain)


@router.put("/envs/<env>/orgs/<org>/config", tags=["tenants"])
def put_config(env: Env, org: OrgPath, request: ConfigRequest) -> JsonObject:
    """Store the tenant's overrides as a new version, for the next deployment."""
    refuse_own(request.application, "its configuration is its source and its stack's parameters")
    return configuring.put(front(), env, org, request, caller(router.current_event))


@router.get("/envs/<env>/orgs/<org>/config/history", tags=["tenants"])
def get_config_history(
    env: Env, org: OrgPath, application: ApplicationQuery = None, limit: VersionLimit = 20
) -> JsonObject:
    """The versions of the tenant's stored overrides, newest first."""
    return configuring.history(front(), tenant_named(env, org, application), limit)


@router.get("/envs/<env>/orgs/<org>/schedule", tags=["schedules"])
def get_schedule(
    env: Env, org: OrgPath, application: ApplicationQuery = None, mode: ModeQuery = Mode.FULL
) -> JsonObject:
    """The tenant's schedule: of its deployments, or of its drift checks."""
    return schedules.show(front(), tenant_named(env, org, application), mode)


@router.put("/envs/<env>/orgs/<org>/schedule", tags=["schedules"])
def put_schedule(env: Env, org: OrgPath, request: ScheduleRequest) -> JsonObject:
    """Deploy the tenant by a schedule, or look for drift."""
    refuse_own(request.application, "use PUT /control-plane/schedule")
    return schedules.put(front(), env, org, request)


@router.delete("/envs/<env>/orgs/<org>/schedule", tags=["schedules"])
def delete_schedule(
    env: Env, org: OrgPath, application: ApplicationQuery = None, mode: ModeQuery = Mode.FULL
) -> JsonObject:
    """Stop deploying the tenant by a schedule, or looking for drift."""
    of = changed_tenant(env, org, application, "use DELETE /control-plane/schedule")
    schedules.delete(front(), of, mode)
    return {"deleted": True}


@router.get("/sources", tags=["sources"])
def list_sources(application: ApplicationQuery = None) -> JsonObject:
    """The sources of an application, and which one each environment deploys."""
    name = application or front().settings.default_application
    return front().sources.listed(name)


@router.get("/envs/<env>/sources", tags=["sources"])
def list_sources_of(env: Env, application: ApplicationQuery = None) -> JsonObject:
    """The sources of an application that were pushed for an environment, and its current one."""
    name = application or front().settings.default_application
    return front().sources.listed_for(name, env)


@router.put("/envs/<env>/sources/<sha256>", tags=["sources"])
def put_source(env: Env, sha256: Digest, request: SourceRequest) -> JsonObject:
    """Register a source for an environment, or learn where to upload it first."""
    refuse_own(request.application, "use PUT /control-plane/sources/{sha256}")
    return pushes.put(front(), [env], sha256, request)


@router.put("/sources/<sha256>", tags=["sources"])
def put_trial_source(sha256: Digest, request: SourcesRequest) -> JsonObject:
    """Register the trial of a release before this one, which updates the control plane to it."""
    refuse_own(request.application, "use PUT /control-plane/sources/{sha256}")
    if request.application != own.TRIAL_APPLICATION:
        raise InvalidRequest.of(
            "application",
            "a source is pushed for one environment: PUT /envs/{env}/sources/{sha256}",
        )
    return pushes.put(front(), request.environments, sha256, request)
