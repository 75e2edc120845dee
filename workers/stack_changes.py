"""A stack's changes: asked for as a change set, looked at, executed, and awaited."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws, naming, own
from control_plane.errors import (
    Cancelled,
    ChangeSetFailed,
    IsolationRefused,
    ReplacementRefused,
    StackFailed,
    StackRefused,
)
from control_plane.models import (
    Deployment,
    JsonObject,
    StackState,
    StackStatus,
    utc_now,
)
from control_plane.rules import changes, decisions, endings
from control_plane.rules.decisions import StackAction
from control_plane.rules.situations import Situation, situation
from control_plane.services import change_sets
from control_plane.services import stack_reading as reading
from control_plane.settings import StackSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.progress import ROLLBACK_STEPS, STEPS, Progress
from workers import (
    stack_guard,
    stack_identity,
    stack_imports,
    stack_isolation,
    stack_operation,
    stack_protection,
    stack_role,
    stack_template,
    stack_verdict,
)
from workers import stack_withdrawal as withdrawal
from workers.step import Outcome

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import DescribeChangeSetOutputTypeDef


def create_change_set(deployment: Deployment, event: JsonObject) -> Outcome:
    """Ask CloudFormation what the build would change. Raises ChangeSetFailed, StackRefused."""
    tenant = deployment.tenant
    stack = reading.describe(tenant.stack_name)
    decision = stack_verdict.decide(deployment, stack)
    if stack and decision.action not in (StackAction.CREATE, StackAction.UPDATE):
        raise StackRefused(f"{tenant.stack_name} became {stack['StackStatus']} during the build")
    creating = decision.action == StackAction.CREATE
    proposal = stack_template.propose(
        deployment,
        event["template_key"],
        previous=None if creating or not stack else reading.parameters(stack),
    )
    if proposal.config_bucket:  # UploadConfig must not make what the stack makes
        made = {"config_bucket_resource": proposal.config_bucket}
        Progress(settings(StackSettings).table_name).add_facts(deployment, made)
    name = naming.change_set_name(deployment)
    try:
        change_set_id, stack_id = change_sets.create(
            tenant.stack_name,
            name,
            stack=stack,
            kind="CREATE" if creating else "UPDATE",
            template={"TemplateURL": proposal.url},
            parameters=proposal.parameters,
            role={"RoleARN": stack_role.role_of(tenant)},
        )
    except ClientError as error:
        code = aws.error_code(error)
        # Its name is this deployment's: an earlier attempt made it, or is just making it.
        if code in ("AlreadyExistsException", "InvalidChangeSetStatus"):
            described = reading.change_set(tenant.stack_name, name)
            change_set_id, stack_id = described["ChangeSetId"], described["StackId"]
        elif code == "ValidationError":
            raise ChangeSetFailed(f"the template was refused: {_message(error)}") from error
        else:
            raise
    return Outcome({"change_set_id": change_set_id, "stack_id": stack_id}, decision.reason)


def await_change_set(deployment: Deployment, event: JsonObject) -> Outcome:
    """Read the change set when it is there, and refuse it when it would lose data or let the
    tenant out of its bounds.

    A change set without changes is a success. What it says goes into the record before anybody is
    asked or anything is done. A dry run ends here: its change set is removed, and the step goes on
    until what was there only for it is gone. Raises ChangeSetFailed,
    ReplacementRefused or IsolationRefused.
    """
    change_set_id, options = event["change_set_id"], deployment.options
    try:
        described = reading.change_set(event["stack_id"], change_set_id)
    except ClientError as error:
        if not reading.is_gone(error):
            raise
        return withdrawal.repeated(deployment, event)
    stack_identity.check_change_set(deployment, change_set_id, described)
    status, reason = described["Status"], " ".join(described.get("StatusReason", "").split())
    if status not in ("CREATE_COMPLETE", "FAILED"):
        return Outcome({"has_changes": False, "summary": {}}, done=False)
    if status == "FAILED" and not changes.is_without_changes(reason):
        why = reading.refusal(change_set_id, reason)
        if options.dry_run:
            withdrawal.withdraw(deployment, event)
        raise ChangeSetFailed(f"no change set could be made: {why}")
    found = change_sets.Effects()
    if status != "FAILED":
        stateful = stack_guard.stateful_types(deployment)
        found = change_sets.effects(event["stack_id"], change_set_id, stateful)
    _leave_config_bucket(deployment, event, described, found)
    summary = changes.summarize(found.changes)
    note = changes.in_words(summary) + changes.needless(found.losses, options.allow_replacement)
    note += changes.not_retained(found.unretained)
    result = {"has_changes": status != "FAILED", "summary": summary}
    refusal = changes.refuse_changes(
        list(stack_guard.not_undone(deployment, found.losses)), options.allow_replacement
    )
    refusal = refusal or stack_imports.refuse_foreign(deployment, found.changes)
    leak = None if refusal else stack_isolation.refusal(deployment, event, described)
    facts = {"id": change_set_id, "stack_id": event["stack_id"], **result}
    facts |= change_sets.facts(found)
    facts |= {"refused": refusal} if refusal else {"not_isolated": leak} if leak else {}
    Progress(settings(StackSettings).table_name).add_facts(deployment, {"change_set": facts})
    if refusal:
        withdrawal.withdraw(deployment, event)
        raise ReplacementRefused(refusal)
    if leak:
        withdrawal.withdraw(deployment, event)
        raise IsolationRefused(leak)
    if options.dry_run:
        gone = withdrawal.withdraw(deployment, event)
        return Outcome(result, f"{note}; a dry run, nothing was changed", done=gone)
    if not result["has_changes"]:
        withdrawal.discard(event)
    return Outcome(result, note)


def _leave_config_bucket(
    deployment: Deployment,
    event: JsonObject,
    described: "DescribeChangeSetOutputTypeDef",
    found: change_sets.Effects,
) -> None:
    """Note that a nested stack makes the config bucket: UploadConfig must not make it before."""
    table = deployment.manifest.config
    if not table or not any(
        change.action == "Add" and change.resource_type == "AWS::S3::Bucket"
        for change in found.changes
        if "/" in change.logical_id
    ):
        return
    known = settings(StackSettings)
    name = naming.filled(table.bucket, deployment.tenant, known.account_id)
    if resource := stack_isolation.nested_bucket(deployment, event, described, name):
        Progress(known.table_name).add_facts(deployment, {"config_bucket_resource": resource})


def execute_change_set(deployment: Deployment, event: JsonObject) -> Outcome:
    """Start this deployment's own operation on the stack, under its own token.

    Raises StackFailed, and ChangeSetFailed for a change set that nobody has looked at.
    """
    _check_guarded(deployment, event["change_set_id"])

    def execute() -> None:
        aws.cloudformation().execute_change_set(
            StackName=event["stack_id"],
            ChangeSetName=event["change_set_id"],
            ClientRequestToken=deployment.operation,
            DisableRollback=False,
            # What a failed update of the control plane made goes with it, also what is retained:
            # the next attempt may not publish a version again that is there.
            RetainExceptOnCreate=own.is_own(deployment.tenant),
        )

    try:
        stack_operation.begin(event["stack_id"], deployment.operation, execute)
    except ClientError as error:
        if aws.error_code(error) not in stack_operation.REFUSALS:
            raise
        raise StackFailed(f"the change set could not be executed: {_message(error)}") from error
    return Outcome()


def _check_guarded(deployment: Deployment, change_set_id: str) -> None:
    """Raise ChangeSetFailed unless AwaitChangeSet looked at this very change set and refused
    nothing, by the record: a later step could not bring back what it would lose."""
    record = Listing(settings(StackSettings).table_name).get(deployment.tenant, deployment.id) or {}
    prefix = "rollback_" if deployment.rolling_back else ""
    seen = record.get(f"{prefix}change_set", {})
    if seen.get("id") != change_set_id:
        raise ChangeSetFailed("nobody looked at what the change set would do: deploy again")
    if refusal := seen.get("refused") or seen.get("not_isolated"):
        raise ChangeSetFailed(f"the change set was refused before: {refusal}")


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
            elif not events:
                _check_executed(deployment, stack_id)
            return Outcome(done=False)
        if event["cancelled"] and status not in reading.SUCCEEDED:
            raise Cancelled(endings.of_operation(status))
        # One that was through first has the new build, and keeps the configuration that goes with
        # it: it ends before its next step.
        if status not in reading.SUCCEEDED:
            invalid = reading.validation_failures(stack_id)
            cause = "; ".join(invalid) or decisions.first_failure(events)
            raise StackFailed(f"{cause or 'CloudFormation gave no reason'}; the stack is {status}")
    stack = reading.describe(stack_id)
    if stack is None:
        raise StackFailed(f"{deployment.tenant.stack_name} disappeared")
    healthy = (Situation.HEALTHY, Situation.UNDONE)
    if situation(StackStatus(stack["StackStatus"])) not in healthy:
        raise StackFailed(f"{deployment.tenant.stack_name} became {stack['StackStatus']}")
    stack_protection.protect(deployment, stack)
    state = StackState(
        stack_id=stack_id,
        status=StackStatus(stack["StackStatus"]),
        outputs={item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])},
        parameters=reading.parameters(stack),
    )
    return Outcome(state.model_dump(mode="json"), str(state.status))


UNHEARD = timedelta(seconds=60)
"""After which an operation without an event is looked into; CloudFormation's first event comes
within seconds."""


def _check_executed(deployment: Deployment, stack_id: str) -> None:
    """Raise StackFailed when the change set was never executed, though the step before this one
    said so: nobody would ever hear of it."""
    record = Listing(settings(StackSettings).table_name).get(deployment.tenant, deployment.id) or {}
    steps = record.get(ROLLBACK_STEPS if deployment.rolling_back else STEPS, {})
    begun = steps.get("AwaitStack", {}).get("started_at")
    if begun is None or utc_now() - datetime.fromisoformat(begun) < UNHEARD:
        return
    try:
        found = reading.change_set(stack_id, naming.change_set_name(deployment))
    except ClientError as error:
        if not reading.is_gone(error):
            raise
        return  # it was executed: CloudFormation deletes it then
    if found.get("ExecutionStatus") == "AVAILABLE":
        raise StackFailed("the change set was not executed: no operation began; deploy again")


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
        withdrawal.withdraw_unapproved(deployment, event)
    return Outcome(note="removed" if event["change_set_id"] else "there is none")


def _message(error: ClientError) -> str:
    return " ".join(str(error.response["Error"].get("Message", error)).split())
