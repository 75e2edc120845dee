"""Executions, as Step Functions describes them to the record worker."""

from typing import Any

from worker_builders import arn

from control_plane.models import Deployment
from workers import record

BY_HAND = "6f0d1c9e-1111-2222-3333-444455556666"
NO_ROLLBACK = {"outcome": "none", "failure": {}}
BARE = {"env": "stage", "org": "alpha"}


def execution(given: Any, name: str = BY_HAND) -> dict[str, Any]:
    """The context object's `Execution`."""
    return {"Id": arn(name), "StartTime": "2026-11-22T12:00:00.123Z", "Input": given}


def prepare(given: Any, name: str = BY_HAND) -> Deployment:
    event = {"step": "PrepareDeployment", "execution": execution(given, name)}
    return Deployment.model_validate(record.handler(event, None))
