"""The steps of a shift: the route is taken, the tenant looked at, weights set, and taken back."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import route_calls as calls
import scripted_aws as scripted
import worker_builders as build
from api_calls import CALLER, call
from botocore.exceptions import ConnectionClosedError
from route_calls import BLUE, ID, RUN, Traffic, prepared, ring, told
from worker_builders import ALPHA

from control_plane import aws
from control_plane.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
)
from workers import route

HERE = "/envs/stage/orgs/alpha/route"


@pytest.fixture
def traffic(script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    for found in calls.begin(script, monkeypatch):
        call("PUT", HERE, {"weights": {"alpha": 100}})
        yield found


# PrepareShift -------------------------------------------------------------------------------------


def test_a_shift_takes_the_route_and_a_second_time_it_is_the_same(traffic: Traffic) -> None:
    shift = prepared(traffic, steps=[10, 100], requested_by=CALLER)
    assert (shift["id"], shift["before"]) == (ID, {"alpha": 100})
    assert prepared(traffic, steps=[10, 100], requested_by=CALLER) == shift
    assert calls.item()["holder"] == RUN
    shown = call("GET", HERE).body["shift"]
    assert (shown["status"], shown["step"], shown["execution_arn"]) == ("RUNNING", 0, RUN)
    assert traffic.weights() == {"alpha": 100}


def test_by_hand_a_few_words_are_enough(traffic: Traffic) -> None:
    shift = prepared(traffic, arn=f"{calls.SHIFT_MACHINE}:by-hand")
    assert (shift["steps"], shift["every_seconds"], shift["alarms"]) == ([10, 50, 100], 300, [])


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"to": "beta"}, InvalidRequest, "to: must be alpha"),
        ({"to": "alpha"}, Conflict, "needs one other tenant"),
        ({"steps": [50, 10]}, InvalidRequest, "steps: must rise"),
        ({"every_seconds": 0}, InvalidRequest, "every_seconds"),
        ({"org": "beta", "to": "beta-blue"}, NotFound, "beta has no route in stage"),
        ({"env": "moon"}, InvalidRequest, "env"),
        ({"colour": "blue"}, InvalidRequest, "colour"),
        ({"application": "control-plane"}, InvalidRequest, "control plane itself"),
        ({"alarms": ["a", "gone"]}, InvalidRequest, "alarms: there is no alarm gone"),
    ],
)
def test_what_cannot_be_shifted_is_refused_and_takes_nothing(
    traffic: Traffic, asked: dict[str, Any], error: type[Exception], message: str
) -> None:
    ring(traffic, a="OK")
    with pytest.raises(error, match=message):
        prepared(traffic, **asked)
    assert "holder" not in calls.item()


def test_records_that_somebody_changed_by_hand_are_looked_at_first(traffic: Traffic) -> None:
    traffic.by_hand(alpha=40, alpha_blue=60)
    with pytest.raises(Conflict, match=r"not as they were recorded \(alpha 100 %\)"):
        prepared(traffic)


def test_a_route_has_one_shift_at_a_time_and_one_that_died_loses_it(traffic: Traffic) -> None:
    prepared(traffic)
    other = RUN.replace("000abcde", "000fghij")
    with pytest.raises(Conflict, match=f"shift {ID} to alpha-blue has the route"):
        prepared(traffic, other)
    assert call("PUT", HERE, {"weights": {"alpha": 100}}).status == 409
    traffic.running.discard(RUN)
    started = (build.NOON - timedelta(seconds=60)).isoformat()
    aws.dynamodb().update_item(
        TableName=build.TABLE, Key=calls.ROUTE_KEY,
        UpdateExpression="SET #shift.started_at = :then",
        ExpressionAttributeNames={"#shift": "shift"},
        ExpressionAttributeValues={":then": {"S": started}},
    )  # fmt: skip
    shown = call("GET", HERE).body["shift"]
    assert (shown["status"], shown["reason"]) == ("FAILED", "its execution ended without a word")
    prepared(traffic, other)
    assert calls.item()["holder"] == other


def test_a_shift_whose_execution_is_just_being_started_keeps_the_route(traffic: Traffic) -> None:
    prepared(traffic)
    traffic.running.clear()
    with pytest.raises(Conflict, match="has the route"):
        prepared(traffic, RUN.replace("000abcde", "000fghij"))


# The API ------------------------------------------------------------------------------------------


def test_the_api_takes_the_route_and_starts_the_execution(traffic: Traffic) -> None:
    answer = call("POST", f"{HERE}/shift", {"to": "alpha-blue", "steps": [5, 100]})
    assert answer.status == 202
    arn = answer.body["execution_arn"]
    assert calls.item()["holder"] == arn
    assert answer.body["console_url"].endswith(arn)
    (started,) = aws.stepfunctions().list_executions(stateMachineArn=calls.SHIFT_MACHINE)[
        "executions"
    ]
    assert started["executionArn"] == arn
    again = call("POST", f"{HERE}/shift", {"to": "alpha-blue"})
    assert (again.status, again.error["code"]) == (409, "Conflict")
    assert prepared(traffic, arn, steps=[5, 100], requested_by=CALLER)["id"] == answer.body["id"]


def test_an_execution_that_cannot_be_started_frees_the_route(traffic: Traffic) -> None:
    denied = scripted.failure("AccessDeniedException", "no")
    traffic.script.on(aws.stepfunctions(), "StartExecution", denied)
    assert call("POST", f"{HERE}/shift", {"to": "alpha-blue"}).status == 500
    assert "holder" not in calls.item()
    assert "could not be started" in calls.item()["shift"]["reason"]
    assert told(BLUE) == [("end", {"alpha": 100})]


def test_a_start_without_an_answer_keeps_the_route(traffic: Traffic) -> None:
    """The shift may run: another one beside it would move the same traffic."""

    def no_answer(asked: dict[str, Any]) -> dict[str, Any]:
        raise ConnectionClosedError(endpoint_url="https://states.us-east-1.amazonaws.com")

    traffic.script.on(aws.stepfunctions(), "StartExecution", no_answer)
    unknown = scripted.failure("ExecutionDoesNotExist")
    traffic.script.on(aws.stepfunctions(), "DescribeExecution", unknown)
    answer = call("POST", f"{HERE}/shift", {"to": "alpha-blue"})
    assert (answer.status, answer.error["code"]) == (503, "ServiceBusy")
    assert "syndi route show stage alpha" in answer.error["message"]
    assert "holder" in calls.item()


def test_an_unknown_question_is_an_error(traffic: Traffic) -> None:
    with pytest.raises(KeyError):
        route.handler({"ask": "sell", "of": ALPHA.model_dump(mode="json")}, None)
