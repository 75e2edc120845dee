"""How a command waits for CloudFormation: for its own operation, whatever the stack was before."""

from datetime import timedelta
from typing import Any

import pytest
import scripted_aws as scripted
from cloudformation_answers import STACK_ID, event

from cli import awaiting
from cli.failure import Failed
from control_plane import aws
from control_plane.models import StackStatus
from control_plane.services.stack_reading import SUCCEEDED

BEFORE = event("UPDATE_COMPLETE", token="before")
BEGAN = event("UPDATE_IN_PROGRESS", token="mine")


def wait(script: scripted.Scripted, *looks: list[dict[str, Any]]) -> None:
    """Wait for `mine`; `looks`: the stack's events at each, newest first."""
    cloud = aws.cloudformation()
    script.on(cloud, "DescribeStackEvents", *({"StackEvents": events} for events in looks))
    script.on(cloud, "DescribeEvents", {"OperationEvents": []})
    awaiting.await_operation("a-stack", 0.001, STACK_ID, "mine", SUCCEEDED)


@pytest.mark.parametrize("status", [StackStatus.UPDATE_COMPLETE, StackStatus.IMPORT_COMPLETE])
def test_the_end_of_an_operation_is_its_own(
    world: None, script: scripted.Scripted, status: StackStatus
) -> None:
    wait(script, [BEFORE], [BEGAN, BEFORE], [event(status, token="mine"), BEGAN, BEFORE])
    assert len(script.of("DescribeStackEvents")) == 3


def test_what_failed_first_is_told(world: None, script: scripted.Scripted) -> None:
    ended = event("UPDATE_ROLLBACK_COMPLETE", token="mine")
    failed = event("UPDATE_FAILED", name="Bucket", token="mine", reason="it is taken")
    with pytest.raises(Failed, match=r"^Bucket .*it is taken; a-stack is UPDATE_ROLLBACK_COMPLETE"):
        wait(script, [ended, failed, BEGAN, BEFORE])


def test_nothing_is_waited_for_without_end(
    world: None, script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaiting, "_LONGEST", timedelta(0))
    with pytest.raises(Failed, match="still"):
        wait(script, [BEGAN])
