"""Whether the stack and the change set that a step is given are its tenant's.

They come from the answer of an earlier step. A worker that answered another tenant's must not have
that one changed.
"""

from collections.abc import Mapping
from typing import Any

from control_plane.errors import ChangeSetFailed
from control_plane.models import Deployment, JsonObject


def check_stack(deployment: Deployment, event: JsonObject) -> None:
    """Raise ChangeSetFailed when the event has a `stack_id` that is not the tenant's."""
    _check(deployment, "stack", event.get("stack_id"), event.get("stack_id"))


def check_change_set(
    deployment: Deployment, change_set_id: str, described: Mapping[str, Any]
) -> None:
    """Raise ChangeSetFailed when a change set, as DescribeChangeSet answers it, is of another stack
    than the tenant's: one that is asked for by its ARN is found whatever stack is named."""
    _check(deployment, "change set", change_set_id, described.get("StackId"))


def _check(deployment: Deployment, kind: str, given: object, stack_id: object) -> None:
    """`stack_id`: an ARN, arn:…:stack/{name}/{uuid}, or nothing."""
    expected = deployment.tenant.stack_name
    if stack_id and f":stack/{expected}/" not in str(stack_id):
        raise ChangeSetFailed(
            f"{kind} {given} is not that of this deployment, which is of {expected}: nothing was "
            "done with it"
        )
