"""The steps of a shift: the tenant is looked at, weights are set, and a reversal goes first."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import route_calls as calls
import scripted_aws as scripted
import worker_builders as build
from api_calls import Reply, call
from route_calls import BLUE, ID, RUN, SILENCE, Traffic, failure, prepared, ring, step, told
from worker_builders import ALPHA

from control_plane import aws
from control_plane.errors import (
    Conflict,
    RouteTaken,
    ServiceBusy,
    ShiftUnsafe,
    TenantNotReady,
)
from control_plane.models import JsonObject, utc_now
from control_plane.services.live import Answer

HERE = "/envs/stage/orgs/alpha/route"


@pytest.fixture
def traffic(script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    for found in calls.begin(script, monkeypatch):
        call("PUT", HERE, {"weights": {"alpha": 100}})
        yield found


def looked(shift: JsonObject, reached: int = 0, bakes_until: str = "") -> JsonObject:
    return step("CheckShift", shift, reached=reached, bakes_until=bakes_until)


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
            Answer(200, {"build": calls.FINGERPRINT, "status": "degraded"}),
            TenantNotReady,
            "status is 'degraded'",
        ),
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
    written = len(traffic.script.of("ChangeResourceRecordSets"))
    for again in (
        lambda: looked(shift, 2), lambda: step("SetWeights", shift, reached=2),
        lambda: prepared(traffic),
    ):  # fmt: skip
        with pytest.raises((RouteTaken, Conflict)):
            again()
    gone = step("RestoreWeights", shift, failure=failure("CheckShift", "RouteTaken"))
    assert gone == {"restored": "the route was not its any more"}
    assert len(traffic.script.of("ChangeResourceRecordSets")) == written
    assert traffic.weights() == {"alpha": 100}
    assert told(BLUE)[-1] == ("reverse", {"alpha": 100})


@pytest.mark.parametrize("reached", [0, 1])
@pytest.mark.parametrize("when", ["before it writes to the zone", "before it records that"])
def test_a_step_that_a_reversal_overtakes_leaves_no_traffic_behind(
    traffic: Traffic, when: str, reached: int
) -> None:
    """The step has looked whether it has the route, and is at work, when the shift is reversed."""
    shift = prepared(traffic)
    for done in range(reached):
        step("SetWeights", shift, reached=done)
    if when == "before it writes to the zone":
        traffic.zone.meanwhile = reverse
    else:
        calls.before_recording(traffic, reverse)
    with pytest.raises(RouteTaken):
        step("SetWeights", shift, reached=reached)
    assert traffic.weights() == {"alpha": 100}
    assert calls.item()["weights"] == {"alpha": 100}
    assert told(ALPHA)[-1] == ("reverse", {"alpha": 100})


def test_a_reversal_before_the_first_step_ends_the_shift_and_keeps_what_was_before(
    traffic: Traffic,
) -> None:
    call("PUT", HERE, {"weights": {"alpha": 90, "alpha-blue": 10}})
    shift = prepared(traffic, steps=[50])
    assert reverse().body["weights"] == {"alpha": 90, "alpha-blue": 10}
    written = len(traffic.script.of("ChangeResourceRecordSets"))
    with pytest.raises(RouteTaken, match="reversed by"):
        step("SetWeights", shift, reached=0)
    assert len(traffic.script.of("ChangeResourceRecordSets")) == written
    assert calls.item()["before"] == {"alpha": 100}
    assert reverse().body["weights"] == {"alpha": 100}
