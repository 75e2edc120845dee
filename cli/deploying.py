"""`syndi deploy`: start a deployment and, unless told otherwise, watch it to its end."""

import os
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.context import command, current, once, tenant_path
from cli.creating import confirm_creation
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
from control_plane.models import Mode, OnConflict, Priority


class DeployMode(StrEnum):
    """The modes of `deploy`; the others are verbs of their own."""

    FULL = Mode.FULL
    DEPLOY_ONLY = Mode.DEPLOY_ONLY
    FUNCTION = Mode.FUNCTION


PASSWORD_VARIABLE = "ADMIN_PASSWORD"  # noqa: S105 - the variable's name


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
    on_conflict: OnConflictOption = OnConflict.WAIT,
    priority: PriorityOption = Priority.NORMAL,
    mode: Annotated[
        DeployMode,
        typer.Option(
            help="full: build and deploy; deploy-only: the last build, with the configuration as it"
            " is now; function: only the function's code, past CloudFormation",
        ),
    ] = DeployMode.FULL,
    allow_replacement: AllowReplacementOption = None,
    dry_run: DryRunOption = False,
    approval: ApprovalOption = False,
    rollback: Annotated[
        bool,
        typer.Option("--rollback/--no-rollback", help="when the tests fail: the previous build"),
    ] = True,
    create: Annotated[
        bool, typer.Option("--create", help="the tenant may be a new one, where that must be said")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="do not ask before a new tenant is created")
    ] = False,
    idempotency_key: IdempotencyKeyOption = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Deploy one tenant: build, configuration, stack, administrator, tests."""
    request: dict[str, Any] = {
        "enable_auth": enable_auth,
        "create_buckets": create_buckets,
        "admin_username": admin_username,
        "application": application,
        "source": source,
        "on_conflict": None if on_conflict == OnConflict.WAIT else on_conflict,
        "priority": None if priority == Priority.NORMAL else priority,
        "mode": None if mode == DeployMode.FULL else mode,
        "allow_replacement": allow_replacement or None,
        "dry_run": dry_run or None,
        "approval": approval or None,
        "rollback_on_failure": None if rollback else False,
        "create": create or None,
    }
    api = current.api()
    if not (create or yes or dry_run):
        confirm_creation(api, env, org, application)
    request["admin_password"] = _password(admin_username)
    body = {name: value for name, value in request.items() if value is not None}
    record = api.call("POST", f"{tenant_path(env, org)}/deployments", body, once(idempotency_key))
    follow(api, env, org, record, application, wait=wait)


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
