"""Executions, asked of Step Functions: whether one still runs, without a clock or a person."""

from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import JsonObject, utc_now

STARTING = timedelta(seconds=60)
"""For how long an execution that Step Functions does not know may be one that was just started:
DescribeExecution is eventually consistent (Step Functions API reference)."""


def still_holds(lock: JsonObject) -> bool:
    """Whether the holder of a lock still counts: its execution runs, or somebody works by hand."""
    until = lock.get("held_until")
    if until is not None:  # by hand: there is no such execution
        return datetime.fromisoformat(until) > utc_now()
    return is_running(lock["execution_arn"], datetime.fromisoformat(lock["acquired_at"]))


def is_running(execution_arn: str, since: datetime) -> bool:
    """Whether an execution runs, or will go on; False for one that never existed.

    `since`: when it was started, or took what it has: one that is too young to be known counts.
    """
    found = status(execution_arn)
    if found is None:
        return utc_now() - since < STARTING
    return not is_over(found)


def is_over(found: str) -> bool:
    """Whether an execution of that status goes on no more."""
    return found not in ("RUNNING", "PENDING_REDRIVE")


def status(execution_arn: str) -> str | None:
    """How an execution is; None for one that never existed."""
    try:
        return aws.stepfunctions().describe_execution(executionArn=execution_arn)["status"]
    except ClientError as error:
        if aws.error_code(error) != "ExecutionDoesNotExist":
            raise
        return None
