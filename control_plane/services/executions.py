"""Executions, as Step Functions describes them: whether one still runs, and how one ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import JsonObject, utc_now

STARTING = timedelta(seconds=60)
"""For how long an execution that Step Functions does not know may be one that was just started:
DescribeExecution is eventually consistent (Step Functions API reference)."""

UNKNOWN = "UNKNOWN"
"""The status of an execution that Step Functions does not know: it was never started, or it ended
so long ago that it was removed (after 90 days, Step Functions quotas)."""


@dataclass(frozen=True)
class ExecutionEnd:
    """How an execution ended. `status`: FAILED, ABORTED, TIMED_OUT, SUCCEEDED or UNKNOWN."""

    status: str
    error: str | None = None
    cause: str | None = None
    stopped_at: datetime | None = None

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "ExecutionEnd":
        """From DescribeExecution, or from the detail of EventBridge's `Step Functions Execution
        Status Change`, whose times are milliseconds."""
        stopped = described.get("stopDate")
        if isinstance(stopped, int | float):
            stopped = datetime.fromtimestamp(stopped / 1000, UTC)
        return cls(described["status"], described.get("error"), described.get("cause"), stopped)


def still_holds(lock: JsonObject) -> bool:
    """Whether the holder of a lock still counts: its execution runs, or somebody works by hand."""
    if "held_until" in lock:  # by hand: there is no such execution
        return is_held_by_hand(lock)
    return is_running(lock["execution_arn"], datetime.fromisoformat(lock["acquired_at"]))


def is_held_by_hand(lock: JsonObject) -> bool:
    """Whether a person who installs or removes the control plane holds that lock right now."""
    until = lock.get("held_until")
    return until is not None and datetime.fromisoformat(until) > utc_now()


def is_running(execution_arn: str, since: datetime) -> bool:
    """Whether an execution runs, or will go on; False for one that never existed.

    `since`: when it was started, or took what it has: one that is too young to be known counts.
    """
    return end_of(execution_arn, since) is None


def end_of(execution_arn: str, since: datetime) -> ExecutionEnd | None:
    """How an execution ended; None while it runs, or will go on, or is too young to be known.

    `since`: as for `is_running`.
    """
    found = described(execution_arn)
    if found is None:
        return None if utc_now() - since < STARTING else ExecutionEnd(UNKNOWN)
    return ExecutionEnd.of(found) if is_over(found["status"]) else None


def is_over(found: str) -> bool:
    """Whether an execution of that status goes on no more."""
    return found not in ("RUNNING", "PENDING_REDRIVE")


def status(execution_arn: str) -> str | None:
    """How an execution is; None for one that never existed."""
    found = described(execution_arn)
    return None if found is None else str(found["status"])


def described(execution_arn: str) -> Mapping[str, Any] | None:
    """What DescribeExecution answers; None for one that never existed."""
    try:
        return aws.stepfunctions().describe_execution(executionArn=execution_arn)
    except ClientError as error:
        if aws.error_code(error) != "ExecutionDoesNotExist":
            raise
        return None
