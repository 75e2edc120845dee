"""The stack worker before the build: look, decide, and delete only what holds nothing."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError
from cloudformation_answers import MISSING, STACK_ID, Cloud, stack

from control_plane.errors import ServiceBusy, StackFailed, StackRefused
from control_plane.models import Deployment
from workers import stack as worker


@pytest.fixture
def cloud(script: scripted.Scripted) -> Cloud:
    return Cloud(script)


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment())


def check(made: Deployment, **given: Any) -> dict[str, Any]:
    return worker.handler(build.event(made, "CheckStack", **given), None)


def test_a_stack_that_does_not_exist_is_created(made: Deployment) -> None:
    found = check(made)  # moto's answer
    assert (found["action"], found["status"], found["done"]) == ("create", "NONE", True)
    note = build.record(made)["steps"]["CheckStack"]["note"]
    assert note == "no stack: create, because there is no stack yet"


@pytest.mark.parametrize(
    ("status", "action", "done"),
    [
        ("CREATE_COMPLETE", "update", True),
        ("UPDATE_ROLLBACK_COMPLETE", "update", True),
        ("ROLLBACK_COMPLETE", "delete-first", True),
        ("UPDATE_ROLLBACK_FAILED", "continue-rollback", True),
        ("UPDATE_IN_PROGRESS", "wait", False),
    ],
)
def test_a_stack_is_treated_by_its_status(
    made: Deployment, cloud: Cloud, status: str, action: str, done: bool
) -> None:
    cloud.says("DescribeStacks", stack(status))
    found = check(made)
    assert (found["action"], found["status"], found["done"]) == (action, status, done)
    step = build.record(made)["steps"]["CheckStack"]
    assert step["status"] == ("SUCCEEDED" if done else "RUNNING")


@pytest.mark.parametrize("code", ["Throttling", "ThrottlingException", "RequestLimitExceeded"])
def test_a_throttled_look_is_never_taken_for_a_missing_stack(
    made: Deployment, cloud: Cloud, code: str
) -> None:
    cloud.says("DescribeStacks", scripted.failure(code, "Rate exceeded"))
    with pytest.raises(ServiceBusy, match="Rate exceeded"):
        check(made)
    # Not failed yet: the state machine tries again.
    assert build.record(made)["steps"]["CheckStack"]["status"] == "RUNNING"


@pytest.mark.parametrize(
    ("code", "message"),
    [("AccessDenied", "the stack does not exist for you"), ("ValidationError", "bad name")],
)
def test_no_other_error_is_taken_for_a_missing_stack(
    made: Deployment, cloud: Cloud, code: str, message: str
) -> None:
    cloud.says("DescribeStacks", scripted.failure(code, message))
    with pytest.raises(ClientError, match=message):
        check(made)
    assert build.record(made)["steps"]["CheckStack"]["status"] == "FAILED"


def test_a_refusal_names_what_blocked_the_deletion(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("DELETE_FAILED"))
    blocked = {
        "LogicalResourceId": "Forms",
        "ResourceType": "AWS::S3::Bucket",
        "ResourceStatus": "DELETE_FAILED",
        "ResourceStatusReason": "The bucket\n is not empty",
    }
    fine = {**blocked, "LogicalResourceId": "Role", "ResourceStatus": "DELETE_COMPLETE"}
    cloud.says("DescribeStackResources", {"StackResources": [blocked, fine]})
    with pytest.raises(StackRefused, match="Forms: The bucket is not empty") as refused:
        check(made)
    assert "Role" not in str(refused.value)
    assert "DELETE_FAILED" in str(refused.value)


def test_a_rollback_is_continued_once(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_ROLLBACK_FAILED"))
    cloud.says("DescribeStackResources", {"StackResources": []})
    cloud.says("ContinueUpdateRollback", {})
    assert check(made, rollback_continued=False)["action"] == "continue-rollback"
    answer = worker.handler(build.event(made, "ContinueRollback"), None)
    assert answer == {"rollback_continued": True, "done": True}
    assert cloud.asked("ContinueUpdateRollback")[0]["RoleARN"] == build.ROLE
    with pytest.raises(StackRefused, match="failed again"):
        check(made, rollback_continued=True)


@pytest.mark.parametrize(
    ("status", "continued"),
    [("UPDATE_ROLLBACK_IN_PROGRESS", True), ("UPDATE_ROLLBACK_FAILED", False)],
)
def test_a_rollback_that_was_continued_before_is_no_failure(
    made: Deployment, cloud: Cloud, status: str, continued: bool
) -> None:
    refused = scripted.failure("ValidationError", f"Stack is in {status} state")
    cloud.says("ContinueUpdateRollback", refused)
    cloud.says("DescribeStacks", stack(status))
    event = build.event(made, "ContinueRollback")
    if continued:
        assert worker.handler(event, None)["rollback_continued"] is True
    else:
        with pytest.raises(StackFailed, match="could not be continued"):
            worker.handler(event, None)


# Deleting -----------------------------------------------------------------------------------------


def delete(made: Deployment) -> dict[str, Any]:
    return worker.handler(build.event(made, "DeleteFailedStack"), None)


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"])
def test_a_stack_whose_first_creation_failed_is_deleted_by_its_id(
    made: Deployment, cloud: Cloud, status: str
) -> None:
    cloud.says("DescribeStacks", stack(status))
    cloud.says("DeleteStack", {})
    assert delete(made) == {"stack_id": STACK_ID, "done": True}
    (asked,) = cloud.asked("DeleteStack")
    assert (asked["StackName"], asked["RoleARN"]) == (STACK_ID, build.ROLE)


@pytest.mark.parametrize(
    "status",
    [
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "UPDATE_ROLLBACK_FAILED",
        "IMPORT_COMPLETE",
        "DELETE_FAILED",
        "UPDATE_FAILED",
        "REVIEW_IN_PROGRESS",
        "CREATE_IN_PROGRESS",
    ],
)
def test_a_stack_that_became_something_else_meanwhile_is_not_deleted(
    made: Deployment, cloud: Cloud, status: str
) -> None:
    cloud.says("DescribeStacks", stack(status))
    cloud.says("DeleteStack", {})
    with pytest.raises(StackRefused, match=f"became {status} meanwhile: not deleted"):
        delete(made)
    assert cloud.asked("DeleteStack") == []


@pytest.mark.parametrize(
    ("answer", "stack_id"), [(MISSING, ""), (stack("DELETE_IN_PROGRESS"), STACK_ID)]
)
def test_a_deletion_that_runs_or_is_done_is_not_started_again(
    made: Deployment, cloud: Cloud, answer: dict[str, Any], stack_id: str
) -> None:
    cloud.says("DescribeStacks", answer)
    cloud.says("DeleteStack", {})
    assert delete(made)["stack_id"] == stack_id
    assert cloud.asked("DeleteStack") == []


@pytest.mark.parametrize(
    ("answer", "done"),
    [
        (stack("DELETE_IN_PROGRESS"), False),
        (stack("DELETE_COMPLETE"), True),
        (MISSING, True),
    ],
)
def test_a_deletion_is_waited_for(
    made: Deployment, cloud: Cloud, answer: dict[str, Any], done: bool
) -> None:
    cloud.says("DescribeStacks", answer)
    event = build.event(made, "AwaitDeletion", stack_id=STACK_ID)
    assert worker.handler(event, None)["done"] is done
    assert cloud.asked("DescribeStacks")[0]["StackName"] == STACK_ID


def test_a_stack_that_was_gone_already_is_not_waited_for(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", MISSING)
    event = build.event(made, "AwaitDeletion", stack_id="")
    assert worker.handler(event, None)["done"] is True
    assert cloud.asked("DescribeStacks") == []


def test_a_deletion_that_stopped_half_way_names_what_blocked_it(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("DELETE_FAILED"))
    blocked = {
        "LogicalResourceId": "Forms",
        "ResourceType": "AWS::S3::Bucket",
        "ResourceStatus": "DELETE_FAILED",
        "ResourceStatusReason": "not empty",
    }
    cloud.says("DescribeStackResources", {"StackResources": [blocked]})
    with pytest.raises(StackFailed, match="Forms: not empty"):
        worker.handler(build.event(made, "AwaitDeletion", stack_id=STACK_ID), None)
