"""What is decided about a tenant's stack as CloudFormation shows it at this moment."""

from typing import TYPE_CHECKING

from control_plane.models import Deployment, StackStatus
from control_plane.rules import decisions
from control_plane.rules.decisions import StackDecision, StackEvent, StackRequest
from control_plane.services import stack_reading as reading

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef


def decide(
    deployment: Deployment,
    stack: "StackTypeDef | None",
    *,
    rollback_continued: bool = False,
    last: StackEvent | None = None,
) -> StackDecision:
    """What this deployment does with the stack; None: there is none.

    `last`: the stack's newest event, where it was read already.
    """
    request = StackRequest(
        tenant=deployment.tenant,
        mode=deployment.options.mode,
        dry_run=deployment.options.dry_run,
        deployment_id=deployment.id,
        rollback_continued=rollback_continued,
    )
    if stack is None:
        return decisions.decide_stack(None, None, request)
    status = StackStatus(stack["StackStatus"])
    return decisions.decide_stack(status, last or reading.last_event(stack["StackId"]), request)
