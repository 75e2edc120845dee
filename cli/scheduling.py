"""`syndi schedule`: a tenant deployed, or looked at for drift, again and again."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cli.context import command, current, query, tenant_path
from cli.failure import Refused
from cli.options import ApplicationOption, EnvArgument, JsonOption, OrgArgument
from cli.output import out, print_json
from control_plane.models import Env, Mode

app = typer.Typer(no_args_is_help=True, help="Deploy a tenant, or look for drift, by a schedule.")

DriftOption = Annotated[bool, typer.Option("--drift", help="the schedule of its drift checks")]


@app.command("set")
@command
def set_schedule(
    env: EnvArgument,
    org: OrgArgument,
    rate: Annotated[str | None, typer.Option(help="such as '1 hour'")] = None,
    cron: Annotated[str | None, typer.Option(help="such as '0 6 * * ? *' (UTC)")] = None,
    drift: DriftOption = False,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deploy the tenant, or with --drift look at it, by a rate or a cron expression."""
    body: dict[str, Any] = {"expression": expression(rate, cron)}
    if drift:
        body["mode"] = Mode.DRIFT
    if application:
        body["application"] = application
    _print(current.api().call("PUT", f"{tenant_path(env, org, application)}/schedule", body))


@app.command("show")
@command
def show_schedule(
    env: EnvArgument,
    org: OrgArgument,
    drift: DriftOption = False,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """The tenant's schedule."""
    _print(current.api().call("GET", _path(env, org, application, drift=drift)))


@app.command("delete")
@command
def delete_schedule(
    env: EnvArgument,
    org: OrgArgument,
    drift: DriftOption = False,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop deploying the tenant by a schedule, or with --drift looking at it."""
    answer = current.api().call("DELETE", _path(env, org, application, drift=drift))
    if current.as_json:
        print_json(answer)
    else:
        out.print("deleted")


def expression(rate: str | None, cron: str | None) -> str:
    """EventBridge Scheduler's expression for the options. Raises Refused."""
    if (rate is None) == (cron is None):
        raise Refused("give either --rate or --cron")
    return f"cron({cron})" if rate is None else f"rate({rate})"


def when(schedule: Mapping[str, Any]) -> str:
    """When a schedule starts something, in a line."""
    state = "enabled" if schedule["enabled"] else "disabled"
    return f"{schedule['expression']} {schedule['timezone']} ({state})"


def _path(env: Env, org: str, application: str | None, *, drift: bool) -> str:
    asked = query(application=application, mode=Mode.DRIFT if drift else None)
    return f"{tenant_path(env, org, application)}/schedule{asked}"


def _print(schedule: dict[str, Any]) -> None:
    if current.as_json:
        print_json(schedule)
    else:
        out.print(when(schedule))
