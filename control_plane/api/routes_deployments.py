"""Routes that start something with a tenant, or ask something of what was started."""

from aws_lambda_powertools.event_handler.api_gateway import Router

from control_plane.api.routes import (
    ACCEPTED,
    ApplicationQuery,
    IdPath,
    KeyHeader,
    Limit,
    OrgPath,
    caller,
    changed_tenant,
    front,
    presented,
    record_of,
    refuse_own,
    tenant,
)
from control_plane.errors import InvalidRequest, NotFound
from control_plane.events import (
    Decision,
    DeploymentRequest,
    DriftRequest,
    OffboardRequest,
    RetryRequest,
    RollbackRequest,
    Target,
)
from control_plane.models import Env, JsonObject, Mode, Tenant
from control_plane.store.route_store import Routes
from control_plane.use_cases import approvals, closing, deployments, operations, traffic
from control_plane.use_cases.deployments import Asked

router = Router()  # type: ignore[no-untyped-call]  # Powertools does not type it

DEPLOYING = (Mode.FULL, Mode.DEPLOY_ONLY, Mode.FUNCTION)
"""The modes of `POST …/deployments`; the others have routes of their own, so that an IAM policy can
tell who may roll back and who may remove."""


@router.post("/envs/<env>/orgs/<org>/deployments", tags=["deployments"], responses=ACCEPTED)
def start_deployment(
    env: Env, org: OrgPath, request: DeploymentRequest, idempotency_key: KeyHeader = None
) -> tuple[JsonObject, int]:
    """Start a deployment of a tenant."""
    if request.mode not in DEPLOYING:
        raise InvalidRequest.of("mode", f"must be one of {', '.join(DEPLOYING)}")
    target = Target(**request.model_dump(exclude={"admin_password"}))
    return _start(env, org, Asked(target, _by(), idempotency_key, request.admin_password))


@router.post("/envs/<env>/orgs/<org>/rollback", tags=["deployments"], responses=ACCEPTED)
def start_rollback(
    env: Env, org: OrgPath, request: RollbackRequest, idempotency_key: KeyHeader = None
) -> tuple[JsonObject, int]:
    """Bring an earlier good build and its configuration back."""
    target = Target(mode=Mode.ROLLBACK, **request.model_dump())
    return _start(env, org, Asked(target, _by(), idempotency_key))


@router.post("/envs/<env>/orgs/<org>/drift", tags=["tenants"], responses=ACCEPTED)
def start_drift_check(
    env: Env, org: OrgPath, request: DriftRequest, idempotency_key: KeyHeader = None
) -> tuple[JsonObject, int]:
    """Look for what is not as it was deployed."""
    target = Target(mode=Mode.DRIFT, **request.model_dump())
    return _start(env, org, Asked(target, _by(), idempotency_key))


@router.delete("/envs/<env>/orgs/<org>", tags=["tenants"], responses=ACCEPTED)
def start_offboarding(
    env: Env, org: OrgPath, request: OffboardRequest, idempotency_key: KeyHeader = None
) -> tuple[JsonObject, int]:
    """Remove a tenant: its stack, and with `purge` its data."""
    traffic.check_unrouted(front(), tenant(env, org, request.application))
    target = Target(mode=Mode.OFFBOARD, **request.model_dump())
    return _start(env, org, Asked(target, _by(), idempotency_key))


@router.get("/envs/<env>/orgs/<org>/deployments", tags=["deployments"])
def list_deployments(
    env: Env, org: OrgPath, application: ApplicationQuery = None, limit: Limit = 20
) -> JsonObject:
    """The newest deployments of a tenant, newest first."""
    of = tenant(env, org, application)
    found = closing.read(front(), front().listing.deployments(of, limit))
    changes = Routes(front().settings.table_name).changes(of, 1)
    return {
        "deployments": [presented(record) for record in found],
        "route_change": changes[0] if changes else None,
    }


@router.get("/envs/<env>/orgs/<org>/deployments/<deployment_id>", tags=["deployments"])
def get_deployment(
    env: Env, org: OrgPath, deployment_id: str, application: ApplicationQuery = None
) -> JsonObject:
    """One deployment: request, steps, changes, tests, reason, receipt."""
    of = tenant(env, org, application)
    return presented(*closing.read(front(), [record_of(of, deployment_id)]))


@router.get("/deployments/<deployment_id>", tags=["deployments"])
def find_deployment(deployment_id: str) -> JsonObject:
    """One deployment, by its id alone."""
    record = front().listing.find(deployment_id)
    if record is None:
        raise NotFound(f"there is no deployment {deployment_id}")
    return presented(*closing.read(front(), [record]))


@router.post(
    "/envs/<env>/orgs/<org>/deployments/<deployment_id>/cancel",
    tags=["deployments"],
    responses=ACCEPTED,
)
def cancel_deployment(
    env: Env, org: OrgPath, deployment_id: IdPath, application: ApplicationQuery = None
) -> tuple[JsonObject, int]:
    """Ask for a deployment's end."""
    of = changed_tenant(env, org, application, _of_its_own("cancel"))
    return presented(operations.cancel(front(), of, deployment_id, _by())), 202


@router.post("/envs/<env>/orgs/<org>/deployments/<deployment_id>/approve", tags=["deployments"])
def approve_deployment(
    env: Env,
    org: OrgPath,
    deployment_id: IdPath,
    request: Decision,
    application: ApplicationQuery = None,
) -> JsonObject:
    """Let a deployment that waits for an approval go on."""
    of = changed_tenant(env, org, application, _of_its_own("approve"))
    return _decided(of, deployment_id, request, approved=True)


@router.post("/envs/<env>/orgs/<org>/deployments/<deployment_id>/reject", tags=["deployments"])
def reject_deployment(
    env: Env,
    org: OrgPath,
    deployment_id: IdPath,
    request: Decision,
    application: ApplicationQuery = None,
) -> JsonObject:
    """End a deployment that waits for an approval, before anything was changed."""
    of = changed_tenant(env, org, application, _of_its_own("reject"))
    return _decided(of, deployment_id, request, approved=False)


@router.post(
    "/envs/<env>/orgs/<org>/deployments/<deployment_id>/retry",
    tags=["deployments"],
    responses=ACCEPTED,
)
def retry_deployment(
    env: Env,
    org: OrgPath,
    deployment_id: IdPath,
    request: RetryRequest,
    application: ApplicationQuery = None,
) -> tuple[JsonObject, int]:
    """Start the request of an ended deployment again, with its source."""
    of = changed_tenant(env, org, application, _of_its_own("retry"))
    return presented(operations.retry(front(), of, deployment_id, request, _by())), 202


def _decided(of: Tenant, deployment_id: str, request: Decision, *, approved: bool) -> JsonObject:
    return presented(
        approvals.decide(
            front(), of, deployment_id, approved=approved, by=_by(), comment=request.comment
        )
    )


def _by() -> str | None:
    return caller(router.current_event)


def _of_its_own(verb: str) -> str:
    return f"use POST /control-plane/deployments/{{id}}/{verb}"


_OWN_START = {
    Mode.ROLLBACK: "use POST /control-plane/rollback",
    Mode.DRIFT: "it has no drift checks; GET /health says which build runs",
    Mode.OFFBOARD: "it does not remove itself; 'syndi uninstall' does",
}
"""How else the control plane itself is rolled back and removed; by a deployment otherwise."""


def _start(env: Env, org: str, asked: Asked) -> tuple[JsonObject, int]:
    instead = _OWN_START.get(asked.target.mode, "use POST /control-plane/deployments")
    refuse_own(asked.target.application, instead)
    return presented(deployments.start(front(), env, org, asked)), 202
