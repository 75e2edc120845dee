"""Taking back a change set that will not be executed, and what was there only for it."""

from control_plane import aws
from control_plane.errors import ChangeSetFailed, IsolationRefused, ReplacementRefused
from control_plane.models import Deployment, JsonObject, StackStatus
from control_plane.rules import changes
from control_plane.services import stack_reading as reading
from control_plane.settings import StackSettings, settings
from control_plane.store.listing import Listing
from workers import stack_operation, stack_role
from workers.step import Outcome


def discard(event: JsonObject) -> None:
    """Delete a change set, so that nobody else executes it."""
    aws.cloudformation().delete_change_set(
        StackName=event["stack_id"], ChangeSetName=event["change_set_id"]
    )


def withdraw(deployment: Deployment, event: JsonObject) -> bool:
    """Delete a change set; in a dry run also the stack that only exists because of it.

    Answers whether nothing is left of it: a deletion takes a moment.
    """
    discard(event)
    return _nothing_left(deployment, event["stack_id"])


def withdraw_unapproved(deployment: Deployment, event: JsonObject) -> None:
    """Delete a change set that nobody approved, and the stack that only exists because of it.

    The deletion of a stack without resources is not awaited: whoever comes next does. Harmless when
    repeated.
    """
    stack = reading.describe(event["stack_id"])
    gone = (StackStatus.DELETE_IN_PROGRESS, StackStatus.DELETE_COMPLETE)
    if stack is None or stack["StackStatus"] in gone:
        return
    discard(event)
    _remove_unborn(deployment, event["stack_id"])


def repeated(deployment: Deployment, event: JsonObject) -> Outcome:
    """What an earlier attempt of the step found before it withdrew the change set: the record has
    it. Raises ChangeSetFailed when somebody else removed it, or what that attempt raised.
    """
    record = Listing(settings(StackSettings).table_name).get(deployment.tenant, deployment.id) or {}
    prefix = "rollback_" if deployment.rolling_back else ""
    facts = record.get(f"{prefix}change_set", {})
    if facts.get("refused"):
        raise ReplacementRefused(facts["refused"])
    if facts.get("not_isolated"):
        raise IsolationRefused(facts["not_isolated"])
    dry_run = deployment.options.dry_run
    if facts.get("id") != event["change_set_id"] or (facts["has_changes"] and not dry_run):
        raise ChangeSetFailed("the change set disappeared before it was executed: deploy again")
    return Outcome(
        {"has_changes": facts["has_changes"], "summary": facts["summary"]},
        changes.in_words(facts["summary"]) + "; a dry run, nothing was changed" * dry_run,
        done=_nothing_left(deployment, event["stack_id"]),
    )


def _nothing_left(deployment: Deployment, stack_id: str) -> bool:
    """A first change set brings its stack into being, without resources: it goes with a dry run."""
    return not deployment.options.dry_run or _remove_unborn(deployment, stack_id)


def _remove_unborn(deployment: Deployment, stack_id: str) -> bool:
    """Delete a stack that never had more than change sets, once it has none; answers whether
    nothing is left to be deleted."""
    stack = reading.describe(stack_id)
    status = stack["StackStatus"] if stack else StackStatus.DELETE_COMPLETE
    if status == StackStatus.DELETE_IN_PROGRESS:
        return False
    name = deployment.tenant.stack_name
    if status != StackStatus.REVIEW_IN_PROGRESS:
        return True
    left = reading.change_set_statuses(name)
    if left - {"DELETE_PENDING", "DELETE_IN_PROGRESS"}:
        return True  # somebody else's
    if left:
        return False  # ours: one with nested stacks is deleted in the background
    token = f"{deployment.id}-delete"
    stack_operation.begin(
        stack_id,
        token,
        lambda: aws.cloudformation().delete_stack(
            StackName=stack_id,
            RoleARN=stack_role.role_of(deployment.tenant),
            ClientRequestToken=token,
        ),
    )
    return False
