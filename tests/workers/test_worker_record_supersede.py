"""A deployment behind a pending approval: it says what it waits for, or takes the place."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import CALLER, Reply, call
from people import People
from record_calls import NO_ROLLBACK
from test_worker_record import acquire, running
from worker_builders import TABLE

from control_plane import aws
from control_plane.models import Deployment
from control_plane.store.approvals import Approvals
from control_plane.store.progress import Progress
from workers import record

TOKEN = "t0ken"


@pytest.fixture
def sent(script: scripted.Scripted) -> scripted.Scripted:
    """What is sent to the execution that waits."""
    script.on(aws.stepfunctions(), "SendTaskFailure", {})
    script.on(aws.stepfunctions(), "SendTaskSuccess", {})
    return script


@pytest.fixture
def waits(world: None, people: People) -> Deployment:
    """A deployment that has the tenant and waits for an approval."""
    made = running(build.deployment(number=1))
    acquire(made)
    record.handler(build.event(made, "AwaitApproval", token=TOKEN), None)
    return made


def newer(**options: Any) -> Deployment:
    return running(build.deployment(number=2, **options))


def decide(made: Deployment, verb: str = "approve") -> Reply:
    return call("POST", f"/envs/stage/orgs/alpha/deployments/{made.id}/{verb}", {})


def test_whoever_waits_behind_it_is_shown_what_for_and_what_to_do(waits: Deployment) -> None:
    second, third = newer(), running(build.deployment(number=3))
    since = build.record(waits)["approval"]["requested_at"]
    for made in (second, third):
        assert acquire(made)["done"] is False
        note = call("GET", f"/deployments/{made.id}").body["steps"]["AcquireLock"]["note"]
        assert note.startswith(f"waits for the approval of {waits.id} since {since}: ")
        assert f"'syndi approve {waits.id}' or 'syndi reject {waits.id}'" in note


def test_what_it_waits_for_is_said_anew_when_that_has_changed(
    waits: Deployment, sent: scripted.Scripted
) -> None:
    second = newer()
    acquire(second)
    assert decide(waits).status == 200
    Progress(TABLE).begin_step(waits, "UploadConfig")
    acquire(second)
    assert (
        build.record(second)["steps"]["AcquireLock"]["note"] == f"waits for deployment {waits.id}"
    )


def test_one_that_supersedes_ends_it(waits: Deployment, sent: scripted.Scripted) -> None:
    second = newer(on_conflict="supersede")
    assert acquire(second)["done"] is False, "its execution removes its change set first"
    (failure,) = sent.of("SendTaskFailure")
    assert (failure["taskToken"], failure["error"]) == (TOKEN, "Superseded")
    assert second.id in failure["cause"]
    reply = decide(waits)
    assert (reply.status, reply.error["code"]) == (409, "Conflict")
    assert f"was superseded by {second.id}" in reply.error["message"]
    assert sent.of("SendTaskSuccess") == []
    given = {"env": "stage", "org": "alpha"}
    execution = {"Id": waits.execution_arn, "StartTime": "2026-11-22T12:01:00Z", "Input": given}
    cause = {"state": "AwaitApproval", "error": failure["error"], "cause": failure["cause"]}
    event = {"step": "RecordFailure", "execution": execution, "failure": cause}
    record.handler({**event, "rollback": NO_ROLLBACK}, None)
    found = build.record(waits)
    assert found["status"] == "SUPERSEDED"
    assert second.id in found["reason"]
    assert acquire(second)["done"] is True


def test_a_message_that_was_lost_is_sent_again(
    waits: Deployment, script: scripted.Scripted
) -> None:
    script.on(aws.stepfunctions(), "SendTaskFailure", scripted.failure("InternalServerError"))
    second = newer(on_conflict="supersede")
    with pytest.raises(Exception, match=r"InternalServerError|busy"):
        acquire(second)
    script.on(aws.stepfunctions(), "SendTaskFailure", {})
    assert acquire(second)["done"] is False
    assert len(script.of("SendTaskFailure")) >= 2


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_whoever_decides_first_wins(
    waits: Deployment, sent: scripted.Scripted, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the same moment: both have read that nobody has decided."""
    write = Approvals.decide

    def late(*given: Any) -> bool:
        monkeypatch.setattr(Approvals, "decide", write)
        assert decide(waits, verb).status == 200
        return write(*given)

    monkeypatch.setattr(Approvals, "decide", late)
    acquire(newer(on_conflict="supersede"))
    approval = build.record(waits)["approval"]
    assert (approval["decision"], approval["decided_by"]) == (f"{verb}ed".upper().replace(
        "APPROVEED", "APPROVED"), CALLER)  # fmt: skip
    assert [one["error"] for one in sent.of("SendTaskFailure")] == (
        ["ApprovalRejected"] if verb == "reject" else []
    )


def test_what_works_is_not_ended(waits: Deployment, sent: scripted.Scripted) -> None:
    decide(waits)
    second = newer(on_conflict="supersede")  # one: two of the same millisecond have no order
    for step in ("RegainSlot", "UploadConfig"):
        Progress(TABLE).begin_step(waits, step)
        assert acquire(second)["done"] is False
    assert sent.of("SendTaskFailure") == []
    assert build.holder() == waits.execution_arn


def test_who_only_waits_ends_nothing(waits: Deployment, sent: scripted.Scripted) -> None:
    acquire(newer())
    assert sent.of("SendTaskFailure") == []


def test_one_that_waited_too_long_behind_it_says_what_to_do(waits: Deployment) -> None:
    second = newer()
    acquire(second)
    failure = {"state": "AcquireLock", "error": "LockTimedOut", "cause": "not free"}
    event = {"step": "RecordFailure", "execution": build.execution_of(second), "failure": failure}
    record.handler({**event, "rollback": NO_ROLLBACK}, None)
    found = build.record(second)
    assert found["status"] == "FAILED"
    assert f"not free; at the end it waits for the approval of {waits.id} since" in found["reason"]
    assert f"'syndi approve {waits.id}' or 'syndi reject {waits.id}'" in found["reason"]
    assert f"'syndi retry {second.id}'" in found["hint"]
    assert build.holder() == waits.execution_arn
