"""`syndi schedule`: a tenant deployed again and again."""

from typing import Annotated, Any

import typer

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
from cli.failure import Refused
from cli.output import out, print_json

app = typer.Typer(no_args_is_help=True, help="Deploy a tenant by a schedule.")


@app.command("set")
@command
def set_schedule(
    env: EnvArgument,
    org: OrgArgument,
    rate: Annotated[str | None, typer.Option(help="such as '1 hour'")] = None,
    cron: Annotated[str | None, typer.Option(help="such as '0 6 * * ? *' (UTC)")] = None,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deploy the tenant by a rate or at the times of a cron expression."""
    if (rate is None) == (cron is None):
        raise Refused("give either --rate or --cron")
    body: dict[str, Any] = {"expression": f"rate({rate})" if rate else f"cron({cron})"}
    if application:
        body["application"] = application
    _print(current.api().call("PUT", f"{tenant_path(env, org)}/schedule", body))


@app.command("show")
@command
def show_schedule(
    env: EnvArgument,
    org: OrgArgument,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """The tenant's schedule."""
    _print(current.api().call("GET", f"{tenant_path(env, org)}/schedule{query(application)}"))


@app.command("delete")
@command
def delete_schedule(
    env: EnvArgument,
    org: OrgArgument,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop deploying the tenant by a schedule."""
    path = f"{tenant_path(env, org)}/schedule{query(application)}"
    answer = current.api().call("DELETE", path)
    if current.as_json:
        print_json(answer)
    else:
        out.print("deleted")


def _print(schedule: dict[str, Any]) -> None:
    if current.as_json:
        print_json(schedule)
    else:
        state = "enabled" if schedule["enabled"] else "disabled"
        out.print(f"{schedule['expression']} {schedule['timezone']} ({state})")
