"""What a release asks the one that replaces it, before it trusts that one with the next update.

The trial deploys an ordinary application. An update of the control plane itself also needs workers
and permissions that no application does, and no trial shifts traffic or rolls out: all workers are
asked directly, each in its own function.
What is asked is understood by other releases: fields are added, never changed or removed.
"""

from collections.abc import Mapping

from control_plane.models import JsonObject

KEY = "self_check"
"""In the event of a worker in place of a step."""

LOADED = ("record", "build", "code", "config", "admin", "offboard", "rollout", "route")
"""The last parts of the names of the functions that only have to answer. No trial comes to some of
them, and one that does not import would be seen by the next rollout, shift or removal alone."""

STACK, VERIFY, RELEASE = "stack", "verify", "release"
CHECKED = (VERIFY, RELEASE, STACK)
"""Those that the next update needs, each with checks of its own; what takes longest last."""

_ASKED_FOR = ("'step'", "'detail'")
"""What the handlers of earlier releases miss, first of all, in an event that is such a question."""


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


def knows_no_question(error: JsonObject) -> bool:
    """Whether a worker's error only says that it is of a release before it was asked anything.

    `error`: errorType and errorMessage, as Lambda gives them. Going back must stay possible, and
    such a handler answers too: it runs, so its module was imported. Exactly that answer counts, not
    every error of a handler: a timeout, an exit, a failed import and a missing variable come as
    errors as well, under names that differ between AWS and its emulators.
    """
    return error.get("errorType") == "KeyError" and error.get("errorMessage") in _ASKED_FOR
