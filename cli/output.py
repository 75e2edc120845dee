"""What a command prints: text for people, JSON for programs; results to stdout, news to stderr."""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from control_plane import aws

_COLOURS = {
    "SUCCEEDED": "green", "PASSED": "green", "FAILED": "red", "ROLLED_BACK": "red",
    "TIMED_OUT": "red", "CANCELLED": "yellow", "AWAITING_APPROVAL": "magenta",
    "SUPERSEDED": "yellow", "SKIPPED": "yellow", "RUNNING": "cyan", "QUEUED": "cyan",
}  # fmt: skip

_WIDE = None if sys.stdout.isatty() else 200
out = Console(soft_wrap=True, highlight=False, width=_WIDE)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    """A result for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def coloured(status: str) -> str:
    """A status in its colour."""
    colour = _COLOURS.get(status, "white")
    return f"[{colour}]{status}[/{colour}]"


def seconds_between(start: str | None, end: str | None) -> str:
    """The time between two instants of a record, such as `3.2 s`; empty where one is missing."""
    if not start or not end:
        return ""
    took = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return f"{took:.1f} s"


def steps_table(record: Mapping[str, Any]) -> Table:
    """The steps that a deployment entered, in their order, with their times."""
    table = Table(box=None, pad_edge=False)
    for title in ("step", "status", "took", "what it found or did"):
        table.add_column(title, style="bold" if title == "step" else None)
    steps = record.get("steps", {}).items()
    for name, step in sorted(steps, key=lambda item: item[1].get("started_at", "")):
        table.add_row(
            name,
            coloured(step["status"]),
            seconds_between(step.get("started_at"), step.get("finished_at")),
            step.get("note", ""),
        )
    return table


def summary(record: Mapping[str, Any], *, local: bool = False) -> None:
    """A deployment's end: what happened, why, and where to look."""
    out.print(
        f"\n{coloured(record['status'])} [bold]{record['stack_name']}[/bold] "
        f"deployment {record['id']} "
        f"({seconds_between(record.get('created_at'), record.get('finished_at'))})"
    )
    if record.get("reason"):
        out.print(f"reason     {record['reason']}", markup=False)
    if record.get("hint"):
        out.print(f"hint       {record['hint']}", markup=False)
    if record.get("build_log"):
        out.print("the build's log ends with")
        for line in record["build_log"]:
            out.print(f"  | {line}", markup=False)
    for line in [*changes(record), *asked(record, local=local)]:
        out.print(line)
    if record.get("build"):
        build = record["build"]
        made = "reused" if build["reused"] else "built"
        out.print(f"build      {build['fingerprint'][:12]} ({made}: {build['build_id']})")
    for test in record.get("tests", []):
        out.print(f"test       {coloured(test['status'])} {test['name']}: {test['detail']}")
    if record.get("endpoint"):
        out.print(f"endpoint   {aws.reachable(record['endpoint'])}")
    for name, value in record.get("outputs", {}).items():
        if value.startswith("https://") and value != record.get("endpoint"):
            out.print(f"{name:<10} {value}")
    admin = record.get("admin")
    if admin:
        kept = (
            f"password in the secret {admin['secret']}"
            if admin["secret"]
            else "password not kept here"
        )
        out.print(f"admin      {admin['username']} ({admin['group']}; {kept})")
    out.print(f"execution  {record['console_url']}")


_MARKS = {
    "added": "[green]+ added[/green]",
    "imported": "[cyan]> imported[/cyan]",
    "modified": "[yellow]~ modified[/yellow]",
    "replaced": "[bold red]! replaced[/bold red]",
    "maybe_replaced": "[bold red]! maybe replaced[/bold red]",
    "removed": "[bold red]- removed[/bold red]",
}


def changes(record: Mapping[str, Any]) -> list[Text]:
    """What the change set does to which resource, a line each; what may lose data stands out."""
    found = record.get("change_set")
    if not found:
        return []
    lines = [
        Text.from_markup(f"{_MARKS[kind]} {item['id']} ({item['type']})")
        for kind, items in found["summary"].items()
        for item in items
    ] or [Text("changes    none")]
    if record.get("request", {}).get("dry_run"):
        lines.insert(0, Text("dry run    nothing was changed; a deployment would do this:"))
    return lines


def asked(record: Mapping[str, Any], *, local: bool) -> list[Text]:
    """Of a deployment that needs an approval: how to give it, or who decided, why and when."""
    approval = record.get("approval")
    if not approval:
        return []
    if "decision" in approval:
        told = f"approval   {approval['decision'].lower()} by {approval['decided_by']}"
        told += f" at {approval['decided_at'][:19]}"
        return [Text(told + (f": {approval['comment']}" if approval["comment"] else ""))]
    if record["status"] != "AWAITING_APPROVAL":
        return []
    syndi = "syndi --local" if local else "syndi"
    return [
        Text(
            f"waiting for approval until {approval['expires_at'][:16]}: "
            f"{syndi} approve {record['id']} / {syndi} reject {record['id']}"
        )
    ]


def deployments_table(records: list[dict[str, Any]]) -> Table:
    """Deployments, a line each."""
    table = Table(box=None, pad_edge=False)
    for title in ("id", "status", "trigger", "started", "took", "build", "reason"):
        table.add_column(title)
    for record in records:
        table.add_row(
            record["id"],
            coloured(record["status"]),
            record.get("trigger", ""),
            record.get("created_at", "")[:19],
            seconds_between(record.get("created_at"), record.get("finished_at")),
            record.get("build", {}).get("fingerprint", "")[:12],
            record.get("reason", ""),
        )
    return table


def tenants_table(tenants: list[dict[str, Any]]) -> Table:
    """Tenants, a line each: what runs, and how the last deployment ended."""
    table = Table(box=None, pad_edge=False)
    for title in ("tenant", "last deployment", "status", "deployed", "build", "endpoint"):
        table.add_column(title)
    for tenant in tenants:
        table.add_row(
            tenant["stack_name"],
            tenant["last_deployment"],
            coloured(tenant["last_status"]),
            tenant.get("deployed_at", "never")[:19],
            tenant.get("build", {}).get("fingerprint", "")[:12],
            aws.reachable(tenant.get("endpoint", "")),
        )
    return table
