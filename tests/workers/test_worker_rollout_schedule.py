"""A rollout that a schedule starts, and that cannot begin: skipped, or people are told."""

import json
from datetime import timedelta
from typing import Any

import pytest
from people import People
from rollout_calls import ARN, advance, execution, found, prepare, state
from worker_builders import TABLE

from control_plane.errors import InvalidRequest
from control_plane.models import JsonObject, utc_now
from control_plane.rules.rollout_overlaps import UNSEEN
from control_plane.settings import forget_settings
from control_plane.store.rollout_turns import RolloutTurns
from control_plane.store.rollouts import Rollouts, loaded
from control_plane.store.starts import Starts
from workers import rollout

CLOCK = {"env": "stage", "tenants": ["beta"], "trigger": "schedule"}
OTHER = ARN + "2"


@pytest.fixture(autouse=True)
def _slots_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYMENT_SLOTS", "50")
    forget_settings()


def by_schedule(given: JsonObject) -> str:
    """The rollout of an execution that the record worker registered for a schedule, or that was
    started by hand, as its input says."""
    if "trigger" in given:
        Starts(TABLE).register(OTHER, given)
    return prepare(given, OTHER)


def refused(given: JsonObject) -> str:
    """A rollout cannot be prepared, and the state machine ends it; the reason."""
    with pytest.raises(InvalidRequest) as error:
        by_schedule(given)
    cause = json.dumps({"errorType": "InvalidRequest", "errorMessage": str(error.value)})
    failure = {"state": "PrepareRollout", "error": "InvalidRequest", "cause": cause}
    event = {"step": "StopRollout", "execution": execution(given, OTHER), "failure": failure}
    return str(rollout.handler(event, None)["reason"])


def test_while_another_is_at_work_it_is_skipped_and_nobody_is_told(
    source: str, people: People
) -> None:
    first = prepare(tenants=["alpha"])
    for _ in range(2):
        made = by_schedule(CLOCK)
        answer = advance(made, arn=OTHER)
        assert (answer["action"], answer["good"], answer["starts"]) == ("finished", True, [])
    assert (found(made)["trigger"], state(made)["status"]) == ("schedule", "SKIPPED")
    assert f"rollout {first} of notes in stage is RUNNING" in state(made)["failure"]
    assert (people.notices, found(made).get("hint")) == ([], None)
    assert advance(first)["starts"], "the other one goes on"


def test_one_that_was_skipped_stays_so_when_it_is_prepared_again_later(source: str) -> None:
    first = prepare(tenants=["alpha"])
    made = by_schedule(CLOCK)
    Rollouts(TABLE).ask(first, {"paused_by": "eve"})
    assert by_schedule(CLOCK) == made, "also when the other one waits for somebody by now"
    Rollouts(TABLE).ask(first, {"paused_by": None, "cancelled_by": "eve"})
    advance(first)
    assert by_schedule(CLOCK) == made
    assert (state(made)["status"], advance(made, arn=OTHER)["starts"]) == ("SKIPPED", [])
    assert prepare(CLOCK, ARN + "3") != made, "and the next one begins"


def test_one_that_lost_to_a_rollout_that_has_ended_since_is_skipped(source: str) -> None:
    made = prepare(tenants=["alpha"])
    told = RolloutTurns(TABLE).skip(loaded(found(made)))
    assert "the schedule comes again" in (told or "")


def test_people_start_none_beside_it(source: str, people: People) -> None:
    prepare(tenants=["alpha"])
    assert "is RUNNING: let it end" in refused({"env": "stage", "tenants": ["beta"]})


@pytest.mark.parametrize(
    ("wish", "status"),
    [({"paused_by": "eve"}, "is PAUSED: 'syndi rollout resume"), ({}, "nobody drives it since")],
    ids=["paused", "gone"],
)
def test_one_that_waits_for_somebody_is_named_to_people_each_time(
    source: str, people: People, monkeypatch: pytest.MonkeyPatch, wish: JsonObject, status: str
) -> None:
    first = prepare(tenants=["alpha"])
    if wish:
        Rollouts(TABLE).ask(first, wish)
    else:
        late = utc_now() + UNSEEN + timedelta(seconds=1)
        monkeypatch.setattr("control_plane.store.rollout_turns.utc_now", lambda: late)
    assert status in refused(CLOCK)
    (notice,) = people.notices
    assert (notice.kind, first in notice.reason, status in notice.reason) == (
        "Rollout Failed", True, True,
    )  # fmt: skip
    assert "--tenants" not in notice.todo


NOBODY: dict[str, Any] = {"env": "stage", "trigger": "schedule"}


def test_people_are_told_of_one_that_fits_nobody_any_more_though_it_has_no_record(
    source: str, people: People
) -> None:
    refused(NOBODY)
    (notice,) = people.notices
    assert "no tenant fits" in notice.reason
    assert "'syndi rollout schedule show stage'" in notice.todo
    assert OTHER in notice.console_url
    assert Rollouts(TABLE).newest(5) == []


def test_whoever_starts_one_that_fits_nobody_sees_it_himself(source: str, people: People) -> None:
    refused({"env": "stage"})
    assert people.notices == []
