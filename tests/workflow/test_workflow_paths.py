"""The ways through the state machine on which all goes well in the end."""

import pytest
from rehearsal import BUSY, Stage, Told, answering, failing
from verdicts import HAPPY, assert_succeeded, happy_with

WORKERS = {
    "RecordFunction": {"PrepareDeployment", "AcquireLock", "AcquireSlot", "RecordSuccess"},
    "StackFunction": {
        "CheckStack",
        "CreateChangeSet",
        "AwaitChangeSet",
        "ExecuteChangeSet",
        "AwaitStack",
    },
    "BuildFunction": {"StartBuild", "AwaitBuild"},
    "ConfigFunction": {"UploadConfig", "SyncConfig"},
    "CodeFunction": {"ReconcileFunction"},
    "VerifyFunction": {"RunTests", "ProveDeployment"},
}


@pytest.fixture(scope="session")
def happy(stage: Stage) -> Told:
    """A first deployment on which all goes well."""
    return stage.run({})


def test_a_first_deployment_goes_through_every_worker(happy: Told) -> None:
    assert_succeeded(happy, HAPPY)
    called = {name: {c.step for c in happy.calls if c.function == name} for name in WORKERS}
    assert called == WORKERS


def test_a_success_is_recorded_with_everything_that_proves_it(happy: Told) -> None:
    (recorded,) = happy.payloads("RecordSuccess")
    assert recorded["deployment"]["execution_arn"] == happy.arn
    assert recorded["build"]["template_key"] == "t1"
    assert recorded["change_set"] == {
        "id": "changes/1",
        "stack_id": "stack/1",
        "has_changes": True,
        "summary": {"added": ["Api"]},
    }
    assert recorded["stack"]["status"] == "CREATE_COMPLETE"
    assert recorded["config"] == {"version_id": "after"}
    assert recorded["admin"] == {}
    assert recorded["tests"] == [{"name": "health", "status": "PASSED"}]
    assert happy.output == {"id": "d1", "status": "SUCCEEDED"}


def test_every_step_is_given_what_the_steps_before_it_found(happy: Told) -> None:
    expected = {
        "AwaitBuild": {"fingerprint": "f1", "reused": False},
        "CreateChangeSet": {"template_key": "t1"},
        "AwaitChangeSet": {"change_set_id": "changes/1", "stack_id": "stack/1"},
        "ExecuteChangeSet": {"change_set_id": "changes/1", "stack_id": "stack/1"},
        "AwaitStack": {"stack_id": "stack/1", "has_changes": True},
        "SyncConfig": {
            "outputs": {"ApiUrl": "https://x"},
            "config": {"version_id": "before"},
        },
        "RunTests": {
            "fingerprint": "f1",
            "outputs": {"ApiUrl": "https://x"},
            "parameters": {"EnableAuth": "true"},
            "config": {"version_id": "after"},
        },
        "ProveDeployment": {
            "build": happy.payloads("RecordSuccess")[0]["build"],
            "stack": happy.payloads("RecordSuccess")[0]["stack"],
            "config": {"version_id": "after"},
            "admin": happy.payloads("RecordSuccess")[0]["admin"],
            "patch": {},
        },
    }
    for step, found in expected.items():
        (payload,) = happy.payloads(step)
        given = {name: payload[name] for name in payload if name not in ("step", "deployment")}
        assert given == found, step


def test_an_update_without_changes_executes_nothing_and_still_proves_itself(stage: Stage) -> None:
    script = {
        "CheckStack": [answering(done=True, action="update")],
        "AwaitChangeSet": [answering(done=True, has_changes=False, summary={})],
    }
    told = stage.run(script)
    assert_succeeded(told, happy_with(ExecuteChangeSet=[]))
    assert told.payloads("AwaitStack")[0]["has_changes"] is False
    assert told.payloads("RecordSuccess")[0]["change_set"]["has_changes"] is False


def test_a_stack_whose_creation_failed_is_deleted_first(stage: Stage) -> None:
    script = {
        "CheckStack": [answering(done=True, action="delete-first")],
        "AwaitDeletion": [answering(done=False), answering(done=True)],
    }
    told = stage.run(script)
    deleting = ["CheckStack", "DeleteFailedStack", "AwaitDeletion", "AwaitDeletion"]
    assert_succeeded(told, happy_with(CheckStack=deleting))
    assert {payload["stack_id"] for payload in told.payloads("AwaitDeletion")} == {"stack/failed"}


def test_a_rollback_that_is_stuck_is_continued_and_the_stack_looked_at_again(stage: Stage) -> None:
    script = {
        "CheckStack": [
            answering(done=True, action="continue-rollback"),
            answering(done=False, action="wait"),
            answering(done=True, action="update"),
        ]
    }
    told = stage.run(script)
    looking = ["CheckStack", "ContinueRollback", "CheckStack", "CheckStack"]
    assert_succeeded(told, happy_with(CheckStack=looking))
    continued = [payload["rollback_continued"] for payload in told.payloads("CheckStack")]
    assert continued == [False, True, True]


@pytest.mark.parametrize(
    ("step", "not_yet", "then"),
    [
        ("AcquireLock", {"holder": "d0"}, None),
        ("AcquireSlot", {}, None),
        ("CheckStack", {"action": "wait"}, {"done": True, "action": "update"}),
        ("AwaitBuild", {"fingerprint": "f1", "reused": True}, None),
        ("AwaitChangeSet", {"has_changes": False, "summary": {}}, None),
        ("AwaitStack", {}, None),
    ],
)
def test_what_is_not_done_yet_is_awaited(
    stage: Stage, step: str, not_yet: dict[str, object], then: dict[str, object] | None
) -> None:
    waiting = answering(done=False, **not_yet)
    told = stage.run({step: [waiting, waiting, answering(**then) if then else {}]})
    assert_succeeded(told, happy_with(**{step: [step] * 3}))


def test_a_build_of_somebody_else_is_joined(stage: Stage) -> None:
    script = {
        "StartBuild": [answering(done=True, fingerprint="f2", reused=True)],
        "AwaitBuild": [
            answering(done=False, fingerprint="f2", reused=True),
            answering(done=True, fingerprint="f2", reused=True, build_id="b2", template_key="t2"),
        ],
    }
    told = stage.run(script)
    assert_succeeded(told, happy_with(AwaitBuild=["AwaitBuild"] * 2))
    asked = [(p["fingerprint"], p["reused"]) for p in told.payloads("AwaitBuild")]
    assert asked == [("f2", True)] * 2
    assert told.payloads("CreateChangeSet")[0]["template_key"] == "t2"
    assert told.payloads("RunTests")[0]["fingerprint"] == "f2"


def test_an_administrator_is_created_only_when_one_was_asked_for(stage: Stage, happy: Told) -> None:
    assert "CreateAdmin" not in happy.steps
    told = stage.run({}, admin_username="admin@example.com")
    assert_succeeded(told, happy_with(SyncConfig=["SyncConfig", "CreateAdmin"]))
    assert told.payloads("CreateAdmin")[0]["outputs"] == {"ApiUrl": "https://x"}
    assert told.payloads("RecordSuccess")[0]["admin"] == {"username": "admin@example.com"}


def test_every_step_is_tried_again_when_aws_is_busy(stage: Stage) -> None:
    steps = happy_with(SyncConfig=["SyncConfig", "CreateAdmin"])
    script = {step: [BUSY, {}] for step in steps}
    told = stage.run(script, admin_username="admin@example.com")
    assert_succeeded(told, [step for name in steps for step in (name, name)])


def test_the_steps_beside_the_happy_path_are_tried_again_too(stage: Stage) -> None:
    actions = ("continue-rollback", "delete-first")
    script = {
        "CheckStack": [answering(done=True, action=action) for action in actions],
        **{s: [BUSY, {}] for s in ("ContinueRollback", "DeleteFailedStack", "AwaitDeletion")},
    }
    told = stage.run(script)
    beside = ["ContinueRollback"] * 2 + ["CheckStack"]
    beside += ["DeleteFailedStack"] * 2 + ["AwaitDeletion"] * 2
    assert_succeeded(told, happy_with(CheckStack=["CheckStack", *beside]))


@pytest.mark.parametrize(
    "error", ["TenantNotReady", "ServiceBusy", "Lambda.TooManyRequestsException"]
)
def test_a_tenant_is_tested_again_when_it_is_not_ready(stage: Stage, error: str) -> None:
    told = stage.run({"RunTests": [failing(error), failing(error), {}]})
    assert_succeeded(told, happy_with(RunTests=["RunTests"] * 3))
