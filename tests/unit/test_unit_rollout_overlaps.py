"""A rollout that finds another one open: what it is told, and when a schedule's is skipped."""

from datetime import timedelta
from typing import Any

import pytest
from fleet import NOW, rollout

from control_plane.rollout_models import RolloutStatus
from control_plane.rules.rollout_overlaps import UNSEEN, refusal, skip

SEEN = NOW - timedelta(seconds=30)
AT_WORK = [
    RolloutStatus.PLANNING,
    RolloutStatus.RUNNING,
    RolloutStatus.BAKING,
    RolloutStatus.ROLLING_BACK,
]
WAITING: list[tuple[dict[str, Any], str]] = [
    ({"status": RolloutStatus.PAUSED, "paused": True}, "resume r1"),
    ({"status": RolloutStatus.RUNNING, "paused": True}, "resume r1"),  # its next look says so
    ({"status": RolloutStatus.AWAITING_APPROVAL}, "approve r1"),
]


@pytest.mark.parametrize("status", AT_WORK)
def test_one_at_work_lets_a_schedules_be_skipped_and_is_not_to_be_cancelled(
    status: RolloutStatus,
) -> None:
    other = rollout(2, status=status)
    told = skip(other, SEEN, NOW)
    assert told is not None
    assert f"rollout r1 of notes in stage is {status}" in told
    assert "cancel" not in told
    assert f"is {status}: let it end" in refusal(other, SEEN, NOW)


@pytest.mark.parametrize(("changes", "command"), WAITING)
def test_one_that_waits_for_somebody_lets_none_be_skipped(
    changes: dict[str, Any], command: str
) -> None:
    other = rollout(2, **changes)
    assert skip(other, SEEN, NOW) is None
    assert f"'syndi rollout {command}', or 'syndi rollout cancel r1'" in refusal(other, SEEN, NOW)


@pytest.mark.parametrize(("changes", "_"), WAITING)
def test_one_that_was_cancelled_waits_for_nobody(changes: dict[str, Any], _: str) -> None:
    assert skip(rollout(2, **changes, cancelled="eve"), SEEN, NOW)


@pytest.mark.parametrize("status", [*AT_WORK, RolloutStatus.PAUSED])
def test_one_that_nobody_drives_is_to_be_cancelled(status: RolloutStatus) -> None:
    other, gone = rollout(2, status=status, cancelled="eve"), NOW - UNSEEN - timedelta(seconds=1)
    assert skip(other, NOW - UNSEEN, NOW)
    assert skip(other, gone, NOW) is None
    assert "nobody drives it since" in refusal(other, gone, NOW)
