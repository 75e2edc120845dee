"""The way back after failed tests: to the previous good build, once, and red all the same."""

import pytest
from rehearsal import Stage, answering, failing
from verdicts import assert_succeeded, happy_with

BEFORE = ["PrepareDeployment", "AcquireLock", "AcquireSlot", "CheckStack"]
BACK = ["RollBack", "CheckStack"]
CHANGES = [
    "CreateChangeSet", "AwaitChangeSet", "UploadConfig", "ExecuteChangeSet", "AwaitStack",
    "ReconcileFunction", "SyncConfig", "RunTests",
]  # fmt: skip
FORTH = [*BEFORE, "StartBuild", "AwaitBuild", *CHANGES]
TRIED = {"state": "RunTests", "error": "TestsFailed"}


def test_a_function_that_is_put_back_is_awaited(stage: Stage) -> None:
    told = stage.run({"ReconcileFunction": [answering(done=False), {}]})
    assert_succeeded(told, happy_with(ReconcileFunction=["ReconcileFunction"] * 2))


@pytest.mark.parametrize("mode", ["full", "function"])
def test_failed_tests_lead_back_and_the_record_gets_what_was_restored(
    stage: Stage, mode: str
) -> None:
    told = stage.run({"RunTests": [failing("TestsFailed", "no"), {}]}, mode=mode)
    forth = FORTH if mode == "full" else [*BEFORE, "PatchFunction", "RunTests"]
    assert told.steps == [*forth, *BACK, *CHANGES, "ProveDeployment", "RecordFailure"]
    assert (told.status, told.error) == ("FAILED", "TestsFailed")
    (recorded,) = told.payloads("RecordFailure")
    assert {**TRIED, "cause": recorded["failure"]["cause"]} == recorded["failure"]
    rollback = recorded["rollback"]
    assert rollback["outcome"] == "done"
    restored = rollback["restored"]
    assert restored["deployment"]["rolling_back"] is True
    assert restored["build"]["fingerprint"] == "f0"
    assert restored["stack"]["outputs"] == {"ApiUrl": "https://x"}
    assert restored["config"] == {"version_id": "after"}
    assert [p["fingerprint"] for p in told.payloads("RunTests")][-1] == "f0"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("SyncConfig", "OutputRefused"),
        ("SyncConfig", "ConfigInvalid"),
        ("CreateAdmin", "OutputRefused"),
        ("CreateAdmin", "TestsFailed"),
        ("ProveDeployment", "ProofIncomplete"),
        ("ProveDeployment", "TenantNotReady"),
        ("RecordSuccess", "ProofIncomplete"),
    ],
)
def test_what_is_not_the_tenants_and_what_is_not_proven_leads_back(
    stage: Stage, step: str, error: str
) -> None:
    attempts = 6 if error == "TenantNotReady" else 1
    told = stage.run(
        {step: [*[failing(error, "no")] * attempts, {}]}, admin_username="admin@example.com"
    )
    assert told.steps[-2:] == ["ProveDeployment", "RecordFailure"]
    assert told.steps.count("RollBack") == 1
    (recorded,) = told.payloads("RecordFailure")
    assert (recorded["rollback"]["outcome"], told.error) == ("done", error)
    assert recorded["failure"]["state"] == step


def test_nothing_to_go_back_to_is_recorded_with_its_why(stage: Stage) -> None:
    script = {
        "RunTests": [failing("TestsFailed", "no")],
        "RollBack": [
            answering(done=True, available=False, why="it is gone", deployment={}, build={})
        ],
    }
    told = stage.run(script)
    assert told.steps == [*FORTH, "RollBack", "RecordFailure"]
    rollback = told.payloads("RecordFailure")[0]["rollback"]
    assert (rollback["outcome"], rollback["why"]) == ("impossible", "it is gone")


@pytest.mark.parametrize("step", ["RollBack", "AwaitStack", "RunTests"])
def test_a_way_back_that_fails_keeps_the_first_failure(stage: Stage, step: str) -> None:
    bad = failing("StackFailed" if step == "AwaitStack" else "TestsFailed", "again")
    replies = {"RunTests": [failing("TestsFailed", "no"), {}], "AwaitStack": [{}, {}]}
    replies[step] = [bad] if step == "RollBack" else [replies[step][0], bad]
    told = stage.run(replies)
    assert told.status == "FAILED"
    assert told.steps[-1] == "RecordFailure"
    assert told.steps.count("RollBack") == 1
    (recorded,) = told.payloads("RecordFailure")
    assert recorded["failure"]["state"] == step
    assert recorded["rollback"]["outcome"] == "running"
    assert recorded["rollback"]["failure"]["state"] == "RunTests"


def test_who_wants_no_way_back_gets_none(stage: Stage) -> None:
    told = stage.run({"RunTests": [failing("TestsFailed", "no")]}, rollback_on_failure=False)
    assert told.steps == [*FORTH, "RecordFailure"]
    assert told.payloads("RecordFailure")[0]["rollback"]["outcome"] == "none"


def test_the_way_back_asks_nobody_and_creates_nobody(stage: Stage) -> None:
    script = {"RunTests": [failing("TestsFailed", "no"), {}]}
    told = stage.run(script, admin_username="admin@example.com")
    assert told.steps.count("RunTests") == 2
    assert told.steps.count("CreateAdmin") == 1
    assert [p["deployment"]["rolling_back"] for p in told.payloads("RunTests")] == [False, True]
