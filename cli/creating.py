"""Asking before a deployment creates a tenant: a misspelled organization is a new one."""

import sys

import typer

from cli.connection import Api
from cli.context import current, query, tenant_path
from cli.failure import CommandError, Refused
from cli.output import err
from control_plane import own
from control_plane.models import Env


def confirm_creation(api: Api, env: Env, org: str, application: str | None) -> None:
    """On a terminal, have somebody confirm that a new tenant is meant. Raises Refused.

    Without a terminal nothing is asked, as with the Makefile that this command line replaced. What
    must be created explicitly is left to the API to refuse.
    """
    if current.as_json or not sys.stdin.isatty() or application == own.APPLICATION:
        return
    path = f"{tenant_path(env, org)}/creation{query(application=application)}"
    try:
        found = api.call("GET", path)
    except CommandError as error:
        err.print(f"whether {env}/{org} exists cannot be read: {error}", markup=False)
    else:
        if found["exists"] or found["explicit"]:
            return
        gone = found.get("offboarded_at")
        what = f"was offboarded at {gone[:19]}" if gone else "does not exist"
        err.print(f"{found['stack_name']} {what}: this creates a new tenant in {env}", markup=False)
        if found["similar"]:
            err.print(f"similar names in {env}: {', '.join(found['similar'])}", markup=False)
    if not typer.confirm(f"create {org} in {env}?", default=False, err=True):
        raise Refused("nothing was started; --yes skips the question")
