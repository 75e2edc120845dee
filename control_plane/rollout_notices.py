"""What people are told of a rollout: that it stopped, or that it waits for them. Pure."""

from control_plane import naming
from control_plane.notifications import Notice
from control_plane.rollout_models import Rollout, RolloutStatus

_KINDS = {
    RolloutStatus.FAILED: "Rollout Failed",
    RolloutStatus.ROLLED_BACK: "Rollout Rolled Back",
    RolloutStatus.AWAITING_APPROVAL: "Rollout Waiting For Approval",
}
"""Statuses that somebody is told of. Whoever pauses or cancels a rollout knows."""


def of_change(before: RolloutStatus, after: Rollout, execution_arn: str) -> Notice | None:
    """What to tell when a rollout has become what it is; None when there is nothing to tell."""
    kind = _KINDS.get(after.status)
    if kind is None or after.status == before:
        return None
    waits = after.status == RolloutStatus.AWAITING_APPROVAL
    worded = "waits for an approval" if waits else after.status.lower().replace("_", " ")
    subject = f"{after.application} in {after.env}: rollout {after.id} {worded}"
    counts = f"wave {after.wave + 1} of {len(after.waves)}, {after.failed} failed so far"
    asks = f"syndi rollout approve {after.id}, or syndi rollout cancel {after.id}"
    facts = {
        "application": after.application,
        "env": str(after.env),
        "rollout": after.id,
        "status": str(after.status),
    }
    return Notice(
        kind=kind,
        subject=subject,
        reason=counts if waits else after.failure,
        todo=asks if waits else f"'syndi rollout show {after.id} --tenants' says who and why",
        console_url=naming.console_url(execution_arn),
        facts=facts,
    )
