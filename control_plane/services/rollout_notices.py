"""What people are told of a rollout: that it stopped, or that it waits for them. Pure."""

from collections.abc import Mapping
from typing import Any

from control_plane import naming
from control_plane.rollout_models import Rollout, RolloutStatus
from control_plane.services.notifications import Notice

_KINDS = {
    RolloutStatus.FAILED: "Rollout Failed",
    RolloutStatus.ROLLED_BACK: "Rollout Rolled Back",
    RolloutStatus.AWAITING_APPROVAL: "Rollout Waiting For Approval",
}
"""Statuses that somebody is told of. Whoever pauses or cancels a rollout knows."""


def is_due(before: Rollout, after: Rollout, *, untold: bool) -> bool:
    """Whether people are to be told what a rollout has become. `untold`: what it was before, they
    were to be told and were not.

    What is no more is not told: nobody is asked for an approval that was given meanwhile.
    """
    is_new = (before.status, before.wave) != (after.status, after.wave)
    return after.status in _KINDS and (is_new or untold)


def notice_of(rollout: Rollout, execution_arn: str, hint: str | None) -> Notice:
    """What to tell of a rollout that is as people are to be told (`is_due`)."""
    waits = rollout.status == RolloutStatus.AWAITING_APPROVAL
    worded = "waits for an approval" if waits else rollout.status.lower().replace("_", " ")
    subject = f"{rollout.application} in {rollout.env}: rollout {rollout.id} {worded}"
    counts = f"wave {rollout.wave + 1} of {len(rollout.waves)}, {rollout.failed} failed so far"
    asks = f"syndi rollout approve {rollout.id}, or syndi rollout cancel {rollout.id}"
    shows = f"'syndi rollout show {rollout.id} --tenants' says who and why"
    if rollout.changed_at is None:  # it found another one, whose commands the reason has
        shows = f"the reason says it; of {rollout.id} nothing was begun"
    facts = {
        "application": rollout.application,
        "env": str(rollout.env),
        "rollout": rollout.id,
        "status": str(rollout.status),
    }
    return Notice(
        kind=_KINDS[rollout.status],
        subject=subject,
        reason=counts if waits else rollout.failure,
        todo=asks if waits else hint or shows,
        console_url=naming.console_url(execution_arn),
        facts=facts,
    )


def notice_of_refused(
    asked: Mapping[str, Any], execution_arn: str, reason: str, default: str
) -> Notice:
    """What to tell of a schedule's rollout that could not be planned: it has no record.

    `asked`: its execution's input; `default`: the application that a command means without one.
    """
    application, env = str(asked.get("application") or default), str(asked.get("env", ""))
    other = "" if application == default else f" --application {application}"
    verb = "syndi rollout schedule"
    return Notice(
        kind=_KINDS[RolloutStatus.FAILED],
        subject=f"{application} in {env}: the rollout by its schedule could not begin",
        reason=reason,
        todo=f"'{verb} show {env}{other}' says what it asks for; '{verb} set' changes that, "
        f"'{verb} delete {env}{other}' ends it",
        console_url=naming.console_url(execution_arn),
        facts={"application": application, "env": env, "status": str(RolloutStatus.FAILED)},
    )
