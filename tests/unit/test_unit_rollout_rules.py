"""How a rollout goes on: waves, budgets, bake time, approvals, pauses, the way back."""

from datetime import timedelta
from typing import Any

import pytest
from fleet import NOW, Drive, rollout

from control_plane.models import DeploymentStatus
from control_plane.rollout_models import Failure, RolloutStatus, RowStatus
from control_plane.rules.rollout_rules import Do, decide, row_status


def counts(drive: Drive, name: str) -> list[int]:
    return [getattr(wave, name) for wave in drive.rollout.waves]


def fails(*rows: tuple[int, int]) -> Any:
    return lambda wave, row: "FAILED" if (wave, row) in rows else "SUCCEEDED"


# Waves --------------------------------------------------------------------------------------------


def test_one_wave_after_the_other_and_every_tenant_once() -> None:
    drive = Drive(rollout(1, 3, 2))
    assert drive.to_the_end().status == RolloutStatus.SUCCEEDED
    assert drive.started == [("forth", w, r) for w, n in enumerate((1, 3, 2)) for r in range(n)]
    assert counts(drive, "succeeded") == [1, 3, 2]


def test_no_wave_begins_before_the_one_before_it_is_through() -> None:
    drive = Drive(rollout(2, 1))
    drive.step()
    drive.finish()
    drive.step()
    assert [wave for _, wave, _ in drive.started] == [0, 0]
    drive.finish()
    drive.step()
    assert [wave for _, wave, _ in drive.started] == [0, 0, 1]


@pytest.mark.parametrize("concurrency", [1, 3, 7])
def test_never_more_at_once_than_the_wave_allows(concurrency: int) -> None:
    drive = Drive(rollout(20, concurrency=concurrency))
    drive.to_the_end()
    assert drive.most == concurrency


def test_never_more_at_once_than_there_are_slots() -> None:
    of = rollout(20, concurrency=7)
    assert [decide(of, NOW, slots).room for slots in (1, 3, 7, 50)] == [1, 3, 7, 7]
    busy = Drive(of)
    busy.step()
    waits = decide(busy.rollout, NOW, 3)
    assert (waits.do, waits.room) == (Do.WAIT, 0), "fewer slots than when it began"


def test_who_is_skipped_takes_no_room() -> None:
    drive = Drive(rollout(5, concurrency=2), skips=lambda wave, row: row < 4)
    assert drive.to_the_end().status == RolloutStatus.SUCCEEDED
    assert (counts(drive, "skipped"), counts(drive, "succeeded")) == ([4], [1])
    assert drive.started == [("forth", 0, 4)]


def test_a_superseded_deployment_is_no_failure() -> None:
    drive = Drive(rollout(2), ends=lambda wave, row: "SUPERSEDED")
    assert drive.to_the_end().status == RolloutStatus.SUCCEEDED
    assert counts(drive, "skipped") == [2]


# Budgets ------------------------------------------------------------------------------------------


def test_as_many_as_may_fail_stop_nothing() -> None:
    drive = Drive(rollout(5, 5, allowed=2), ends=fails((0, 0), (0, 1), (1, 4)))
    assert drive.to_the_end().status == RolloutStatus.SUCCEEDED
    assert counts(drive, "failed") == [2, 1]


def test_one_more_stops_the_rest() -> None:
    drive = Drive(rollout(10, 5, concurrency=2, allowed=1), ends=fails((0, 0), (0, 1)))
    ended = drive.to_the_end()
    assert ended.status == RolloutStatus.FAILED
    assert ended.failure == "2 of wave 1 failed, and 1 may"
    assert ended.wave == 0
    assert len(drive.started) == 3, "one was started when the first had failed, which may"


def test_what_runs_comes_to_its_end_before_the_rollout_does() -> None:
    drive = Drive(rollout(4, concurrency=3), ends=fails((0, 0)))
    drive.step()
    drive.finish()
    decision = drive.step()
    assert (decision.do, len(drive.rollout.running)) == (Do.WAIT, 2)
    assert drive.to_the_end().status == RolloutStatus.FAILED
    assert counts(drive, "succeeded") == [2]


def test_the_budget_of_the_whole_rollout_counts_over_its_waves() -> None:
    drive = Drive(rollout(3, 3, allowed=3, **{}), ends=fails((0, 0), (1, 0), (1, 1)))
    drive.rollout = drive.rollout.model_copy(update={"allowed": 2})
    ended = drive.to_the_end()
    assert (ended.status, ended.failure) == (RolloutStatus.FAILED, "3 failed in all, and 2 may")


@pytest.mark.parametrize("status", ["FAILED", "ROLLED_BACK", "TIMED_OUT", "CANCELLED"])
def test_every_end_without_success_counts(status: str) -> None:
    drive = Drive(rollout(1, 1), ends=lambda wave, row: status)
    assert drive.to_the_end().status == RolloutStatus.FAILED
    assert counts(drive, "failed") == [1, 0]


# The way back -------------------------------------------------------------------------------------


def test_the_wave_that_went_wrong_is_brought_back_and_no_other() -> None:
    drive = Drive(rollout(2, 4, 3, concurrency=4, on_failure=Failure.ROLL_BACK), ends=fails((1, 2)))
    ended = drive.to_the_end()
    assert ended.status == RolloutStatus.ROLLED_BACK
    assert [s for s in drive.started if s[0] == "back"] == [("back", 1, row) for row in range(4)]
    assert (counts(drive, "rolled_back"), counts(drive, "succeeded")) == ([0, 4, 0], [2, 3, 0])
    assert RolloutStatus.ROLLING_BACK in drive.statuses


def test_the_way_back_keeps_to_the_waves_concurrency() -> None:
    drive = Drive(rollout(9, concurrency=9, on_failure=Failure.ROLL_BACK), ends=fails((0, 8)))
    drive.rollout = drive.rollout.model_copy(
        update={"waves": (drive.rollout.waves[0].model_copy(update={"concurrency": 3}),)}
    )
    assert drive.to_the_end().status == RolloutStatus.ROLLED_BACK
    assert drive.most == 3


def test_one_that_cannot_be_brought_back_is_said() -> None:
    drive = Drive(
        rollout(3, concurrency=3, on_failure=Failure.ROLL_BACK), ends=fails((0, 2)),
        back=lambda wave, row: "FAILED" if row == 0 else "SUCCEEDED",
    )  # fmt: skip
    ended = drive.to_the_end()
    assert ended.status == RolloutStatus.FAILED
    assert ended.failure == "1 of wave 1 failed, and 0 may; 1 could not be brought back"


# Between waves ------------------------------------------------------------------------------------


def test_a_wave_is_watched_before_the_next_and_the_last_one_too() -> None:
    drive = Drive(rollout(1, 1, bake_seconds=100))
    drive.step()
    drive.finish()
    decision = drive.step()
    assert (decision.do, drive.rollout.status) == (Do.WAIT, RolloutStatus.BAKING)
    drive.now = NOW + timedelta(seconds=99)
    assert drive.step().rollout.status == RolloutStatus.BAKING
    drive.now = NOW + timedelta(seconds=100)
    drive.step()
    assert drive.started == [("forth", 0, 0), ("forth", 1, 0)]
    drive.finish()
    assert drive.step().rollout.status == RolloutStatus.BAKING
    drive.now += timedelta(seconds=100)
    assert drive.step().rollout.status == RolloutStatus.SUCCEEDED


@pytest.mark.parametrize("number", [1, 2])
def test_an_alarm_at_the_end_of_a_wave_stops_the_rollout(number: int) -> None:
    drive = Drive(rollout(1, 1, alarms=("errors",)))
    drive.alarm = "in alarm: errors" if number == 1 else ""
    drive.step()
    drive.finish()
    drive.step()
    if number == 2:
        drive.alarm = "in alarm: errors"
        drive.finish()
    ended = drive.to_the_end()
    assert (ended.status, ended.failure) == (
        RolloutStatus.FAILED, f"after wave {number}: in alarm: errors",
    )  # fmt: skip


def test_the_next_wave_waits_for_a_yes_and_the_end_for_none() -> None:
    drive = Drive(rollout(1, 1, approval=True))
    drive.step()
    drive.finish()
    assert drive.step().rollout.status == RolloutStatus.AWAITING_APPROVAL
    drive.now += timedelta(hours=1)
    assert drive.step().seconds == 30
    drive.rollout = drive.rollout.model_copy(update={"approved": 1})
    assert drive.to_the_end().status == RolloutStatus.SUCCEEDED


def test_where_all_is_approved_the_first_wave_waits_too() -> None:
    drive = Drive(rollout(1, approval_first=True))
    assert drive.step().rollout.status == RolloutStatus.AWAITING_APPROVAL
    assert drive.started == []
    assert not drive.rollout.answers_for("forth-0-0")
    drive.rollout = drive.rollout.model_copy(update={"begun": True})
    drive.step()
    assert drive.rollout.answers_for("forth-0-0")
    assert not drive.rollout.answers_for("another")
    assert drive.to_the_end().status == RolloutStatus.SUCCEEDED


# What people ask for ------------------------------------------------------------------------------


def test_a_pause_starts_no_more_and_ends_nothing() -> None:
    drive = Drive(rollout(4, concurrency=2))
    drive.step()
    drive.rollout = drive.rollout.model_copy(update={"paused": True})
    drive.finish()
    assert drive.step().rollout.status == RolloutStatus.RUNNING, "one still runs"
    drive.finish()
    assert drive.step().rollout.status == RolloutStatus.PAUSED
    assert len(drive.started) == 2
    drive.rollout = drive.rollout.model_copy(update={"paused": False})
    assert drive.to_the_end().status == RolloutStatus.SUCCEEDED
    assert len(drive.started) == 4


def test_a_cancel_starts_no_more_and_waits_for_what_runs() -> None:
    drive = Drive(rollout(4, concurrency=2))
    drive.step()
    drive.rollout = drive.rollout.model_copy(update={"cancelled": "eve"})
    assert drive.step().do == Do.WAIT
    ended = drive.to_the_end()
    assert (ended.status, ended.failure) == (RolloutStatus.CANCELLED, "cancelled by eve")
    assert len(drive.started) == 2


def test_what_has_ended_stays_ended() -> None:
    drive = Drive(rollout(1, status=RolloutStatus.FAILED, failure="why", cancelled="eve"))
    decision = drive.step()
    assert (decision.do, decision.rollout.status, decision.reason) == (
        Do.END, RolloutStatus.FAILED, "why",
    )  # fmt: skip


ROWS = [
    ("SUCCEEDED", False, RowStatus.SUCCEEDED),
    ("FAILED", False, RowStatus.FAILED),
    ("SUPERSEDED", False, RowStatus.SKIPPED),
    ("SUCCEEDED", True, RowStatus.ROLLED_BACK),
    ("FAILED", True, RowStatus.NOT_ROLLED_BACK),
]


@pytest.mark.parametrize(("status", "back", "row"), ROWS)
def test_what_a_row_says(status: str, back: bool, row: RowStatus) -> None:
    assert row_status(DeploymentStatus(status), back=back) == row


def test_ten_thousand_tenants_come_through() -> None:
    drive = Drive(rollout(1, 99, 9_900, concurrency=50))
    drive.ends = lambda wave, row: "SUCCEEDED"
    for _ in range(100_000):
        if drive.step().do == Do.END:
            break
        drive.finish(50)
    assert drive.rollout.status == RolloutStatus.SUCCEEDED
    assert sum(counts(drive, "succeeded")) == 10_000
