"""Executions, asked of Step Functions: whether one still runs, without a clock or a person."""

from botocore.exceptions import ClientError

from control_plane import aws


def is_running(execution_arn: str) -> bool:
    """Whether an execution runs, or will go on; False for one that never existed."""
    try:
        answer = aws.stepfunctions().describe_execution(executionArn=execution_arn)
    except ClientError as error:
        if aws.error_code(error) != "ExecutionDoesNotExist":
            raise
        return False
    return answer["status"] in ("RUNNING", "PENDING_REDRIVE")
