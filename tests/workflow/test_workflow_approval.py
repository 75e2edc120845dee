"""An approval in the real state machine: a yes goes on, a no and silence leave nothing behind."""

import json
from typing import Any

import pytest
from rehearsal import Stage, Told, definition, failing
from verdicts import happy_with

from control_plane.reasons import APPROVAL_HOURS

BEFORE = [
    "PrepareDeployment",
    "AcquireLock",
    "AcquireSlot",
    "CheckStack",
    "StartBuild",
    "AwaitBuild",
]
ASKED = [*BEFORE, "CreateChangeSet", "AwaitChangeSet", "AwaitApproval"]
SECONDS = 3


def test_an_approval_is_waited_for_as_long_as_its_reason_says() -> None:
    assert definition()["States"]["AwaitApproval"]["TimeoutSeconds"] == APPROVAL_HOURS * 3600


@pytest.fixture(scope="module")
def hasty(stage: Stage) -> str:
    """The same state machine, which waits for an approval only a moment."""
    machine = definition()
    machine["States"]["AwaitApproval"]["TimeoutSeconds"] = SECONDS
    return stage.machine_of(machine)


def failure_of(told: Told) -> Any:
    """What was recorded."""
    (recorded,) = told.payloads("RecordFailure")
    return recorded["failure"]


def test_silence_ends_red_and_discards_the_change_set(stage: Stage, hasty: str) -> None:
    told = stage.run({"AwaitApproval": [{"answer": {"done": False}}]}, machine=hasty, approval=True)
    assert told.steps == [*ASKED, "DiscardChangeSet", "RecordFailure"]
    assert (told.status, told.error) == ("FAILED", "States.Timeout")
    failure = failure_of(told)
    assert (failure["state"], failure["error"]) == ("AwaitApproval", "States.Timeout")
    discarded = told.payloads("DiscardChangeSet")[0]
    assert (discarded["change_set_id"], discarded["stack_id"]) == ("changes/1", "stack/1")
    assert told.payloads("AwaitApproval")[0]["token"]


def test_a_change_set_that_cannot_be_discarded_is_red_too(stage: Stage, hasty: str) -> None:
    script = {
        "AwaitApproval": [{"answer": {"done": False}}],
        "DiscardChangeSet": [failing("SomethingElse")],
    }
    told = stage.run(script, machine=hasty, approval=True)
    assert told.status == "FAILED"
    assert told.steps[-1] == "RecordFailure"
    assert failure_of(told)["state"] == "AwaitApproval", "what failed first"


def test_a_worker_that_crashes_asks_for_the_approval_again(stage: Stage) -> None:
    script = {"AwaitApproval": [{"exit": 3}, {"answer": {"done": False}}]}
    arn = stage.start(script, approval=True)
    stage.wait_for(arn, "AwaitApproval", calls=2)
    stage.answer(arn, "AwaitApproval", {"approved_by": "x"})
    told = stage.told(arn)
    assert told.status == "SUCCEEDED", told.cause


def test_a_yes_goes_on_and_a_no_discards(stage: Stage) -> None:
    script = {"AwaitApproval": [{"answer": {"done": False}}]}
    yes, no = (stage.start(script, approval=True) for _ in range(2))
    stage.answer(yes, "AwaitApproval", {"approved_by": "x"})
    stage.answer(no, "AwaitApproval", None, error="ApprovalRejected", cause="rejected by y: no")
    went_on = stage.told(yes)
    assert went_on.status == "SUCCEEDED"
    assert went_on.steps == happy_with(
        AwaitChangeSet=["AwaitChangeSet", "AwaitApproval", "RegainSlot"]
    )
    ended = stage.told(no)
    assert ended.steps == [*ASKED, "DiscardChangeSet", "RecordFailure"]
    assert (ended.status, ended.error) == ("FAILED", "ApprovalRejected")
    assert failure_of(ended)["cause"] == "rejected by y: no"
    assert json.dumps(failure_of(ended)).count("token") == 0


def test_a_slot_is_waited_for_again_after_the_approval(stage: Stage) -> None:
    waits = [{"answer": {"done": False}}, {"answer": {"done": True}}]
    arn = stage.start({"AwaitApproval": waits[:1], "RegainSlot": waits}, approval=True)
    stage.answer(arn, "AwaitApproval", {"approved_by": "x"})
    told = stage.told(arn)
    assert told.status == "SUCCEEDED"
    assert told.steps.count("RegainSlot") == 2


@pytest.mark.parametrize("error", ["Cancelled", "SomethingUnforeseen"])
def test_what_was_approved_and_gets_no_slot_is_discarded(stage: Stage, error: str) -> None:
    script = {"AwaitApproval": [{"answer": {"done": False}}], "RegainSlot": [failing(error)]}
    arn = stage.start(script, approval=True)
    stage.answer(arn, "AwaitApproval", {"approved_by": "x"})
    told = stage.told(arn)
    assert told.steps == [*ASKED, "RegainSlot", "DiscardChangeSet", "RecordFailure"]
    assert (failure_of(told)["state"], told.error) == ("RegainSlot", error)
