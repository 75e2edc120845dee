"""The tenant's stack: look, decide, delete; its changes are `stack_changes`."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import StackFailed, StackRefused
from control_plane.models import Deployment, JsonObject, Mode, StackStatus
from control_plane.rules import endings
from control_plane.rules.decisions import StackAction, StackEvent
from control_plane.services import stack_reading as reading
from control_plane.settings import StackSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from workers import (
    self_check,
    stack_check,
    stack_data,
    stack_drift,
    stack_identity,
    stack_operation,
    stack_protection,
    stack_role,
    stack_verdict,
)
from workers import stack_changes as changes
from workers.step import Outcome, Step, run

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import DeleteStackInputTypeDef, StackTypeDef


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry."""
    if self_check.is_one(event):
        return self_check.answer(event, stack_check.check)
    return run(event, STEPS, settings(StackSettings).table_name)


def check_stack(deployment: Deployment, event: JsonObject) -> Outcome:
    """Decide what this deployment does with the stack as it is. Raises StackRefused."""
    name = deployment.tenant.stack_name
    stack = reading.describe(name)
    status = stack["StackStatus"] if stack else None
    last = reading.last_event(stack["StackId"]) if stack else None
    decision = stack_verdict.decide(
        deployment,
        stack,
        rollback_continued=bool(event.get("rollback_continued")),
        last=last,
    )
    if decision.action == StackAction.REFUSE:
        blocked = reading.blockers(stack["StackId"]) if stack else []
        named = f" ({'; '.join(blocked)})" if blocked else ""
        raise StackRefused(f"{name} {_is(status)}: {decision.reason}{named}")
    if stack and decision.action == StackAction.DELETE:
        _refuse_destruction(deployment, stack)  # before anything is approved, exported or removed
    if stack and decision.action != StackAction.WAIT:
        _tell_aftermath(deployment, stack, last)
    return Outcome(
        {"action": decision.action, "reason": decision.reason, "status": status or "NONE"},
        f"{status or 'no stack'}: {decision.action}, because {decision.reason}",
        done=decision.action != StackAction.WAIT,
    )


def _tell_aftermath(deployment: Deployment, stack: "StackTypeDef", last: StackEvent | None) -> None:
    """Say what became of an operation that outlived its execution, in the record of the deployment
    that had begun it: that one ended before it could know."""
    other = naming.deployment_of_token(last.token) if last else None
    if other is None or other == deployment.id:
        return
    table = settings(StackSettings).table_name
    record = Listing(table).get(deployment.tenant, other)
    if record is None or not endings.left_operation(record):
        return
    note = f"its operation on the stack went on and ended {stack['StackStatus']}"
    Progress(table).add_aftermath(deployment.tenant, other, note)


def _is(status: str | None) -> str:
    return f"is {status}" if status else "does not exist"


def continue_rollback(deployment: Deployment, event: JsonObject) -> Outcome:
    """Let CloudFormation go on with an update's rollback that is stuck."""
    name = deployment.tenant.stack_name
    token = f"{deployment.id}-rollback"
    found = reading.describe(name)
    if found is None:
        raise StackFailed(f"{name} disappeared")

    def go_on() -> None:
        aws.cloudformation().continue_update_rollback(
            StackName=found["StackId"],
            RoleARN=stack_role.role_of(deployment.tenant),
            ClientRequestToken=token,
        )

    try:
        stack_operation.begin(found["StackId"], token, go_on)
    except ClientError as error:
        if aws.error_code(error) != "ValidationError":
            raise
        stack = reading.describe(name)
        if stack is None:
            raise StackFailed(f"{name} disappeared") from error
        if stack["StackStatus"] == StackStatus.UPDATE_ROLLBACK_FAILED:
            blocked = "; ".join(reading.blockers(stack["StackId"])) or "no resource is named"
            raise StackFailed(
                f"the rollback could not be continued: {error} ({blocked})"
            ) from error
        # It is over already, though nobody saw it begin.
    return Outcome({"rollback_continued": True}, "continued")


def delete_failed_stack(deployment: Deployment, event: JsonObject) -> Outcome:
    """Delete a stack whose first creation failed. Never any other: decided again, right here."""
    stack = reading.describe(deployment.tenant.stack_name)
    if stack is None:
        return Outcome({"stack_id": ""}, "gone already")
    stack_id, status = stack["StackId"], StackStatus(stack["StackStatus"])
    if status == StackStatus.DELETE_IN_PROGRESS:
        return Outcome({"stack_id": stack_id}, "being deleted already")
    decision = stack_verdict.decide(deployment, stack)
    if decision.action != StackAction.DELETE_FIRST:
        raise StackRefused(
            f"{stack['StackName']} became {status} meanwhile: not deleted, {decision.reason}"
        )
    _delete(deployment, stack_id, kept=())
    return Outcome({"stack_id": stack_id}, f"{status}: deleting {stack_id}")


def await_deletion(deployment: Deployment, event: JsonObject) -> Outcome:
    """Whether the deletion is through. Raises StackFailed when it stopped half way."""
    return _deletion(deployment, event["stack_id"], "the failed stack could not be deleted")


def delete_stack(deployment: Deployment, event: JsonObject) -> Outcome:
    """Delete the stack because its removal was asked for, by name, in the record.

    What blocked an earlier deletion is kept, and no longer belongs to any stack. Decided again,
    right here. Without a purge nothing that holds data is destroyed. Raises StackRefused.
    """
    name, options = deployment.tenant.stack_name, deployment.options
    if options.mode != Mode.OFFBOARD or options.confirm != name:
        raise StackRefused(f"{name} is not deleted: nobody asked for its removal by its name")
    stack = reading.describe(name)
    if stack is None:
        return Outcome({"stack_id": ""}, "there is no stack")
    stack_id, status = stack["StackId"], stack["StackStatus"]
    # Said before it is done: what the stack leaves behind is read by its id, also the next time.
    Progress(settings(StackSettings).table_name).add_facts(deployment, {"removed_stack": stack_id})
    if status == StackStatus.DELETE_IN_PROGRESS:
        return Outcome({"stack_id": stack_id}, "being deleted already")
    decision = stack_verdict.decide(deployment, stack)
    if decision.action != StackAction.DELETE:
        raise StackRefused(f"{name} became {status} meanwhile: not deleted, {decision.reason}")
    _refuse_destruction(deployment, stack)
    kept = reading.failed_resources(stack_id) if status == StackStatus.DELETE_FAILED else {}
    stack_protection.unprotect(stack)
    try:
        _delete(deployment, stack_id, kept)
    except ClientError as error:
        # Of a busy AWS nobody knows whether the deletion began: the step looks again.
        if not aws.is_busy(error):
            stack_protection.restore(stack)
        raise
    note = "; kept outside the stack: " * bool(kept)
    note += "; ".join(f"{name} ({reason})" for name, reason in kept.items())
    return Outcome({"stack_id": stack_id}, f"{status}: deleting {stack_id}{note}")


def _refuse_destruction(deployment: Deployment, stack: "StackTypeDef") -> None:
    half_deleted = stack["StackStatus"] == StackStatus.DELETE_FAILED
    stack_data.refuse_destruction(deployment, stack["StackId"], half_deleted=half_deleted)


def _delete(deployment: Deployment, stack_id: str, kept: Collection[str]) -> None:
    """Begin the deletion of a stack, once."""
    token = f"{deployment.id}-delete"
    asked: DeleteStackInputTypeDef = {
        "StackName": stack_id,
        "RoleARN": stack_role.role_of(deployment.tenant),
        "ClientRequestToken": token,
    }
    if kept:  # CloudFormation takes it only for a stack that is DELETE_FAILED
        asked["RetainResources"] = sorted(kept)
    stack_operation.begin(stack_id, token, lambda: aws.cloudformation().delete_stack(**asked))


def await_removal(deployment: Deployment, event: JsonObject) -> Outcome:
    """Whether the stack is gone. Raises StackFailed when its deletion stopped half way; one of prod
    is protected again then."""
    note = "the deletion stopped half way; offboard again to finish it and keep what blocked it"
    return _deletion(deployment, event["stack_id"], note)


def _deletion(deployment: Deployment, stack_id: str, failure: str) -> Outcome:
    stack = reading.describe(stack_id) if stack_id else None
    if stack is None or stack["StackStatus"] == StackStatus.DELETE_COMPLETE:
        return Outcome(note="deleted")
    if stack["StackStatus"] == StackStatus.DELETE_FAILED:
        stack_protection.protect(deployment, stack)
        raise StackFailed(f"{failure}: {'; '.join(reading.blockers(stack_id))}")
    return Outcome(done=False)


def _of_its_own(step: Step) -> Step:
    """The step, refused for a stack that is not the tenant's."""

    def checked(deployment: Deployment, event: JsonObject) -> Outcome:
        stack_identity.check_stack(deployment, event)
        return step(deployment, event)

    return checked


_STEPS: dict[str, Step] = {
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
    "AwaitRemoval": await_removal,
    "DetectDrift": stack_drift.detect_drift,
    "AwaitDrift": stack_drift.await_drift,
}

STEPS = {name: _of_its_own(step) for name, step in _STEPS.items()}
