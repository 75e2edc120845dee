"""`syndi drift`: what is not as it was deployed, and what a deployment would do about it."""

from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.context import command, current, once, tenant_path
from cli.options import (
    ApplicationOption,
    EnvArgument,
    IdempotencyKeyOption,
    JsonOption,
    OnConflictOption,
    OrgArgument,
    WaitOption,
)
from cli.output import out
from cli.watching import follow
from control_plane.models import OnConflict


@command
def drift(
    env: EnvArgument,
    org: OrgArgument,
    application: ApplicationOption = None,
    on_conflict: OnConflictOption = OnConflict.WAIT,
    idempotency_key: IdempotencyKeyOption = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Look for what is not as it was deployed, and change nothing. Exit code 1: something is."""
    body: dict[str, Any] = {"application": application} if application else {}
    if on_conflict != OnConflict.WAIT:
        body["on_conflict"] = on_conflict
    api = current.api()
    record = api.call("POST", f"{tenant_path(env, org)}/drift", body, once(idempotency_key))
    record = follow(api, env, org, record, application, wait=wait)
    if not wait:
        return
    findings = record["drift"]["findings"]
    if not current.as_json:
        out.print(findings_table(findings) if findings else "everything is as it was deployed")
    if findings:
        raise typer.Exit(1)


def findings_table(findings: list[dict[str, Any]]) -> Table:
    """What differs, a line each."""
    table = Table(box=None, pad_edge=False)
    for title in ("kind", "what", "differs", "a deployment would"):
        table.add_column(title)
    for item in findings:
        cells = (item[name] for name in ("kind", "resource", "detail", "deployment_would"))
        table.add_row(*map(escape, cells))
    return table
