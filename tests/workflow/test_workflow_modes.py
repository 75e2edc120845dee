"""The ways through the state machine that are no full deployment."""

import pytest
from rehearsal import BUSY, Json, Stage, answering
from verdicts import assert_succeeded, happy_with

INSPECTED = {"CheckStack": [answering(done=True, action="inspect")]}
REMOVED = {"CheckStack": [answering(done=True, action="delete")]}
OPENING = ["PrepareDeployment", "AcquireLock", "AcquireSlot", "CheckStack"]
REMOVAL = [*OPENING, "ExportData", "DeleteStack", "AwaitRemoval"]


@pytest.mark.parametrize("mode", ["deploy-only", "rollback"])
def test_a_mode_without_a_build_takes_one_that_is_there(stage: Stage, mode: str) -> None:
    told = stage.run({}, mode=mode)
    assert_succeeded(told, happy_with(StartBuild=["FindBuild"], AwaitBuild=[]))
    assert told.payloads("CreateChangeSet")[0]["template_key"] == "t0"
    assert told.payloads("RunTests")[0]["fingerprint"] == "f0"
    assert told.payloads("RecordSuccess")[0]["build"]["fingerprint"] == "f0"


def test_what_the_build_says_of_the_deployment_holds_from_then_on(stage: Stage) -> None:
    found: Json = {
        "execution_arn": "to be kept", "source": "s0", "rolling_back": False, "script": {},
        "options": {"mode": "deploy-only", "dry_run": False, "approval": False},
    }  # fmt: skip
    told_by = {"FindBuild": [{"answer": {"done": True, "deployment": found, "build": {
        "fingerprint": "f0", "template_key": "t0", "reused": True}}}]}  # fmt: skip
    told = stage.run(told_by, mode="deploy-only")
    assert told.payloads("FindBuild")[0]["deployment"].get("source") is None
    # From here on the scripted workers write to the journal of the execution that they were told.
    assert "CreateChangeSet" not in told.steps


def test_function_mode_touches_only_the_code_and_is_tested(stage: Stage) -> None:
    not_yet = answering(
        done=False, build={"fingerprint": "p1"}, stack={"outputs": {}, "parameters": {}},
        config={}, patch={"fingerprint": "p1"},
    )  # fmt: skip
    told = stage.run({"PatchFunction": [not_yet, {}]}, mode="function")
    patched = ["PatchFunction", "PatchFunction", "RunTests", "ProveDeployment"]
    patched += ["RecordSuccess"]
    assert_succeeded(told, [*OPENING, *patched])
    (recorded,) = told.payloads("RecordSuccess")
    assert recorded["patch"] == {"fingerprint": "p1"}
    assert recorded["change_set"]["has_changes"] is False
    assert told.payloads("RunTests")[0]["fingerprint"] == "p1"


def test_a_full_deployment_records_no_patch(stage: Stage) -> None:
    (recorded,) = stage.run({}).payloads("RecordSuccess")
    assert recorded["patch"] == {}


def test_a_dry_run_ends_before_anything_changes(stage: Stage) -> None:
    told = stage.run({}, dry_run=True, approval=True)
    seen = [
        "StartBuild",
        "AwaitBuild",
        "CreateChangeSet",
        "AwaitChangeSet",
        "PreviewConfig",
        "RecordDryRun",
    ]
    assert told.steps == [*OPENING, *seen]
    assert told.status == "SUCCEEDED"
    assert told.payloads("RecordDryRun")[0]["change_set"]["summary"] == {"added": ["Api"]}
    assert told.payloads("RecordDryRun")[0]["config_changes"] == {"added": ["a"]}


# The end of a tenant ------------------------------------------------------------------------------


def test_a_removal_exports_first_and_says_what_is_left(stage: Stage) -> None:
    parts = [answering(done=False, position={"part": 1}), {}]
    told = stage.run({**REMOVED, "ExportData": parts}, mode="offboard")
    rest = ["ExportData", "ExportData", *REMOVAL[5:], "InspectLeftovers", "RecordOffboarding"]
    assert told.steps == [*OPENING, *rest]
    assert told.status == "SUCCEEDED"
    positions = [payload["position"] for payload in told.payloads("ExportData")]
    assert positions == [{}, {"part": 1}]
    assert told.payloads("AwaitRemoval")[0]["stack_id"] == "stack/1"
    (recorded,) = told.payloads("RecordOffboarding")
    assert recorded["leftovers"] == {"items": []}
    assert recorded["exported"] == {}


def test_data_is_removed_only_when_its_end_was_asked_for(stage: Stage) -> None:
    script = {**REMOVED, "PurgeLeftovers": [answering(done=False), {}]}
    told = stage.run(script, mode="offboard", purge=True)
    purged = ["PurgeLeftovers", "PurgeLeftovers", "InspectLeftovers", "RecordOffboarding"]
    assert told.steps == [*REMOVAL, *purged]
    assert told.status == "SUCCEEDED"


def test_a_removal_waits_for_the_stacks_end(stage: Stage) -> None:
    script = {**REMOVED, "AwaitRemoval": [answering(done=False), answering(done=True)]}
    told = stage.run(script, mode="offboard")
    assert told.steps.count("AwaitRemoval") == 2
    assert told.status == "SUCCEEDED"


# Drift --------------------------------------------------------------------------------------------


def test_a_look_for_drift_asks_everybody_and_changes_nothing(stage: Stage) -> None:
    finding = {"findings": [{"kind": "function"}]}
    script = {
        **INSPECTED,
        "AwaitDrift": [answering(done=False, drift={"findings": []}), {}],
        "CheckFunction": [answering(done=True, drift=finding)],
    }
    told = stage.run(script, mode="drift")
    looked = ["DetectDrift", "AwaitDrift", "AwaitDrift", "CheckFunction", "CheckConfig"]
    assert told.steps == [*OPENING, *looked, "RecordDrift"]
    assert told.status == "SUCCEEDED"
    assert told.payloads("AwaitDrift")[0]["detection_id"] == "detection/1"
    assert told.payloads("RecordDrift")[0]["drift"] == {
        "stack": {"findings": []},
        "function": finding,
        "config": {"findings": []},
    }


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ({}, {"mode": "deploy-only"}),
        ({}, {"mode": "function"}),
        ({}, {"dry_run": True}),
        (REMOVED, {"mode": "offboard", "purge": True}),
        (INSPECTED, {"mode": "drift"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_every_step_is_tried_again_when_aws_is_busy(
    stage: Stage, script: Json, options: Json
) -> None:
    calm = stage.run(script, **options)
    busy = {step: [BUSY, *script.get(step, [{}])] for step in calm.steps}
    told = stage.run(busy, **options)
    assert told.status == "SUCCEEDED"
    assert told.steps == [step for name in calm.steps for step in (name, name)]
