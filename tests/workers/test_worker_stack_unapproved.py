"""A change set that nobody approved is taken back, with the stack that was there only for it."""

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import CHANGE_SET_ID, STACK_ID, Cloud, stack

from control_plane.models import Deployment
from workers import stack as worker


@pytest.fixture
def cloud(script: scripted.Scripted) -> Cloud:
    cloud = Cloud(script)
    for operation in ("DeleteChangeSet", "DeleteStack"):
        cloud.says(operation, {})
    cloud.says("ListChangeSets", {"Summaries": []})
    return cloud


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment(approval=True))


def discard(made: Deployment, change_set_id: str = CHANGE_SET_ID) -> str:
    """Discard a change set; gives the step's note."""
    given = {"change_set_id": change_set_id, "stack_id": STACK_ID if change_set_id else ""}
    worker.handler(build.event(made, "DiscardChangeSet", **given), None)
    return str(build.record(made)["steps"]["DiscardChangeSet"]["note"])


def test_the_stack_that_was_there_only_for_it_goes_too(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("REVIEW_IN_PROGRESS"))
    assert discard(made) == "removed"
    assert cloud.asked("DeleteChangeSet")[0]["ChangeSetName"] == CHANGE_SET_ID
    assert cloud.asked("DeleteStack")[0]["StackName"] == STACK_ID


@pytest.mark.parametrize("status", ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"])
def test_doing_it_twice_is_harmless(made: Deployment, cloud: Cloud, status: str) -> None:
    cloud.says("DescribeStacks", stack(status))
    assert discard(made) == "removed"
    assert cloud.asked("DeleteChangeSet") == cloud.asked("DeleteStack") == []


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_stack_that_has_something_stays(made: Deployment, cloud: Cloud, status: str) -> None:
    cloud.says("DescribeStacks", stack(status))
    discard(made)
    assert len(cloud.asked("DeleteChangeSet")) == 1
    assert cloud.asked("DeleteStack") == []


def test_somebody_elses_change_set_keeps_the_stack(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("REVIEW_IN_PROGRESS"))
    cloud.says("ListChangeSets", {"Summaries": [{"ChangeSetName": "theirs"}]})
    discard(made)
    assert cloud.asked("DeleteStack") == []


def test_what_was_to_be_approved_may_have_no_change_set(made: Deployment, cloud: Cloud) -> None:
    assert discard(made, "") == "there is none"
    assert cloud.asked("DeleteChangeSet") == []
