"""The stack worker before the build: look, decide, and continue a rollback that is stuck."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError, EndpointConnectionError
from cloudformation_answers import MISSING, Cloud, event, resource, stack

from control_plane.errors import ServiceBusy, StackFailed, StackRefused
from control_plane.models import Deployment, DeploymentStatus
from control_plane.store.history import History
from control_plane.store.progress import Progress
from workers import stack as worker


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
    assert step["note"].startswith(f"{status}: {action}, because ")


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
    blocked = resource("Forms", "DELETE_FAILED", "The bucket\n is not empty")
    cloud.has_resources(blocked, resource("Role", "DELETE_COMPLETE"))
    with pytest.raises(StackRefused, match="Forms: The bucket is not empty") as refused:
        check(made)
    assert "Role" not in str(refused.value)
    assert "DELETE_FAILED" in str(refused.value)
    assert "syndi offboard stage alpha" in str(refused.value)


def test_a_rollback_is_continued_once(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_ROLLBACK_FAILED"))
    cloud.has_resources()
    cloud.says("ContinueUpdateRollback", {})
    assert check(made, rollback_continued=False)["action"] == "continue-rollback"
    answer = worker.handler(build.event(made, "ContinueRollback"), None)
    assert answer == {"rollback_continued": True, "done": True}
    assert cloud.asked("ContinueUpdateRollback")[0]["RoleARN"] == build.ROLE
    token = f"{made.id}-rollback"
    cloud.has_events(
        event("UPDATE_ROLLBACK_FAILED", token=token, reason="failed to update: [Role]"),
        event("UPDATE_FAILED", "Role", token, "it was\n deleted"),
        event("UPDATE_ROLLBACK_IN_PROGRESS", token=token),
        event("UPDATE_FAILED", "Topic", "earlier", "long ago"),
    )
    with pytest.raises(StackRefused, match="failed again") as refused:
        check(made, rollback_continued=True)
    assert "Role: it was deleted" in str(refused.value)
    assert "Topic" not in str(refused.value)


def test_an_operation_of_this_deployment_that_still_runs_is_told_as_such(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_ROLLBACK_IN_PROGRESS"))
    cloud.has_events(event("UPDATE_ROLLBACK_IN_PROGRESS", token=f"{made.id}-rollback"))
    assert "this deployment" in check(made)["reason"]
    cloud.has_events(event("UPDATE_ROLLBACK_IN_PROGRESS", token="another"))
    assert "somebody else" in check(made)["reason"]


def test_a_lost_connection_is_never_taken_for_a_missing_stack(
    made: Deployment, cloud: Cloud
) -> None:
    def lost(_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://cloudformation")

    cloud.says("DescribeStacks", lost)
    with pytest.raises(ServiceBusy, match="cloudformation"):
        check(made)
    assert build.record(made)["steps"]["CheckStack"]["status"] == "RUNNING"


def test_function_mode_refuses_where_there_is_no_stack(world: None, cloud: Cloud) -> None:
    made = build.opened(build.deployment(mode="function"))
    cloud.says("DescribeStacks", MISSING)
    with pytest.raises(StackRefused, match=r"does not exist: .*deploy it in full first"):
        check(made)


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
    cloud.has_resources(resource("Role", "UPDATE_FAILED", "it was deleted"))
    given = build.event(made, "ContinueRollback")
    if continued:
        assert worker.handler(given, None)["rollback_continued"] is True
    else:
        with pytest.raises(StackFailed, match=r"could not be continued: .*Role: it was deleted"):
            worker.handler(given, None)


def test_what_became_of_an_operation_that_outlived_its_execution_is_in_its_deployments_record(
    world: None, cloud: Cloud
) -> None:
    """Its record ended before anybody could know: nobody would say that its build is live."""
    stopped = build.opened(build.deployment(number=1))
    for step in ("ExecuteChangeSet", "AwaitStack"):
        Progress(build.TABLE).begin_step(stopped, step)
    ended = DeploymentStatus.CANCELLED
    History(build.TABLE).fail(
        stopped.tenant, stopped.id, stopped.execution_arn, ended, {"reason": "stopped"}
    )
    cloud.says("DescribeStacks", stack("UPDATE_IN_PROGRESS"), stack("UPDATE_COMPLETE"))
    cloud.has_events(event("UPDATE_COMPLETE", token=stopped.id))
    following = build.opened(build.deployment(number=5))
    assert check(following)["action"] == "wait"
    assert "aftermath" not in build.record(stopped), "it goes on"
    assert stopped.id in build.record(following)["steps"]["CheckStack"]["note"]
    assert check(following)["action"] == "update"
    told = "its operation on the stack went on and ended UPDATE_COMPLETE"
    assert build.record(stopped)["aftermath"] == told
