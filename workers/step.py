"""How a worker runs a step: event to model, one call, plain dict; its begin and end recorded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from control_plane import aws
from control_plane.errors import RETRIED, ServiceBusy
from control_plane.history import History
from control_plane.models import Deployment, JsonObject, StepStatus
from control_plane.observability import logger


@dataclass(frozen=True)
class Outcome:
    """What a step answers: `result` for the state machine, `note` for the history.

    `done` is False while what the step waits for goes on; the state machine then asks again.
    """

    result: JsonObject = field(default_factory=dict)
    note: str = ""
    done: bool = True


Step = Callable[[Deployment, JsonObject], Outcome]


def run(event: Mapping[str, Any], steps: Mapping[str, Step], table: str) -> JsonObject:
    """Run the step that `event` names, with its deployment; the rest of the event is its input.

    The error of a step is recorded and raised again, for the Catch of its state. One that says
    "not now" is raised as ServiceBusy, for the state's Retry.
    """
    name = event["step"]
    deployment = Deployment.model_validate(event["deployment"])
    log = logger()
    log.append_keys(deployment_id=deployment.id, stack=deployment.tenant.stack_name, step=name)
    history = History(table)
    history.begin_step(deployment.tenant, deployment.id, name)
    try:
        outcome = steps[name](deployment, dict(event))
    except Exception as error:
        if aws.is_busy(error):
            raise ServiceBusy(f"AWS is busy: {error}") from error
        if not isinstance(error, RETRIED):
            log.warning("step failed", error=type(error).__name__, reason=str(error))
            history.end_step(deployment.tenant, deployment.id, name, StepStatus.FAILED, str(error))
        raise
    if outcome.done:
        log.info("step succeeded", note=outcome.note)
        history.end_step(deployment.tenant, deployment.id, name, StepStatus.SUCCEEDED, outcome.note)
    return {**outcome.result, "done": outcome.done}
