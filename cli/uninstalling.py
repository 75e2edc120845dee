"""`syndi uninstall`: remove the control plane, and say what of it is kept."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import ClientError

from cli import connection, own_leftovers, own_stack
from cli.context import command, current, say
from cli.failure import Refused
from cli.holding import Hold
from cli.installing import RoleOption, own
from cli.laptop import POLL_SECONDS as LOCAL_POLL_SECONDS
from cli.options import JsonOption
from cli.output import err, out, print_json
from cli.own_leftovers import Kept
from cli.recording import record_removal
from control_plane import aws, naming
from control_plane.models import JsonObject, StackStatus, Tenant
from control_plane.rules.situations import Situation, situation
from control_plane.services import stack_reading as reading
from control_plane.store.listing import Listing

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef


@command
def uninstall(
    confirm: Annotated[
        str | None, typer.Option(help="the stack's name; without it a terminal is asked")
    ] = None,
    leave_tenants: Annotated[
        bool, typer.Option("--leave-tenants", help="although tenants are deployed: they stay")
    ] = False,
    role_arn: RoleOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the control plane: its stack, roles and layers. History and artifacts stay."""
    tenant = own(connection.stack_name(current.local))
    if current.local:
        connection.act_as_root()
    account, region = aws.sts().get_caller_identity()["Account"], aws.cloudformation().meta
    hold = Hold(tenant, account, region.region_name, "uninstall")
    stack, records = reading.describe(tenant.stack_name), _records(hold)
    if stack is None and not records:
        raise Refused(f"there is no control plane {tenant.stack_name}")
    if stack and situation(StackStatus(stack["StackStatus"])) == Situation.BUSY:
        raise Refused(f"{tenant.stack_name} is {stack['StackStatus']}: let that end")
    _refuse_running(hold)
    tenants = _deployed(hold) if records is not None else []
    if tenants and not leave_tenants:
        raise Refused(_offboard_first(tenants))
    _check(tenant, confirm or _ask(tenant, tenants))
    if stack:
        own_stack.refuse_destruction(tenant.stack_name, stack["StackId"])
    left = own_leftovers.left_by(_stack_ids(stack, records or []))
    hold.take()
    try:
        if stack:
            say(f"deleting {tenant.stack_name}: a few minutes")
            own_stack.delete(tenant.stack_name, stack["StackId"], _poll_seconds(), role_arn)
        removed = own_leftovers.remove(tenant.stack_name, left, with_tenants=bool(tenants))
        if stack and records:
            record_removal(hold, next((r["source"] for r in records if r.get("source")), ""))
    finally:
        hold.release()
    table = hold.table if records is not None else None
    _tell(
        tenant.stack_name,
        removed,
        own_leftovers.kept(table, left, with_tenants=bool(tenants), local=current.local),
    )


def _records(hold: Hold) -> list[JsonObject] | None:
    """The control plane's own deployments, newest first; None when there is no table."""
    try:
        return list(Listing(hold.table).newest_first(hold.tenant))
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        return None


def _stack_ids(stack: "StackTypeDef | None", records: list[JsonObject]) -> list[str]:
    """The stacks that this control plane had, the newest first, each once."""
    known = [record["stack"]["stack_id"] for record in records if record.get("stack")]
    return list(dict.fromkeys([stack["StackId"], *known] if stack else known))


def _refuse_running(hold: Hold) -> None:
    """Raise Refused, naming them, while executions run: they would end half way."""
    found = [name for machine in naming.own_machines(hold.machine) for name in _running(machine)]
    if found:
        raise Refused(
            f"{len(found)} executions run ({', '.join(found[:5])}): let them end, or cancel them, "
            "and see that no schedule starts more"
        )


def _running(machine: str) -> list[str]:
    """The executions of a state machine that run; none of one that is not there."""
    client = aws.stepfunctions()
    pages = client.get_paginator("list_executions").paginate(
        stateMachineArn=machine, statusFilter="RUNNING"
    )
    try:
        return [item["name"] for page in pages for item in page["executions"]]
    except client.exceptions.StateMachineDoesNotExist:
        return []


def _deployed(hold: Hold) -> list[JsonObject]:
    """The tenants whose stacks are there, whatever their state."""
    pages = aws.cloudformation().get_paginator("describe_stacks").paginate()
    there = {stack["StackName"] for page in pages for stack in page["Stacks"]}
    own_name = hold.tenant.stack_name
    return [
        tenant
        for tenant in Listing(hold.table).tenants()
        if tenant["stack_name"] in there and tenant["stack_name"] != own_name
    ]


def _offboard_first(tenants: list[JsonObject]) -> str:
    local = "--local " if current.local else ""
    commands = [
        f"'syndi {local}offboard {one['env']} {one['org']} --application {one['application']}'"
        for one in tenants
    ]
    return (
        f"{len(tenants)} tenants are deployed, and nothing could remove them any more: "
        f"{', '.join(commands)} first, or --leave-tenants"
    )


def _ask(tenant: Tenant, tenants: list[JsonObject]) -> str:
    """The stack's name, typed by somebody who has seen what would go. Raises Refused."""
    if current.as_json or not sys.stdin.isatty():
        raise Refused(f"removing the control plane needs --confirm {tenant.stack_name}")
    err.print(f"the stack {tenant.stack_name} is removed, with its API, schedules and functions")
    if tenants:
        names = ", ".join(str(one["stack_name"]) for one in tenants)
        err.print(f"nothing will deploy these any more, and they stay: {names}")
    err.print("the table with the history and the artifact bucket are kept")
    typed: str = typer.prompt("type the stack's name to remove it", err=True)
    return typed.strip()


def _check(tenant: Tenant, typed: str) -> None:
    if typed != tenant.stack_name:
        raise Refused(f"{typed} is not {tenant.stack_name}: nothing was removed")


def _poll_seconds() -> float:
    return LOCAL_POLL_SECONDS if current.local else own_stack.POLL_SECONDS


def _tell(stack: str, removed: list[str], kept: list[Kept]) -> None:
    if current.as_json:
        told = [asdict(one) for one in kept]
        print_json({"stack": stack, "removed": [f"stack {stack}", *removed], "kept": told})
        return
    out.print(f"removed {stack}, and {len(removed)} roles, policies and layer versions of it")
    for one in kept:
        out.print(f"kept    {one.resource}: {one.why}", markup=False)
        out.print(f"        to remove it: {one.remove}", markup=False)
