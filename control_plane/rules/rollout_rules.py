"""How a rollout goes on: facts and time in, the next thing to do out. Pure.

The worker asks `decide` until there is something to start or to wait for; the simulator does the
same with a clock of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from control_plane.models import DeploymentStatus
from control_plane.rollout_models import (
    Failure,
    Result,
    Rollout,
    RolloutStatus,
    RowStatus,
    Running,
    Wave,
)
from control_plane.rules.slot_rules import LARGEST


class Do(StrEnum):
    """What is to be done next."""

    START = "start"  # deployments, as many as there is room for
    BRING_BACK = "bring-back"  # the same, of the wave's tenants that were deployed
    WAIT = "wait"
    CHECK_ALARMS = "check-alarms"
    GO_ON = "go-on"  # the rollout is `Decision.rollout` now: decide again
    END = "end"


@dataclass(frozen=True)
class Decision:
    """`room`: how many to start. `seconds`: how long to wait."""

    do: Do
    rollout: Rollout
    reason: str
    room: int = 0
    seconds: int = 0


FAILED = (
    DeploymentStatus.FAILED,
    DeploymentStatus.ROLLED_BACK,
    DeploymentStatus.TIMED_OUT,
    DeploymentStatus.CANCELLED,
)
"""Ends of a tenant's deployment that count against the budget. One that was superseded was not
wrong: somebody deployed the tenant anew."""

LOST_AFTER = timedelta(minutes=15)
"""A deployment that has no record so long after it was started never began."""


def decide(rollout: Rollout, now: datetime, slots: int = LARGEST) -> Decision:
    """What a rollout does next.

    `slots`: how many deployments may work at once. More are never started: they would only wait,
    for longer than they may, and with them whoever else wants a slot.
    """
    if rollout.status.is_final:
        return Decision(Do.END, rollout, rollout.failure)
    if rollout.cancelled:
        return _cancel(rollout, now)
    if rollout.paused:
        return _pause(rollout, now)
    if rollout.status == RolloutStatus.ROLLING_BACK:
        return _bring_back(rollout, now, slots)
    if rollout.approval_first and not rollout.begun:
        asks = _with(rollout, status=RolloutStatus.AWAITING_APPROVAL)
        return _wait(asks, now, "the first wave waits for an approval")
    if not rollout.failure and (why := _exceeded(rollout)):
        return _go_on(rollout, why, failure=why)
    if rollout.failure:
        return _fail(rollout, now)
    if room := _room(rollout, slots):
        return Decision(Do.START, _with(rollout, status=RolloutStatus.RUNNING), "", room)
    if rollout.running or _left(rollout):
        return _wait(_with(rollout, status=RolloutStatus.RUNNING), now, "deployments are running")
    return _between(rollout, now)


def _cancel(rollout: Rollout, now: datetime) -> Decision:
    if rollout.running:
        return _wait(rollout, now, "cancelled: what is running comes to its end")
    return _end(rollout, RolloutStatus.CANCELLED, f"cancelled by {rollout.cancelled}")


def _pause(rollout: Rollout, now: datetime) -> Decision:
    if rollout.running:
        return _wait(rollout, now, "paused: what is running comes to its end")
    status = rollout.status
    if status != RolloutStatus.ROLLING_BACK:
        rollout = _with(rollout, status=RolloutStatus.PAUSED)
    return _wait(rollout, now, "paused")


def _exceeded(rollout: Rollout) -> str:
    """Why no more may be started; empty when all is well."""
    wave = rollout.now_in
    if wave.failed > wave.allowed:
        return f"{wave.failed} of wave {rollout.wave + 1} failed, and {wave.allowed} may"
    if rollout.failed > rollout.allowed:
        return f"{rollout.failed} failed in all, and {rollout.allowed} may"
    return ""


def _fail(rollout: Rollout, now: datetime) -> Decision:
    if rollout.running:
        return _wait(rollout, now, f"stopped: {rollout.failure}")
    if rollout.on_failure == Failure.STOP:
        return _end(rollout, RolloutStatus.FAILED, rollout.failure)
    return _go_on(rollout, rollout.failure, status=RolloutStatus.ROLLING_BACK, position=0)


def _bring_back(rollout: Rollout, now: datetime, slots: int) -> Decision:
    if room := _room(rollout, slots):
        return Decision(Do.BRING_BACK, rollout, rollout.failure, room)
    if rollout.running or _left(rollout):
        return _wait(rollout, now, "bringing the wave back")
    wave = rollout.now_in
    if wave.not_rolled_back:
        why = f"{rollout.failure}; {wave.not_rolled_back} could not be brought back"
        return _end(rollout, RolloutStatus.FAILED, why)
    return _end(rollout, RolloutStatus.ROLLED_BACK, rollout.failure)


def _between(rollout: Rollout, now: datetime) -> Decision:
    """The wave is through: its bake time, its alarms, an approval, then the next one."""
    number = rollout.wave + 1
    if rollout.until is None:
        until = now + timedelta(seconds=rollout.bake_seconds)
        return _go_on(rollout, f"wave {number} is through", until=until)
    if now < rollout.until:
        left = int((rollout.until - now).total_seconds()) + 1
        baking = _with(rollout, status=RolloutStatus.BAKING)
        return Decision(Do.WAIT, baking, f"wave {number} is watched", seconds=min(left, 30))
    if rollout.alarms and rollout.approved < number:
        return Decision(Do.CHECK_ALARMS, rollout, f"wave {number} was watched")
    return after_alarms(rollout, now, "")


def after_alarms(rollout: Rollout, now: datetime, alarm: str) -> Decision:
    """What follows a wave's bake time. `alarm`: what is wrong, empty when nothing is."""
    number = rollout.wave + 1
    if alarm:
        return _go_on(rollout, alarm, failure=f"after wave {number}: {alarm}")
    if number == len(rollout.waves):
        return _end(rollout, RolloutStatus.SUCCEEDED, "")
    if rollout.approval and rollout.approved < number:
        asks = _with(rollout, status=RolloutStatus.AWAITING_APPROVAL)
        return _wait(asks, now, f"wave {number + 1} waits for an approval")
    return _go_on(rollout, f"wave {number + 1}", wave=number, position=0, until=None)


def absorb(rollout: Rollout, results: Sequence[Result], now: datetime) -> Rollout:
    """The rollout with what its deployments came to."""
    ended = {result.deployment: result for result in results}
    back = rollout.status == RolloutStatus.ROLLING_BACK
    counts = dict.fromkeys(Wave.model_fields, 0)
    for one in rollout.running:
        if one.deployment in ended:
            counts[_count_of(ended[one.deployment].status, back=back)] += 1
    left = tuple(one for one in rollout.running if one.deployment not in ended)
    if len(left) == len(rollout.running):
        return rollout
    return _counted(rollout, counts, now, running=left)


def taken(rollout: Rollout, started: Sequence[Running], passed: int, now: datetime) -> Rollout:
    """The rollout after rows were looked at: some were started, `passed` were not."""
    back = rollout.status == RolloutStatus.ROLLING_BACK
    counts = {} if back else {"skipped": passed}
    position = rollout.position + len(started) + passed
    running = (*rollout.running, *started)
    return _counted(rollout, counts, now, position=position, running=running)


def stayed(rollout: Rollout, count: int, now: datetime) -> Rollout:
    """The rollout after so many tenants of its wave turned out to have nothing to go back to."""
    return _counted(rollout, {"not_rolled_back": count}, now) if count else rollout


def row_status(status: DeploymentStatus, *, back: bool) -> RowStatus:
    """What a tenant's row says after its deployment, or its way back, has ended."""
    match _count_of(status, back=back):
        case "succeeded":
            return RowStatus.SUCCEEDED
        case "skipped":
            return RowStatus.SKIPPED
        case "failed":
            return RowStatus.FAILED
        case "rolled_back":
            return RowStatus.ROLLED_BACK
        case _:
            return RowStatus.NOT_ROLLED_BACK


def _count_of(status: DeploymentStatus, *, back: bool) -> str:
    succeeded = status == DeploymentStatus.SUCCEEDED
    if back:
        return "rolled_back" if succeeded else "not_rolled_back"
    if succeeded:
        return "succeeded"
    return "failed" if status in FAILED else "skipped"


def _counted(rollout: Rollout, counts: dict[str, int], now: datetime, **changes: object) -> Rollout:
    wave = rollout.now_in
    more = {name: getattr(wave, name) + count for name, count in counts.items() if count}
    waves = list(rollout.waves)
    waves[rollout.wave] = wave.model_copy(update=more)
    return _with(rollout, waves=tuple(waves), changed_at=now, **changes)


def _left(rollout: Rollout) -> int:
    return rollout.now_in.size - rollout.position


def _room(rollout: Rollout, slots: int) -> int:
    at_once = min(rollout.now_in.concurrency, max(1, slots))
    return max(0, min(_left(rollout), at_once - len(rollout.running)))


def _wait(rollout: Rollout, now: datetime, reason: str) -> Decision:
    """A tenth of the time since something happened, 1 to 10 s while deployments run, else 30."""
    since = (now - rollout.changed_at).total_seconds() if rollout.changed_at else 0.0
    longest = 10 if rollout.running else 30
    return Decision(Do.WAIT, rollout, reason, seconds=max(1, min(longest, int(since / 10))))


def _go_on(rollout: Rollout, reason: str, **changes: object) -> Decision:
    return Decision(Do.GO_ON, _with(rollout, **changes), reason)


def _end(rollout: Rollout, status: RolloutStatus, reason: str) -> Decision:
    return Decision(Do.END, _with(rollout, status=status, failure=reason), reason)


def _with(rollout: Rollout, **changes: object) -> Rollout:
    return rollout.model_copy(update=changes)
