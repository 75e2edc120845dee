"""How a worker runs a step: event to model, one call, plain dict; its begin and end recorded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from control_plane import aws
from control_plane.errors import RETRIED, Cancelled, ServiceBusy
from control_plane.models import Deployment, JsonObject, StepStatus, utc_now
from control_plane.observability import logger, queued_for, step_took, still_queued
from control_plane.reasons import plain
from control_plane.retrying import retrying_for
from control_plane.rules.endings import UNTOUCHED
from control_plane.rules.timings import LAST_IN_QUEUE, QUEUES, queue_seconds, step_seconds
from control_plane.store.progress import Progress
from control_plane.store.request_budget import RequestBudget


@dataclass(frozen=True)
class Outcome:
    """What a step answers: `result` for the state machine, `note` for the history.

    `done` is False while what the step waits for goes on; the state machine then asks again.
    """

    result: JsonObject = field(default_factory=dict)
    note: str = ""
    done: bool = True


Step = Callable[[Deployment, JsonObject], Outcome]

RETRYING = 30
"""Seconds after its begin in which a step's calls are tried again. A client may pause for 20 more,
and the shortest function has 60: it says that AWS is busy, and is not cut off, which would fail a
deployment that only has to wait."""

CLEANS_UP = frozenset({"AwaitBuild", "AwaitStack", "RestoreConfig", "DiscardChangeSet", "RollBack"})
"""Steps that run although the deployment was cancelled: they are told so in `event["cancelled"]`,
put an end to what runs elsewhere, and raise Cancelled when that is over."""


def run(event: Mapping[str, Any], steps: Mapping[str, Step], table: str) -> JsonObject:
    """Run the step that `event` names, with its deployment; the rest of the event is its input.

    The error of a step is recorded and raised again, for the Catch of its state. One that says
    "not now" is raised as ServiceBusy, for the state's Retry. Raises Cancelled, before anything is
    done, for a deployment whose end somebody asked for; and ServiceBusy, also before, while others
    use up the requests that deployments share.
    """
    try:
        return _run(event, steps, table)
    except Exception as error:
        # Of its begin and end in the record too: what a step did is not failed by a busy table.
        if aws.is_busy(error):
            raise ServiceBusy(f"AWS is busy: {error}") from error
        raise


def _run(event: Mapping[str, Any], steps: Mapping[str, Step], table: str) -> JsonObject:
    name = event["step"]
    deployment = Deployment.model_validate(event["deployment"])
    log = logger()
    log.append_keys(deployment_id=deployment.id, stack=deployment.tenant.stack_name, step=name)
    progress = Progress(table)
    try:
        with retrying_for(RETRYING):
            cancelled = progress.begin_step(deployment, name)
            if cancelled and name not in CLEANS_UP:
                raise Cancelled(UNTOUCHED)
            RequestBudget(table).take(name)
            outcome = steps[name](deployment, {**event, "cancelled": cancelled})
    except Exception as error:
        if not isinstance(error, RETRIED) and not aws.is_busy(error):
            reason = plain(str(error))
            log.warning("step failed", error=type(error).__name__, reason=reason)
            ended = progress.end_step(deployment, name, StepStatus.FAILED, reason)
            measure(deployment, name, ended)
        raise
    if outcome.done:
        log.info("step succeeded", note=outcome.note)
        ended = progress.end_step(deployment, name, StepStatus.SUCCEEDED, outcome.note)
        measure(deployment, name, ended)
        if name == LAST_IN_QUEUE and (waited := queue_seconds(ended or {})) is not None:
            queued_for(waited)
    else:
        if name in QUEUES:
            still_queued((utc_now() - deployment.started_at).total_seconds())
        if outcome.note:
            progress.note_step(deployment, name, outcome.note)
    return {**outcome.result, "done": outcome.done}


def measure(deployment: Deployment, step: str, ended: JsonObject | None) -> None:
    """Tell how long a step took. `ended`: the record after its end, None when it was no end."""
    seconds = step_seconds(ended or {}, step, rolling_back=deployment.rolling_back)
    if seconds is not None:
        step_took(seconds, step)
