"""A cancel: asked for through the API, and what the workers put an end to."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import CALLER, Reply, call
from cloudformation_answers import STACK_ID, Cloud, event, stack
from codebuild_answers import CodeBuild, another, start, wait
from record_calls import NO_ROLLBACK
from worker_builders import ALPHA, TABLE

from control_plane import aws, naming
from control_plane.builds import Builds
from control_plane.endings import UNTOUCHED
from control_plane.errors import BuildFailed, Cancelled, ServiceBusy, StackFailed
from control_plane.history import History
from control_plane.models import Deployment, DeploymentStatus, StepStatus
from control_plane.progress import Progress
from workers import build as build_worker
from workers import record
from workers import stack as stack_worker


@pytest.fixture
def made(source: str) -> Deployment:
    return build.opened(build.deployment(source=source))


@pytest.fixture
def codebuild(script: scripted.Scripted) -> CodeBuild:
    found = CodeBuild(script)
    script.on(aws.codebuild(), "StopBuild", lambda asked: {"build": {"id": asked["id"]}})
    return found


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


def test_no_step_is_begun_any_more(made: Deployment, codebuild: CodeBuild) -> None:
    cancel(made)
    with pytest.raises(Cancelled, match=UNTOUCHED):
        start(made)
    assert codebuild.started == []
    step = build.record(made)["steps"]["StartBuild"]
    assert (step["status"], step["note"]) == ("FAILED", UNTOUCHED)


def test_its_own_build_is_stopped_and_made_again_by_the_next(
    made: Deployment, codebuild: CodeBuild
) -> None:
    started = start(made)
    cancel(made)
    with pytest.raises(Cancelled, match="its build syndi-build:1 was stopped"):
        wait(made, started)
    assert codebuild.script.of("StopBuild") == [{"id": "syndi-build:1"}]
    with pytest.raises(Cancelled):  # the step runs twice
        wait(made, started)
    assert len(codebuild.script.of("StopBuild")) == 1
    assert start(another(made.source, ALPHA))["reused"] is False
    assert len(codebuild.started) == 2


def test_a_build_that_is_through_is_not_thrown_away(made: Deployment, codebuild: CodeBuild) -> None:
    started = start(made)
    codebuild.ends()
    cancel(made)
    with pytest.raises(Cancelled):
        wait(made, started)
    assert codebuild.script.of("StopBuild") == []
    assert start(another(made.source, ALPHA))["reused"] is True


def test_a_build_that_it_only_joined_goes_on(made: Deployment, codebuild: CodeBuild) -> None:
    other = another(made.source)
    started = start(other)
    joined = start(made)
    cancel(made)
    with pytest.raises(Cancelled, match="no build was stopped"):
        wait(made, joined)
    assert codebuild.script.of("StopBuild") == []
    assert wait(other, started)["done"] is False


@pytest.mark.parametrize("recorded", [True, False])
def test_whoever_joined_a_build_that_was_stopped_makes_it_anew(
    made: Deployment, codebuild: CodeBuild, recorded: bool
) -> None:
    started = start(made)
    other = another(made.source)
    joined = start(other)
    if recorded:
        cancel(made)
        with pytest.raises(Cancelled):
            wait(made, started)
    codebuild.ends(1, "STOPPED")  # and before that is in the table
    answer = wait(other, joined)
    assert (answer["done"], answer["reused"]) == (False, False)
    assert len(codebuild.started) == 2
    codebuild.ends(2)
    assert wait(other, answer)["build_id"] == "syndi-build:2"


def test_a_build_of_its_own_that_somebody_stopped_in_codebuild_is_a_failure(
    made: Deployment, codebuild: CodeBuild
) -> None:
    started = start(made)
    codebuild.ends(1, "STOPPED")
    with pytest.raises(BuildFailed, match="syndi-build:1 was stopped"):
        wait(made, started)
    assert start(another(made.source, ALPHA))["reused"] is False


# The build of an execution that was stopped or killed ---------------------------------------------


def ended(made: Deployment) -> dict[str, Any]:
    detail = {"executionArn": made.execution_arn, "status": "ABORTED"}
    return build_worker.handler({"source": "aws.states", "detail": detail}, None)


def test_the_build_of_a_stopped_execution_is_stopped_once(
    made: Deployment, codebuild: CodeBuild
) -> None:
    start(made)
    assert ended(made) == {"stopped": "syndi-build:1"}
    assert ended(made) == {"stopped": ""}
    assert len(codebuild.script.of("StopBuild")) == 1


def test_an_execution_that_built_nothing_or_joined_another_stops_nothing(
    made: Deployment, codebuild: CodeBuild
) -> None:
    assert ended(made) == {"stopped": ""}
    other = another(made.source)
    start(other)
    start(made)
    assert ended(made) == {"stopped": ""}
    assert codebuild.script.of("StopBuild") == []


def test_a_build_that_is_just_being_started_is_looked_at_again(
    made: Deployment, codebuild: CodeBuild
) -> None:
    codebuild.script.on(aws.codebuild(), "StartBuild", scripted.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        start(made)
    with pytest.raises(ServiceBusy, match="just being started"):
        ended(made)
    print_ = Builds(TABLE).of_execution(made.execution_arn)
    assert print_ is not None
    Builds(TABLE).started(print_, ALPHA.stack_name, made.execution_arn, "syndi-build:9")
    codebuild.builds["syndi-build:9"] = {"id": "syndi-build:9", "buildStatus": "IN_PROGRESS"}
    assert ended(made) == {"stopped": "syndi-build:9"}


# The stack ----------------------------------------------------------------------------------------


@pytest.fixture
def cloud(script: scripted.Scripted) -> Cloud:
    found = Cloud(script)
    found.says("CancelUpdateStack", {})
    return found


def await_stack(made: Deployment, has_changes: bool = True) -> dict[str, Any]:
    given = {"stack_id": STACK_ID, "has_changes": has_changes}
    return stack_worker.handler(build.event(made, "AwaitStack", **given), None)


def test_an_update_that_runs_is_undone_and_its_rollback_awaited(
    made: Deployment, cloud: Cloud
) -> None:
    cancel(made)
    cloud.says("DescribeStacks", stack("UPDATE_IN_PROGRESS"))
    cloud.has_events(event("UPDATE_IN_PROGRESS", token=made.id))
    assert await_stack(made) == {"done": False}
    (asked,) = cloud.asked("CancelUpdateStack")
    token = f"{made.id}-cancel"
    assert asked == {"StackName": STACK_ID, "ClientRequestToken": token}
    cloud.says("DescribeStacks", stack("UPDATE_ROLLBACK_IN_PROGRESS"))
    rolling = event("UPDATE_ROLLBACK_IN_PROGRESS", token=token)
    cloud.has_events(rolling, event("UPDATE_IN_PROGRESS", token=made.id))
    assert await_stack(made) == {"done": False}
    assert len(cloud.asked("CancelUpdateStack")) == 1
    cloud.has_events(
        event("UPDATE_ROLLBACK_COMPLETE", token=token),
        rolling,
        event("UPDATE_IN_PROGRESS", token=made.id),
    )
    with pytest.raises(Cancelled, match="UPDATE_ROLLBACK_COMPLETE: it is what it was before"):
        await_stack(made)


@pytest.mark.parametrize(
    ("running", "settled", "told"),
    [
        ("CREATE_IN_PROGRESS", "CREATE_COMPLETE", "it has the new build, which was not tested"),
        ("CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE", "the stack is ROLLBACK_COMPLETE"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE", "it has the new build"),
    ],
)
def test_what_cannot_be_undone_is_awaited(
    made: Deployment, cloud: Cloud, running: str, settled: str, told: str
) -> None:
    cancel(made)
    cloud.says("DescribeStacks", stack(running))
    cloud.has_events(event(running, token=made.id))
    assert await_stack(made) == {"done": False}
    assert cloud.asked("CancelUpdateStack") == []
    cloud.has_events(event(settled, token=made.id), event(running, token=made.id))
    with pytest.raises(Cancelled, match=told):
        await_stack(made)


def test_an_update_that_ended_in_the_moment_of_the_cancel_is_no_failure(
    made: Deployment, cloud: Cloud
) -> None:
    cancel(made)
    cloud.has_events(event("UPDATE_IN_PROGRESS", token=made.id))
    cloud.says("CancelUpdateStack", scripted.failure("ValidationError", "cannot be called"))
    cloud.says("DescribeStacks", stack("UPDATE_IN_PROGRESS"), stack("UPDATE_COMPLETE"))
    assert await_stack(made) == {"done": False}
    cloud.says("DescribeStacks", stack("UPDATE_IN_PROGRESS"))
    with pytest.raises(StackFailed, match="could not be cancelled: cannot be called"):
        await_stack(made)


def test_without_changes_there_is_nothing_to_undo(made: Deployment, cloud: Cloud) -> None:
    cancel(made)
    with pytest.raises(Cancelled, match="nothing to change"):
        await_stack(made, has_changes=False)


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
