"""An operation of CloudFormation on a stack, begun once however often it is asked for.

The answer to a call may be lost although the call worked: the client then asks again, or the step
runs again, and CloudFormation refuses. Whether the operation began is decided by its own token,
which all of its events carry, and never by the refusal.
"""

import time
from collections.abc import Callable

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.services import stack_reading as reading

REFUSALS = ("ValidationError", "InvalidChangeSetStatus", "ChangeSetNotFound")
"""What CloudFormation may say of an operation that has begun already: the stack is in progress, the
change set is being executed, or it was, and is gone."""

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between looks for the first event: events are eventually consistent."""


def begin(stack_id: str, token: str, call: Callable[[], object]) -> bool:
    """Begin the operation `call` under `token`; False when it had begun before.

    Raises the ClientError of a call that was refused and whose operation never began, and that of a
    busy AWS, of which nobody knows.
    """
    try:
        call()
    except ClientError as error:
        code = aws.error_code(error)
        if code == "TokenAlreadyExistsException":
            return False
        if code not in REFUSALS or not _has_begun(stack_id, token):
            raise
        return False
    return True


def _has_begun(stack_id: str, token: str) -> bool:
    for pause in PAUSES:
        if reading.has_events(stack_id, token):
            return True
        time.sleep(pause)
    return reading.has_events(stack_id, token)
