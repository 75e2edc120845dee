"""Drift as CloudFormation sees it: resources that are not as the stack's template says."""

from control_plane.errors import StackFailed
from control_plane.models import Deployment, JsonObject
from workers.step import Outcome


def detect_drift(deployment: Deployment, event: JsonObject) -> Outcome:
    """Have CloudFormation compare the stack's resources with its template."""
    raise StackFailed("not written yet")


def await_drift(deployment: Deployment, event: JsonObject) -> Outcome:
    """What CloudFormation found, when it is through."""
    return Outcome({"drift": {"findings": []}}, "not written yet")
