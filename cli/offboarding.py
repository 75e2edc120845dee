"""`syndi offboard`: remove a tenant, and say what was kept of it."""

import sys
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.connection import Api
from cli.context import command, current, once, query, tenant_path
from cli.failure import Refused
from cli.options import (
    ApplicationOption,
    ApprovalOption,
    EnvArgument,
    IdempotencyKeyOption,
    JsonOption,
    OnConflictOption,
    OrgArgument,
    WaitOption,
)
from cli.output import err, out
from cli.sources import manifest_of
from cli.watching import follow
from control_plane import aws
from control_plane.models import Env, Export, OnConflict, Tenant
from control_plane.naming import filled


@command
def offboard(
    env: EnvArgument,
    org: OrgArgument,
    confirm: Annotated[
        str | None, typer.Option(help="the stack's name; without it a terminal is asked")
    ] = None,
    export: Annotated[
        list[Export] | None,
        typer.Option(help="what to copy into the artifact bucket first; may be given repeatedly"),
    ] = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="remove its data too: buckets, users, passwords")
    ] = False,
    approval: ApprovalOption = False,
    application: ApplicationOption = None,
    on_conflict: OnConflictOption = OnConflict.WAIT,
    idempotency_key: IdempotencyKeyOption = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Remove one tenant: its stack, and with --purge its data. Its history stays.

    In prod it always waits for 'syndi approve'.
    """
    api = current.api()
    request: dict[str, Any] = {
        "application": application,
        "confirm": confirm or _ask(api, env, org, application, purge=purge),
        "export": export or None,
        "purge": purge or None,
        "approval": approval or None,
        "on_conflict": None if on_conflict == OnConflict.WAIT else on_conflict,
    }
    body = {name: value for name, value in request.items() if value is not None}
    record = api.call("DELETE", tenant_path(env, org), body, once(idempotency_key))
    record = follow(api, env, org, record, application, wait=wait)
    if wait and not current.as_json:
        _tell(record, f"{env} {org}" + (f" --application {application}" if application else ""))


def _ask(api: Api, env: Env, org: str, application: str | None, *, purge: bool) -> str:
    """The stack's name, typed by somebody who has seen what would go. Raises Refused."""
    if current.as_json or not sys.stdin.isatty():
        raise Refused("removing a tenant needs --confirm with the name of its stack")
    newest_first = f"{tenant_path(env, org)}/deployments"
    newest_first += query(limit=1, application=application)
    newest = api.call("GET", newest_first)["deployments"]
    if not newest:
        raise Refused(f"{env}/{org} was never deployed")
    stack = str(newest[0]["stack_name"])
    tenants = api.call("GET", "/tenants")["tenants"]
    tenant: dict[str, Any] = next((item for item in tenants if item["stack_name"] == stack), {})
    goes = "removed for good, with all objects and users" if purge else "kept; --purge removes them"
    err.print(f"the stack {stack} is removed, and with it {_address(tenant)}")
    err.print(f"its tables, buckets, users and passwords are {goes}: {_buckets(api, newest[0])}")
    err.print("its schedules are removed; its history is kept")
    typed: str = typer.prompt("type the stack's name to remove it", err=True)
    return typed.strip()


def _address(tenant: dict[str, Any]) -> str:
    endpoint = tenant.get("endpoint")
    return aws.reachable(endpoint) if endpoint else "whatever it has"


def _buckets(api: Api, record: dict[str, Any]) -> str:
    """The buckets that the application's manifest names."""
    try:
        manifest = manifest_of(api, record["application"], record.get("source", ""))
    except Refused:
        return "which ones is not known here: its source is not registered any more"
    names = manifest.get("stack", {}).get("buckets", [])
    tenant = Tenant(application=record["application"], env=record["env"], org=record["org"])
    account = record["execution_arn"].split(":")[4]
    return ", ".join(filled(name, tenant, account) for name in names) or "it has no buckets"


def _tell(record: dict[str, Any], tenant: str) -> None:
    """What was exported, and what is left."""
    exported = record.get("exported") or {}
    if exported:
        out.print(f"exported   {exported['location']}")
        for line in exported.get("skipped", []):
            out.print(f"skipped    {line}", markup=False)
    leftovers = record.get("leftovers", {})
    left, unread = leftovers.get("items", []), leftovers.get("unread", [])
    for source in unread:
        out.print(f"not read   {source}", markup=False)
    if not left:
        nothing = "nothing is left of the tenant but its history, and builds and exports in the "
        nothing += "artifact bucket"
        out.print("nothing else is left that could be seen" if unread else nothing)
        return
    out.print(leftovers_table(left))
    by_hand = [item for item in left if item.get("by_hand") or item["why"].startswith("not ours")]
    if len(by_hand) < len(left):
        local = "--local " if current.local else ""
        out.print(
            f"--purge removes what is the tenant's: syndi {local}offboard {tenant} "
            f"--confirm {record['stack_name']} --purge"
        )


def leftovers_table(items: list[dict[str, Any]]) -> Table:
    """What is left, a line each, with how much of it there is."""
    table = Table(box=None, pad_edge=False)
    for title in ("left", "name", "holds", "why"):
        table.add_column(title)
    for item in items:
        table.add_row(item["kind"], escape(item["name"]), _holds(item), escape(item["why"]))
    return table


def _holds(item: dict[str, Any]) -> str:
    match item:
        case {"objects": objects, "older_versions": older}:
            more = "at least " if item.get("at_least") else ""
            return f"{more}{objects} objects, {older} older versions"
        case {"users": users}:
            return f"{users} users"
        case {"items": items}:
            return f"about {items} items"
        case {"messages": messages}:
            return f"about {messages} messages"
        case {"bytes": size}:
            return f"{size} bytes"
        case {"count": count}:
            return f"{count}"
        case _:
            return ""
