"""`syndi route`: how much of an organization's traffic which of its tenants gets."""

import re
import time
from typing import Annotated, Any

import typer

from cli.connection import Api
from cli.context import command, current, query, tenant_path
from cli.failure import Refused
from cli.options import (
    NOWHERE,
    ApplicationOption,
    EnvArgument,
    JsonOption,
    OrgArgument,
    WaitOption,
)
from cli.output import coloured, err, out, print_json
from cli.route_output import changes_table, line, route_summary
from control_plane.models import Env

app = typer.Typer(no_args_is_help=True, help="Split an organization's traffic between tenants.")

_POLL_SECONDS = 1.0
_UNITS = {"s": 1, "m": 60, "h": 3600}


@app.command("show")
@command
def show_route(
    env: EnvArgument,
    org: OrgArgument,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """The route's weights, its shift, its changes."""
    _print(_route(current.api(), env, org, application))


@app.command("set")
@command
def set_route(
    env: EnvArgument,
    org: OrgArgument,
    weights: Annotated[
        str, typer.Option(help="all of them, such as myorg=90,myorg-blue=10; none: no route")
    ],
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set all weights at once, without tests; the first time this makes the route."""
    body = _body(application, weights=_weights(weights))
    _print(current.api().call("PUT", _path(env, org), body))


@app.command("shift")
@command
def shift_route(
    env: EnvArgument,
    org: OrgArgument,
    to: Annotated[str, typer.Option(help="the organization whose tenant gets the traffic")],
    steps: Annotated[str, typer.Option(help="its shares in percent")] = "10,50,100",
    every: Annotated[str, typer.Option(help="how long each step is watched: 90s, 5m, 2h")] = "5m",
    alarm: Annotated[
        list[str] | None, typer.Option("--alarm", help="a CloudWatch alarm that must not ring")
    ] = None,
    application: ApplicationOption = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Bring traffic to a tenant in steps; it goes back by itself when the tenant is not well."""
    body = _body(
        application, to=to, steps=_steps(steps), every_seconds=_seconds(every), alarms=alarm or []
    )
    api = current.api()
    shift = api.call("POST", f"{_path(env, org)}/shift", body)
    if wait:
        shift = _watch(api, env, org, application, shift)
    if current.as_json:
        print_json(shift)
    elif wait:
        out.print(f"\n{coloured(shift['status'])} shift {shift['id']} to {shift['to']}")
        out.print(f"reason     {shift.get('reason', '')}", markup=False)
        if shift.get("hint"):
            out.print(f"hint       {shift['hint']}", markup=False)
        out.print(f"execution  {shift['console_url']}", markup=False)
    else:
        out.print(f"started shift {shift['id']}: {_command(env, org, 'show')}")
    if wait and shift["status"] != "SUCCEEDED":
        raise typer.Exit(1)


@app.command("reverse")
@command
def reverse_route(
    env: EnvArgument,
    org: OrgArgument,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to the weights before the last change, at once; a shift that runs ends with that."""
    _print(current.api().call("POST", f"{_path(env, org)}/reverse", _body(application)))


def _watch(
    api: Api, env: Env, org: str, application: str | None, shift: dict[str, Any]
) -> dict[str, Any]:
    """Follow a shift to its end, with a line for each change."""
    url = shift["console_url"]
    if not current.as_json:
        err.print(f"shift {shift['id']} to {shift['to']}\n{url}")
    seen: set[str] = set()
    try:
        while True:
            route = _route(api, env, org, application)
            changes = [c for c in reversed(route["changes"]) if c.get("shift") == shift["id"]]
            for change in changes:
                if change["id"] not in seen and not current.as_json:
                    err.print(line(change), markup=False)
                seen.add(change["id"])
            found = route["shift"] or {}
            if found.get("id") != shift["id"]:
                raise Refused(f"another shift, {found.get('id')}, has the route now")
            if found["status"] != "RUNNING":
                return {**found, "console_url": url}
            time.sleep(_POLL_SECONDS)  # between two questions
    except KeyboardInterrupt:
        err.print(f"\nnot watching any more; it goes on: {_command(env, org, 'show')}")
        raise typer.Exit(130) from None


def _route(api: Api, env: Env, org: str, application: str | None) -> dict[str, Any]:
    return api.call("GET", _path(env, org) + query(application=application))


def _path(env: Env, org: str) -> str:
    return f"{tenant_path(env, org)}/route"


def _command(env: Env, org: str, verb: str) -> str:
    return f"syndi {'--local ' if current.local else ''}route {verb} {env} {org}"


def _body(application: str | None, **given: Any) -> dict[str, Any]:
    return {**given, "application": application} if application else given


def _weights(text: str) -> dict[str, int]:
    """`myorg=90,myorg-blue=10`, or `none`. Raises Refused."""
    found: dict[str, int] = {}
    if text == NOWHERE:
        return found
    for part in text.split(","):
        org, equals, weight = (piece.strip() for piece in part.partition("="))
        if not (org and equals and weight.isdecimal()):
            raise Refused(f"--weights {part}: must be ORG=PERCENT, such as myorg=90,myorg-blue=10")
        if org in found:
            raise Refused(f"--weights: names {org} twice")
        found[org] = int(weight)
    return found


def _steps(text: str) -> list[int]:
    """`10,50,100`. Raises Refused."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise Refused(f"--steps {text}: must be percentages, such as 10,50,100")
    return [int(part) for part in parts]


def _seconds(text: str) -> int:
    """`90s`, `5m`, `2h`, or seconds. Raises Refused."""
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if not match:
        raise Refused(f"--every {text}: must be a time such as 90s, 5m or 2h")
    return int(match[1]) * _UNITS[match[2] or "s"]


def _print(route: dict[str, Any]) -> None:
    if current.as_json:
        print_json(route)
        return
    route_summary(route)
    if route["changes"]:
        out.print()
        out.print(changes_table(route["changes"]))
