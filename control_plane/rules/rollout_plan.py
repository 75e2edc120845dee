"""Which tenants a rollout brings to a build, in which waves: the request, and its plan. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from control_plane.errors import InvalidRequest
from control_plane.events import STARTED_BY, Trigger
from control_plane.models import (
    ALLOWED_PATTERN,
    BUILD_PATTERN,
    EXPRESSION_PATTERN,
    LABEL_KEY_PATTERN,
    LABEL_VALUE_PATTERN,
    Application,
    Env,
    Frozen,
    Mode,
    Org,
    Priority,
    Sha256,
    Timezone,
)
from control_plane.rollout_models import Failure, Wave

LIMIT = 10_000
"""Tenants of one rollout."""

LISTED = 2_000
"""Tenants that a request may list: an execution's input has 256 KiB (Step Functions quotas)."""

Allowed = Annotated[str, StringConstraints(pattern=ALLOWED_PATTERN)]
"""How many may fail: a number, or a percentage."""

LabelKey = Annotated[str, StringConstraints(pattern=LABEL_KEY_PATTERN)]
LabelValue = Annotated[str, StringConstraints(pattern=LABEL_VALUE_PATTERN)]
Alarm = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Concurrency = Annotated[int, Field(ge=1, le=200)]


class WaveRequest(Frozen):
    """One wave: these tenants, a count, a share of all in percent, or the rest."""

    tenants: tuple[Org, ...] = Field(default=(), max_length=LISTED)
    count: int | None = Field(default=None, ge=1, le=LIMIT)
    percent: float | None = Field(default=None, gt=0, le=100)
    rest: bool = False
    concurrency: Concurrency | None = None
    max_failures: Allowed | None = None

    @model_validator(mode="after")
    def _says_whom(self) -> Self:
        said = (bool(self.tenants), self.count is not None, self.percent is not None, self.rest)
        if sum(said) != 1:
            raise ValueError("must say exactly one of tenants, count, percent, rest")
        return self


class RolloutRequest(Frozen):
    """The body of `POST /envs/{env}/rollouts`.

    Whom: `tenants`, listed; or all that are deployed in the environment, with these `labels`, and
    with a current build whose fingerprint begins with `build`. `max_failures`: in the whole
    rollout, and in each wave that says nothing else; left out, none in a wave that says nothing,
    and in the whole rollout as many as in its waves together. `alarms`: names of CloudWatch
    alarms, checked at the end of each wave's bake time; `{env}` and `{org}` in them stand for each
    of its tenants.
    """

    application: Application | None = None
    source: Sha256 | None = None
    mode: Literal[Mode.FULL, Mode.DEPLOY_ONLY] = Mode.FULL
    tenants: tuple[Org, ...] = Field(default=(), max_length=LISTED)
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=10)
    build: str | None = Field(default=None, pattern=BUILD_PATTERN)
    waves: tuple[WaveRequest, ...] = Field(default=(WaveRequest(rest=True),), max_length=50)
    concurrency: Concurrency = 10
    max_failures: Allowed | None = None
    on_failure: Failure = Failure.STOP
    bake_seconds: int = Field(default=0, ge=0, le=7 * 24 * 3600)
    alarms: tuple[Alarm, ...] = Field(default=(), max_length=20)
    approval: bool = False
    priority: Priority = Priority.LOW
    dry_run: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.tenants and (self.labels or self.build):
            raise ValueError("tenants are either listed or selected by labels and build, not both")
        if self.mode == Mode.DEPLOY_ONLY and self.source:
            raise ValueError("deploy-only brings each tenant's own last build: leave source out")
        return self


class RolloutScheduleRequest(RolloutRequest):
    """The body of `PUT /envs/{env}/rollout-schedule`: when, and what each rollout is asked for."""

    expression: str = Field(pattern=EXPRESSION_PATTERN, max_length=256)
    timezone: Timezone = "UTC"
    enabled: bool = True

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.dry_run:
            raise ValueError("dry_run starts nothing that could be scheduled: leave it out")
        return self


class LabelsRequest(Frozen):
    """The body of `PUT …/labels`: labels to set, and those to remove."""

    application: Application | None = None
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=20)
    remove: tuple[LabelKey, ...] = Field(default=(), max_length=20)


class RolloutInput(RolloutRequest):
    """The input of an execution of `rollout.asl.json`; with `id`, the API planned it already.

    `continues`: the rollout of that id goes on in this execution; all else is in the table.
    """

    env: Env
    id: str | None = None
    continues: str | None = None
    trigger: Trigger = Trigger.MANUAL
    requested_by: str | None = Field(default=None, max_length=300)
    started_by: str | None = Field(default=None, alias=STARTED_BY)


def allowed(text: str, size: int) -> int:
    """How many of `size` tenants may fail; a share is rounded down."""
    if text.endswith("%"):
        return int(int(text[:-1]) * size / 100)
    return int(text)


def plan(request: RolloutRequest, orgs: Sequence[str]) -> tuple[list[Wave], list[list[str]]]:
    """The waves, and the tenants of each, in the order in which they are deployed.

    Raises InvalidRequest when there is nobody, when a wave has nobody, and when the waves leave
    somebody out.
    """
    if not orgs:
        raise InvalidRequest.of("tenants", "no tenant fits: see 'syndi tenants' and their labels")
    if len(orgs) > LIMIT:
        raise InvalidRequest.of("tenants", f"{len(orgs)} fit, and a rollout may have {LIMIT}")
    left = sorted(set(orgs))
    named = [org for wave in request.waves for org in wave.tenants]
    if unknown := sorted(set(named) - set(left)):
        raise InvalidRequest.of("waves", f"not among the selected tenants: {_some(unknown)}")
    if twice := sorted(org for org, times in Counter(named).items() if times > 1):
        raise InvalidRequest.of("waves", f"in more than one wave: {_some(twice)}")
    total, waves, members = len(left), [], []
    unnamed = [org for org in left if org not in set(named)]
    for number, asked in enumerate(request.waves):
        if asked.tenants:
            chosen = list(asked.tenants)
        else:
            count = _count(asked, total, len(unnamed))
            chosen, unnamed = unnamed[:count], unnamed[count:]
        if not chosen:
            raise InvalidRequest.of(f"waves.{number}", "nobody is left for this wave: leave it out")
        limit = allowed(asked.max_failures or request.max_failures or "0", len(chosen))
        concurrency = asked.concurrency or request.concurrency
        waves.append(Wave(size=len(chosen), concurrency=concurrency, allowed=limit))
        members.append(chosen)
    if unnamed:
        raise InvalidRequest.of(
            "waves", f"{len(unnamed)} of {total} tenants are in no wave: end with a wave 'rest'"
        )
    return waves, members


def _count(asked: WaveRequest, total: int, left: int) -> int:
    if asked.rest:
        return left
    if asked.count is not None:
        return asked.count
    return max(1, int(total * (asked.percent or 0) / 100))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
