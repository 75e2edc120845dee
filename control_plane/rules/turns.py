"""Whose turn it is at a tenant: the rules of waiting, pure.

Ids sort by time, so the order in which deployments were asked for needs no clock. Whether an
execution still runs is a question to Step Functions: the caller asks it about the rivals named
here, in their order, and stops at the first that runs. One that died is passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from control_plane.models import DeploymentStatus, JsonObject

LOOK_BACK = timedelta(hours=2)
"""How far back rivals are looked for. AcquireLock gives up after one hour (state machine), so
whatever is older does not wait any more."""


@dataclass(frozen=True)
class Rival:
    """Another deployment of the same tenant, as its record tells.

    `supersedes`: it asked to take the place of those that wait. `had_the_tenant`: it got its lock,
    whether or not it has ended since.
    """

    id: str
    execution_arn: str
    queued: bool
    is_open: bool
    supersedes: bool
    had_the_tenant: bool


def waits_for(other: str, holder: JsonObject) -> str:
    """What a deployment that does not have its tenant waits for, for its reader: `other`, which has
    it or goes first. `holder`: the record of the one that has it, or empty.

    A pending approval is a person's to give: deployments that wait behind it show what to do.
    """
    approval = holder.get("approval", {})
    if not is_undecided(holder):
        return f"waits for deployment {other}"
    return (
        f"waits for the approval of {holder['id']} since {approval['requested_at']}: "
        f"'syndi approve {holder['id']}' or 'syndi reject {holder['id']}'; with "
        "on_conflict=supersede a deployment takes its place"
    )


def is_undecided(record: JsonObject) -> bool:
    """Whether a deployment waits for an approval that nobody has decided yet."""
    approval = record.get("approval", {})
    waits = record.get("status") == DeploymentStatus.AWAITING_APPROVAL
    return waits and "token" in approval and "decision" not in approval


def taking_its_place(me: str, rivals: Sequence[Rival]) -> list[Rival]:
    """The newer ones that take the place of `me` while it waits, newest first.

    Also one that has come and gone since the last look: what is older must not be deployed after
    it. One that ended before it got the tenant took nobody's place.
    """
    return [
        rival
        for rival in sorted(rivals, key=lambda rival: rival.id, reverse=True)
        if rival.id > me and rival.supersedes and (rival.is_open or rival.had_the_tenant)
    ]


def going_first(me: str, rivals: Sequence[Rival], *, supersedes: bool) -> list[Rival]:
    """Those that get the tenant before `me`, oldest first: first come, first served.

    One that `supersedes` lets nobody go first: those that wait lose their place to it.
    """
    if supersedes:
        return []
    waiting = [rival for rival in rivals if rival.queued and rival.id < me]
    return sorted(waiting, key=lambda rival: rival.id)
