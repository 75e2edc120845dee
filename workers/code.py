"""The function's code past CloudFormation: patched, put back, and compared."""

from collections.abc import Mapping
from typing import Any

from control_plane.errors import PatchFailed, PatchRefused
from control_plane.models import Deployment, JsonObject
from control_plane.settings import CodeSettings, settings
from workers.step import Outcome, Step, run


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry."""
    return run(event, STEPS, settings(CodeSettings).table_name)


def reconcile_function(deployment: Deployment, event: JsonObject) -> Outcome:
    """Give the function the code of the stack's template again, where it has another."""
    return Outcome(note="not written yet")


def patch_function(deployment: Deployment, event: JsonObject) -> Outcome:
    """Give the function the source's code, and nothing else."""
    if event:
        raise PatchRefused("not written yet")
    raise PatchFailed("not written yet")


def check_function(deployment: Deployment, event: JsonObject) -> Outcome:
    """Whether the function runs the code of the stack's template."""
    return Outcome({"drift": {"findings": []}}, "not written yet")


STEPS: dict[str, Step] = {
    "ReconcileFunction": reconcile_function,
    "PatchFunction": patch_function,
    "CheckFunction": check_function,
}
