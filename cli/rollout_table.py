"""A rollout for people: what it is doing, its waves and their counts."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.context import current
from cli.output import coloured, seconds_between
from control_plane.models import Mode
from control_plane.rollout_models import RolloutStatus

_COUNTS = ("size", "succeeded", "skipped", "failed", "rolled_back")


def is_over(found: Mapping[str, Any]) -> bool:
    """Whether a rollout ended, or is left by its execution: nothing comes of watching it."""
    return RolloutStatus(found["state"]["status"]).is_final or "execution_status" in found


def rollout_view(found: Mapping[str, Any]) -> Group:
    """A rollout: its state in a line or two, and a line for each wave."""
    return Group(*_headline(found), waves_table(found))


def waves_table(found: Mapping[str, Any]) -> Table:
    """The waves of a rollout."""
    state = found["state"]
    table = Table(box=None, pad_edge=False)
    for title in ("wave", "tenants", "succeeded", "skipped", "failed", "rolled back", "running"):
        table.add_column(title, justify="left" if title == "wave" else "right")
    table.add_column("may fail", justify="right")
    for number, wave in enumerate(state["waves"]):
        here = number == state["wave"]
        table.add_row(
            f"{number + 1}{' <' if here else ''}",
            *(str(wave[name]) for name in _COUNTS),
            str(len(state["running"])) if here else "",
            str(wave["allowed"]),
        )
    return table


def plan_view(plan: Mapping[str, Any]) -> Group:
    """What a rollout would bring, and who would be in which wave."""
    what = f"source {plan['source'][:12]}"
    if plan.get("mode") == Mode.DEPLOY_ONLY:
        what = "each tenant's own last build"
    return Group(Text(f"would bring {what}; nothing was started"), _plan_table(plan))


def _plan_table(plan: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("wave", "tenants", "at once", "may fail", "organizations"):
        table.add_column(title)
    for number, wave in enumerate(plan["waves"], start=1):
        new = wave.get("new", [])
        named = ", ".join(f"{o} (new)" if o in new else o for o in wave["tenants"][:10])
        more = f" and {wave['size'] - 10} more" if wave["size"] > 10 else ""
        counts = (wave["size"], wave["concurrency"], wave["allowed"])
        table.add_row(str(number), *(str(count) for count in counts), named + more)
    return table


def rollouts_table(rollouts: list[dict[str, Any]]) -> Table:
    """Rollouts, a line each."""
    table = Table(box=None, pad_edge=False)
    for title in ("id", "env", "application", "status", "trigger"):
        table.add_column(title)
    for title in ("tenants", "skipped", "failed"):
        table.add_column(title, justify="right")
    for title in ("took", "reason"):
        table.add_column(title)
    for found in rollouts:
        waves = found["state"]["waves"]
        table.add_row(
            found["id"],
            found["env"],
            found["application"],
            coloured(found["state"]["status"]),
            found.get("trigger", ""),
            *(str(sum(wave[name] for wave in waves)) for name in ("size", "skipped", "failed")),
            seconds_between(found.get("created_at"), found.get("finished_at")),
            found["state"].get("failure", ""),
        )
    return table


def tenants_rows(rows: list[dict[str, Any]]) -> Table:
    """The tenants of a rollout, a line each."""
    table = Table(box=None, pad_edge=False)
    for title in ("wave", "organization", "status", "deployment", "reason"):
        table.add_column(title)
    for row in rows:
        table.add_row(
            str(row["wave"] + 1),
            row["org"],
            coloured(row["status"]),
            row.get("back") or row.get("deployment", ""),
            escape(row.get("reason", "")),
        )
    return table


def _headline(found: Mapping[str, Any]) -> list[Text]:
    state = found["state"]
    where = f"{found['application']} in {found['env']}"
    source = state["source"][:12]
    lines = [f"rollout {found['id']} of {where}, source {source}: {coloured(state['status'])}"]
    by = found.get("requested_by") or ("a schedule" if found.get("trigger") == "schedule" else "")
    lines += [f"started by {by}"] if by else []
    note = state.get("failure") or found.get("note") or ""
    lines += [note] if note and note != "paused" else []  # which the status says
    lines += [f"hint: {found['hint']}"] if found.get("hint") else []
    lines += [_left(found)] if "execution_status" in found else []
    control = found.get("control", {})
    lines += [f"paused by {control['paused_by']}"] if "paused_by" in control else []
    if state["status"] == "AWAITING_APPROVAL":
        lines.append(f"go on: {_verb('approve')} {found['id']}")
    return [Text.from_markup(line) for line in lines]


def _left(found: Mapping[str, Any]) -> str:
    status = found["execution_status"]
    return (
        f"its execution {status}, nothing drives it any more: "
        f"'{_verb('cancel')} {found['id']}' ends it"
    )


def _verb(verb: str) -> str:
    return f"syndi {'--local ' if current.local else ''}rollout {verb}"
