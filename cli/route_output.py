"""What `syndi route` and `syndi history` tell of a route."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from cli.context import current
from cli.output import coloured, out
from control_plane.rules.shifting import told

_KINDS = {"set": "set", "shift": "shift", "restore": "back", "reverse": "reversed", "end": "end"}


def route_summary(route: Mapping[str, Any]) -> None:
    """The weights as Route 53 has them, and what is not as it was recorded."""
    out.print(f"[bold]{route['name']}[/bold] {told(route['weights'])}", highlight=False)
    for record in route["records"]:
        out.print(
            f"{record['weight']:>4} % {record['tenant']} at {record['target']} "
            f"(TTL {record['ttl']} s)",
            markup=False,
        )
        if record["leads_astray"]:
            out.print(f"       DIFFERS: {record['leads_astray']}", markup=False)
    if route["recorded"] is not None and route["recorded"] != route["weights"]:
        out.print(f"DIFFERS from what was recorded: {told(route['recorded'])}")
    if route["before"]:
        out.print(f"before     {told(route['before'])}: {_command(route)} goes back", markup=False)
    shift = route["shift"]
    if not shift:
        return
    steps = ",".join(map(str, shift["steps"]))
    out.print(
        f"shift      {coloured(shift['status'])} {shift['id']} to {shift['to']} by {steps}, "
        f"every {shift['every_seconds']} s, {shift['step']} of {len(shift['steps'])} steps set"
    )
    why = shift["note"] if shift["status"] == "RUNNING" else shift.get("reason")
    if why:
        out.print(f"           {why}", markup=False)
    if shift.get("hint"):
        out.print(f"hint       {shift['hint']}", markup=False)


def changes_table(changes: list[dict[str, Any]]) -> Table:
    """Changes of a route, a line each, newest first."""
    table = Table(box=None, pad_edge=False)
    for title in ("at", "change", "weights", "by", "why"):
        table.add_column(title)
    for change in changes:
        table.add_row(
            change["at"][:19],
            _kind(change),
            told(change["after"]),
            (change.get("by") or "").rpartition("/")[2],
            escape(change.get("reason") or ""),
        )
    return table


def line(change: Mapping[str, Any]) -> str:
    """A change in a line, for a log."""
    reason = f": {change['reason']}" if change.get("reason") else ""
    return f"{_kind(change):<16} {told(change['after'])}{reason}"


def last_change(change: Mapping[str, Any] | None) -> None:
    """Of a tenant that is part of a route: its weights, and where to look."""
    if change:
        out.print(
            f"\nroute      {change['name']}: {told(change['after'])} ({_kind(change)} at "
            f"{change['at'][:19]}); {_syndi()} route show {change['env']} {change['route']}",
            markup=False,
        )


def _kind(change: Mapping[str, Any]) -> str:
    kind = _KINDS.get(change["kind"], change["kind"])
    if change["kind"] == "shift":
        return f"shift, {change['step']} of {len(change['steps'])}"
    return f"shift {change['status']}" if change["kind"] == "end" else kind


def _command(route: Mapping[str, Any]) -> str:
    return f"'{_syndi()} route reverse {route['env']} {route['org']}'"


def _syndi() -> str:
    return "syndi --local" if current.local else "syndi"
