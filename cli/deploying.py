"""`syndi deploy`: start a deployment and, unless told otherwise, watch it to its end."""

import os
import sys
import time
from typing import Annotated, Any

import typer
from rich.live import Live

from cli.connection import Api
from cli.context import (
    ApplicationOption,
    EnvArgument,
    JsonOption,
    OrgArgument,
    command,
    current,
    query,
    tenant_path,
)
from cli.failure import Failed
from cli.output import err, out, print_json, steps_table, summary
from control_plane.models import DeploymentStatus, Env, OnBusy

PASSWORD_VARIABLE = "ADMIN_PASSWORD"  # noqa: S105 - the variable's name
_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 120.0


@command
def deploy(
    env: EnvArgument,
    org: OrgArgument,
    enable_auth: Annotated[
        bool | None, typer.Option("--enable-auth/--no-enable-auth", help="default: as it is")
    ] = None,
    create_buckets: Annotated[
        bool | None, typer.Option("--create-buckets/--no-create-buckets", help="default: as it is")
    ] = None,
    admin_username: Annotated[
        str | None,
        typer.Option(help=f"e-mail; the password is taken from {PASSWORD_VARIABLE} or a prompt"),
    ] = None,
    application: ApplicationOption = None,
    source: Annotated[
        str | None, typer.Option(help="SHA-256 of a source; default: the environment's current one")
    ] = None,
    on_busy: Annotated[
        OnBusy, typer.Option(help="what to do while another deployment has the tenant")
    ] = OnBusy.WAIT,
    allow_replacement: Annotated[
        bool, typer.Option(help="permit changes that lose a user pool, bucket or table")
    ] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="the same key starts the same deployment only once")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="watch it to its end")] = True,
    as_json: JsonOption = False,
) -> None:
    """Deploy one tenant: build, configuration, stack, administrator, tests."""
    request: dict[str, Any] = {
        "enable_auth": enable_auth,
        "create_buckets": create_buckets,
        "admin_username": admin_username,
        "application": application,
        "source": source,
        "on_busy": None if on_busy == OnBusy.WAIT else on_busy,
        "allow_replacement": allow_replacement or None,
        "admin_password": _password(admin_username),
    }
    body = {name: value for name, value in request.items() if value is not None}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    api = current.api()
    record = api.call("POST", f"{tenant_path(env, org)}/deployments", body, headers)
    if wait:
        record = _watch(api, env, org, record, application)
    if current.as_json:
        print_json(record)
    elif wait:
        summary(record)
    else:
        out.print(f"started {record['id']}: {_show(record['id'])}")
    if wait and record["status"] != DeploymentStatus.SUCCEEDED:
        raise typer.Exit(1)


def _password(admin_username: str | None) -> str | None:
    """The administrator's password: from the environment or a prompt; None: have one generated.

    Never an argument: those are in the shell's history and in every process list.
    """
    if admin_username is None:
        return None
    given = os.environ.get(PASSWORD_VARIABLE)
    if given or current.as_json or not sys.stdin.isatty():
        return given or None
    typed: str = typer.prompt(
        f"password for {admin_username} (empty: generate one)",
        default="", hide_input=True, show_default=False, err=True,
    )  # fmt: skip
    return typed or None


def _watch(
    api: Api, env: Env, org: str, record: dict[str, Any], application: str | None
) -> dict[str, Any]:
    """Follow a deployment to its end; on a terminal, with its steps as they happen."""
    path = f"{tenant_path(env, org)}/deployments/{record['id']}{query(application)}"
    show = not current.as_json
    if show:
        err.print(f"deployment {record['id']} of {record['stack_name']}\n{record['console_url']}")
    seen: set[tuple[str, str]] = set()
    try:
        with Live(console=err, auto_refresh=False, transient=True) as live:
            while not DeploymentStatus(record["status"]).is_final:
                time.sleep(_POLL_SECONDS)  # between two questions
                record = _ask(api, path, record["id"])
                if show and err.is_terminal:
                    live.update(steps_table(record), refresh=True)
                elif show:
                    _print_news(record, seen)
    except KeyboardInterrupt:
        err.print(f"\nnot watching any more; it goes on: {_show(record['id'])}")
        raise typer.Exit(130) from None
    if show and err.is_terminal:
        err.print(steps_table(record))
    elif show:
        _print_news(record, seen)
    return record


def _ask(api: Api, path: str, deployment_id: str) -> dict[str, Any]:
    """The record. That nobody answers says nothing of the deployment: asked again for a while."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return api.call("GET", path)
        except Failed as error:
            if time.monotonic() > deadline:
                err.print(f"{error}\nnot watching any more; it goes on: {_show(deployment_id)}")
                raise typer.Exit(130) from error
            time.sleep(_POLL_SECONDS)


def _show(deployment_id: str) -> str:
    """The command that shows a deployment."""
    return f"syndi {'--local ' if current.local else ''}show {deployment_id}"


def _print_news(record: dict[str, Any], seen: set[tuple[str, str]]) -> None:
    """A line for each step that ended since the last look, for a log file."""
    steps = sorted(record["steps"].items(), key=lambda item: item[1].get("started_at", ""))
    for name, step in steps:
        if step["status"] != "RUNNING" and (name, step["status"]) not in seen:
            seen.add((name, step["status"]))
            err.print(f"{step['status']:<10} {name:<18} {step.get('note', '')}", markup=False)
