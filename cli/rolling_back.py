"""`syndi rollback`: bring an earlier good build of a tenant and its configuration back."""

from typing import Annotated, Any

import typer

from cli.context import command, current, once, tenant_path
from cli.options import (
    AllowReplacementOption,
    ApplicationOption,
    ApprovalOption,
    DryRunOption,
    EnvArgument,
    IdempotencyKeyOption,
    JsonOption,
    OnConflictOption,
    OrgArgument,
    PriorityOption,
    WaitOption,
)
from cli.watching import follow
from control_plane.models import OnConflict, Priority


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
    on_conflict: OnConflictOption = OnConflict.WAIT,
    priority: PriorityOption = Priority.NORMAL,
    allow_replacement: AllowReplacementOption = None,
    dry_run: DryRunOption = False,
    approval: ApprovalOption = False,
    idempotency_key: IdempotencyKeyOption = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Bring an earlier good build of a tenant and its configuration back, and test it."""
    request: dict[str, Any] = {
        "application": application,
        "to": to,
        "on_conflict": None if on_conflict == OnConflict.WAIT else on_conflict,
        "priority": None if priority == Priority.NORMAL else priority,
        "allow_replacement": allow_replacement or None,
        "dry_run": dry_run or None,
        "approval": approval or None,
    }
    body = {name: value for name, value in request.items() if value is not None}
    api = current.api()
    path = f"{tenant_path(env, org, application)}/rollback"
    record = api.call("POST", path, body, once(idempotency_key))
    follow(api, env, org, record, application, wait=wait)
