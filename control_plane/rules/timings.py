"""How long a deployment and its steps took, from the times in its record. Pure, in seconds."""

from datetime import datetime

from control_plane.models import JsonObject

QUEUES = frozenset({"AcquireLock", "AcquireSlot"})
"""Steps that wait for somebody else before anything is done."""

LAST_IN_QUEUE = "AcquireSlot"
"""The step whose end is the end of the queue."""


def step_seconds(record: JsonObject, step: str, *, rolling_back: bool) -> float | None:
    """From the first attempt of a step to its end; None for one that has not ended."""
    steps = record.get("rollback_steps" if rolling_back else "steps", {})
    found = steps.get(step, {})
    return _between(found.get("started_at"), found.get("finished_at"))


def queue_seconds(record: JsonObject) -> float | None:
    """From the request until the deployment could begin; None while it waits."""
    ended = record.get("steps", {}).get(LAST_IN_QUEUE, {}).get("finished_at")
    return _between(record.get("created_at"), ended)


def deployment_seconds(record: JsonObject) -> float | None:
    """From the request to the end; None while it runs."""
    return _between(record.get("created_at"), record.get("finished_at"))


def _between(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    took = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    # Clocks of two functions may differ by a little: nothing ends before it begins.
    return max(0.0, took.total_seconds())
