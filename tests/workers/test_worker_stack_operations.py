"""An operation on the stack: started under the deployment's own token, judged by its events."""

from datetime import timedelta
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import CHANGE_SET_ID, MISSING, STACK_ID, Cloud, event, looked_at, stack

from control_plane.errors import ChangeSetFailed, ServiceBusy, StackFailed
from control_plane.models import Deployment, Env
from workers import stack as worker
from workers import stack_changes

NAME = "notes-stage-alpha"
IDS = {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}
NOT_THERE = {"OperationEvents": []}


@pytest.fixture
def made(world: None) -> Deployment:
    found = build.opened(build.deployment())
    looked_at(found)
    return found


@pytest.fixture
def cloud(script: scripted.Scripted) -> Cloud:
    found = Cloud(script)
    found.says("DescribeEvents", NOT_THERE)
    return found


def execute(made: Deployment) -> dict[str, Any]:
    return worker.handler(build.event(made, "ExecuteChangeSet", **IDS), None)


def wait(made: Deployment, has_changes: bool = True) -> dict[str, Any]:
    stack_id = STACK_ID.replace("notes-stage-alpha", made.tenant.stack_name)
    return worker.handler(
        build.event(made, "AwaitStack", stack_id=stack_id, has_changes=has_changes), None
    )


def test_a_change_set_is_executed_under_the_deployments_own_token(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("ExecuteChangeSet", {})
    assert execute(made)["done"] is True
    (asked,) = cloud.asked("ExecuteChangeSet")
    assert asked["ClientRequestToken"] == made.id
    assert (asked["ChangeSetName"], asked["DisableRollback"]) == (CHANGE_SET_ID, False)


def test_a_change_set_that_nobody_looked_at_is_not_executed(world: None, cloud: Cloud) -> None:
    """AwaitChangeSet answered that it had looked, and had not: data would be lost."""
    cloud.says("ExecuteChangeSet", {})
    made = build.opened(build.deployment())
    with pytest.raises(ChangeSetFailed, match="nobody looked at what the change set would do"):
        execute(made)
    looked_at(made, refused="Table would be removed")
    with pytest.raises(ChangeSetFailed, match="refused before: Table would be removed"):
        execute(made)
    assert cloud.asked("ExecuteChangeSet") == []


REFUSALS = ["InvalidChangeSetStatus", "ChangeSetNotFound", "ValidationError"]
"""What AWS may say of a change set whose execution has begun, and of one that it will not take."""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.stack_operation.PAUSES", (0.0, 0.0))


@pytest.mark.parametrize("code", REFUSALS)
def test_a_change_set_that_was_executed_before_is_no_failure(
    made: Deployment, cloud: Cloud, code: str
) -> None:
    """The answer to the first call was lost: the deployment would fail while its stack changes."""
    cloud.says("ExecuteChangeSet", scripted.failure(code))
    cloud.has_events(event("UPDATE_IN_PROGRESS", token=made.id))
    assert execute(made)["done"] is True


def test_the_event_of_an_operation_may_come_a_moment_later(made: Deployment, cloud: Cloud) -> None:
    cloud.says("ExecuteChangeSet", scripted.failure("ChangeSetNotFound"))
    begun = {"StackEvents": [event("UPDATE_IN_PROGRESS", token=made.id)]}
    cloud.says("DescribeStackEvents", {"StackEvents": []}, begun)
    assert execute(made)["done"] is True


def test_a_token_that_was_used_before_needs_no_event(made: Deployment, cloud: Cloud) -> None:
    cloud.says("ExecuteChangeSet", scripted.failure("TokenAlreadyExistsException"))
    assert execute(made)["done"] is True


@pytest.mark.parametrize("code", REFUSALS)
def test_a_change_set_that_somebody_else_executed_is_a_failure(
    made: Deployment, cloud: Cloud, code: str
) -> None:
    cloud.says("ExecuteChangeSet", scripted.failure(code, "it is obsolete"))
    cloud.has_events(event("UPDATE_COMPLETE", token="another"), event("UPDATE_COMPLETE"))
    with pytest.raises(StackFailed, match="it is obsolete"):
        execute(made)


# AwaitStack ---------------------------------------------------------------------------------------


def test_a_leftover_update_complete_is_not_this_operations_success(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_events(event("UPDATE_COMPLETE", token="earlier"), event("UPDATE_COMPLETE"))
    assert wait(made) == {"done": False}
    assert build.record(made)["steps"]["AwaitStack"]["status"] == "RUNNING"


@pytest.mark.parametrize(
    ("described", "fails"),
    [
        ({"ExecutionStatus": "AVAILABLE"}, True),
        ({"ExecutionStatus": "EXECUTE_IN_PROGRESS"}, False),
        (scripted.failure("ChangeSetNotFound"), False),
    ],
)
def test_an_operation_that_never_began_is_an_error_and_not_waited_for_to_the_deadline(
    made: Deployment,
    cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
    described: dict[str, Any],
    fails: bool,
) -> None:
    """ExecuteChangeSet answered that it had done it, and had not."""
    cloud.has_events(event("UPDATE_COMPLETE", token="earlier"))
    cloud.says("DescribeChangeSet", described)
    assert wait(made) == {"done": False}, "its first event may still be on its way"
    monkeypatch.setattr(stack_changes, "UNHEARD", timedelta(0))
    if fails:
        with pytest.raises(StackFailed, match="the change set was not executed"):
            wait(made)
    else:
        assert wait(made) == {"done": False}


def test_an_operation_that_runs_is_waited_for(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_IN_PROGRESS"))
    cloud.has_events(
        event("UPDATE_COMPLETE", "Function", made.id),
        event("UPDATE_IN_PROGRESS", token=made.id),
        event("UPDATE_COMPLETE", token="earlier"),
    )
    assert wait(made) == {"done": False}


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE"])
def test_an_operation_that_succeeded_answers_outputs_and_parameters(
    made: Deployment, cloud: Cloud, status: str
) -> None:
    described = stack(
        status,
        Outputs=[{"OutputKey": "Url", "OutputValue": "https://x"}],
        Parameters=[{"ParameterKey": "EnableAuth", "ParameterValue": "true"}],
    )
    cloud.says("DescribeStacks", described)
    cloud.has_events(event(status, token=made.id))
    assert wait(made) == {
        "stack_id": STACK_ID,
        "status": status,
        "outputs": {"Url": "https://x"},
        "parameters": {"EnableAuth": "true"},
        "done": True,
    }


def failing(token: str) -> list[dict[str, Any]]:
    """A failed update that was undone, newest first; its first failure is the bucket's."""
    return [
        event("UPDATE_ROLLBACK_COMPLETE", token=token),
        event("UPDATE_ROLLBACK_IN_PROGRESS", token=token, reason="The following failed"),
        event("UPDATE_FAILED", "Topic", token, "Resource update cancelled"),
        event("CREATE_FAILED", "Bucket", token, "it already\n exists"),
        event("UPDATE_IN_PROGRESS", token=token),
    ]


def test_an_update_that_was_undone_is_a_failure_with_its_first_resource(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_ROLLBACK_COMPLETE"))
    cloud.has_events(*failing(made.id))
    with pytest.raises(StackFailed) as failed:
        wait(made)
    assert str(failed.value) == (
        "Bucket (AWS::S3::Bucket): it already exists; the stack is UPDATE_ROLLBACK_COMPLETE"
    )
    assert build.record(made)["steps"]["AwaitStack"]["note"] == str(failed.value)


def test_an_earlier_operations_failure_is_not_this_ones(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_events(event("UPDATE_COMPLETE", token=made.id), *failing("earlier"))
    assert wait(made)["status"] == "UPDATE_COMPLETE"


def test_all_pages_of_an_operations_events_are_read(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_ROLLBACK_COMPLETE"))
    newest, oldest = failing(made.id)[:3], failing(made.id)[3:]

    def page(asked: dict[str, Any]) -> dict[str, Any]:
        if asked.get("NextToken"):
            return {"StackEvents": oldest}
        return {"StackEvents": newest, "NextToken": "2"}

    cloud.says("DescribeStackEvents", page)
    with pytest.raises(StackFailed, match=r"Bucket .*it already exists"):
        wait(made)


def test_what_was_wrong_before_the_operation_began_is_told(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_ROLLBACK_COMPLETE"))
    cloud.has_events(event("UPDATE_ROLLBACK_COMPLETE", token=made.id))
    wrong = {
        "OperationId": "op-2",
        "EventType": "VALIDATION_ERROR",
        "LogicalResourceId": "Bucket",
        "ResourceType": "AWS::S3::Bucket",
        "ValidationStatusReason": "the name\n is taken",
    }
    earlier = {**wrong, "OperationId": "op-1", "ValidationStatusReason": "long ago"}
    cloud.says("DescribeEvents", {"OperationEvents": [wrong, earlier]})
    with pytest.raises(StackFailed, match="the name is taken") as failed:
        wait(made)
    assert "long ago" not in str(failed.value)


@pytest.mark.parametrize("answer", [MISSING, stack("DELETE_IN_PROGRESS"), stack("DELETE_FAILED")])
def test_a_stack_that_somebody_deletes_meanwhile_is_no_success(
    made: Deployment, cloud: Cloud, answer: dict[str, Any]
) -> None:
    cloud.says("DescribeStacks", answer)
    cloud.has_events(event("UPDATE_COMPLETE", token=made.id))
    with pytest.raises(StackFailed, match=r"disappeared|became DELETE"):
        wait(made)


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_without_changes_the_stack_as_it_is_must_be_healthy(
    made: Deployment, cloud: Cloud, status: str
) -> None:
    cloud.says("DescribeStacks", stack(status))
    assert wait(made, has_changes=False)["status"] == status


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_FAILED", "UPDATE_IN_PROGRESS"])
def test_without_changes_an_unhealthy_stack_is_no_success(
    made: Deployment, cloud: Cloud, status: str
) -> None:
    cloud.says("DescribeStacks", stack(status))
    with pytest.raises(StackFailed, match=f"became {status}"):
        wait(made, has_changes=False)


@pytest.mark.parametrize("operation", ["DescribeStackEvents", "DescribeStacks"])
def test_a_throttled_look_at_the_operation_is_no_end(
    made: Deployment, cloud: Cloud, operation: str
) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_events(event("UPDATE_COMPLETE", token=made.id))
    cloud.says(operation, scripted.failure("Throttling", "Rate exceeded"))
    with pytest.raises(ServiceBusy):
        wait(made)
    assert build.record(made)["steps"]["AwaitStack"]["status"] == "RUNNING"


# Termination protection ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "before", "asked"),
    [(Env.PROD, False, [True]), (Env.PROD, True, []), (Env.STAGE, False, [])],
)
def test_a_deployed_stack_of_prod_is_protected(
    world: None, cloud: Cloud, env: Env, before: bool, asked: list[bool]
) -> None:
    made = build.opened(build.deployment(build.tenant(env=env)))
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE", EnableTerminationProtection=before))
    cloud.says("UpdateTerminationProtection", {})
    wait(made, has_changes=False)
    calls = cloud.asked("UpdateTerminationProtection")
    assert [call["EnableTerminationProtection"] for call in calls] == asked
