"""The route worker tells people that a shift failed: at least once, whatever dies."""

import json
from collections.abc import Callable, Iterator

import pytest
import route_calls as calls
import scripted_aws as scripted
import worker_builders as build
from api_calls import call
from botocore.exceptions import EndpointConnectionError
from people import People, died
from route_calls import RUN, Traffic, failure, prepared, recorded, step

from control_plane.models import JsonObject
from control_plane.store.route_store import Routes
from workers import route

HERE = "/envs/stage/orgs/alpha/route"
CAUSE = json.dumps({"errorType": "ShiftUnsafe", "errorMessage": "alpha-blue: alarm a rings: x"})
WHY = failure("CheckShift", "ShiftUnsafe", CAUSE)
OTHER = RUN.replace("000abcde", "000fghij")


@pytest.fixture
def traffic(script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    for found in calls.begin(script, monkeypatch):
        call("PUT", HERE, {"weights": {"alpha": 100}})
        yield found


@pytest.fixture
def shift(traffic: Traffic) -> JsonObject:
    """A shift with its first step set."""
    made = prepared(traffic, steps=[10, 100])
    step("SetWeights", made, reached=0)
    return made


def end(traffic: Traffic) -> JsonObject:
    """RecordShift of one that failed."""
    return recorded(traffic, WHY, "the weights are back: alpha 100 %")


def finalize(traffic: Traffic, status: str = "FAILED") -> JsonObject:
    """EventBridge's word of the execution's end."""
    asked = json.dumps(calls.execution()["Input"])
    started = build.NOON.timestamp() * 1000
    detail = {"executionArn": RUN, "status": status, "startDate": started, "input": asked}
    return route.handler({"detail": detail}, None)


def set_weights(traffic: Traffic) -> object:
    """Somebody's next change of the route."""
    return call("PUT", HERE, {"weights": {"alpha": 80, "alpha-blue": 20}})


def test_people_are_told_once_that_a_shift_failed(
    traffic: Traffic, shift: JsonObject, people: People
) -> None:
    for _ in range(2):
        end(traffic)
    finalize(traffic)
    set_weights(traffic)
    (notice,) = people.notices
    assert notice.kind == "Shift Failed"
    assert "alpha-blue failed" in notice.subject
    assert "alarm a rings" in notice.reason
    assert notice.todo == call("GET", HERE).body["shift"]["hint"], "as 'syndi route show' has it"
    assert notice.todo.endswith("then 'syndi route shift stage alpha --to alpha-blue' again")
    assert RUN in notice.console_url
    assert (notice.facts["shift"], notice.facts["status"]) == (shift["id"], "FAILED")


def test_nobody_is_told_of_what_went_well_or_was_reversed(
    traffic: Traffic, shift: JsonObject, people: People
) -> None:
    recorded(traffic, failure())
    prepared(traffic, OTHER, steps=[50])
    call("POST", f"{HERE}/reverse", {})
    finalize(traffic, "ABORTED")
    assert people.notices == []


@pytest.mark.parametrize("comes_next", [end, finalize, set_weights])
@pytest.mark.parametrize("lost", [died(), None], ids=["killed", "refused"])
def test_an_end_that_was_recorded_and_not_told_is_told_by_whoever_comes_next(
    traffic: Traffic,
    shift: JsonObject,
    people: People,
    lost: Exception | None,
    comes_next: Callable[[Traffic], object],
) -> None:
    people.lost = [lost]
    try:
        end(traffic)
    except RuntimeError:
        assert lost is not None
    assert calls.item()["shift"]["status"] == "FAILED", "written before"
    assert "holder" not in calls.item()
    for _ in range(2):
        comes_next(traffic)
    assert people.kinds == ["Shift Failed"]
    assert "alarm a rings" in people.notices[0].reason, "as it was recorded"
    shown = call("GET", HERE).body["shift"]
    assert "untold" not in shown
    assert "untold" not in calls.item()["shift"]


def test_the_next_shift_does_not_hide_that_the_last_one_was_not_told(
    traffic: Traffic, shift: JsonObject, people: People
) -> None:
    step("RestoreWeights", shift, failure=WHY)
    people.lost = [died()]
    with pytest.raises(RuntimeError, match="killed"):
        end(traffic)
    assert "untold" not in call("GET", HERE).body["shift"], "nobody's business"
    prepared(traffic, OTHER)
    assert [notice.facts["shift"] for notice in people.notices] == [shift["id"]]
    assert finalize(traffic)["status"] == "FAILED", "it is over, and told"
    assert people.kinds == ["Shift Failed"]


def test_a_shift_that_died_without_a_word_is_told_by_whoever_finds_it(
    traffic: Traffic, shift: JsonObject, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.route_changes.is_alive", lambda item: False)
    set_weights(traffic)
    finalize(traffic)
    assert [notice.reason for notice in people.notices] == ["its execution ended without a word"]
    assert "nobody brought its traffic back" in people.notices[0].todo


def test_a_mark_that_cannot_be_taken_back_fails_nothing(
    traffic: Traffic, shift: JsonObject, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    with monkeypatch.context() as patched:
        patched.setattr(Routes, "told", refused)
        assert end(traffic)["status"] == "FAILED"
    finalize(traffic)
    assert people.kinds == ["Shift Failed"] * 2, "twice is better than never"
