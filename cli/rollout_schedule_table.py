"""A schedule of rollouts for people: when they start, and what each will do."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from cli.scheduling import when
from control_plane.models import Mode
from control_plane.rollout_models import Failure
from control_plane.rules.rollout_plan import RolloutRequest, WaveRequest

_NAMED = 10
"""Organizations that a line names."""


def schedule_table(env: str, found: Mapping[str, Any]) -> Table:
    """When rollouts start by themselves, and what each is asked for."""
    given = found["request"]
    known = {name: given[name] for name in RolloutRequest.model_fields if name in given}
    asked = RolloutRequest.model_validate(known)
    then = "brought back" if asked.on_failure == Failure.ROLL_BACK else "left as it is"
    rows = {
        "when": when(found),
        "what": f"{asked.application} in {env}",
        "build": _build(asked),
        "whom": _whom(asked),
        "waves": ", ".join(_wave(wave) for wave in asked.waves),
        "at once": f"{asked.concurrency}, priority {asked.priority}",
        "may fail": f"{_may_fail(asked)}; when more do it stops, and the wave is {then}",
        "watched": f"{asked.bake_seconds} s after each wave",
        "alarms": ", ".join(asked.alarms),
        "approval": "asked for between waves" if asked.approval else "",
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in rows.items():
        if value:
            table.add_row(name, Text(value))
    return table


def _build(asked: RolloutRequest) -> str:
    if asked.mode == Mode.DEPLOY_ONLY:
        return "each tenant's last one, with the configuration of then"
    source = f"source {asked.source[:12]}" if asked.source else "the source that is current then"
    return f"of {source}"


def _whom(asked: RolloutRequest) -> str:
    if asked.tenants:
        return _some(asked.tenants)
    chosen = [f"label {key}={value}" for key, value in sorted(asked.labels.items())]
    chosen += [f"build {asked.build}"] if asked.build else []
    return " and ".join(["all that are deployed then", *chosen])


def _wave(wave: WaveRequest) -> str:
    if wave.tenants:
        size = _some(wave.tenants, "+")
    elif wave.count is not None:
        size = str(wave.count)
    else:
        size = "rest" if wave.percent is None else f"{wave.percent:g}%"
    own = [f"{wave.concurrency} at once"] if wave.concurrency else []
    own += [f"{wave.max_failures} may fail"] if wave.max_failures else []
    return f"{size} ({', '.join(own)})" if own else size


def _may_fail(asked: RolloutRequest) -> str:
    if asked.max_failures:
        return f"{asked.max_failures} in all, and as many in a wave that says nothing else"
    if any(wave.max_failures for wave in asked.waves):
        return "as many as in the waves together, none in a wave that says nothing"
    return "none"


def _some(orgs: tuple[str, ...], between: str = ", ") -> str:
    more = f" and {len(orgs) - _NAMED} more" if len(orgs) > _NAMED else ""
    return between.join(orgs[:_NAMED]) + more
