"""Every way to fail: whatever goes wrong, it is recorded, and the execution is red."""

import json
from concurrent.futures import Future

import pytest
from rehearsal import BUSY, Json, Stage, Told, answering, definition, failing
from verdicts import assert_failed_and_recorded
from ways import DELETE_FIRST, WAY_TO, options_to

STATES = definition()["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
RETRIES = 5
UNFORESEEN = "SomethingUnforeseen"
MESSAGE = "it is broken: mend it"

TIDIES = {"DiscardChangeSet": "AwaitApproval", "RestoreConfig": "AwaitStack"}
"""What tidies up between a failure and its record, and which failure."""

ELSEWHERE = {"PruneVersions", "RegainSlot"}
"""Tasks with tests of their own: test_workflow_trial.py, test_workflow_approval.py."""

FAILURES = [
    (name, error)
    for name, state in TASKS.items()
    if name not in ("RecordFailure", *ELSEWHERE, *TIDIES)
    for error in [
        *(
            e
            for rule in state["Catch"]
            if "Output" not in rule  # those are asked again: test_workflow_busy.py
            for e in rule["ErrorEquals"]
            if "States." not in e
        ),
        UNFORESEEN,
    ]
]


@pytest.fixture(scope="session")
def failed(stage: Stage) -> dict[tuple[str, str], Future[Told]]:
    """An execution for each failure, several of them at once."""
    return {
        (name, error): stage.later(
            {**WAY_TO.get(name, {}), name: [failing(error, MESSAGE)]}, **options_to(name)
        )
        for name, error in FAILURES
    }


@pytest.mark.parametrize(("name", "error"), FAILURES)
def test_a_failure_is_recorded_and_ends_the_deployment(
    failed: dict[tuple[str, str], Future[Told]], name: str, error: str
) -> None:
    told = failed[name, error].result()
    assert_failed_and_recorded(told, name, error, MESSAGE)
    retried = any(error in rule["ErrorEquals"] for rule in TASKS[name]["Retry"])
    assert told.steps.count(name) == (1 + RETRIES if retried else 1)


def test_every_task_has_failures_to_be_tried() -> None:
    assert {name for name, _ in FAILURES} == set(TASKS) - {"RecordFailure", *ELSEWHERE, *TIDIES}
    assert len(FAILURES) >= 2 * len(TASKS) - 5


@pytest.mark.parametrize(("tidying", "name"), TIDIES.items())
def test_tidying_up_that_fails_hides_nothing(stage: Stage, tidying: str, name: str) -> None:
    error = "ApprovalRejected" if name == "AwaitApproval" else "StackFailed"
    script = {name: [failing(error, MESSAGE)], tidying: [failing(UNFORESEEN)]}
    told = stage.run(script, approval=name == "AwaitApproval")
    assert_failed_and_recorded(told, name, error, MESSAGE)


def test_a_service_that_stays_busy_is_a_failure(stage: Stage) -> None:
    told = stage.run({"StartBuild": [BUSY]})
    assert_failed_and_recorded(told, "StartBuild", "ServiceBusy", BUSY["message"])
    assert told.steps.count("StartBuild") == 1 + RETRIES


CRASH = {"exit": 3}
CRASHING = [
    name for name in TASKS if name not in ("AwaitApproval", "RecordFailure", *ELSEWHERE, *TIDIES)
]
"""AwaitApproval's crash is in test_workflow_approval.py, RecordFailure's below."""


def _to(name: str) -> Json:
    """What leads to a state, and that the state's worker crashes twice and then works."""
    way = {step: [*replies, {}] for step, replies in WAY_TO.get(name, {}).items()}
    return {**way, name: [CRASH, CRASH, *way.get(name, [{}])]}


@pytest.fixture(scope="module")
def crashed(stage: Stage) -> dict[str, Future[Told]]:
    """An execution for each task, whose worker crashes as often as it may."""
    return {name: stage.later(_to(name), **options_to(name)) for name in CRASHING}


@pytest.mark.parametrize("name", CRASHING)
def test_a_worker_that_crashes_is_tried_again(crashed: dict[str, Future[Told]], name: str) -> None:
    told = crashed[name].result()
    assert told.steps.count(name) >= 3, told.cause
    assert (told.status == "SUCCEEDED") == (name != "RollBack"), told.cause


def test_recording_a_failure_is_tried_again_when_its_worker_crashes(stage: Stage) -> None:
    told = stage.run({"StartBuild": [failing("BuildFailed")], "RecordFailure": [CRASH, CRASH, {}]})
    assert told.cause == "recorded of StartBuild: BuildFailed"


def test_a_worker_that_always_crashes_is_a_failure(stage: Stage) -> None:
    told = stage.run({"UploadConfig": [CRASH]})
    assert_failed_and_recorded(told, "UploadConfig", "Runtime.ExitError", None)
    assert told.steps.count("UploadConfig") == 3


def test_a_worker_that_takes_too_long_is_a_failure(stage: Stage) -> None:
    hasty = definition()
    hasty["States"]["UploadConfig"]["TimeoutSeconds"] = 1
    told = stage.run({"UploadConfig": [{"sleep": 2}]}, machine=stage.machine_of(hasty))
    assert_failed_and_recorded(told, "UploadConfig", "States.Timeout", None)


def test_an_answer_that_lacks_what_the_next_step_needs_is_a_failure(stage: Stage) -> None:
    told = stage.run({"CreateChangeSet": [answering(done=True)]})
    error = "States.QueryEvaluationError"
    assert_failed_and_recorded(told, "CreateChangeSet", error, None)


# When recording fails -----------------------------------------------------------------------------


def test_a_failure_that_cannot_be_recorded_is_red_and_says_both(stage: Stage) -> None:
    told = stage.run(
        {"StartBuild": [failing("BuildFailed", MESSAGE)], "RecordFailure": [failing("KeyError")]}
    )
    assert (told.status, told.error) == ("FAILED", "BuildFailed")
    assert told.cause is not None
    assert MESSAGE in told.cause
    assert told.cause.endswith("(and it could not be recorded: KeyError)")
    assert told.steps.count("RecordFailure") == 1


def test_recording_a_failure_is_tried_again_when_the_table_is_busy(stage: Stage) -> None:
    told = stage.run({"StartBuild": [failing("BuildFailed")], "RecordFailure": [BUSY, {}]})
    assert (told.status, told.error) == ("FAILED", "BuildFailed")
    assert told.cause == "recorded of StartBuild: BuildFailed"
    assert told.steps[-2:] == ["RecordFailure"] * 2


def test_a_success_that_cannot_be_recorded_is_none(stage: Stage) -> None:
    told = stage.run({"RecordSuccess": [failing("ConditionalCheckFailedException", MESSAGE)]})
    error = "ConditionalCheckFailedException"
    assert_failed_and_recorded(told, "RecordSuccess", error, MESSAGE)


# Deadlines ----------------------------------------------------------------------------------------

NOT_YET: dict[str, Json] = {
    "CheckStack": answering(done=False, action="wait"),
    "AwaitBuild": answering(done=False, fingerprint="f1", reused=False),
    "AwaitChangeSet": answering(done=False, has_changes=False, summary={}),
    "ExportData": answering(done=False, position={"bucket": 1}),
    "AwaitTrial": answering(done=False, trial={}),
    "AwaitDrift": answering(done=False, drift={"findings": []}),
    "PatchFunction": answering(
        done=False, build={"fingerprint": "p1"}, stack={"outputs": {}}, config={}, patch={}
    ),
}
DEADLINES = {
    name: rule["Assign"]["failure"]
    for name, state in STATES.items()
    for rule in state.get("Choices", [])
    if "waiting.until" in rule["Condition"] and rule["Assign"]["failure"]["state"] not in ELSEWHERE
}


@pytest.fixture(scope="session")
def impatient(stage: Stage) -> str:
    """The state machine with every deadline in the past."""
    text, count = json.dumps(definition()), 0
    for minutes in (15, 30, 40, 60, 120, 360, 720):
        count += text.count(f"+ {minutes} * 60000")
        text = text.replace(f"+ {minutes} * 60000", "- 1")
    assert count == sum("waiting" in json.loads(line) for line in _assigns(STATES))
    return stage.machine_of(json.loads(text))


def _assigns(value: object) -> list[str]:
    """Every Assign in the definition, as JSON."""
    found = []
    if isinstance(value, dict):
        found += [json.dumps(value["Assign"])] if "Assign" in value else []
        for inner in value.values():
            found += _assigns(inner)
    elif isinstance(value, list):
        for inner in value:
            found += _assigns(inner)
    return found


@pytest.mark.parametrize("choice", DEADLINES)
def test_a_wait_without_end_ends_at_its_deadline(stage: Stage, impatient: str, choice: str) -> None:
    failure = DEADLINES[choice]
    name = failure["state"]
    not_yet = NOT_YET.get(name, answering(done=False))
    script = {**WAY_TO.get(name, {}), name: [not_yet]}
    told = stage.run(script, machine=impatient, **options_to(name))
    assert_failed_and_recorded(told, name, failure["error"], None)
    assert told.payloads("RecordFailure")[0]["failure"] == failure


def test_what_is_done_is_not_too_late(stage: Stage, impatient: str) -> None:
    assert stage.run(DELETE_FIRST, machine=impatient).status == "SUCCEEDED"
