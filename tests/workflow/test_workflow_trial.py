"""An application that proves itself by a trial, as the control plane does: green only with it, and
back to the previous build from whatever goes wrong after its stack began to change."""

import pytest
from rehearsal import Stage, Told, answering, definition, failing
from verdicts import HAPPY, assert_succeeded, happy_with

TRIAL = ["StartTrial", "AwaitTrial", "PruneVersions"]
UPDATE = [
    "CreateChangeSet", "AwaitChangeSet", "UploadConfig", "ExecuteChangeSet", "AwaitStack",
    "ReconcileFunction", "SyncConfig", "RunTests", "ProveDeployment",
]  # fmt: skip
WAY_BACK = ["RollBack", "CheckStack", *UPDATE, *TRIAL, "RecordFailure"]


def assert_went_back(told: Told, state: str, error: str) -> None:
    """It went the whole way back, proved what it went back to, and is red for what went wrong."""
    assert told.steps[-len(WAY_BACK) :] == WAY_BACK
    assert (told.status, told.error) == ("FAILED", error)
    (recorded,) = told.payloads("RecordFailure")
    assert recorded["rollback"]["outcome"] == "done"
    assert (recorded["failure"]["state"], recorded["failure"]["error"]) == (state, error)
    assert [p["deployment"]["rolling_back"] for p in told.payloads("StartTrial")][-1] is True
    assert [p["fingerprint"] for p in told.payloads("StartTrial")][-1] == "f0"


def test_a_success_comes_after_the_trial(stage: Stage) -> None:
    told = stage.run({}, trial=True)
    assert_succeeded(told, happy_with(ProveDeployment=["ProveDeployment", *TRIAL]))
    (started,) = told.payloads("StartTrial")
    assert (started["fingerprint"], started["outputs"]) == ("f1", {"ApiUrl": "https://x"})
    (awaited,) = told.payloads("AwaitTrial")
    assert awaited["trial"] == {"id": "t1"}


def test_a_trial_is_followed_with_what_it_said_last(stage: Stage) -> None:
    told = stage.run({"AwaitTrial": [answering(done=False, trial={"id": "t7"}), {}]}, trial=True)
    assert_succeeded(
        told,
        happy_with(ProveDeployment=["ProveDeployment", "StartTrial", "AwaitTrial", *TRIAL[1:]]),
    )
    assert [p["trial"]["id"] for p in told.payloads("AwaitTrial")] == ["t1", "t7"]


def test_an_application_without_a_trial_has_none(stage: Stage) -> None:
    assert_succeeded(stage.run({}), HAPPY)


@pytest.mark.parametrize("error", ["TrialFailed", "Cancelled", "KeyError"])
@pytest.mark.parametrize("state", ["StartTrial", "AwaitTrial"])
def test_a_trial_that_fails_leads_back(stage: Stage, state: str, error: str) -> None:
    told = stage.run({state: [failing(error), {}]}, trial=True)
    assert_went_back(told, state, error)


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("ReconcileFunction", "PatchFailed"),
        ("SyncConfig", "Cancelled"),
        ("RunTests", "TestsFailed"),
        ("RunTests", "Cancelled"),
        ("RunTests", "KeyError"),
    ],
)
def test_whatever_goes_wrong_before_the_trial_leads_back(
    stage: Stage, state: str, error: str
) -> None:
    assert_went_back(stage.run({state: [failing(error), {}]}, trial=True), state, error)


@pytest.mark.parametrize("error", ["StackFailed", "Cancelled", "KeyError"])
def test_an_update_that_fails_is_gone_back_from_and_proven(stage: Stage, error: str) -> None:
    told = stage.run({"AwaitStack": [failing(error), {}]}, trial=True)
    assert_went_back(told, "AwaitStack", error)
    assert told.steps.count("RestoreConfig") == (1 if error != "KeyError" else 0)


def test_an_update_that_does_not_settle_in_time_is_gone_back_from(stage: Stage) -> None:
    hasty = definition()
    back = "$exists($deployment.rolling_back) and $deployment.rolling_back"
    until = f"{{% {back} ? $millis() + 60000 : $millis() - 1 %}}"
    hasty["States"]["ExecuteChangeSet"]["Assign"]["waiting"]["until"] = until
    machine = stage.machine_of(hasty)
    told = stage.run({"AwaitStack": [answering(done=False), {}]}, machine=machine, trial=True)
    assert_went_back(told, "AwaitStack", "StackTimedOut")


def test_a_stack_whose_rollback_is_stuck_is_continued_on_the_way_back(stage: Stage) -> None:
    script = {
        "AwaitStack": [failing("StackFailed"), {}],
        "CheckStack": [
            answering(done=True, action="update"),
            answering(done=True, action="continue-rollback"),
            answering(done=True, action="update"),
        ],
    }
    told = stage.run(script, trial=True)
    assert told.steps.count("ContinueRollback") == 1
    assert told.payloads("RecordFailure")[0]["rollback"]["outcome"] == "done"
    assert [p["rollback_continued"] for p in told.payloads("CheckStack")] == [False, False, True]


def test_a_previous_version_that_fails_its_trial_too_is_said_to(stage: Stage) -> None:
    told = stage.run({"AwaitTrial": [failing("TrialFailed")]}, trial=True)
    assert told.steps.count("RollBack") == 1
    assert told.steps.count("AwaitTrial") == 2
    (recorded,) = told.payloads("RecordFailure")
    assert recorded["rollback"]["outcome"] == "running"


def test_what_cannot_be_pruned_fails_nothing(stage: Stage) -> None:
    told = stage.run({"PruneVersions": [failing("KeyError")]}, trial=True)
    assert_succeeded(told, happy_with(ProveDeployment=["ProveDeployment", *TRIAL]))
