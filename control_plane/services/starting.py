"""Starting an execution of a state machine, once."""

import json

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import JsonObject


def start(machine: str, name: str, given: JsonObject) -> None:
    """Start an execution; one of that name that was started before is this one.

    Step Functions refuses the name when the first of two attempts worked, its answer was lost, and
    the execution has ended since. Names are never used twice.
    """
    try:
        aws.stepfunctions().start_execution(
            stateMachineArn=machine, name=name, input=json.dumps(given)
        )
    except ClientError as error:
        if aws.error_code(error) != "ExecutionAlreadyExists":
            raise
