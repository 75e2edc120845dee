"""Routes of the control plane's own deployments: who may call them may change everything.

The same use cases as for a tenant, apart from them so that an IAM policy can tell.
"""

from aws_lambda_powertools.event_handler.api_gateway import Router

from control_plane.api.routes import (
    ACCEPTED,
    Digest,
    IdPath,
    KeyHeader,
    Limit,
    ModeQuery,
    caller,
    front,
    presented,
    record_of,
)
from control_plane.errors import InvalidRequest
from control_plane.events import (
    Decision,
    RetryRequest,
    RollbackRequest,
    ScheduleRequest,
    SelfUpdateRequest,
    SourcesRequest,
    Target,
)
from control_plane.models import Env, JsonObject, Mode, Tenant
from control_plane.own import APPLICATION, own_tenant
from control_plane.use_cases import approvals, closing, deployments, operations, pushes, schedules
from control_plane.use_cases.deployments import Asked

router = Router()  # type: ignore[no-untyped-call]  # Powertools does not type it


@router.post("/control-plane/deployments", tags=["control plane"], responses=ACCEPTED)
def start_self_update(
    request: SelfUpdateRequest, idempotency_key: KeyHeader = None
) -> tuple[JsonObject, int]:
    """Update the control plane, by itself."""
    return _start(Target(application=APPLICATION, **request.model_dump()), idempotency_key)


@router.post("/control-plane/rollback", tags=["control plane"], responses=ACCEPTED)
def start_own_rollback(
    request: RollbackRequest, idempotency_key: KeyHeader = None
) -> tuple[JsonObject, int]:
    """Bring an earlier good build of the control plane back."""
    _check_application(request.application)
    asked = request.model_dump(exclude={"application"})
    target = Target(application=APPLICATION, mode=Mode.ROLLBACK, **asked)
    return _start(target, idempotency_key)


@router.get("/control-plane/deployments", tags=["control plane"])
def list_self_updates(limit: Limit = 20) -> JsonObject:
    """The newest deployments of the control plane, newest first."""
    found = closing.read(front(), front().listing.deployments(_own(), limit))
    return {"deployments": [presented(record) for record in found]}


@router.get("/control-plane/deployments/<deployment_id>", tags=["control plane"])
def get_self_update(deployment_id: IdPath) -> JsonObject:
    """One deployment of the control plane: request, steps, changes, trial, reason, receipt."""
    return presented(*closing.read(front(), [record_of(_own(), deployment_id)]))


@router.post(
    "/control-plane/deployments/<deployment_id>/cancel", tags=["control plane"], responses=ACCEPTED
)
def cancel_self_update(deployment_id: IdPath) -> tuple[JsonObject, int]:
    """Ask for the end of an update: once its stack has begun to change, that is the way back."""
    return presented(operations.cancel(front(), _own(), deployment_id, _by())), 202


@router.post("/control-plane/deployments/<deployment_id>/approve", tags=["control plane"])
def approve_self_update(deployment_id: IdPath, request: Decision) -> JsonObject:
    """Let an update that waits for an approval go on."""
    return _decided(deployment_id, request, approved=True)


@router.post("/control-plane/deployments/<deployment_id>/reject", tags=["control plane"])
def reject_self_update(deployment_id: IdPath, request: Decision) -> JsonObject:
    """End an update that waits for an approval, before anything was changed."""
    return _decided(deployment_id, request, approved=False)


@router.post(
    "/control-plane/deployments/<deployment_id>/retry", tags=["control plane"], responses=ACCEPTED
)
def retry_self_update(deployment_id: IdPath, request: RetryRequest) -> tuple[JsonObject, int]:
    """Start the request of an ended update again, with its source."""
    return presented(operations.retry(front(), _own(), deployment_id, request, _by())), 202


@router.get("/control-plane/schedule", tags=["control plane"])
def get_own_schedule(mode: ModeQuery = Mode.FULL) -> JsonObject:
    """The schedule of the control plane's updates."""
    return schedules.show(front(), _own(), mode)


@router.put("/control-plane/schedule", tags=["control plane"])
def put_own_schedule(request: ScheduleRequest) -> JsonObject:
    """Update the control plane by a schedule, to the source that is current then."""
    _check_application(request.application)
    own = _own()
    asked = request.model_copy(update={"application": APPLICATION})
    return schedules.put(front(), Env(own.env), own.org, asked)


@router.delete("/control-plane/schedule", tags=["control plane"])
def delete_own_schedule(mode: ModeQuery = Mode.FULL) -> JsonObject:
    """Stop updating the control plane by a schedule."""
    schedules.delete(front(), _own(), mode)
    return {"deleted": True}


@router.get("/control-plane/sources", tags=["control plane"])
def list_own_sources() -> JsonObject:
    """The sources of the control plane, and which one its environment deploys."""
    return front().sources.listed(APPLICATION)


@router.put("/control-plane/sources/<sha256>", tags=["control plane"])
def put_own_source(sha256: Digest, request: SourcesRequest) -> JsonObject:
    """Register a source of the control plane, or be told where to upload it first."""
    _check_application(request.application)
    env = Env(_own().env)
    return pushes.put(front(), [env], sha256, request, current=env in request.environments)


def _own() -> Tenant:
    return own_tenant(front().settings.control_plane_stack)


def _by() -> str | None:
    return caller(router.current_event)


def _check_application(application: str | None) -> None:
    if application not in (None, APPLICATION):
        raise InvalidRequest.of("application", f"this route is about {APPLICATION} only")


def _start(target: Target, key: str | None) -> tuple[JsonObject, int]:
    own = _own()
    record = deployments.start(front(), Env(own.env), own.org, Asked(target, _by(), key))
    return presented(record), 202


def _decided(deployment_id: str, request: Decision, *, approved: bool) -> JsonObject:
    record = approvals.decide(
        front(), _own(), deployment_id, approved=approved, by=_by(), comment=request.comment
    )
    return presented(record)
