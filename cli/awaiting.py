"""Waiting for CloudFormation, as whoever installs the control plane does."""

import time
from collections.abc import Collection
from datetime import timedelta

from cli.failure import Failed
from control_plane.models import StackStatus
from control_plane.rules import decisions
from control_plane.services import stack_reading as reading

_LONGEST = timedelta(hours=2)
"""How long an operation on the stack is waited for."""


def await_operation(
    name: str, poll_seconds: float, stack_id: str, token: str, good: Collection[StackStatus]
) -> None:
    """Wait for the end of the operation that was started under a token. Raises Failed, with what
    failed first in it, when it is none of the `good` ones.

    Judged by its own events: the stack's status may be read as it was before the operation.
    """
    deadline = time.monotonic() + _LONGEST.total_seconds()
    events = reading.operation_events(stack_id, token)
    while (status := decisions.settled_status(events)) is None:
        if time.monotonic() > deadline:
            raise Failed(f"{name} is at work after {_LONGEST} still: see its events")
        time.sleep(poll_seconds)  # between two questions
        events = reading.operation_events(stack_id, token)
    if status not in good:
        reason = "; ".join(reading.validation_failures(stack_id))
        reason = reason or decisions.first_failure(events) or "no reason was given"
        raise Failed(f"{reason}; {name} is {status}")
