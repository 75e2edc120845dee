"""What CloudFormation says of a stack, in the words of the rules."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from control_plane import aws
from control_plane.models import StackStatus
from control_plane.rules import changes, decisions
from control_plane.rules.decisions import StackEvent
from control_plane.services import stack_contents
from control_plane.services.stack_templates import processed_template as processed_template

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import (
        DescribeChangeSetOutputTypeDef,
        StackEventTypeDef,
        StackTypeDef,
    )

SUCCEEDED = (
    StackStatus.CREATE_COMPLETE,
    StackStatus.UPDATE_COMPLETE,
    StackStatus.IMPORT_COMPLETE,
)


_POINTS_TO_EVENTS = re.compile(r"EarlyValidation|DescribeEvents")
"""The reason of a change set whose resources are not valid (CloudFormation user guide, validate
stack deployments)."""


def describe(name_or_id: str) -> "StackTypeDef | None":
    """The stack, or None when CloudFormation says that it does not exist.

    Only that sentence is an absence: a throttled or forbidden call stays an error.
    """
    try:
        stacks = aws.cloudformation().describe_stacks(StackName=name_or_id)["Stacks"]
    except ClientError as error:
        message = str(error.response["Error"].get("Message", ""))
        if aws.error_code(error) == "ValidationError" and "does not exist" in message:
            return None
        raise
    return stacks[0] if stacks else None


def parameters(stack: "StackTypeDef") -> dict[str, str]:
    """The stack's parameters as they are now."""
    return {
        item["ParameterKey"]: item.get("ParameterValue", "") for item in stack.get("Parameters", [])
    }


def failed_resources(stack_id: str) -> dict[str, str]:
    """The resources that a failed operation left behind, by logical id, each with its reason.

    A reason that the list of resources does not have is that of the newest event which has one. Of
    a nested stack it is what that one is stuck on.
    """
    failed, nested = dict[str, str](), dict[str, str]()
    for item in stack_contents.summaries(stack_id):
        if item["ResourceStatus"].endswith("_FAILED"):
            name = item["LogicalResourceId"]
            failed[name] = _one_line(item.get("ResourceStatusReason", ""))
            if item["ResourceType"] == stack_contents.NESTED:
                nested[name] = item.get("PhysicalResourceId", "")
    if not all(failed.values()):
        for event in _last_operation(stack_id):
            if event.status.endswith("_FAILED") and failed.get(event.logical_id) == "":
                failed[event.logical_id] = _one_line(event.reason)
    return {name: _blocked(nested.get(name, ""), reason) for name, reason in failed.items()}


def blockers(stack_id: str) -> list[str]:
    """What a stack that is stuck is stuck on, each resource with its reason.

    Only the events name what a rollback failed on; the resources themselves may not show it.
    """
    failed = failed_resources(stack_id)
    for event in _last_operation(stack_id):
        if not event.status.endswith("_FAILED") or event.is_stack or event.logical_id in failed:
            continue
        nested = event.physical_id if event.resource_type == stack_contents.NESTED else ""
        failed[event.logical_id] = _blocked(nested, _one_line(event.reason))
    return [f"{name}: {reason}" for name, reason in failed.items()]


def _blocked(nested: str, reason: str) -> str:
    """What the stack that is nested in another is stuck on, or the `reason` that the other has."""
    if not nested:
        return reason
    try:
        return "; ".join(blockers(nested)) or reason
    except ClientError as error:
        if aws.is_busy(error):
            raise
        return reason


def _looked_into(events: list[StackEvent]) -> list[StackEvent]:
    """The events of an operation that failed, with what failed in a nested stack in that stack's
    place (`Parent/Child`, as in a change set): the parent's own end at the stack's name."""
    failed = decisions.failed_event(events)
    if failed is None or failed.is_stack or failed.resource_type != stack_contents.NESTED:
        return events
    try:
        below = _looked_into(_nested_operation(failed.physical_id, failed.status))
    except (ClientError, BotoCoreError) as error:
        if aws.is_busy(error):
            raise
        return events  # what is denied or gone must not hide what the parent says
    cause = decisions.failed_event(below)
    if cause is None:
        return events
    inner = replace(
        failed,
        logical_id=f"{failed.logical_id}/{cause.logical_id}",
        resource_type=cause.resource_type,
        reason=decisions.reason_of(cause, below),
    )
    return [inner if event is failed else event for event in events]


_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "IMPORT_IN_PROGRESS")


def _nested_operation(stack_id: str, failure: str) -> list[StackEvent]:
    """The events of the operation in which a nested stack failed, oldest first.

    `failure`: the status that its parent saw. What the parent's rollback did afterwards is left
    out: its phases begin differently.
    """
    first = ("DELETE_IN_PROGRESS",) if failure == "DELETE_FAILED" else _BEGINNINGS
    events: list[StackEvent] = []
    pages = aws.cloudformation().get_paginator("describe_stack_events").paginate(StackName=stack_id)
    for page in pages:  # newest first
        for item in page["StackEvents"]:
            event = _event(item, stack_id)
            events.append(event)
            if event.is_stack and event.status in first:
                return events[::-1]
    return events[::-1]


def _last_operation(stack_id: str) -> Iterator[StackEvent]:
    """The events of a stack's last phase, newest first, however many there are."""
    pages = aws.cloudformation().get_paginator("describe_stack_events").paginate(StackName=stack_id)
    for page in pages:
        for item in page["StackEvents"]:
            event = _event(item, stack_id)
            if event.is_stack and event.status.endswith("_IN_PROGRESS"):
                return  # older events belong to an earlier operation
            yield event


def _one_line(text: str) -> str:
    return " ".join(text.split())


def last_event(stack_id: str) -> StackEvent | None:
    """The stack's newest event; None when it has none."""
    events = _newest_events(stack_id)
    return events[0] if events else None


def has_events(stack_id: str, token: str) -> bool:
    """Whether an operation with that token is among the stack's newest events."""
    return any(event.token == token for event in _newest_events(stack_id))


def _newest_events(stack_id: str) -> list[StackEvent]:
    """The newest page of a stack's events, newest first."""
    page = aws.cloudformation().describe_stack_events(StackName=stack_id)
    return [_event(item, stack_id) for item in page["StackEvents"]]


def template_url(region: str, bucket: str, key: str) -> str:
    """A template in S3 as CloudFormation takes it: path-style."""
    return f"https://s3.{region}.amazonaws.com/{bucket}/{key}"


def change_set(stack: str, name_or_id: str) -> "DescribeChangeSetOutputTypeDef":
    """A change set's status and reason."""
    return aws.cloudformation().describe_change_set(StackName=stack, ChangeSetName=name_or_id)


def is_gone(error: ClientError) -> bool:
    """Whether a call found no change set, or not even its stack; no other error says that."""
    message = str(error.response["Error"].get("Message", ""))
    code = aws.error_code(error)
    return code == "ChangeSetNotFound" or (code == "ValidationError" and "not exist" in message)


def change_set_statuses(stack_name: str) -> set[str]:
    """The statuses of the change sets that a stack has."""
    pages = aws.cloudformation().get_paginator("list_change_sets").paginate(StackName=stack_name)
    return {item.get("Status", "") for page in pages for item in page["Summaries"]}


def operation_events(stack_id: str, *tokens: str) -> list[StackEvent]:
    """The events of the one operation that was started under `tokens`, oldest first.

    More than one token: that of an update and that of its cancellation, whose rollback is part of
    the same operation. Of one that failed in a nested stack, what failed there is among them.
    """
    events: list[StackEvent] = []
    pages = aws.cloudformation().get_paginator("describe_stack_events").paginate(StackName=stack_id)
    for page in pages:  # newest first
        mine = [item for item in page["StackEvents"] if item.get("ClientRequestToken") in tokens]
        events += [_event(item, stack_id) for item in mine]
        if events and len(mine) < len(page["StackEvents"]):
            break  # the rest belongs to earlier operations
    events = events[::-1]
    status = decisions.settled_status(events)
    return events if status is None or status in SUCCEEDED else _looked_into(events)


_REFUSED = ("HOOK_COMPLETE_FAILED", "HOOK_FAILED")
"""A hook that did not let something pass, or that failed itself (StackEvent, API reference)."""


def _event(item: "StackEventTypeDef", stack_id: str) -> StackEvent:
    refused = item.get("HookStatus") in _REFUSED and item.get("HookFailureMode") != "WARN"
    return StackEvent(
        logical_id=item.get("LogicalResourceId", ""),
        resource_type=item.get("ResourceType", ""),
        status=item.get("ResourceStatus", ""),
        reason=item.get("ResourceStatusReason", ""),
        is_stack=item.get("PhysicalResourceId") == stack_id,
        token=item.get("ClientRequestToken", ""),
        physical_id=item.get("PhysicalResourceId", ""),
        hook=item.get("HookType", "") if refused else "",
        hook_reason=item.get("HookStatusReason", "") if refused else "",
    )


def refusal(change_set_id: str, reason: str) -> str:
    """Why a change set could not be made: the `reason` that it has, or, where that only points
    elsewhere (to a nested change set, to a hook, to DescribeEvents), what is said there.

    Of the change set by its ARN: before it is deleted.
    """
    try:
        return _refusal(change_set_id, reason) or reason
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and aws.is_busy(error):
            raise
        # What is denied or not reached here must not hide what went wrong before.
        return f"{reason} (what exactly is not known: {error})"


_NESTED_FAILED = re.compile(r"Nested change set (arn:\S+) was not successfully created")


def _refusal(change_set_id: str, reason: str) -> str:
    if nested := _NESTED_FAILED.search(reason):
        found = aws.cloudformation().describe_change_set(ChangeSetName=nested[1])
        why = _one_line(found.get("StatusReason", ""))
        if not why or changes.is_without_changes(why):
            return ""
        return f"nested stack {found['StackName']}: {refusal(found['ChangeSetId'], why)}"
    causes = list[str]()
    if _POINTS_TO_EVENTS.search(reason):
        causes += _invalid(ChangeSetName=change_set_id)
    if decisions.HOOKS_FAILED.search(reason) and (results := _hook_results(change_set_id)):
        causes.append(decisions.hooks_refusal(results))
    return "; ".join(causes)


def _hook_results(change_set_id: str) -> dict[str, str]:
    """Why hooks refused a change set, by their names."""
    asked = {"TargetType": "CHANGE_SET", "TargetId": change_set_id}
    found: dict[str, str] = {}
    while True:
        page = aws.cloudformation().list_hook_results(**asked)  # type: ignore[arg-type]
        for item in page.get("HookResults", []):
            if item.get("Status") in _REFUSED and item.get("FailureMode") != "WARN":
                found[item.get("TypeName", "")] = item.get("HookStatusReason", "")
        if not page.get("NextToken"):
            return found
        asked["NextToken"] = page["NextToken"]


def validation_failures(stack_id: str) -> list[str]:
    """What CloudFormation found wrong before it began the stack's last operation.

    Such a failure has no resource events: the stack's own only points to DescribeEvents.
    """
    return _invalid(StackName=stack_id)


def _invalid(**of: str) -> list[str]:
    pages = (
        aws.cloudformation()
        .get_paginator("describe_events")
        .paginate(Filters={"FailedEvents": True}, **of)  # type: ignore[arg-type]  # a name each
    )
    found = [event for page in pages for event in page["OperationEvents"]]  # newest first
    last = found[0].get("OperationId") if found else None
    return [
        f"{event.get('LogicalResourceId')} ({event.get('ResourceType')}): "
        + " ".join(event.get("ValidationStatusReason", "").split())
        for event in found
        if event.get("OperationId") == last
        and event.get("EventType") == "VALIDATION_ERROR"
        and event.get("ValidationFailureMode") != "WARN"
    ]
