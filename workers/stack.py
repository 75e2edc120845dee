"""The tenant's stack: look, decide, and carry it out through change sets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws, decisions, naming
from control_plane.decisions import StackAction
from control_plane.errors import (
    ChangeSetFailed,
    ReplacementRefused,
    StackFailed,
    StackRefused,
)
from control_plane.models import Deployment, JsonObject, StackState, StackStatus
from control_plane.settings import StackSettings, settings
from workers import stack_reading as reading
from workers.step import Outcome, Step, run

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef


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


def create_change_set(deployment: Deployment, event: JsonObject) -> Outcome:
    """Ask CloudFormation what the build would change. Raises ChangeSetFailed, StackRefused."""
    known, tenant = settings(StackSettings), deployment.tenant
    stack = reading.describe(tenant.stack_name)
    decision = decisions.decide_stack(StackStatus(stack["StackStatus"]) if stack else None)
    if stack and decision.action not in (StackAction.CREATE, StackAction.UPDATE):
        raise StackRefused(f"{tenant.stack_name} became {stack['StackStatus']} during the build")
    creating = decision.action == StackAction.CREATE
    url = reading.template_url(known.aws_region, known.artifact_bucket, event["template_key"])
    try:
        parameters = decisions.stack_parameters(
            reading.declared_parameters(url),
            computed={
                "Environment": tenant.env,
                "Organization": tenant.org,
                "Runtime": known.tenant_runtime,
                "Architecture": known.tenant_architecture,
                "PermissionsBoundaryArn": known.permissions_boundary_arn,
            },
            requested=_requested(deployment),
            first_deployment=deployment.manifest.stack.first_deployment,
            previous=None if creating or not stack else reading.parameters(stack),
        )
        answer = aws.cloudformation().create_change_set(
            StackName=tenant.stack_name,
            ChangeSetName=f"syndi-{deployment.id}",
            ChangeSetType="CREATE" if creating else "UPDATE",
            TemplateURL=url,
            Parameters=_parameters(parameters),
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            RoleARN=known.cloudformation_role_arn,
            Tags=[{"Key": naming.OWNER_TAG, "Value": tenant.stack_name}],
        )
        change_set_id, stack_id = answer["Id"], answer["StackId"]
    except ClientError as error:
        code = aws.error_code(error)
        if code == "AlreadyExistsException":
            described = reading.change_set(tenant.stack_name, f"syndi-{deployment.id}")
            change_set_id, stack_id = described["ChangeSetId"], described["StackId"]
        elif code == "ValidationError":
            raise ChangeSetFailed(f"the template was refused: {_message(error)}") from error
        else:
            raise
    return Outcome({"change_set_id": change_set_id, "stack_id": stack_id}, decision.reason)


def await_change_set(deployment: Deployment, event: JsonObject) -> Outcome:
    """Read the change set when it is there, and refuse it when it would lose data.

    Raises ChangeSetFailed or ReplacementRefused. A change set without changes is a success.
    """
    change_set_id = event["change_set_id"]
    described = reading.change_set(event["stack_id"], change_set_id)
    status, reason = described["Status"], described.get("StatusReason", "")
    if status == "FAILED" and decisions.is_without_changes(reason):
        _discard(event)
        return Outcome({"has_changes": False, "summary": {}}, "nothing to change")
    if status == "FAILED":
        raise ChangeSetFailed(f"no change set could be made: {' '.join(reason.split())}")
    if status != "CREATE_COMPLETE":
        return Outcome({"has_changes": False, "summary": {}}, done=False)
    changes = reading.changes(event["stack_id"], change_set_id)
    refusal = decisions.refuse_changes(
        changes,
        stateful_types=deployment.manifest.stack.stateful_types,
        allow_replacement=deployment.options.allow_replacement,
    )
    if refusal:
        _discard(event)
        raise ReplacementRefused(refusal)
    summary = decisions.summarize(changes)
    told = ", ".join(f"{len(ids)} {kind}" for kind, ids in summary.items())
    return Outcome({"has_changes": True, "summary": summary}, told)


def execute_change_set(deployment: Deployment, event: JsonObject) -> Outcome:
    """Start this deployment's own operation on the stack, under its own token."""
    try:
        aws.cloudformation().execute_change_set(
            StackName=event["stack_id"],
            ChangeSetName=event["change_set_id"],
            ClientRequestToken=deployment.id,
            DisableRollback=False,
        )
    except ClientError as error:
        if aws.error_code(error) not in ("InvalidChangeSetStatus", "ChangeSetNotFound"):
            raise
        if not reading.operation_events(event["stack_id"], deployment.id):
            raise StackFailed(f"the change set could not be executed: {_message(error)}") from error
        # Already executed, by an earlier attempt of this step.
    return Outcome()


def await_stack(deployment: Deployment, event: JsonObject) -> Outcome:
    """Whether this deployment's operation is through, judged by its own events only.

    Without changes there was no operation: then the stack must be healthy as it is.
    Raises StackFailed with the first failing resource.
    """
    stack_id = event["stack_id"]
    if event["has_changes"]:
        events = reading.operation_events(stack_id, deployment.id)
        status = decisions.settled_status(events)
        if status is None:
            return Outcome(done=False)
        if status not in reading.SUCCEEDED:
            invalid = reading.validation_failures(stack_id)
            cause = "; ".join(invalid) or decisions.first_failure(events)
            raise StackFailed(f"{cause or 'CloudFormation gave no reason'}; the stack is {status}")
    stack = reading.describe(stack_id)
    if stack is None:
        raise StackFailed(f"{deployment.tenant.stack_name} disappeared")
    if decisions.decide_stack(StackStatus(stack["StackStatus"])).action != StackAction.UPDATE:
        raise StackFailed(f"{deployment.tenant.stack_name} became {stack['StackStatus']}")
    state = StackState(
        stack_id=stack_id,
        status=StackStatus(stack["StackStatus"]),
        outputs={item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])},
        parameters=reading.parameters(stack),
    )
    return Outcome(state.model_dump(mode="json"), str(state.status))


def _discard(event: JsonObject) -> None:
    """Delete a change set that will not be executed, so that nobody else executes it."""
    aws.cloudformation().delete_change_set(
        StackName=event["stack_id"], ChangeSetName=event["change_set_id"]
    )


def _requested(deployment: Deployment) -> dict[str, str]:
    """The request's options as template parameters; what was not asked for is not there."""
    asked = {
        parameter: getattr(deployment.options, option)
        for option, parameter in deployment.manifest.stack.parameters.items()
    }
    return {name: str(value).lower() for name, value in asked.items() if value is not None}


def _parameters(parameters: list[dict[str, str | bool]]) -> "list[ParameterTypeDef]":
    return parameters  # type: ignore[return-value]  # the same shape, as a plain dict


def _message(error: ClientError) -> str:
    return " ".join(str(error.response["Error"].get("Message", error)).split())


STEPS: dict[str, Step] = {
    "CheckStack": check_stack,
    "ContinueRollback": continue_rollback,
    "DeleteFailedStack": delete_failed_stack,
    "AwaitDeletion": await_deletion,
    "CreateChangeSet": create_change_set,
    "AwaitChangeSet": await_change_set,
    "ExecuteChangeSet": execute_change_set,
    "AwaitStack": await_stack,
}
