"""What the statuses of a stack mean. Pure: no I/O, no clock."""

from enum import StrEnum
from typing import assert_never

from control_plane.models import StackStatus


class Situation(StrEnum):
    """What the 23 statuses mean for somebody who wants something of the stack."""

    ABSENT = "absent"
    PLANNED = "planned"  # a change set was made, and never executed
    HEALTHY = "healthy"
    UNDONE = "undone"  # the last change failed and was undone: healthy, with live data
    NEVER_CREATED = "never-created"  # the first creation failed
    STUCK = "stuck"  # an update's rollback failed half way, with live data
    BROKEN = "broken"  # rollback disabled, or an import's failed: only a person can mend it
    HALF_DELETED = "half-deleted"
    BUSY = "busy"


def situation(status: StackStatus | None) -> Situation:
    """What a status means (None: there is no stack). Source: table A of docs/lifecycle.md."""
    S = StackStatus
    match status:
        case None | S.DELETE_COMPLETE:
            return Situation.ABSENT
        case S.REVIEW_IN_PROGRESS:
            return Situation.PLANNED
        case S.CREATE_COMPLETE | S.UPDATE_COMPLETE | S.IMPORT_COMPLETE:
            return Situation.HEALTHY
        case S.UPDATE_ROLLBACK_COMPLETE | S.IMPORT_ROLLBACK_COMPLETE:
            return Situation.UNDONE
        case S.ROLLBACK_COMPLETE | S.CREATE_FAILED | S.ROLLBACK_FAILED:
            return Situation.NEVER_CREATED
        case S.UPDATE_ROLLBACK_FAILED:
            return Situation.STUCK
        case S.UPDATE_FAILED | S.IMPORT_ROLLBACK_FAILED:
            return Situation.BROKEN
        case S.DELETE_FAILED:
            return Situation.HALF_DELETED
        case (
            S.CREATE_IN_PROGRESS
            | S.ROLLBACK_IN_PROGRESS
            | S.DELETE_IN_PROGRESS
            | S.UPDATE_IN_PROGRESS
            | S.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS
            | S.UPDATE_ROLLBACK_IN_PROGRESS
            | S.UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS
            | S.IMPORT_IN_PROGRESS
            | S.IMPORT_ROLLBACK_IN_PROGRESS
        ):
            return Situation.BUSY
        case _:
            assert_never(status)
