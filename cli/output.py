"""What a command prints: text for people, JSON for programs; results to stdout, news to stderr."""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from control_plane import aws

_COLOURS = {
    "SUCCEEDED": "green", "PASSED": "green", "FAILED": "red", "ROLLED_BACK": "red",
    "TIMED_OUT": "red", "CANCELLED": "yellow", "AWAITING_APPROVAL": "magenta",
    "healthy": "green", "unhealthy": "red", "SUPERSEDED": "yellow",
    "SKIPPED": "yellow", "RUNNING": "cyan", "QUEUED": "cyan",
}  # fmt: skip

_WIDE = None if sys.stdout.isatty() else 1000  # what programs read is not cut
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


def running(tenant: Mapping[str, Any]) -> str:
    """What a tenant runs: its build, or the patch over it."""
    build = tenant.get("build", {})
    if build.get("patched"):
        return f"{build['patched'][:12]} (patch over {build['fingerprint'][:12]})"
    return str(build.get("fingerprint", "")[:12])


def deployments_table(records: list[dict[str, Any]]) -> Table:
    """Deployments, a line each."""
    table = Table(box=None, pad_edge=False)
    for title in ("id", "mode", "status", "trigger", "started", "took", "build", "reason"):
        table.add_column(title)
    for record in records:
        dry = record.get("request", {}).get("dry_run")  # it built, and deployed nothing
        table.add_row(
            record["id"],
            f"{record.get('mode', '')} (dry run)" if dry else record.get("mode", ""),
            coloured(record["status"]),
            record.get("trigger", ""),
            record.get("created_at", "")[:19],
            seconds_between(record.get("created_at"), record.get("finished_at")),
            "" if dry else record.get("build", {}).get("fingerprint", "")[:12],
            escape(record.get("reason", "")),
        )
    return table


def tenants_table(tenants: list[dict[str, Any]]) -> Table:
    """Tenants, a line each: how each is, what runs, the last attempt, what is in progress."""
    table = Table(box=None, pad_edge=False)
    for title in (
        "tenant", "health", "deployed", "build", "last attempt", "in progress", "drift", "endpoint",
    ):  # fmt: skip
        table.add_column(title)
    for tenant in tenants:
        table.add_row(
            tenant["stack_name"],
            _health(tenant),
            _deployed(tenant),
            running(tenant),
            _attempt(tenant.get("last_attempt")),
            _attempt(tenant.get("in_progress")),
            _drift(tenant),
            aws.reachable(tenant.get("endpoint", "")),
        )
    return table


def _health(tenant: Mapping[str, Any]) -> str:
    """What the last tests said, and when; empty when none ever ran."""
    found = tenant.get("health")
    return f"{coloured(found['status'])} {found['checked_at'][:16]}" if found else ""


def _attempt(found: Mapping[str, Any] | None) -> str:
    """A deployment: how it stands, which it is (its id begins with when it started)."""
    return f"{coloured(found['status'])} {found['deployment']}" if found else ""


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
