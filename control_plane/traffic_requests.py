"""What the API and a shift's execution are given. Unknown fields are refused, as everywhere."""

from typing import Annotated

from pydantic import Field, StringConstraints

from control_plane.models import Application, Env, Frozen, Org, Tenant

Weights = dict[Org, int]
"""The share of a route, in percent, that each organization's tenant gets."""

Alarm = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""The name of an alarm (CloudWatch API reference, PutMetricAlarm)."""

ALARMS = 20
"""Alarms that one shift may watch."""


class RouteRequest(Frozen):
    """The body of `PUT …/route`: all of the weights."""

    application: Application | None = None
    weights: Weights


class ReverseRequest(Frozen):
    """The body of `POST …/route/reverse`."""

    application: Application | None = None


class ShiftRequest(Frozen):
    """The body of `POST …/route/shift`: who gets the traffic, in which shares (percent), how long
    each of them is watched (seconds), and which alarms must not ring meanwhile."""

    application: Application | None = None
    to: Org
    steps: tuple[int, ...] = (10, 50, 100)
    every_seconds: int = Field(default=300, ge=1, le=24 * 3600)
    alarms: tuple[Alarm, ...] = Field(default=(), max_length=ALARMS)


class ShiftInput(ShiftRequest):
    """The input of an execution. By hand `{"env": "stage", "org": "myorg", "to": "myorg-blue"}` is
    enough."""

    env: Env
    org: Org
    requested_by: str | None = Field(default=None, max_length=300)


class Shift(Frozen):
    """A shift as PrepareShift resolved it; every later step is given it whole.

    `route`: whose route it is. `before`: the weights that it goes back to; `earlier`: those that a
    reversal led to when it began. `look_seconds`: how often the tenant is looked at while a step
    bakes.
    """

    id: str
    execution_arn: str
    route: Tenant
    to: Org
    steps: tuple[int, ...]
    every_seconds: int
    look_seconds: int
    alarms: tuple[str, ...]
    before: Weights
    earlier: Weights
    by: str | None = None
