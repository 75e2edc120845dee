"""`syndi uninstall`: the control plane out of an account, and what stays of it."""

import sys
from typing import Annotated, Any

import typer
from botocore.exceptions import WaiterError

from cli import connection
from cli.context import command, current
from cli.failure import Failed, Refused
from cli.installing import own, say
from cli.options import JsonOption
from cli.output import err, out, print_json
from control_plane import aws, naming, roles
from control_plane import stack_reading as reading
from control_plane.listing import Listing
from control_plane.own import own_tenant

_OF_TENANTS = ("CloudFormationRole", "TenantBoundary")
"""What tenants' stacks and roles need after the control plane is gone: retained by the template."""


@command
def uninstall(
    confirm: Annotated[
        str | None, typer.Option(help="the stack's name; without it a terminal is asked")
    ] = None,
    leave_tenants: Annotated[
        bool,
        typer.Option("--leave-tenants", help="although tenants are deployed, which then run on"),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove the control plane. Its history and its artifacts stay."""
    if current.local:
        connection.act_as_root()
    tenant = own(connection.stack_name(current.local))
    stack = reading.describe(tenant.stack_name)
    if stack is None:
        raise Refused(f"there is no control plane {tenant.stack_name}")
    name, outputs = tenant.stack_name, _outputs(stack)
    left = _tenants(name)
    if left and not leave_tenants:
        raise Refused(
            f"{name} has tenants: {', '.join(left)}. 'syndi offboard' them first; or, with "
            "--leave-tenants, they run on and nothing deploys them any more"
        )
    if busy := _running(outputs.get("StateMachineArn")):
        raise Refused(f"{name} is at work: {', '.join(busy)}. Let that end, or cancel it")
    typed = confirm or _ask(name)
    if typed != name:
        raise Refused(f"--confirm must be the name of the stack: {name}")
    of_tenants = _physical(name)
    _delete(stack["StackId"], name)
    for arn in roles.below(f"/{name}/"):
        roles.delete(arn)
    _delete_layers(f"{name}-dependencies")
    if not left:
        _delete_what_tenants_need(of_tenants)
    if current.local:  # the next `up` is an installation
        (connection.laptop().state_dir / "installed").unlink(missing_ok=True)
    _tell(name, outputs, of_tenants if left else {})


def _outputs(stack: Any) -> dict[str, str]:
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def _tenants(stack: str) -> list[str]:
    """The tenants that are deployed, but for the control plane itself."""
    table = naming.history_table(stack)
    try:
        found = list(Listing(table).tenants())
    except aws.dynamodb().exceptions.ResourceNotFoundException:
        return []  # an installation that never came that far
    itself = own_tenant(stack).application
    return [t["stack_name"] for t in found if "last_good" in t and t["application"] != itself]


def _running(machine: str | None) -> list[str]:
    if machine is None:
        return []
    pages = aws.stepfunctions().get_paginator("list_executions").paginate(
        stateMachineArn=machine, statusFilter="RUNNING"
    )  # fmt: skip
    return [execution["name"] for page in pages for execution in page["executions"]]


def _ask(stack: str) -> str:
    if current.as_json or not sys.stdin.isatty():
        raise Refused(f"removing the control plane needs --confirm {stack}")
    err.print(f"the control plane {stack} is removed: API, state machine, workers, schedules")
    err.print("its history table and its artifact bucket stay")
    typed: str = typer.prompt("type the stack's name to remove it", err=True)
    return typed.strip()


def _physical(stack: str) -> dict[str, str]:
    """What of the stack tenants need, by logical id."""
    pages = aws.cloudformation().get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        item["LogicalResourceId"]: item["PhysicalResourceId"]
        for page in pages
        for item in page["StackResourceSummaries"]
        if item["LogicalResourceId"] in _OF_TENANTS
    }


def _delete(stack_id: str, name: str) -> None:
    client = aws.cloudformation()
    client.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    say(f"deleting {name}")
    client.delete_stack(StackName=stack_id)
    delay: Any = 0.3 if current.local else 5
    try:
        client.get_waiter("stack_delete_complete").wait(
            StackName=stack_id, WaiterConfig={"Delay": delay, "MaxAttempts": 1000}
        )
    except WaiterError as error:
        told = "; ".join(reading.blockers(stack_id)) or str(error)
        raise Failed(
            f"{name} could not be deleted: {told}. Mend that, then run it again"
        ) from error


def _delete_layers(layer: str) -> None:
    client = aws.lambda_()
    pages = client.get_paginator("list_layer_versions").paginate(LayerName=layer)
    for version in [v["Version"] for page in pages for v in page["LayerVersions"]]:
        client.delete_layer_version(LayerName=layer, VersionNumber=version)


def _delete_what_tenants_need(physical: dict[str, str]) -> None:
    """The template retains it; without tenants nobody needs it."""
    if role := physical.get("CloudFormationRole"):
        roles.delete(role)
    if policy := physical.get("TenantBoundary"):
        iam = aws.iam()
        for version in iam.list_policy_versions(PolicyArn=policy)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=policy, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=policy)


def _tell(stack: str, outputs: dict[str, str], for_tenants: dict[str, str]) -> None:
    table, bucket = naming.history_table(stack), outputs.get("ArtifactBucketName", "")
    kept = [
        {
            "resource": f"table {table}",
            "why": "the only record of who deployed what; the next installation takes it over",
            "remove": f"aws dynamodb update-table --table-name {table} "
            f"--no-deletion-protection-enabled; aws dynamodb delete-table --table-name {table}",
        },
        {
            "resource": f"bucket {bucket}",
            "why": "what stacks can be rolled back to, and the exports of removed tenants",
            "remove": f"empty it with all versions, then aws s3api delete-bucket --bucket {bucket}",
        },
    ]
    for name, physical in for_tenants.items():
        kept.append(
            {
                "resource": f"{name} {physical}",
                "why": "tenants' stacks and roles refer to it",
                "remove": "in IAM, when the last tenant's stack is deleted",
            }
        )
    if current.as_json:
        print_json({"removed": stack, "kept": kept})
        return
    out.print(f"removed {stack}; kept:")
    for item in kept:
        out.print(f"  {item['resource']}: {item['why']}", markup=False)
        out.print(f"    to remove it: {item['remove']}", markup=False)
