"""Rollouts that their execution left without a word: what is told of them, and how they end."""

import pytest
from api_calls import call
from botocore.exceptions import ClientError
from rollout_calls import advance, later
from test_worker_api_rollouts import PATH, machine, start, started

from control_plane import aws

__all__ = ["machine"]


def test_a_rollout_whose_execution_is_over_says_so_and_is_ended_at_once(machine: str) -> None:
    made, arn = started()
    assert "execution_status" not in call("GET", f"/rollouts/{made}").body
    aws.stepfunctions().stop_execution(executionArn=arn)
    assert call("GET", f"/rollouts/{made}").body["execution_status"] == "ABORTED"
    reply = call("POST", f"{PATH}/{made}/cancel")
    assert reply.body["state"]["status"] == "CANCELLED"
    assert reply.body["note"].endswith("nobody drove it any more, its execution is ABORTED")
    assert "execution_status" not in call("GET", f"/rollouts/{made}").body
    assert start().status == 202, "and the next one may begin"


def test_one_whose_execution_ended_with_it_is_only_told(machine: str) -> None:
    made, arn = started()
    call("POST", f"{PATH}/{made}/cancel")
    advance(made, arn=arn)
    aws.stepfunctions().stop_execution(executionArn=arn)
    told = call("GET", f"/rollouts/{made}").body
    assert (told["state"]["status"], "execution_status" in told) == ("CANCELLED", False)


def test_one_that_ends_while_its_execution_is_asked_for_is_told_by_its_end(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, arn = started()
    call("POST", f"{PATH}/{made}/cancel")
    ends_meanwhile(monkeypatch, made, arn)
    told = call("GET", f"/rollouts/{made}").body
    assert (told["state"]["status"], "execution_status" in told) == ("CANCELLED", False)


def test_one_that_ends_while_it_is_cancelled_keeps_its_own_end(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, arn = started()
    ends_meanwhile(monkeypatch, made, arn)
    reply = call("POST", f"{PATH}/{made}/cancel")
    assert (reply.status, reply.body["state"]["status"]) == (202, "CANCELLED")
    assert "nobody drove it" not in reply.body["note"]


def ends_meanwhile(monkeypatch: pytest.MonkeyPatch, rollout_id: str, arn: str) -> None:
    """Its execution records its end, and is over, after the record was read."""

    def status(_: str) -> str:
        advance(rollout_id, arn=arn)
        return "SUCCEEDED"

    monkeypatch.setattr("control_plane.services.executions.status", status)


def test_one_without_an_execution_may_begin_yet_for_a_while(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = started()
    monkeypatch.setattr("control_plane.services.executions.status", lambda _: None)
    assert "execution_status" not in call("GET", f"/rollouts/{made}").body
    assert call("POST", f"{PATH}/{made}/cancel").body["state"]["status"] == "RUNNING", "it begins"
    after_a_while = later(minutes=3)
    monkeypatch.setattr("control_plane.use_cases.fleets.utc_now", lambda: after_a_while)
    assert call("GET", f"/rollouts/{made}").body["execution_status"] == "NEVER_STARTED"
    assert call("POST", f"{PATH}/{made}/cancel").body["state"]["status"] == "CANCELLED"


@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 200), ("AccessDenied", 500)])
def test_a_rollout_is_shown_although_step_functions_is_busy(
    machine: str, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    made, _ = started()

    def refuses(_: str) -> str:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeExecution")

    monkeypatch.setattr("control_plane.services.executions.status", refuses)
    assert call("GET", f"/rollouts/{made}").status == status


def test_one_that_is_driven_is_not_ended_by_the_api(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = started()
    after_a_while = later(minutes=3)
    monkeypatch.setattr("control_plane.use_cases.fleets.utc_now", lambda: after_a_while)
    assert call("POST", f"{PATH}/{made}/cancel").body["state"]["status"] == "RUNNING"
