"""A rollout that finds another one of its application and environment open. Pure."""

from datetime import datetime, timedelta

from control_plane.rollout_models import Rollout, RolloutStatus

UNSEEN = timedelta(minutes=15)
"""So long without a look, nobody drives a rollout: its looks are half a minute apart."""


def refusal(other: Rollout, seen: datetime, now: datetime) -> str:
    """Why another one does not begin beside it, with the commands that change that. `seen`: when
    the open rollout's driver last wrote."""
    return f"{_named(other)} {_stuck(other, seen, now) or _goes_on(other)}"


def skip(other: Rollout, seen: datetime, now: datetime) -> str | None:
    """Why one that a schedule starts is skipped for it. None when it waits for somebody: then it is
    refused, and people are told, or no schedule would do anything any more and nobody notice."""
    if _stuck(other, seen, now):
        return None
    return f"{_named(other)} is {other.status}: this one is left out, the schedule comes again"


def _named(other: Rollout) -> str:
    return f"rollout {other.id} of {other.application} in {other.env}"


def _goes_on(other: Rollout) -> str:
    return f"is {other.status}: let it end, or 'syndi rollout cancel {other.id}'"


def _stuck(other: Rollout, seen: datetime, now: datetime) -> str:
    """What only somebody can change about it; empty while it goes on by itself."""
    ends = f"'syndi rollout cancel {other.id}'"
    if now - seen > UNSEEN:
        return f"is {other.status}, and nobody drives it since {seen:%Y-%m-%dT%H:%M} UTC: {ends}"
    if other.cancelled:
        return ""
    if other.paused:
        return f"is PAUSED: 'syndi rollout resume {other.id}', or {ends}"
    if other.status == RolloutStatus.AWAITING_APPROVAL:
        return f"waits for an approval: 'syndi rollout approve {other.id}', or {ends}"
    return ""
