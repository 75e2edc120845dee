"""Approvals: asked for where they must be, decided once, and told to the execution."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import CALLER, Reply, call
from record_calls import BARE, prepare, registered
from worker_builders import ALPHA, TABLE

from control_plane import aws
from control_plane.api import routes
from control_plane.models import Deployment, DeploymentStatus, Env
from control_plane.settings import forget_settings
from control_plane.store.history import History
from control_plane.store.progress import Progress
from workers import record

TOKEN = "AQCEAAAAKgAAAAMAAAAAAAAAAf"


@pytest.fixture
def sent(script: scripted.Scripted) -> scripted.Scripted:
    """Step Functions takes every answer, and remembers it."""
    script.on(aws.stepfunctions(), "SendTaskSuccess", {})
    script.on(aws.stepfunctions(), "SendTaskFailure", {})
    return script


@pytest.fixture
def waits(sent: scripted.Scripted) -> Deployment:
    """A deployment that waits for an approval."""
    made = build.opened(build.deployment())
    assert ask(made) == {"done": False}
    return made


def ask(made: Deployment, token: str = TOKEN) -> dict[str, Any]:
    return record.handler(build.event(made, "AwaitApproval", token=token), None)


def decide(made: Deployment, verb: str = "approve", comment: str = "") -> Reply:
    path = f"/envs/stage/orgs/alpha/deployments/{made.id}/{verb}"
    return call("POST", path, {"comment": comment})


def answers(sent: scripted.Scripted) -> int:
    return len(sent.of("SendTaskSuccess")) + len(sent.of("SendTaskFailure"))


# Who has to ask -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environments", "given", "needed"),
    [
        ("", {}, False),
        ("", {"approval": True}, True),
        ("stage", {}, True),
        ("prod,stage", {}, True),
        ("prod", {}, False),
        ("stage", {"dry_run": True}, False),
        ("stage", {"mode": "drift"}, False),
        ("stage", {"mode": "deploy-only"}, True),
        ("", {"mode": "offboard", "confirm": "notes-stage-alpha"}, False),
    ],
)
def test_an_approval_is_needed_where_it_is_asked_for_or_required(
    source: str,
    monkeypatch: pytest.MonkeyPatch,
    environments: str,
    given: dict[str, Any],
    needed: bool,
) -> None:
    monkeypatch.setenv("APPROVAL_ENVIRONMENTS", environments)
    forget_settings()
    assert prepare(registered({**BARE, **given})).options.approval is needed


def test_removing_prod_always_needs_an_approval(world: None) -> None:
    build.push_source(envs=(Env.PROD,))
    asked = {"env": "prod", "org": "alpha", "mode": "offboard", "confirm": "notes-prod-alpha"}
    assert prepare(registered(asked)).options.approval is True


# Asking -------------------------------------------------------------------------------------------


def test_a_deployment_that_waits_says_so_and_keeps_its_token_to_itself(
    waits: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    found = build.record(waits)
    assert found["status"] == "AWAITING_APPROVAL"
    assert found["approval"]["token"] == TOKEN
    assert found["approval"]["requested_at"] < found["approval"]["expires_at"]
    for path in ("/envs/stage/orgs/alpha/deployments", f"/deployments/{waits.id}"):
        assert TOKEN not in json.dumps(call("GET", path).body)
    listed = aws.dynamodb().scan(TableName=TABLE, IndexName="listing")["Items"]
    assert [item["id"]["S"] for item in listed] == [waits.id]
    assert TOKEN not in json.dumps(listed)
    assert TOKEN not in json.dumps(decide(waits).body)
    shown = capsys.readouterr()
    assert TOKEN not in shown.out + shown.err


def test_a_step_that_runs_again_asks_with_the_newer_token(
    waits: Deployment, sent: scripted.Scripted
) -> None:
    ask(waits, "newer")
    decide(waits)
    assert [asked["taskToken"] for asked in sent.of("SendTaskSuccess")] == ["newer"]


# Deciding -----------------------------------------------------------------------------------------


def test_an_approval_is_recorded_with_who_and_lets_the_execution_go_on(
    waits: Deployment, sent: scripted.Scripted
) -> None:
    reply = decide(waits, comment="looks\n good")
    assert reply.status == 200
    approval = build.record(waits)["approval"]
    assert (approval["decision"], approval["decided_by"]) == ("APPROVED", CALLER)
    assert approval["decided_at"] >= approval["requested_at"]
    step = build.record(waits)["steps"]["AwaitApproval"]
    assert (step["status"], step["note"]) == ("SUCCEEDED", f"approved by {CALLER}: looks good")
    assert step["finished_at"]
    (asked,) = sent.of("SendTaskSuccess")
    assert (asked["taskToken"], json.loads(asked["output"])) == (
        TOKEN,
        {"approved_by": CALLER, "config_version": 0},
    )
    assert sent.of("SendTaskFailure") == []
    assert reply.body["approval"] == {k: v for k, v in approval.items() if k != "token"}


def test_a_rejection_ends_the_execution_with_who_and_why(
    waits: Deployment, sent: scripted.Scripted
) -> None:
    assert decide(waits, "reject", "not on a Friday").status == 200
    (asked,) = sent.of("SendTaskFailure")
    assert asked["error"] == "ApprovalRejected"
    assert asked["cause"] == f"rejected by {CALLER}: not on a Friday"
    step = build.record(waits)["steps"]["AwaitApproval"]
    assert (step["status"], step["note"]) == ("FAILED", asked["cause"])
    assert sent.of("SendTaskSuccess") == []


@pytest.mark.parametrize(("first", "second"), [("approve", "reject"), ("reject", "approve")])
def test_a_decision_stays(
    waits: Deployment, sent: scripted.Scripted, first: str, second: str
) -> None:
    decide(waits, first)
    before = build.record(waits)
    reply = decide(waits, second)
    assert (reply.status, reply.error["code"]) == (409, "Conflict")
    assert (
        f"{'approved' if first == 'approve' else 'rejected'} by {CALLER}" in reply.error["message"]
    )
    assert build.record(waits) == before
    assert answers(sent) == 1


def test_a_decision_that_could_not_be_sent_is_sent_by_the_same_call_again(
    waits: Deployment, sent: scripted.Scripted
) -> None:
    sent.on(aws.stepfunctions(), "SendTaskSuccess", scripted.failure("AccessDeniedException"), {})
    assert decide(waits, comment="first").status == 500
    decided = build.record(waits)["approval"]
    assert decided["decision"] == "APPROVED"
    assert decide(waits, "reject").status == 409, "what was decided stays"
    assert decide(waits, comment="second").status == 200
    assert len(sent.of("SendTaskSuccess")) == 2
    assert build.record(waits)["approval"] == decided, "the first decision, its time and its why"


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_token_that_nobody_waits_for_is_a_conflict_that_says_what_to_do(
    waits: Deployment, sent: scripted.Scripted, code: str
) -> None:
    sent.on(aws.stepfunctions(), "SendTaskSuccess", scripted.failure(code))
    reply = decide(waits)
    assert (reply.status, reply.error["code"]) == (409, "Conflict")
    assert f"syndi retry {waits.id}" in reply.error["message"]


def test_an_answer_that_was_lost_on_its_way_back_is_no_conflict(
    waits: Deployment, sent: scripted.Scripted
) -> None:
    def went_on(asked: dict[str, Any]) -> dict[str, Any]:
        Progress(TABLE).begin_step(waits, "UploadConfig")
        return scripted.failure("TaskTimedOut")

    sent.on(aws.stepfunctions(), "SendTaskSuccess", went_on)
    reply = decide(waits)
    assert (reply.status, reply.body["status"]) == (200, "RUNNING")


def test_what_expired_is_not_approved_any_more(waits: Deployment, sent: scripted.Scripted) -> None:
    past = {"token": TOKEN, "requested_at": "2020-01-01T00:00:00+00:00"}
    approval = {**past, "expires_at": "2020-01-02T00:00:00+00:00"}
    Progress(TABLE).add_facts(waits, {"approval": approval})
    reply = decide(waits)
    assert reply.status == 409
    assert "over at 2020-01-02" in reply.error["message"]
    assert "decision" not in build.record(waits)["approval"]
    assert answers(sent) == 0


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_what_does_not_wait_is_a_conflict_that_says_what_it_is(
    sent: scripted.Scripted, verb: str
) -> None:
    made = build.opened(build.deployment())
    assert "waits for no approval: it is QUEUED" in decide(made, verb).error["message"]
    Progress(TABLE).begin_step(made, "AwaitApproval")  # and its token is not there yet
    assert "in a moment" in decide(made, verb).error["message"]
    History(TABLE).fail(ALPHA, made.id, made.execution_arn, DeploymentStatus.TIMED_OUT, {})
    reply = decide(made, verb)
    assert (reply.status, reply.error["code"]) == (409, "Conflict")
    assert "it is TIMED_OUT" in reply.error["message"]
    assert answers(sent) == 0


def test_a_deployment_that_does_not_exist_is_not_found(sent: scripted.Scripted) -> None:
    assert decide(build.deployment()).status == 404


def test_of_two_at_once_the_faster_one_decides(
    waits: Deployment, sent: scripted.Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read the record before one of them writes."""
    before = build.record(waits)
    decide(waits, "reject")
    stale = iter([before])
    listing = routes.front().listing
    real = type(listing).get
    monkeypatch.setattr(
        type(listing), "get", lambda self, *which: next(stale, None) or real(self, *which)
    )
    reply = decide(waits)
    assert reply.status == 409
    assert "rejected by" in reply.error["message"]
    assert sent.of("SendTaskSuccess") == []
