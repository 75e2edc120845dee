"""The trial of a new version goes on: deployed, removed, and nothing left, or it is no proof."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from new_version import (
    A_REFUSAL,
    A_SILENCE,
    PRINT,
    Answer,
    NewVersion,
    awaited,
    going_back,
    source_of,
    started,
    told,
    updating,
)  # fmt: skip
from test_worker_api_starts import executions, input_of

from control_plane import aws
from control_plane.errors import ServiceBusy, TrialFailed
from control_plane.models import Deployment, JsonObject
from workers import release_check

STACK = "syndi-trial-dev-prod-main"
OTHER = "cd" * 32
"""The fingerprint of a build that is not on trial."""


@pytest.fixture
def made(world: None) -> Deployment:
    return updating()


@pytest.mark.parametrize(("answer", "error", "says"), [A_REFUSAL, A_SILENCE])
@pytest.mark.parametrize("kind", ["GET deployments", "DELETE orgs", "POST deployments"])
def test_a_refusal_on_the_way_fails_the_trial_and_silence_may_pass(
    made: Deployment, version: NewVersion, kind: str, answer: Answer, error: Any, says: str
) -> None:
    trial = started(made)
    if kind.startswith("POST"):  # what another build ran was removed: it is deployed again
        trial |= {"phase": "clearing"}
    version.tells(trial["id"], "SUCCEEDED", PRINT)
    version.wrong[kind] = answer
    with pytest.raises(error, match=says):
        awaited(made, trial)
    assert len(executions()) == 1


# The way to its end -------------------------------------------------------------------------------


def test_a_trial_that_runs_is_waited_for(made: Deployment, version: NewVersion) -> None:
    trial = started(made)
    version.tells(trial["id"], "RUNNING")
    assert awaited(made, trial) == {"trial": trial, "done": False}
    step_ = told(made, "AwaitTrial")
    assert (step_["status"], step_["note"]) == (
        "RUNNING", f"trial {trial['id']} (deploying) is RUNNING",
    )  # fmt: skip


def test_a_trial_that_an_older_version_ran_is_removed_before_it_is_deployed_again(
    made: Deployment, version: NewVersion
) -> None:
    first = started(made)
    version.tells(first["id"], "SUCCEEDED", OTHER)
    answer = awaited(made, first)
    assert (answer["trial"]["phase"], answer["done"]) == ("clearing", False)
    assert input_of(answer["trial"]["execution_arn"])["mode"] == "offboard"
    assert awaited(made, first)["trial"] == answer["trial"], "the step that ran twice"


@pytest.mark.parametrize("phase", ["clearing", "removing"])
def test_a_trial_whose_removal_an_older_version_ran_is_deployed_again(
    made: Deployment, version: NewVersion, phase: str
) -> None:
    first = started(made) | {"phase": phase}
    version.tells(first["id"], "SUCCEEDED", OTHER)
    answer = awaited(made, first)
    again = answer["trial"]
    assert (again["attempt"], again["phase"], answer["done"]) == (2, "deploying", False)
    assert {again["execution_arn"], first["execution_arn"]} == set(executions())
    assert source_of(again) != source_of(first), "it is built anew"
    assert awaited(made, first)["trial"] == again, "the step that ran twice"
    assert len(executions()) == 2


def test_a_trial_that_was_deployed_is_removed_with_all_its_data(
    made: Deployment, version: NewVersion
) -> None:
    trial = started(made)
    version.tells(trial["id"], "SUCCEEDED")
    answer = awaited(made, trial)
    removing = answer["trial"]
    assert (removing["phase"], answer["done"]) == ("removing", False)
    assert removing["deployed"] == trial["id"] != removing["id"]
    asked = input_of(removing["execution_arn"])
    assert (asked["mode"], asked["confirm"], asked["purge"]) == ("offboard", STACK, True)
    assert awaited(made, trial)["trial"] == removing, "the step that ran twice"
    assert len(executions()) == 2


@pytest.mark.parametrize("back", [False, True])
def test_a_trial_that_left_nothing_is_proof_and_recorded(
    made: Deployment, version: NewVersion, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    """When its workers say, too, that they could bring the next version."""
    monkeypatch.setattr(release_check, "ask", lambda *_: True)
    made = going_back(made) if back else made
    removing = started(made) | {"phase": "removing", "deployed": "d1", "attempt": 2}
    version.tells(removing["id"], "SUCCEEDED", leftovers={"items": []})
    checking = removing | {"phase": "checking", "ran_on": {"build": PRINT}}
    assert awaited(made, removing) == {"trial": checking, "done": False}
    assert awaited(made, checking) == {"trial": checking, "done": True}
    facts = {"deployed": "d1", "removed": removing["id"], "attempts": 2, "ran_on": {"build": PRINT}}
    facts |= {"could_be_updated": True}
    record = build.record(made)
    assert record.get("rollback_trial" if back else "trial") == facts
    assert ("trial" in record) != back
    note = f"deployed and removed by {PRINT[:12]}, which could be updated"
    assert told(made, "AwaitTrial")["note"] == note


def test_what_a_trial_leaves_fails_it(made: Deployment, version: NewVersion) -> None:
    removing = started(made) | {"phase": "removing", "deployed": "d1"}
    left = {"items": [{"kind": "bucket", "name": "b1"}]}
    version.tells(removing["id"], "SUCCEEDED", leftovers=left)
    with pytest.raises(TrialFailed, match="left bucket b1"):
        awaited(made, removing)
    assert told(made, "AwaitTrial")["status"] == "FAILED"
    assert "trial" not in build.record(made)


# Its execution ------------------------------------------------------------------------------------


def test_a_trial_that_never_began_fails(made: Deployment, version: NewVersion) -> None:
    trial = started(made)
    missing = trial | {"execution_arn": f"{trial['execution_arn']}x"}
    with pytest.raises(TrialFailed, match="its execution ended NOT_STARTED, and its record is QU"):
        awaited(made, missing)


def test_an_execution_that_ended_before_its_record_fails_with_its_cause(
    made: Deployment, version: NewVersion, script: scripted.Scripted
) -> None:
    """As when the new version's worker does not import: nobody is left to end the record."""
    trial = started(made)
    cause = '{"errorMessage": "no module", "errorType": "Runtime.ImportModuleError"}'
    ended = {"status": "FAILED", "error": "Runtime.ImportModuleError", "cause": cause}
    script.on(aws.stepfunctions(), "DescribeExecution", ended)
    with pytest.raises(TrialFailed, match=r"ended FAILED \(Runtime.ImportModuleError .*no module"):
        awaited(made, trial)


def test_a_trial_that_ends_between_two_questions_has_not_failed(
    made: Deployment, version: NewVersion, script: scripted.Scripted
) -> None:
    trial = started(made)
    version.tells(trial["id"], "RUNNING")

    def ends(_: Any) -> JsonObject:
        """Runs when it is looked at; its record is ended before anybody asks again."""
        was = "GET deployments" not in version.asked
        version.tells(trial["id"], "SUCCEEDED")
        return {"status": "RUNNING" if was else "SUCCEEDED"}

    script.on(aws.stepfunctions(), "DescribeExecution", ends)
    assert awaited(made, trial)["trial"]["phase"] == "removing"


def test_a_busy_aws_says_nothing_about_the_trial(
    made: Deployment, version: NewVersion, script: scripted.Scripted
) -> None:
    trial = started(made)
    script.on(aws.stepfunctions(), "DescribeExecution", scripted.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        awaited(made, trial)
    assert told(made, "AwaitTrial")["status"] == "RUNNING"
