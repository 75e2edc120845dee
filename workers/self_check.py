"""How a worker answers the release before it, in place of a step: see rules/self_checks."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from control_plane import aws, own
from control_plane.errors import ServiceBusy
from control_plane.models import JsonObject
from control_plane.rules import self_checks

Check = Callable[[JsonObject], bool]
"""Answers whether it is done; raises what is wrong."""


def is_one(event: Mapping[str, Any]) -> bool:
    """Whether an event is such a question."""
    return self_checks.KEY in event


def answer(event: Mapping[str, Any], check: Check) -> JsonObject:
    """Whether the check is done, and which build answers. Nothing is written into the table."""
    try:
        done = check(event[self_checks.KEY])
    except Exception as error:
        if aws.is_busy(error):
            raise ServiceBusy(f"AWS is busy: {error}") from error
        raise
    return {"done": done, "build": own.running().build}


def loads(_environment: BaseModel) -> JsonObject:
    """The answer of a worker without checks of its own: it imports, its environment is complete.

    `_environment`: its settings. They are not looked at: that they could be read is the check.
    """
    return {"done": True, "build": own.running().build}
