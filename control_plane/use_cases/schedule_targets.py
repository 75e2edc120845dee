"""What a schedule gives the record worker, which starts the execution: written and read here."""

import json
from collections.abc import Mapping
from typing import Any

from control_plane.models import JsonObject
from control_plane.store.schema import upgraded_request

DEPLOYMENT, ROLLOUT = "deployment", "rollout"
"""Which state machine is started; as the names of the machines end."""


def target_input(machine: str, given: JsonObject) -> str:
    """The `Input` of a schedule's target. EventBridge Scheduler puts in which schedule it is, and
    for when (EventBridge Scheduler guide, "Adding context attributes")."""
    return json.dumps(
        {
            "start": {"machine": machine, "input": given},
            "schedule": "<aws.scheduler.schedule-arn>",
            "scheduled_time": "<aws.scheduler.scheduled-time>",
        }
    )


def request_of(target: Mapping[str, Any]) -> JsonObject:
    """What a schedule asks for, also one of an earlier release, which started executions itself."""
    given = json.loads(target.get("Input") or "{}")
    return upgraded_request(given["start"]["input"] if "start" in given else given)
