"""What may be asked of a deployment that there is: cancel, retry."""

from botocore.exceptions import ClientError
from pydantic import ValidationError

from control_plane import aws
from control_plane.errors import Conflict, NotFound
from control_plane.events import RetryRequest, Target, invalid
from control_plane.models import DeploymentStatus, Env, JsonObject, Mode, Tenant
from control_plane.rules.endings import refuse_cancel, refuse_retry
from control_plane.services import executions
from control_plane.use_cases import closing, deployments
from control_plane.use_cases.deployments import Asked, Front

_MOVED_ON = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")


def cancel(front: Front, tenant: Tenant, deployment_id: str, by: str | None) -> JsonObject:
    """Ask for a deployment's end; gives its record, with who asked first.

    It ends by itself, before its next step; one that waits for an approval is woken for that. One
    whose execution is over, or was never started, is closed at once: nobody else would.
    Asking again is harmless. Raises NotFound, and Conflict with what became of it.
    """
    record = _record(front, tenant, deployment_id)
    asked = None if refuse_cancel(record) else front.history.ask_for_end(tenant, deployment_id, by)
    if asked is None:
        record = closing.closed(front, _record(front, tenant, deployment_id))  # it may have ended
        raise Conflict(refuse_cancel(record) or f"{deployment_id} went on meanwhile: ask again")
    arn = asked["execution_arn"]
    if asked["status"] == DeploymentStatus.QUEUED and executions.status(arn) is None:
        # However young it is: should it be started now, its first step finds that it has ended.
        reason = f"cancelled by {by}: its execution was never started"
        return front.history.fail(
            tenant, deployment_id, arn, DeploymentStatus.CANCELLED, {"reason": reason}
        )
    asked = closing.closed(front, asked)
    token = asked.get("approval", {}).get("token")
    if asked["status"] == DeploymentStatus.AWAITING_APPROVAL and token:
        _wake(token)
    return asked


def _wake(token: str) -> None:
    """End the waiting for an approval."""
    try:
        aws.stepfunctions().send_task_failure(
            taskToken=token, error="Cancelled", cause="while it waited for an approval"
        )
    except ClientError as error:
        if aws.error_code(error) not in _MOVED_ON:
            raise
        # Somebody decided in this moment: its next step sees that its end was asked for.


def retry(
    front: Front, tenant: Tenant, deployment_id: str, request: RetryRequest, by: str | None
) -> JsonObject:
    """Start the request of an ended deployment again, for the source that it had.

    What was done is reused: the build by its fingerprint, the rest because every step may run
    twice. Gives the new record. Raises NotFound, Conflict, InvalidRequest.
    """
    record = _record(front, tenant, deployment_id)
    refusal = refuse_retry(record)
    if refusal:
        raise Conflict(refusal)
    asked = {**record["request"], "application": tenant.application}
    if asked.get("mode", Mode.FULL) in (Mode.FULL, Mode.FUNCTION):
        asked["source"] = record["source"]
    try:
        target = Target.model_validate(asked)
    except ValidationError as error:  # a release that was rolled back knew more
        raise invalid(error, f"the request of {deployment_id}") from error
    password = request.admin_password
    return deployments.start(
        front, Env(tenant.env), tenant.org, Asked(target, by, None, password, deployment_id)
    )


def _record(front: Front, tenant: Tenant, deployment_id: str) -> JsonObject:
    record = front.listing.get(tenant, deployment_id)
    if record is None:
        raise NotFound(f"{tenant.stack_name} has no deployment {deployment_id}")
    return record
