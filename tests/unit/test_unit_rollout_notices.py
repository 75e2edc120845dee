"""What people are told of a rollout, and when they are to be told."""

import pytest
from fleet import rollout

from control_plane.rollout_models import RolloutStatus
from control_plane.services.rollout_notices import is_due, notice_of, notice_of_refused

RUNNING, WAITS = RolloutStatus.RUNNING, RolloutStatus.AWAITING_APPROVAL
FAILED, BACK = RolloutStatus.FAILED, RolloutStatus.ROLLED_BACK
ARN = "arn:aws:states:us-east-1:123456789012:execution:m:e"


@pytest.mark.parametrize(
    ("before", "untold", "after", "due"),
    [
        ((RUNNING, 0), False, (FAILED, 0), True),
        ((RolloutStatus.ROLLING_BACK, 1), False, (BACK, 1), True),
        ((RUNNING, 0), False, (WAITS, 0), True),
        # What was told, and what was not.
        ((FAILED, 0), False, (FAILED, 0), False),
        ((FAILED, 0), True, (FAILED, 0), True),
        ((WAITS, 0), False, (WAITS, 0), False),
        ((WAITS, 0), True, (WAITS, 0), True),
        # A wave whose tenants were all skipped, and the next approval at the same look.
        ((WAITS, 0), False, (WAITS, 1), True),
        # What is no more.
        ((WAITS, 0), True, (RUNNING, 1), False),
        ((WAITS, 0), True, (RolloutStatus.CANCELLED, 0), False),
        # Whoever did it knows.
        ((RUNNING, 0), False, (RolloutStatus.PAUSED, 0), False),
        ((RUNNING, 0), False, (RolloutStatus.SUCCEEDED, 0), False),
        ((RolloutStatus.PLANNING, 0), False, (RolloutStatus.SKIPPED, 0), False),
    ],
)
def test_when_people_are_to_be_told(
    before: tuple[RolloutStatus, int], untold: bool, after: tuple[RolloutStatus, int], due: bool
) -> None:
    was, is_now = (rollout(2, 2, status=status, wave=wave) for status, wave in (before, after))
    assert is_due(was, is_now, untold=untold) is due


@pytest.mark.parametrize("status", RolloutStatus)
def test_whatever_is_due_can_be_told(status: RolloutStatus) -> None:
    one = rollout(2, status=status, failure="1 of wave 1 failed, and 0 may")
    if is_due(rollout(2, status=RolloutStatus.PLANNING), one, untold=False):
        notice = notice_of(one, ARN, None)
        assert notice.reason
        assert "r1" in notice.todo


def test_of_one_that_never_began_no_tenant_says_why() -> None:
    one = rollout(2, status=FAILED, changed_at=None, failure="another is PAUSED: resume it")
    assert "--tenants" not in notice_of(one, ARN, None).todo
    assert "--tenants" in notice_of(rollout(2, status=FAILED), ARN, None).todo


@pytest.mark.parametrize(
    ("asked", "shows"),
    [
        ({"application": "notes", "env": "dev"}, "schedule show dev'"),
        ({"env": "dev"}, "schedule show dev'"),
        ({"application": "tasks", "env": "dev"}, "schedule show dev --application tasks'"),
    ],
)
def test_one_that_was_not_even_planned_leads_to_its_schedule(
    asked: dict[str, str], shows: str
) -> None:
    notice = notice_of_refused(asked, ARN, "tenants: no tenant fits", "notes")
    assert notice.kind == "Rollout Failed"
    assert (notice.reason, shows in notice.todo) == ("tenants: no tenant fits", True)
    assert "in dev: the rollout by its schedule could not begin" in notice.subject
