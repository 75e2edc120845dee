"""Starting an execution of a state machine, once."""

import json

from botocore.exceptions import BotoCoreError, ClientError

from control_plane import aws, naming
from control_plane.models import JsonObject
from control_plane.services import executions


def start(machine: str, name: str, given: JsonObject) -> None:
    """Start an execution; one of that name that was started before is this one.

    Step Functions refuses the name when the first of two attempts worked, its answer was lost, and
    the execution has ended since. Names are never used twice. Where no answer came, the execution
    is looked up by its name. Raises the error of a start that was refused, and the one after which
    nobody knows (`may_have_started`).
    """
    try:
        aws.stepfunctions().start_execution(
            stateMachineArn=machine, name=name, input=json.dumps(given)
        )
    except aws.FAILURES as error:
        if isinstance(error, ClientError) and aws.error_code(error) == "ExecutionAlreadyExists":
            return
        if not may_have_started(error) or not _is_there(naming.execution_arn(machine, name)):
            raise


def may_have_started(error: ClientError | BotoCoreError) -> bool:
    """Whether an execution may have been started although its start raised that error: silence (a
    lost connection) is no answer, nor is a fault of AWS."""
    return aws.is_fault(error) if isinstance(error, ClientError) else aws.is_busy(error)


def _is_there(execution_arn: str) -> bool:
    """Whether Step Functions knows the execution; False also where it does not answer. It may not
    know one yet that was just started (`executions.STARTING`)."""
    try:
        return executions.described(execution_arn) is not None
    except aws.FAILURES:
        return False
