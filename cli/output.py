"""What a command prints: text for people, JSON for programs; results to stdout, news to stderr."""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

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


def steps_of(record: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The steps that a deployment entered, in their order; those of the way back with an arrow."""
    forth = list(record.get("steps", {}).items())
    back = [(f"↩ {name}", step) for name, step in record.get("rollback_steps", {}).items()]
    return sorted(forth + back, key=lambda item: item[1].get("started_at", ""))


def steps_table(record: Mapping[str, Any]) -> Table:
    """The steps that a deployment entered, with their times."""
    table = Table(box=None, pad_edge=False)
    for title in ("step", "status", "took", "what it found or did"):
        table.add_column(title, style="bold" if title == "step" else None)
    for name, step in steps_of(record):
        table.add_row(
            name,
            coloured(step["status"]),
            seconds_between(step.get("started_at"), step.get("finished_at")),
            step.get("note", ""),
        )
    return table


def summary(record: Mapping[str, Any]) -> None:
    """A deployment's end: what happened, why, and where to look."""
    out.print(
        f"\n{coloured(record['status'])} [bold]{record['stack_name']}[/bold] "
        f"deployment {record['id']} "
        f"({seconds_between(record.get('created_at'), record.get('finished_at'))})"
    )
    if record.get("reason"):
        out.print(f"reason     {record['reason']}", markup=False)
    _changes(record)
    _builds(record)
    for kind, key in (("test", "tests"), ("test again", "rollback_tests")):
        for test in record.get(key, []):
            out.print(f"{kind:<10} {coloured(test['status'])} {test['name']}: {test['detail']}")
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


def _builds(record: Mapping[str, Any]) -> None:
    """What was brought: a build, or a patch over one; and what was put back."""
    patch = record.get("patch")
    if patch:
        over = patch["over"][:12]
        out.print(f"patch      {patch['fingerprint'][:12]} (code only, over build {over})")
    elif record.get("build"):
        build = record["build"]
        made = "reused" if build["reused"] else "built"
        out.print(f"build      {build['fingerprint'][:12]} ({made}: {build['build_id']})")
    if record.get("rollback_build"):
        out.print(f"back to    {record['rollback_build']['fingerprint'][:12]}")


def running(tenant: Mapping[str, Any]) -> str:
    """What a tenant runs: its build, or the patch over it."""
    build = tenant.get("build", {})
    if build.get("patched"):
        return f"{build['patched'][:12]} (patch over {build['fingerprint'][:12]})"
    return str(build.get("fingerprint", "")[:12])


_MARKS = {
    "added": "[green]+ added[/green]",
    "imported": "[cyan]> imported[/cyan]",
    "modified": "[yellow]~ modified[/yellow]",
    "replaced": "[bold red]! replaced[/bold red]",
    "maybe_replaced": "[bold red]! maybe replaced[/bold red]",
    "removed": "[bold red]- removed[/bold red]",
}


def _changes(record: Mapping[str, Any]) -> None:
    """What the change set does to which resource; what may lose data stands out."""
    found = record.get("change_set")
    if not found:
        return
    if record.get("request", {}).get("dry_run"):
        out.print("dry run    nothing was changed; a deployment would do this:")
    if not found["summary"]:
        out.print("changes    none")
    for kind, items in found["summary"].items():
        for item in items:
            out.print(f"{_MARKS[kind]} {item['id']} ({item['type']})")


def deployments_table(records: list[dict[str, Any]]) -> Table:
    """Deployments, a line each."""
    table = Table(box=None, pad_edge=False)
    for title in ("id", "mode", "status", "trigger", "started", "took", "build", "reason"):
        table.add_column(title)
    for record in records:
        table.add_row(
            record["id"],
            record.get("mode", ""),
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
    for title in ("tenant", "last deployment", "status", "deployed", "build", "drift", "endpoint"):
        table.add_column(title)
    for tenant in tenants:
        table.add_row(
            tenant["stack_name"],
            tenant["last_deployment"],
            coloured(tenant["last_status"]),
            _deployed(tenant),
            running(tenant),
            _drift(tenant),
            aws.reachable(tenant.get("endpoint", "")),
        )
    return table


def _deployed(tenant: Mapping[str, Any]) -> str:
    """Since when a tenant runs, or that it does not any more."""
    if tenant.get("offboarded_at"):
        return f"offboarded {tenant['offboarded_at'][:19]}"
    return str(tenant.get("deployed_at", "never")[:19])


def _drift(tenant: Mapping[str, Any]) -> str:
    """What the last drift check found since the tenant was deployed; empty when there was none."""
    found = tenant.get("drift")
    if not found:
        return ""
    return f"{len(found['findings'])} differ" if found["findings"] else "none"
