"""The rules of weighted routes: which weights may be set, the steps of a shift, why it goes back.

Pure. A route belongs to an organization and leads to one or two tenants of its environment: the
organization's own, or one whose name has it in front (`myorg`, `myorg-blue`), so that a slip of the
hand does not show one customer's users the data of another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil

from control_plane.errors import Conflict, InvalidRequest
from control_plane.models import JsonObject, Tenant
from control_plane.traffic_requests import Shift, ShiftRequest, Weights

TENANTS = 2
"""Tenants that one route leads to, at most."""

STEPS = 10
"""Steps of one shift, at most: with a day for each it has ended before the versions of the workers
that it runs on may be removed."""

LOOK_SECONDS, LOOKS = 30, 20
"""While a step bakes, the tenant is looked at every 30 s, or 20 times if that is seldomer: a fault
is noticed early, and an execution stays far from its 25,000 events."""


def check_weights(of: Tenant, weights: Mapping[str, int]) -> None:
    """Raise InvalidRequest for weights that the route of `of` cannot have; none: no route."""
    if not weights:
        return
    if len(weights) > TENANTS:
        raise _wrong("weights", f"must name one or two organizations, not {len(weights)}")
    for org in weights:
        if not belongs(of, org):
            raise _wrong(
                "weights",
                f"{org} is not of {of.org}: its route leads to {of.org} or to organizations whose "
                f"names begin with {of.org}-",
            )
    if not all(0 <= weight <= 100 for weight in weights.values()):
        raise _wrong("weights", "must be percentages, from 0 to 100")
    if sum(weights.values()) != 100:
        raise _wrong("weights", f"must be 100 together, not {sum(weights.values())}")


def belongs(of: Tenant, org: str) -> bool:
    """Whether the route of `of` may lead to that organization."""
    return org == of.org or org.startswith(f"{of.org}-")


def check_shift(of: Tenant, request: ShiftRequest) -> None:
    """Raise InvalidRequest for a shift that no weights could have."""
    if not belongs(of, request.to):
        raise _wrong("to", f"must be {of.org}, or begin with {of.org}-")
    steps = request.steps
    if not 1 <= len(steps) <= STEPS:
        raise _wrong("steps", f"must be 1 to {STEPS} percentages, not {len(steps)}")
    if not all(1 <= step <= 100 for step in steps):
        raise _wrong("steps", "must be percentages, from 1 to 100")
    if list(steps) != sorted(set(steps)):
        raise _wrong("steps", f"must rise, such as 10,50,100: {told_steps(steps)} does not")
    if len(set(request.alarms)) != len(request.alarms):
        raise _wrong("alarms", "names an alarm twice")


def check_start(of: Tenant, weights: Mapping[str, int], request: ShiftRequest) -> None:
    """Raise InvalidRequest or Conflict for a shift that these weights do not allow."""
    others = [org for org in weights if org != request.to]
    if len(others) != 1:
        names = " and ".join(weights) or "no tenant"
        raise Conflict(
            f"a shift needs one other tenant that gives its traffic: the route of {of.org} leads "
            f"to {names}"
        )
    has = weights.get(request.to, 0)
    if request.steps[0] <= has:
        raise _wrong("steps", f"must begin above {has}, which {request.to} has already")


def weights_at(shift: Shift, step: int) -> Weights:
    """The weights when `step` steps are set: 0 are those before the shift."""
    if step == 0:
        return dict(shift.before)
    share = shift.steps[step - 1]
    return {org: share if org == shift.to else 100 - share for org in {**shift.before, shift.to: 0}}


def look_seconds(every_seconds: int) -> int:
    """How often a step that bakes that long is looked at."""
    return max(LOOK_SECONDS, ceil(every_seconds / LOOKS))


class Move(StrEnum):
    """What a shift does next."""

    BAKE = "bake"
    SET = "set"
    DONE = "done"


@dataclass(frozen=True)
class Decision:
    """The next move, and why. `seconds`: how long to wait before the next look."""

    move: Move
    reason: str
    seconds: int = 0


def next_move(shift: Shift, step: int, bakes_until: datetime | None, now: datetime) -> Decision:
    """What a shift does next whose tenant is well. `step`: how many of its steps are set."""
    share = shift.steps[step - 1] if step else shift.before.get(shift.to, 0)
    left = (bakes_until - now).total_seconds() if bakes_until else 0.0
    if left > 0:
        seconds = max(1, min(shift.look_seconds, ceil(left)))
        return Decision(Move.BAKE, f"{shift.to} is well with {share} %", seconds)
    if step == len(shift.steps):
        return Decision(Move.DONE, f"{shift.to} is well with {share} %, as was asked for")
    return Decision(Move.SET, f"{shift.to} is well with {share} %: {shift.steps[step]} % next")


def unsafe(
    tests: Sequence[JsonObject], wanted: Sequence[str], alarms: Mapping[str, JsonObject]
) -> str | None:
    """Why traffic must go back, or None. `alarms`: `state` and `reason` of those that exist."""
    wrong = [f"{test['name']}: {test['detail']}" for test in tests if test["status"] == "FAILED"]
    for name in wanted:
        found = alarms.get(name)
        if found is None:
            wrong.append(f"alarm {name} does not exist")
        elif found["state"] == "ALARM":
            wrong.append(f"alarm {name} rings: {found['reason'] or 'it gives no reason'}")
    return "; ".join(wrong) or None


def same(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Whether two weights send everybody to the same tenants."""
    return _sent(one) == _sent(other)


def _sent(weights: Mapping[str, int]) -> Weights:
    return {org: weight for org, weight in weights.items() if weight}


def told(weights: Mapping[str, int]) -> str:
    """Weights in a line: `myorg 90 %, myorg-blue 10 %`."""
    return ", ".join(f"{org} {weights[org]} %" for org in sorted(weights)) or "nowhere"


def told_steps(steps: Sequence[int]) -> str:
    """Steps in a line: `10,50,100`."""
    return ",".join(map(str, steps))


def _wrong(field: str, reason: str) -> InvalidRequest:
    return InvalidRequest.of(field, reason)
