"""Starting something with a tenant and following it to its end."""

import time
from typing import Any

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from cli.connection import Api
from cli.context import current, query, tenant_path
from cli.failure import Failed
from cli.output import err, out, print_json
from cli.summaries import asked, changes, steps_of, steps_table, summary
from control_plane.models import DeploymentStatus, Env
from control_plane.rules.timings import QUEUES

POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 120.0

UNWATCHED = 130
"""The exit code of a command that stopped watching what goes on."""


def follow(
    api: Api,
    env: Env,
    org: str,
    record: dict[str, Any],
    application: str | None,
    *,
    wait: bool,
    good: DeploymentStatus = DeploymentStatus.SUCCEEDED,
) -> dict[str, Any]:
    """Tell how what was asked for ends, or with `wait` False only how to see that.

    Gives the record. Ends the command with exit code 1 when its end is not the `good` one.
    """
    if wait:
        record = watch(api, env, org, record, application)
    if current.as_json:
        print_json(record)
    elif wait:
        summary(record)
    else:
        told = "asked to end" if good == DeploymentStatus.CANCELLED else "started"
        out.print(f"{told} {record['id']}: {show_command(record['id'])}")
    if wait and record["status"] != good:
        raise typer.Exit(1)
    return record


def watch(
    api: Api, env: Env, org: str, record: dict[str, Any], application: str | None
) -> dict[str, Any]:
    """Follow a deployment to its end; on a terminal, with its steps as they happen."""
    base = tenant_path(env, org, application)
    path = f"{base}/deployments/{record['id']}{query(application=application)}"
    show = not current.as_json
    if show:
        err.print(f"deployment {record['id']} of {record['stack_name']}\n{record['console_url']}")
    seen: set[tuple[str, str]] = set()
    try:
        with Live(console=err, auto_refresh=False, transient=True) as live:
            while not DeploymentStatus(record["status"]).is_final:
                time.sleep(POLL_SECONDS)  # between two questions
                record = patiently(api, path, show_command(record["id"]))
                if show and err.is_terminal:
                    live.update(Group(steps_table(record), *_question(record)), refresh=True)
                elif show:
                    _print_news(record, seen)
    except KeyboardInterrupt:
        err.print(f"\nnot watching any more; it goes on: {show_command(record['id'])}")
        raise typer.Exit(UNWATCHED) from None
    if show and err.is_terminal:
        err.print(steps_table(record))
    elif show:
        _print_news(record, seen)
    return record


def patiently(api: Api, path: str, instead: str) -> dict[str, Any]:
    """What is watched, as it is now; `instead`: the command that shows it later.

    That nobody answers says nothing of it: asked again for a while, then the command ends with exit
    code 130.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return api.call("GET", path)
        except Failed as error:
            if time.monotonic() > deadline:
                err.print(f"{error}\nnot watching any more; it goes on: {instead}", markup=False)
                raise typer.Exit(UNWATCHED) from error
            time.sleep(POLL_SECONDS)


def show_command(deployment_id: str) -> str:
    """The command that shows a deployment."""
    return f"syndi {'--local ' if current.local else ''}show {deployment_id}"


def _question(record: dict[str, Any]) -> list[Text]:
    """What somebody is to approve and how, while a deployment waits for that."""
    if record["status"] != DeploymentStatus.AWAITING_APPROVAL or "approval" not in record:
        return []
    return [*changes(record), *asked(record)]


def _print_news(record: dict[str, Any], seen: set[tuple[str, str]]) -> None:
    """A line for each step that ended since the last look, for a log file."""
    for name, step in steps_of(record):
        note = step.get("note", "")
        if name in QUEUES and step["status"] == "RUNNING" and note and (name, note) not in seen:
            seen.add((name, note))
            err.print(f"{'WAITING':<10} {name:<20} {note}", markup=False)
        if step["status"] != "RUNNING" and (name, step["status"]) not in seen:
            seen.add((name, step["status"]))
            err.print(f"{step['status']:<10} {name:<20} {step.get('note', '')}", markup=False)
    question = _question(record)
    if question and ("AwaitApproval", "asked") not in seen:
        seen.add(("AwaitApproval", "asked"))
        err.print(*question, sep="\n")
