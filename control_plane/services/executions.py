"""Executions, asked of Step Functions: whether one still runs, without a clock or a person."""

from datetime import datetime

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import JsonObject, utc_now


def still_holds(lock: JsonObject) -> bool:
    """Whether the holder of a lock still counts: its execution runs, or somebody works by hand."""
    until = lock.get("held_until")
    if until is not None and datetime.fromisoformat(until) > utc_now():
        return True
    return is_running(lock["execution_arn"])


def is_running(execution_arn: str) -> bool:
    """Whether an execution runs, or will go on; False for one that never existed."""
    return status(execution_arn) in ("RUNNING", "PENDING_REDRIVE")


def status(execution_arn: str) -> str | None:
    """How an execution is; None for one that never existed."""
    try:
        return aws.stepfunctions().describe_execution(executionArn=execution_arn)["status"]
    except ClientError as error:
        if aws.error_code(error) != "ExecutionDoesNotExist":
            raise
        return None
