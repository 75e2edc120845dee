"""The steps of a shift: the route is taken, the tenant looked at, weights set, and taken back."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import route_calls as calls
import scripted_aws as scripted
import worker_builders as build
from api_calls import CALLER, Reply, call
from route_calls import BLUE, ID, RUN, SILENCE, Traffic, failure, prepared, step, told
from worker_builders import ALPHA

from control_plane import aws
from control_plane.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    RouteTaken,
    ServiceBusy,
    ShiftUnsafe,
    TenantNotReady,
)
from control_plane.live import Answer
from control_plane.models import JsonObject, utc_now
from workers import route

HERE = "/envs/stage/orgs/alpha/route"


@pytest.fixture
def traffic(script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    for found in calls.begin(script, monkeypatch):
        call("PUT", HERE, {"weights": {"alpha": 100}})
        yield found


def looked(shift: JsonObject, reached: int = 0, bakes_until: str = "") -> JsonObject:
    return step("CheckShift", shift, reached=reached, bakes_until=bakes_until)


def ring(traffic: Traffic, **states: str) -> None:
    """Alarms and their states."""
    found = [
        {"AlarmName": name, "StateValue": state, "StateReason": f"{name} says so"}
        for name, state in states.items()
    ]
    half = len(found) // 2
    traffic.script.on(
        aws.cloudwatch(), "DescribeAlarms",
        lambda asked: {
            "MetricAlarms": [a for a in found[half:] if a["AlarmName"] in asked["AlarmNames"]],
            "CompositeAlarms": [a for a in found[:half] if a["AlarmName"] in asked["AlarmNames"]],
        },
    )  # fmt: skip


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


# CheckShift ---------------------------------------------------------------------------------------


def test_a_tenant_that_is_well_gets_the_next_step(traffic: Traffic) -> None:
    shift = prepared(traffic)
    assert looked(shift)["move"] == "set"
    noted = calls.item()["shift"]
    assert [(check["name"], check["status"]) for check in noted["checks"]] == [
        ("health", "PASSED"), ("no-token", "PASSED"),
    ]  # fmt: skip
    soon, past = utc_now() + timedelta(seconds=20), utc_now() - timedelta(seconds=1)
    baking = looked(shift, 1, soon.isoformat())
    assert baking["move"] == "bake"
    assert 15 <= baking["seconds"] <= 20
    assert looked(shift, 1, past.isoformat())["move"] == "set"
    assert looked(shift, 3, past.isoformat())["move"] == "done"
    assert calls.item()["shift"]["note"] == "alpha-blue is well with 100 %, as was asked for"


@pytest.mark.parametrize(
    ("path", "answer", "error", "message"),
    [
        ("/health", Answer(500, None), TenantNotReady, "expected 200, got 500"),
        (
            "/health",
            Answer(200, {"build": "0" * 64}),
            TenantNotReady,
            "expected build ffffffffffff",
        ),
        ("/health", SILENCE, TenantNotReady, "does not answer"),
        ("/me", Answer(200, {}), ShiftUnsafe, "alpha-blue: no-token: expected 401, got 200"),
    ],
)
def test_a_tenant_that_is_not_well_gets_no_more(
    traffic: Traffic, path: str, answer: Answer | Exception, error: type[Exception], message: str
) -> None:
    shift = prepared(traffic)
    traffic.answers[path] = answer
    with pytest.raises(error, match=message):
        looked(shift)
    assert calls.item()["shift"]["checks"][-1]["status"] == "FAILED"


def test_a_tenant_without_authentication_is_asked_for_none(traffic: Traffic) -> None:
    source = build.push_source(calls.FILES)
    calls.deployed(BLUE, source, stack={"parameters": {"EnableAuth": "false"}})
    traffic.answers["/me"] = Answer(200, {})
    assert looked(prepared(traffic))["move"] == "set"


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({"a": "OK", "b": "ALARM"}, "alarm b rings: b says so"),
        ({"a": "ALARM", "b": "OK"}, "alarm a rings: a says so"),
        ({"a": "OK"}, "alarm b does not exist"),
    ],
)
def test_an_alarm_that_rings_or_is_gone_ends_a_shift(
    traffic: Traffic, states: dict[str, str], message: str
) -> None:
    ring(traffic, a="OK", b="INSUFFICIENT_DATA")
    shift = prepared(traffic, alarms=["a", "b"])
    assert looked(shift)["move"] == "set"
    ring(traffic, **states)
    with pytest.raises(ShiftUnsafe, match=message):
        looked(shift, 1)
    assert calls.item()["shift"]["note"] == message


def test_a_throttled_look_is_retried(traffic: Traffic) -> None:
    ring(traffic, a="OK")
    shift = prepared(traffic, alarms=["a"])
    traffic.script.on(aws.cloudwatch(), "DescribeAlarms", scripted.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        looked(shift)


# SetWeights ---------------------------------------------------------------------------------------


def test_each_step_is_set_and_recorded_once_however_often_it_runs(traffic: Traffic) -> None:
    shift = prepared(traffic, steps=[10, 100], every_seconds=600)
    for reached in (0, 0, 1):
        answer = step("SetWeights", shift, reached=reached)
        assert (answer["reached"], answer["seconds"]) == (reached + 1, 30)
    assert traffic.weights() == {"alpha": 0, "alpha-blue": 100}
    steps = [("shift", {"alpha": 90, "alpha-blue": 10}), ("shift", {"alpha": 0, "alpha-blue": 100})]
    assert told(BLUE) == steps
    assert told(ALPHA)[-2:] == steps
    assert [c["id"] for c in calls.changes(BLUE)] == [f"{ID}-01", f"{ID}-02"]
    assert (calls.item()["before"], calls.item()["shift"]["step"]) == ({"alpha": 100}, 2)


def test_a_step_does_not_overwrite_what_somebody_else_set(traffic: Traffic) -> None:
    shift = prepared(traffic)
    step("SetWeights", shift, reached=0)
    traffic.by_hand(alpha=30, alpha_blue=70)
    with pytest.raises(RouteTaken, match="alpha 30 %, alpha-blue 70 %"):
        step("SetWeights", shift, reached=1)
    traffic.by_hand(alpha=90, alpha_blue=10)
    traffic.zone.meanwhile = lambda: traffic.by_hand(alpha=30, alpha_blue=70)
    with pytest.raises(RouteTaken, match="in this moment"):
        step("SetWeights", shift, reached=1)
    assert traffic.weights() == {"alpha": 30, "alpha-blue": 70}
    assert len(told(BLUE)) == 1


# Reversed -----------------------------------------------------------------------------------------


def reverse() -> Reply:
    return call("POST", f"{HERE}/reverse", {})


def test_a_reversal_ends_the_shift_and_takes_all_back(traffic: Traffic) -> None:
    shift = prepared(traffic)
    for reached in (0, 1):
        step("SetWeights", shift, reached=reached)
    answer = reverse().body
    assert answer["weights"] == {"alpha": 100} == traffic.weights()
    assert answer["shift"]["status"] == "REVERSED"
    assert traffic.script.of("StopExecution")[0]["executionArn"] == RUN
    for again in (
        lambda: looked(shift, 2), lambda: step("SetWeights", shift, reached=2),
        lambda: prepared(traffic),
    ):  # fmt: skip
        with pytest.raises((RouteTaken, Conflict)):
            again()
    gone = step("RestoreWeights", shift, failure=failure("CheckShift", "RouteTaken"))
    assert gone == {"restored": "the route was not its any more"}
    assert traffic.weights() == {"alpha": 100}
    assert told(BLUE)[-1] == ("reverse", {"alpha": 100})


@pytest.mark.parametrize("reached", [0, 1])
def test_a_step_that_a_reversal_overtakes_takes_its_weights_back(
    traffic: Traffic, reached: int
) -> None:
    """The step has looked whether it has the route, and is about to write, when it is reversed."""
    shift = prepared(traffic)
    for done in range(reached):
        step("SetWeights", shift, reached=done)
    calls.before_recording(traffic, reverse)
    with pytest.raises(RouteTaken, match=f"reversed by {CALLER}"):
        step("SetWeights", shift, reached=reached)
    assert traffic.weights() == {"alpha": 100}
    assert calls.item()["weights"] == {"alpha": 100}
    traffic.zone.meanwhile = None


def test_a_reversal_before_the_first_step_ends_the_shift_and_keeps_what_was_before(
    traffic: Traffic,
) -> None:
    call("PUT", HERE, {"weights": {"alpha": 90, "alpha-blue": 10}})
    prepared(traffic, steps=[50])
    assert reverse().body["weights"] == {"alpha": 90, "alpha-blue": 10}
    assert calls.item()["before"] == {"alpha": 100}
    assert reverse().body["weights"] == {"alpha": 100}


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


def test_an_unknown_question_is_an_error(traffic: Traffic) -> None:
    with pytest.raises(KeyError):
        route.handler({"ask": "sell", "of": ALPHA.model_dump(mode="json")}, None)
