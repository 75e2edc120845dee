"""Who gets a deployment slot: the rules of the shared budget, pure.

A slot is the right to work on a stack. There are so many that CloudFormation, Lambda and CodeBuild
stay below their limits, however deployments were started: by the API, a schedule, a rollout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control_plane.models import Priority

HEAD_START = {
    Priority.URGENT: timedelta(days=1),
    Priority.NORMAL: timedelta(minutes=10),
    Priority.LOW: timedelta(0),
}
"""By how much earlier a deployment counts as asked for. So an urgent one goes before whatever
waits, and a rollout's tenants (low) let those go first that people wait for, but not for ever."""

PATIENCE = timedelta(seconds=90)
"""Who waits asks again after 30 seconds at most (state machine): who was silent for three times
that long is passed over. It loses no more than its turn."""

CHECKED_AT_ONCE = 1
"""How many holders one look asks Step Functions about, which allows some 15 such calls a second:
two hundred may wait, and each looks every 30 seconds in the end."""

LARGEST = 400
"""Slots that there can be: their item, with some 250 bytes for each, has to stay small."""


@dataclass(frozen=True)
class Waiter:
    """A deployment that waits for a slot. `rank`: whose is lower goes first."""

    rank: str
    seen_at: datetime


def rank(asked_at: datetime, priority: Priority, deployment_id: str) -> str:
    """Where a deployment stands in the queue: sorts as text, no two alike.

    To the second: what tells of an execution's start does not always agree on its milliseconds.
    """
    return f"{int((asked_at - HEAD_START[priority]).timestamp()):010d}#{deployment_id}"


def deployment_of(rank: str) -> str:
    """The id of the deployment that has a rank."""
    return rank.partition("#")[2]


def ranks(asked_at: datetime, deployment_id: str) -> list[str]:
    """Wherever a deployment may have stood in the queue: its priority can have been raised."""
    return [rank(asked_at, priority, deployment_id) for priority in Priority]


def more_urgent(one: Priority, other: Priority | None) -> Priority:
    """The one of two priorities that goes first; the other may be none."""
    if other is None or HEAD_START[one] >= HEAD_START[other]:
        return one
    return other


def may_take(me: str, waiters: Sequence[Waiter], free: int, now: datetime) -> bool:
    """Whether the deployment of rank `me` gets one of `free` slots, or lets others go first."""
    ahead = [w for w in waiters if w.rank < me and now - w.seen_at <= PATIENCE]
    return len(ahead) < free


def to_check(holders: Sequence[str], now: datetime) -> list[str]:
    """Of whom to ask whether they still run, when no slot is free: others at every second.

    All of them would be too many questions, from everybody who waits.
    """
    ordered = sorted(holders)
    if len(ordered) <= CHECKED_AT_ONCE:
        return ordered
    start = int(now.timestamp()) % len(ordered)
    return [ordered[(start + step) % len(ordered)] for step in range(CHECKED_AT_ONCE)]
