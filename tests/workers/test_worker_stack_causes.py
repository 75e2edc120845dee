"""A failure says its cause: that of a nested stack, and why a hook refused something."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import (
    CHANGE_SET_ID,
    STACK_ID,
    Cloud,
    change,
    change_set,
    event,
    resource,
    stack,
)

from control_plane.errors import ChangeSetFailed, ServiceBusy, StackFailed
from control_plane.models import Deployment, JsonObject
from workers import stack as worker

NESTED = "AWS::CloudFormation::Stack"
DATA = STACK_ID.replace("alpha/1", "alpha-Data/2")
DEEP = STACK_ID.replace("alpha/1", "alpha-Data-Deep/3")
EMBEDDED = (
    "Embedded stack arn:\u2026 was not successfully created: The following resource(s) failed to "
    "create: [Table]."
)
HOOK_FAILED = "The following hook(s) failed: [Acme::Guard]"
WHY = "set BlockPublicAcls to true"


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment())


@pytest.fixture
def cloud(script: scripted.Scripted) -> Cloud:
    found = Cloud(script)
    found.says("DescribeEvents", {"OperationEvents": []})
    return found


def of(stack_id: str, status: str, name: str = "", reason: str = "", nested: str = "") -> Any:
    """An event of a stack, under no token: AWS does not say that nested stacks have the parent's.

    `name`: of one of its resources; `nested`: the stack that this one is.
    """
    return {
        "StackId": stack_id,
        "LogicalResourceId": name or "itself",
        "PhysicalResourceId": nested or (f"id-of-{name}" if name else stack_id),
        "ResourceType": NESTED if nested or not name else "AWS::DynamoDB::Table",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def fails(made: Deployment, cloud: Cloud, **below: Any) -> str:
    """Why AwaitStack says that a creation failed at the nested stack Data, whose events, and those
    of the stack Deep in it, are given newest first."""
    mine = [
        event("ROLLBACK_COMPLETE", token=made.id),
        of(STACK_ID, "CREATE_FAILED", "Data", EMBEDDED, DATA) | {"ClientRequestToken": made.id},
    ]
    answers = {STACK_ID: {"StackEvents": mine}} | {
        {"data": DATA, "deep": DEEP}[name]: found if "Error" in found else {"StackEvents": found}
        for name, found in below.items()
    }
    cloud.says("DescribeStackEvents", lambda asked: answers[asked["StackName"]])
    with pytest.raises(StackFailed) as failed:
        worker.handler(build.event(made, "AwaitStack", stack_id=STACK_ID, has_changes=True), None)
    return str(failed.value)


REMOVED_AGAIN = [  # by the parent's rollback, and its deletion went wrong too
    of(DATA, "DELETE_FAILED"),
    of(DATA, "DELETE_FAILED", "Bucket", "a later trouble"),
    of(DATA, "DELETE_IN_PROGRESS"),
    of(DATA, "ROLLBACK_COMPLETE"),
]


def test_a_nested_stacks_own_first_failure_is_the_reason(made: Deployment, cloud: Cloud) -> None:
    """Otherwise the operator reads which stack failed, and never why."""
    why = fails(made, cloud, data=[
        *REMOVED_AGAIN,
        of(DATA, "CREATE_FAILED", "Other", "Resource creation cancelled"),
        of(DATA, "CREATE_FAILED", "Table", "orders already exists"),
        of(DATA, "CREATE_IN_PROGRESS"),
        of(DATA, "UPDATE_FAILED", "Old", "of an earlier operation"),
    ])  # fmt: skip
    assert why.startswith("Data/Table (AWS::DynamoDB::Table): orders already exists; the stack is")


def test_a_stack_nested_in_a_nested_one_too(made: Deployment, cloud: Cloud) -> None:
    why = fails(
        made,
        cloud,
        data=[of(DATA, "CREATE_FAILED", "Deep", EMBEDDED, DEEP), of(DATA, "CREATE_IN_PROGRESS")],
        deep=[of(DEEP, "CREATE_FAILED", "Table", "no room"), of(DEEP, "CREATE_IN_PROGRESS")],
    )
    assert why.startswith("Data/Deep/Table (AWS::DynamoDB::Table): no room; ")


@pytest.mark.parametrize(
    "data", [[], scripted.failure("AccessDenied", "no"), scripted.failure("ValidationError", "no")]
)
def test_a_nested_stack_that_says_nothing_hides_nothing(
    made: Deployment, cloud: Cloud, data: Any
) -> None:
    """What its parent says of it stays."""
    assert "failed to create: [Table]" in fails(made, cloud, data=data)


def test_a_busy_aws_is_asked_again(made: Deployment, cloud: Cloud) -> None:
    mine = [
        event("ROLLBACK_COMPLETE", token=made.id),
        of(STACK_ID, "CREATE_FAILED", "Data", EMBEDDED, DATA) | {"ClientRequestToken": made.id},
    ]
    busy = scripted.failure("Throttling", "Rate exceeded")
    cloud.says(
        "DescribeStackEvents",
        lambda asked: {"StackEvents": mine} if asked["StackName"] == STACK_ID else busy,
    )
    with pytest.raises(ServiceBusy):
        worker.handler(build.event(made, "AwaitStack", stack_id=STACK_ID, has_changes=True), None)


def test_a_nested_stack_that_blocks_a_deletion_says_what_it_is_stuck_on(
    world: None, cloud: Cloud
) -> None:
    removal = build.opened(build.deployment(mode="offboard", confirm="notes-stage-alpha"))
    cloud.says("DescribeStacks", stack("DELETE_FAILED"))
    outer = resource("Data", "DELETE_FAILED", "Embedded stack arn was not deleted", NESTED)
    outer["PhysicalResourceId"] = DATA
    inner = resource("Files", "DELETE_FAILED", "The bucket is not empty")
    cloud.says(
        "ListStackResources",
        lambda asked: {"StackResourceSummaries": [inner if asked["StackName"] == DATA else outer]},
    )
    cloud.has_events()
    with pytest.raises(StackFailed, match="Data: Files: The bucket is not empty"):
        worker.handler(build.event(removal, "AwaitRemoval", stack_id=STACK_ID), None)


# Hooks --------------------------------------------------------------------------------------------


def refused(name: str, reason: str, mode: str = "FAIL", status: str = "COMPLETE_FAILED") -> Any:
    """The event of a hook that did not let a resource pass."""
    return event("CREATE_IN_PROGRESS", "Files") | {
        "HookType": name, "HookStatus": f"HOOK_{status}", "HookStatusReason": reason,
        "HookFailureMode": mode,
    }  # fmt: skip


def test_what_a_hook_has_against_a_resource_is_the_reason(made: Deployment, cloud: Cloud) -> None:
    events = [
        event("ROLLBACK_COMPLETE"),
        event("CREATE_FAILED", "Files", reason=HOOK_FAILED),
        refused("Acme::Guard", WHY),
        refused("Acme::Broken", "timed out", status="FAILED"),
        refused("Acme::Advice", "a hint only", mode="WARN"),
        refused("Acme::Fine", "all is well", status="COMPLETE_SUCCEEDED"),
    ]
    cloud.has_events(*({**item, "ClientRequestToken": made.id} for item in events))
    with pytest.raises(StackFailed) as failed:
        worker.handler(build.event(made, "AwaitStack", stack_id=STACK_ID, has_changes=True), None)
    why = str(failed.value)
    assert "Files (AWS::S3::Bucket): refused by the hook Acme::Broken: timed out; " in why
    assert f"refused by the hook Acme::Guard: {WHY}; the stack is ROLLBACK_COMPLETE" in why
    assert "Advice" not in why
    assert "Fine" not in why


def look(made: Deployment) -> JsonObject:
    ids = {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}
    return worker.handler(build.event(made, "AwaitChangeSet", **ids), None)


def result(name: str, reason: str, mode: str = "FAIL", status: str = "COMPLETE_FAILED") -> Any:
    return {
        "TypeName": name, "HookStatusReason": reason, "FailureMode": mode,
        "Status": f"HOOK_{status}",
    }  # fmt: skip


@pytest.mark.parametrize("said", [HOOK_FAILED, HOOK_FAILED.replace("(s)", "(s)/validation")])
def test_what_a_hook_has_against_a_change_set_is_the_reason(
    made: Deployment, cloud: Cloud, said: str
) -> None:
    cloud.says("DescribeChangeSet", change_set("FAILED", said))
    pages = [
        {"HookResults": [result("Acme::Advice", "no", mode="WARN")], "NextToken": "2"},
        {"HookResults": [result("Acme::Guard", WHY), result("B", "x", status="IN_PROGRESS")]},
    ]
    cloud.says("ListHookResults", *pages)
    with pytest.raises(ChangeSetFailed, match=f"be made: refused by the hook Acme::Guard: {WHY}$"):
        look(made)
    first, second = cloud.asked("ListHookResults")
    assert first == {"TargetType": "CHANGE_SET", "TargetId": CHANGE_SET_ID}
    assert second["NextToken"] == "2"


def test_a_hook_that_cannot_be_read_is_named_all_the_same(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeChangeSet", change_set("FAILED", HOOK_FAILED))
    cloud.says("ListHookResults", scripted.failure("AccessDenied", "no ListHookResults"))
    with pytest.raises(ChangeSetFailed, match=r"\[Acme::Guard\].*no ListHookResults"):
        look(made)


# Nested change sets -------------------------------------------------------------------------------

INNER = CHANGE_SET_ID.replace("syndi-1/1", "syndi-1-Data/2")
NESTED_FAILED = f"Nested change set {INNER} was not successfully created: Currently in FAILED."


def nested_is(cloud: Cloud, outer: JsonObject, inner: JsonObject) -> None:
    inner = {"StackName": "notes-stage-alpha-Data-1A", **inner, "ChangeSetId": INNER}
    cloud.says(
        "DescribeChangeSet", lambda asked: inner if asked["ChangeSetName"] == INNER else outer
    )


def test_why_a_nested_change_set_could_not_be_made_is_the_reason(
    made: Deployment, cloud: Cloud
) -> None:
    nested_is(cloud, change_set("FAILED", NESTED_FAILED), change_set("FAILED", "no such export: x"))
    with pytest.raises(ChangeSetFailed, match="nested stack notes-stage-alpha-Data-1A: no such ex"):
        look(made)


def test_a_nested_change_set_that_is_still_being_made_says_nothing(
    made: Deployment, cloud: Cloud
) -> None:
    nested_is(cloud, change_set("FAILED", NESTED_FAILED), change_set("CREATE_IN_PROGRESS"))
    with pytest.raises(ChangeSetFailed, match="Currently in FAILED"):
        look(made)


def test_a_nested_stack_that_stays_as_it_is_refuses_nothing(made: Deployment, cloud: Cloud) -> None:
    """Its change set is FAILED, and has no template that could be read."""
    modified = change("Modify", "Data", NESTED, ChangeSetId=INNER, PhysicalResourceId=DATA)
    nested_is(
        cloud,
        change_set("CREATE_COMPLETE", changes=[modified]),
        change_set("FAILED", "The submitted information didn't contain changes."),
    )
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_resources()
    cloud.says(
        "GetTemplate",
        lambda asked: (
            scripted.failure("ValidationError", "of a change set that FAILED")
            if asked.get("ChangeSetName") == INNER
            else {"TemplateBody": {"Resources": {}}}
        ),
    )
    assert look(made)["has_changes"] is True
