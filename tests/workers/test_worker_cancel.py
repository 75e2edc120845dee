"""A cancel: asked for through the API, and what the workers put an end to."""

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import CALLER, Reply, call
from codebuild_answers import CodeBuild, start
from record_calls import NO_ROLLBACK
from worker_builders import ALPHA, TABLE

from control_plane import aws, naming
from control_plane.errors import Cancelled
from control_plane.models import Deployment, DeploymentStatus, StepStatus
from control_plane.rules.endings import UNTOUCHED
from control_plane.store.history import History
from control_plane.store.progress import Progress
from workers import record


@pytest.fixture
def made(source: str) -> Deployment:
    made = build.deployment(source=source)
    aws.stepfunctions().start_execution(
        stateMachineArn=build.MACHINE, name=made.execution_arn.rsplit(":", 1)[-1]
    )
    return build.opened(made)


def cancel(made: Deployment) -> Reply:
    return call("POST", f"/envs/stage/orgs/alpha/deployments/{made.id}/cancel")


def end(made: Deployment, status: str = "FAILED") -> None:
    History(TABLE).fail(
        made.tenant, made.id, made.execution_arn, DeploymentStatus(status), {"reason": "why"}
    )


# Asking for it ------------------------------------------------------------------------------------


def test_who_asked_first_stays_in_the_record(made: Deployment) -> None:
    reply = cancel(made)
    assert (reply.status, reply.body["cancel"]["by"]) == (202, CALLER)
    first = build.record(made)
    assert cancel(made).status == 202
    assert build.record(made) == first
    assert first["status"] == "QUEUED", "it ends by itself, at its next step"


def test_one_that_was_never_started_ends_at_once(source: str) -> None:
    made = build.opened(build.deployment(number=7, source=source))
    reply = cancel(made)
    assert (reply.status, reply.body["status"]) == (202, "CANCELLED")
    assert "was never started" in reply.body["reason"]


def test_what_is_not_there_is_not_cancelled(made: Deployment) -> None:
    assert cancel(build.deployment(number=9)).status == 404


@pytest.mark.parametrize("status", ["SUCCEEDED", "CANCELLED"])
def test_what_has_ended_is_told_and_stays(made: Deployment, status: str) -> None:
    end(made, status)
    before = build.record(made)
    reply = cancel(made)
    assert (reply.status, reply.error["code"]) == (409, "Conflict")
    assert f"ended {status} already (why)" in reply.error["message"]
    assert build.record(made) == before


def test_what_is_rolling_back_is_not_cut_off(made: Deployment) -> None:
    Progress(TABLE).add_facts(made, {"rollback_steps": {}})
    reply = cancel(made)
    assert reply.status == 409
    assert "is rolling back: let it end" in reply.error["message"]
    assert "cancel" not in build.record(made)


def test_what_ends_between_look_and_write_is_a_conflict(made: Deployment) -> None:
    end(made)
    assert History(TABLE).ask_for_end(ALPHA, made.id, "me") is None
    begun = build.opened(build.deployment(number=2))
    Progress(TABLE).begin_step(begun, "DeleteStack")
    assert History(TABLE).ask_for_end(ALPHA, begun.id, "me") is None


@pytest.mark.parametrize("code", [None, "TaskTimedOut", "TaskDoesNotExist"])
def test_one_that_waits_for_an_approval_is_woken(
    made: Deployment, script: scripted.Scripted, code: str | None
) -> None:
    answer = scripted.failure(code) if code else {}
    script.on(aws.stepfunctions(), "SendTaskFailure", answer)
    Progress(TABLE).begin_step(made, "AwaitApproval")
    Progress(TABLE).add_facts(made, {"approval": {"token": "t0ken"}})
    reply = cancel(made)
    assert reply.status == 202
    (sent,) = script.of("SendTaskFailure")
    assert (sent["taskToken"], sent["error"]) == ("t0ken", "Cancelled")
    assert "t0ken" not in str(reply.body)


def test_one_whose_approval_was_given_is_not_sent_a_used_token(
    made: Deployment, script: scripted.Scripted
) -> None:
    script.on(aws.stepfunctions(), "SendTaskFailure", {})
    Progress(TABLE).add_facts(made, {"approval": {"token": "t0ken"}})
    Progress(TABLE).begin_step(made, "UploadConfig")
    assert cancel(made).status == 202
    assert script.of("SendTaskFailure") == []


# The steps ----------------------------------------------------------------------------------------


def test_no_step_is_begun_any_more(made: Deployment, stoppable: CodeBuild) -> None:
    cancel(made)
    with pytest.raises(Cancelled, match=UNTOUCHED):
        start(made)
    assert stoppable.started == []
    step = build.record(made)["steps"]["StartBuild"]
    assert (step["status"], step["note"]) == ("FAILED", UNTOUCHED)


# Its end ------------------------------------------------------------------------------------------


def test_its_record_says_who_where_and_what_was_left(made: Deployment) -> None:
    build.take_lock(made)
    progress = Progress(TABLE)
    for step in ("ExecuteChangeSet", "AwaitStack"):
        progress.begin_step(made, step)
        progress.end_step(made, step, StepStatus.SUCCEEDED, "")
    cancel(made)
    name = naming.execution_name(ALPHA, made.id)
    answer = record.handler(
        {
            "step": "RecordFailure",
            "execution": {
                "Id": build.arn(name),
                "StartTime": "2026-11-22T12:00:00.123Z",
                "Input": {"env": "stage", "org": "alpha"},
            },
            "failure": {
                "state": "SyncConfig",
                "error": "Cancelled",
                "cause": '{"errorMessage": "before it began", "errorType": "Cancelled"}',
            },
            "rollback": NO_ROLLBACK,
        },
        None,
    )
    found = build.record(made)
    assert (found["status"], found["error"]) == ("CANCELLED", "Cancelled")
    assert answer["reason"] == found["reason"]
    assert found["reason"] == (
        f"cancelled by {CALLER} at SyncConfig: before it began; "
        "the stack has the new build, which is not tested"
    )
    assert build.holder() is None
