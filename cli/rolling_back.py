"""`syndi rollback`: bring an earlier good build of a tenant and its configuration back."""

from typing import Annotated, Any

import typer

from cli.context import (
    ApplicationOption,
    EnvArgument,
    JsonOption,
    OrgArgument,
    command,
    current,
    tenant_path,
)
from cli.watching import follow
from control_plane.models import OnConflict


@command
def rollback(
    env: EnvArgument,
    org: OrgArgument,
    to: Annotated[
        str | None,
        typer.Option(
            help="a good deployment's id from 'syndi history'; default: the newest one before the"
            " current that had another build or configuration"
        ),
    ] = None,
    application: ApplicationOption = None,
    on_conflict: Annotated[
        OnConflict, typer.Option(help="what to do while another deployment has the tenant")
    ] = OnConflict.WAIT,
    allow_replacement: Annotated[
        list[str] | None,
        typer.Option(help="a resource, by logical id, that may lose its data"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would change, and change nothing")
    ] = False,
    approval: Annotated[
        bool, typer.Option("--approval", help="wait for 'syndi approve' before anything changes")
    ] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="the same key starts the same rollback only once")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="watch it to its end")] = True,
    as_json: JsonOption = False,
) -> None:
    """Bring an earlier good build of a tenant and its configuration back, and test it."""
    request: dict[str, Any] = {
        "application": application,
        "to": to,
        "on_conflict": None if on_conflict == OnConflict.WAIT else on_conflict,
        "allow_replacement": allow_replacement or None,
        "dry_run": dry_run or None,
        "approval": approval or None,
    }
    body = {name: value for name, value in request.items() if value is not None}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    api = current.api()
    record = api.call("POST", f"{tenant_path(env, org, application)}/rollback", body, headers)
    follow(api, env, org, record, application, wait=wait)
