"""What a release asks the one that replaces it, before it trusts that one with the next update.

The trial deploys an ordinary application. An update of the control plane itself also needs workers
and permissions that no application does: those are asked for directly, each in its own function.
What is asked is understood by other releases: fields are added, never changed or removed.
"""

from collections.abc import Mapping

from control_plane.models import JsonObject

KEY = "self_check"
"""In the event of a worker in place of a step."""

STACK, VERIFY, RELEASE = "stack", "verify", "release"
WORKERS = (VERIFY, RELEASE, STACK)
"""The last parts of the names of the functions that are asked, what takes longest last."""


def question(
    stack: str, machine: str, operation: str, outputs: Mapping[str, str], trial: JsonObject
) -> JsonObject:
    """What every one of them is told.

    `operation`: which update asks, for what is made under a name. `trial`: the trial's deployment.
    """
    return {
        "stack": stack,
        "state_machine_arn": machine,
        "operation": operation,
        "api_url": outputs["ApiUrl"],
        "trial_id": trial["deployed"],
    }


def change_set_name(asked: JsonObject) -> str:
    """The change set that proves that there could be another one."""
    return f"syndi-{asked['operation']}-check"
