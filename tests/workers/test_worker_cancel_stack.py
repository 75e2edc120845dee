"""The stack of a deployment that was cancelled: an update is undone, a creation awaited."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import STACK_ID, Cloud, event, stack
from worker_builders import TABLE

from control_plane.errors import Cancelled, StackFailed
from control_plane.models import Deployment
from control_plane.store.history import History
from workers import stack as stack_worker


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment())


def cancel(made: Deployment) -> None:
    assert History(TABLE).ask_for_end(made.tenant, made.id, "me")


@pytest.fixture
def cloud(script: scripted.Scripted) -> Cloud:
    found = Cloud(script)
    found.says("CancelUpdateStack", {})
    return found


def await_stack(made: Deployment, has_changes: bool = True) -> dict[str, Any]:
    given = {"stack_id": STACK_ID, "has_changes": has_changes}
    return stack_worker.handler(build.event(made, "AwaitStack", **given), None)


def test_an_update_that_runs_is_undone_and_its_rollback_awaited(
    made: Deployment, cloud: Cloud
) -> None:
    cancel(made)
    cloud.says("DescribeStacks", stack("UPDATE_IN_PROGRESS"))
    cloud.has_events(event("UPDATE_IN_PROGRESS", token=made.id))
    assert await_stack(made) == {"done": False}
    (asked,) = cloud.asked("CancelUpdateStack")
    token = f"{made.id}-cancel"
    assert asked == {"StackName": STACK_ID, "ClientRequestToken": token}
    cloud.says("DescribeStacks", stack("UPDATE_ROLLBACK_IN_PROGRESS"))
    rolling = event("UPDATE_ROLLBACK_IN_PROGRESS", token=token)
    cloud.has_events(rolling, event("UPDATE_IN_PROGRESS", token=made.id))
    assert await_stack(made) == {"done": False}
    assert len(cloud.asked("CancelUpdateStack")) == 1
    cloud.has_events(
        event("UPDATE_ROLLBACK_COMPLETE", token=token),
        rolling,
        event("UPDATE_IN_PROGRESS", token=made.id),
    )
    with pytest.raises(Cancelled, match="UPDATE_ROLLBACK_COMPLETE: it is what it was before"):
        await_stack(made)


@pytest.mark.parametrize(
    ("running", "settled", "told"),
    [
        ("CREATE_IN_PROGRESS", "CREATE_COMPLETE", "it has the new build, which was not tested"),
        ("CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE", "the stack is ROLLBACK_COMPLETE"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE", "it has the new build"),
    ],
)
def test_what_cannot_be_undone_is_awaited(
    made: Deployment, cloud: Cloud, running: str, settled: str, told: str
) -> None:
    cancel(made)
    cloud.says("DescribeStacks", stack(running))
    cloud.has_events(event(running, token=made.id))
    assert await_stack(made) == {"done": False}
    assert cloud.asked("CancelUpdateStack") == []
    cloud.has_events(event(settled, token=made.id), event(running, token=made.id))
    cloud.says("DescribeStacks", stack(settled))
    if settled in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        # The stack has the new build, and its configuration with it: the next step is not begun.
        assert await_stack(made)["done"] is True
        return
    with pytest.raises(Cancelled, match=told):
        await_stack(made)


def test_an_update_that_ended_in_the_moment_of_the_cancel_is_no_failure(
    made: Deployment, cloud: Cloud
) -> None:
    cancel(made)
    cloud.has_events(event("UPDATE_IN_PROGRESS", token=made.id))
    cloud.says("CancelUpdateStack", scripted.failure("ValidationError", "cannot be called"))
    cloud.says("DescribeStacks", stack("UPDATE_IN_PROGRESS"), stack("UPDATE_COMPLETE"))
    assert await_stack(made) == {"done": False}
    cloud.says("DescribeStacks", stack("UPDATE_IN_PROGRESS"))
    with pytest.raises(StackFailed, match="could not be cancelled: cannot be called"):
        await_stack(made)


def test_without_changes_there_is_nothing_to_undo(made: Deployment, cloud: Cloud) -> None:
    cancel(made)
    with pytest.raises(Cancelled, match="nothing to change"):
        await_stack(made, has_changes=False)


def test_a_cancellation_that_was_asked_for_before_is_no_failure(
    made: Deployment, cloud: Cloud
) -> None:
    cancel(made)
    cloud.says("DescribeStacks", stack("UPDATE_IN_PROGRESS"))
    cloud.has_events(event("UPDATE_IN_PROGRESS", token=made.id))
    cloud.says("CancelUpdateStack", {}, scripted.failure("TokenAlreadyExistsException"))
    assert [await_stack(made), await_stack(made)] == [{"done": False}] * 2
