"""How a shift ends: well, not well with the weights back, or cut off."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import route_calls as calls
import scripted_aws as scripted
import worker_builders as build
from api_calls import call
from route_calls import BLUE, ID, RUN, Traffic, failure, prepared, recorded, step, told
from worker_builders import ALPHA

from control_plane import aws
from control_plane.errors import RouteTaken, ServiceBusy
from control_plane.models import JsonObject
from workers import route

HERE = "/envs/stage/orgs/alpha/route"
CAUSE = json.dumps({"errorType": "ShiftUnsafe", "errorMessage": "alpha-blue: alarm a rings: x"})
WHY = failure("CheckShift", "ShiftUnsafe", CAUSE)


@pytest.fixture
def traffic(script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    for found in calls.begin(script, monkeypatch):
        call("PUT", HERE, {"weights": {"alpha": 95, "alpha-blue": 5}})
        call("PUT", HERE, {"weights": {"alpha": 100}})
        yield found


@pytest.fixture
def shift(traffic: Traffic) -> JsonObject:
    """A shift with its first step set."""
    made = prepared(traffic, steps=[10, 100])
    step("SetWeights", made, reached=0)
    return made


def test_a_shift_that_went_well_is_recorded_and_frees_the_route(
    traffic: Traffic, shift: JsonObject
) -> None:
    step("SetWeights", shift, reached=1)
    for _ in range(2):
        assert recorded(traffic, failure())["status"] == "SUCCEEDED"
    assert "holder" not in calls.item()
    assert calls.item()["shift"]["status"] == "SUCCEEDED"
    end = ("end", {"alpha": 0, "alpha-blue": 100})
    assert told(BLUE)[-1] == told(ALPHA)[-1] == end
    assert calls.changes(BLUE)[-1]["status"] == "SUCCEEDED"
    assert calls.item()["before"] == {"alpha": 100}, "one command goes back over the whole shift"


def test_a_failure_brings_the_weights_back_and_says_why(
    traffic: Traffic, shift: JsonObject
) -> None:
    for _ in range(2):
        restored = step("RestoreWeights", shift, failure=WHY)["restored"]
    assert traffic.weights() == {"alpha": 100}
    assert restored == "the weights are back: alpha 100 %", "the second time, too"
    answer = recorded(traffic, WHY, "the weights are back: alpha 100 %")
    reason = "CheckShift: alpha-blue: alarm a rings: x; the weights are back: alpha 100 %"
    assert answer == {"status": "FAILED", "reason": reason}
    assert [kind for kind, _ in told(BLUE)[-3:]] == ["shift", "restore", "end"]
    back = calls.changes(ALPHA)[-2]
    assert back["reason"] == "CheckShift: alpha-blue: alarm a rings: x"
    assert (back["before"], back["after"]) == ({"alpha": 90, "alpha-blue": 10}, {"alpha": 100})
    # The shift is as if it had not been: a reversal leads to what was before it.
    assert calls.item()["before"] == {"alpha": 95, "alpha-blue": 5}


def test_a_failure_before_the_first_step_changes_nothing(traffic: Traffic) -> None:
    made = prepared(traffic)
    restored = step("RestoreWeights", made, failure=WHY)["restored"]
    assert restored == "nothing was changed (alpha 100 %)"
    assert traffic.script.of("ChangeResourceRecordSets")[-1]["ChangeBatch"]["Comment"].startswith(
        "set by"
    )


def test_the_way_back_meets_another_change_and_still_gets_through(
    traffic: Traffic, shift: JsonObject
) -> None:
    traffic.zone.meanwhile = lambda: traffic.by_hand(alpha=1, alpha_blue=99)
    assert "are back" in step("RestoreWeights", shift, failure=WHY)["restored"]
    assert traffic.weights() == {"alpha": 100}


def test_a_way_back_that_others_keep_changing_gives_up(traffic: Traffic, shift: JsonObject) -> None:
    shares = iter(range(20, 80))

    def again() -> None:
        share = next(shares)
        traffic.by_hand(alpha=100 - share, alpha_blue=share)
        traffic.zone.meanwhile = again

    traffic.zone.meanwhile = again
    with pytest.raises(RouteTaken, match="others keep changing"):
        step("RestoreWeights", shift, failure=WHY)


def test_a_way_back_that_failed_is_told_with_both_reasons(
    traffic: Traffic, shift: JsonObject
) -> None:
    event = {
        "step": "RecordShift", "execution": calls.execution(), "failure": WHY, "restored": "",
        "not_restored": failure("RestoreWeights", "RouteTaken", "others keep changing it"),
    }  # fmt: skip
    told_ = route.handler(event, None)["reason"]
    assert told_.startswith("CheckShift: alpha-blue: alarm a rings: x; the weights could not be")
    assert told_.endswith("RestoreWeights: others keep changing it")
    assert "holder" not in calls.item()
    assert calls.item()["before"] == {"alpha": 100}, "a person can still reverse"


def test_an_end_after_a_reversal_tells_of_that(traffic: Traffic, shift: JsonObject) -> None:
    call("POST", f"{HERE}/reverse", {})
    answer = recorded(traffic, failure("CheckShift", "RouteTaken", "reversed"))
    assert answer["status"] == "REVERSED"
    assert answer["reason"].startswith("reversed by arn:aws:iam")
    assert [kind for kind, _ in told(BLUE)].count("end") == 0


def test_an_execution_without_a_route_is_red_and_records_nothing(traffic: Traffic) -> None:
    before = build.everything()
    for asked in ({"env": "moon"}, {"org": "beta", "to": "beta-blue"}):
        answer = recorded(traffic, failure("PrepareShift", "InvalidRequest", "no"), **asked)
        assert answer == {"status": "FAILED", "reason": "PrepareShift: no"}
    assert build.everything() == before


# Cut off ------------------------------------------------------------------------------------------


def ended(status: str, **more: Any) -> JsonObject:
    """EventBridge's word of an execution's end."""
    detail = {
        "executionArn": RUN, "status": status, "startDate": build.NOON.timestamp() * 1000,
        "input": json.dumps(calls.execution()["Input"]), **more,
    }  # fmt: skip
    return route.handler({"detail": detail}, None)


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
def test_an_execution_that_was_cut_off_takes_the_traffic_back(
    traffic: Traffic, shift: JsonObject, status: str
) -> None:
    for _ in range(2):
        assert ended(status)["status"] == "FAILED"
    assert traffic.weights() == {"alpha": 100}
    last = calls.item()["shift"]
    assert last["reason"] == (
        f"the execution ended {status}: it was stopped; the weights are back: alpha 100 %"
    )
    assert "holder" not in calls.item()
    assert [kind for kind, _ in told(BLUE)[-2:]] == ["restore", "end"]


def test_a_good_shift_whose_end_could_not_be_recorded_keeps_its_traffic(
    traffic: Traffic, shift: JsonObject
) -> None:
    step("SetWeights", shift, reached=1)
    assert step("CheckShift", shift, reached=2, bakes_until="")["move"] == "done"
    for _ in range(2):
        assert ended("FAILED", error="ServiceBusy")["status"] == "SUCCEEDED"
    assert traffic.weights() == {"alpha": 0, "alpha-blue": 100}
    assert "holder" not in calls.item()
    assert [kind for kind, _ in told(BLUE)[-2:]] == ["shift", "end"]


def test_the_word_of_an_end_that_was_recorded_changes_nothing(
    traffic: Traffic, shift: JsonObject
) -> None:
    call("POST", f"{HERE}/reverse", {})
    call("PUT", HERE, {"weights": {"alpha": 80, "alpha-blue": 20}})
    assert ended("ABORTED")["status"] == "REVERSED"
    assert traffic.weights() == {"alpha": 80, "alpha-blue": 20}


def test_the_word_of_an_end_that_names_no_route_is_no_error(traffic: Traffic) -> None:
    assert ended("FAILED", input="{}")["status"] == "FAILED"


def test_route_53_that_is_busy_is_asked_again(traffic: Traffic, shift: JsonObject) -> None:
    busy = scripted.failure("PriorRequestNotComplete")
    traffic.script.on(aws.route53(), "ChangeResourceRecordSets", busy)
    with pytest.raises(ServiceBusy):
        step("SetWeights", shift, reached=1)
    assert calls.item()["shift"]["id"] == ID


def test_the_sweep_ends_a_shift_whose_execution_is_over(
    traffic: Traffic, shift: JsonObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EventBridge's event of its end was lost."""
    traffic.running.add(RUN)
    assert route.handler({"sweep": True}, None) == {"closed": []}
    traffic.running.clear()
    monkeypatch.setattr("control_plane.services.executions.STARTING", timedelta(0))
    assert route.handler({"sweep": True}, None) == {"closed": [ID]}
    assert traffic.weights() == {"alpha": 100}
    assert "holder" not in calls.item()
    assert calls.item()["shift"]["status"] == "FAILED"
    assert route.handler({"sweep": True}, None) == {"closed": []}
