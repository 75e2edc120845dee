"""The tenant's stack: look, decide, delete; its changes are `stack_changes`."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, decisions
from control_plane.decisions import StackAction
from control_plane.errors import StackFailed, StackRefused
from control_plane.models import Deployment, JsonObject, StackStatus
from control_plane.settings import StackSettings, settings
from workers import stack_changes as changes
from workers import stack_drift
from workers import stack_reading as reading
from workers.step import Outcome, Step, run


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry."""
    return run(event, STEPS, settings(StackSettings).table_name)


def check_stack(deployment: Deployment, event: JsonObject) -> Outcome:
    """Decide what this deployment does with the stack as it is. Raises StackRefused."""
    name = deployment.tenant.stack_name
    stack = reading.describe(name)
    status = StackStatus(stack["StackStatus"]) if stack else None
    decision = decisions.decide_stack(
        status, rollback_continued=bool(event.get("rollback_continued"))
    )
    note = f"{status or 'no stack'}: {decision.action}, because {decision.reason}"
    if decision.action == StackAction.REFUSE:
        blocked = reading.failed_resources(name)
        named = f" ({'; '.join(blocked)})" if blocked else ""
        raise StackRefused(f"{name} is {status}: {decision.reason}{named}")
    return Outcome(
        {"action": decision.action, "reason": decision.reason, "status": status or "NONE"},
        note,
        done=decision.action != StackAction.WAIT,
    )


def continue_rollback(deployment: Deployment, event: JsonObject) -> Outcome:
    """Let CloudFormation go on with an update's rollback that is stuck."""
    name = deployment.tenant.stack_name
    try:
        aws.cloudformation().continue_update_rollback(
            StackName=name,
            RoleARN=settings(StackSettings).cloudformation_role_arn,
            ClientRequestToken=f"{deployment.id}-rollback",
        )
    except ClientError as error:
        if aws.error_code(error) != "ValidationError":
            raise
        stack = reading.describe(name)
        if stack is None or stack["StackStatus"] == StackStatus.UPDATE_ROLLBACK_FAILED:
            raise StackFailed(f"the rollback could not be continued: {error}") from error
        # Already continued, by an earlier attempt of this step.
    return Outcome({"rollback_continued": True}, "continued")


def delete_failed_stack(deployment: Deployment, event: JsonObject) -> Outcome:
    """Delete a stack whose first creation failed. Never any other: decided again, right here."""
    stack = reading.describe(deployment.tenant.stack_name)
    if stack is None:
        return Outcome({"stack_id": ""}, "gone already")
    stack_id, status = stack["StackId"], StackStatus(stack["StackStatus"])
    if status == StackStatus.DELETE_IN_PROGRESS:
        return Outcome({"stack_id": stack_id}, "being deleted already")
    decision = decisions.decide_stack(status)
    if decision.action != StackAction.DELETE_FIRST:
        raise StackRefused(
            f"{stack['StackName']} became {status} meanwhile: not deleted, {decision.reason}"
        )
    aws.cloudformation().delete_stack(
        StackName=stack_id,
        RoleARN=settings(StackSettings).cloudformation_role_arn,
        ClientRequestToken=f"{deployment.id}-delete",
    )
    return Outcome({"stack_id": stack_id}, f"{status}: deleting {stack_id}")


def await_deletion(deployment: Deployment, event: JsonObject) -> Outcome:
    """Whether the deletion is through. Raises StackFailed when it stopped half way."""
    stack = reading.describe(event["stack_id"]) if event["stack_id"] else None
    if stack is None or stack["StackStatus"] == StackStatus.DELETE_COMPLETE:
        return Outcome(note="deleted")
    if stack["StackStatus"] == StackStatus.DELETE_FAILED:
        blocked = "; ".join(reading.failed_resources(event["stack_id"]))
        raise StackFailed(f"the failed stack could not be deleted: {blocked}")
    return Outcome(done=False)


def delete_stack(deployment: Deployment, event: JsonObject) -> Outcome:
    """Delete the stack because its removal was asked for, by name, in the record."""
    raise StackRefused("not written yet")


STEPS: dict[str, Step] = {
    "CheckStack": check_stack,
    "ContinueRollback": continue_rollback,
    "DeleteFailedStack": delete_failed_stack,
    "AwaitDeletion": await_deletion,
    "CreateChangeSet": changes.create_change_set,
    "AwaitChangeSet": changes.await_change_set,
    "ExecuteChangeSet": changes.execute_change_set,
    "AwaitStack": changes.await_stack,
    "DiscardChangeSet": changes.discard_change_set,
    "DeleteStack": delete_stack,
    "AwaitRemoval": await_deletion,
    "DetectDrift": stack_drift.detect_drift,
    "AwaitDrift": stack_drift.await_drift,
}
