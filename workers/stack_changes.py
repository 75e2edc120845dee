"""A stack's changes: asked for as a change set, looked at, executed, and awaited."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws, decisions, endings, naming
from control_plane.decisions import StackAction
from control_plane.errors import (
    Cancelled,
    ChangeSetFailed,
    ReplacementRefused,
    StackFailed,
    StackRefused,
)
from control_plane.models import Deployment, JsonObject, StackState, StackStatus
from control_plane.settings import StackSettings, settings
from workers import stack_reading as reading
from workers.step import Outcome

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef


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
            ChangeSetName=f"syndi-{deployment.operation}",
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
            described = reading.change_set(tenant.stack_name, f"syndi-{deployment.operation}")
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
            ClientRequestToken=deployment.operation,
            DisableRollback=False,
        )
    except ClientError as error:
        if aws.error_code(error) not in ("InvalidChangeSetStatus", "ChangeSetNotFound"):
            raise
        if not reading.operation_events(event["stack_id"], deployment.operation):
            raise StackFailed(f"the change set could not be executed: {_message(error)}") from error
        # Already executed, by an earlier attempt of this step.
    return Outcome()


def await_stack(deployment: Deployment, event: JsonObject) -> Outcome:
    """Whether this deployment's operation is through, judged by its own events only.

    Without changes there was no operation: then the stack must be healthy as it is.
    A deployment that was cancelled has its update undone, and ends when the stack has settled.
    Raises StackFailed with the first failing resource, and Cancelled.
    """
    stack_id = event["stack_id"]
    if event["cancelled"] and not event["has_changes"]:
        raise Cancelled("the stack had nothing to change")
    if event["has_changes"]:
        events = reading.operation_events(stack_id, deployment.operation, _cancel_token(deployment))
        status = decisions.settled_status(events)
        if status is None:
            if event["cancelled"]:
                _undo_update(deployment, stack_id)
            return Outcome(done=False)
        if event["cancelled"]:
            raise Cancelled(endings.of_operation(status))
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


def _cancel_token(deployment: Deployment) -> str:
    """The token of the cancellation, which the events of the update's rollback carry."""
    return f"{deployment.id}-cancel"


def _undo_update(deployment: Deployment, stack_id: str) -> None:
    """Have CloudFormation undo an update that runs; a creation or a rollback is awaited."""
    stack = reading.describe(stack_id)
    if stack is None or stack["StackStatus"] != StackStatus.UPDATE_IN_PROGRESS:
        return
    try:
        aws.cloudformation().cancel_update_stack(
            StackName=stack_id, ClientRequestToken=_cancel_token(deployment)
        )
    except ClientError as error:
        if aws.error_code(error) == "TokenAlreadyExistsException":
            return  # asked for by an earlier look: what is being updated ends first
        if aws.error_code(error) != "ValidationError":
            raise
        stack = reading.describe(stack_id)
        if stack and stack["StackStatus"] == StackStatus.UPDATE_IN_PROGRESS:
            raise StackFailed(f"the update could not be cancelled: {_message(error)}") from error
        # It was over, or being undone already, in the moment between look and call.


def discard_change_set(deployment: Deployment, event: JsonObject) -> Outcome:
    """Remove the change set of a deployment that will not execute it; harmless without one."""
    if event["change_set_id"]:
        _discard(event)
    return Outcome(note="removed" if event["change_set_id"] else "there is none")


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
