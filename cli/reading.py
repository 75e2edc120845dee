"""The verbs that only read: history, show, tenants, url, check."""

import os
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.checking import check_config, check_tenant
from cli.context import command, current, query, tenant_path
from cli.failure import Refused
from cli.options import ApplicationOption, EnvArgument, IdArgument, JsonOption, OrgArgument
from cli.output import (
    coloured,
    deployments_table,
    out,
    print_json,
    tenants_table,
)
from cli.route_output import last_change
from cli.sources import manifest_of
from cli.summaries import steps_table, summary
from control_plane import aws
from control_plane.models import Env


@command
def history(
    env: EnvArgument,
    org: OrgArgument,
    application: ApplicationOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    as_json: JsonOption = False,
) -> None:
    """The deployments of a tenant, newest first."""
    asked = query(limit=limit, application=application)
    answer = current.api().call("GET", f"{tenant_path(env, org, application)}/deployments{asked}")
    if current.as_json:
        print_json(answer["deployments"])
    elif answer["deployments"]:
        out.print(deployments_table(answer["deployments"]))
    else:
        out.print(f"{env}/{org} was never deployed")
    if not current.as_json:
        last_change(answer.get("route_change"))


@command
def show(deployment_id: IdArgument, as_json: JsonOption = False) -> None:
    """One deployment: its steps, changes, tests and the reason of its end."""
    record = current.api().call("GET", f"/deployments/{deployment_id}")
    if current.as_json:
        print_json(record)
    else:
        out.print(steps_table(record))
        summary(record)


@command
def tenants(as_json: JsonOption = False) -> None:
    """Every tenant: what runs, and how its last deployment ended."""
    found = current.api().call("GET", "/tenants")["tenants"]
    if current.as_json:
        print_json(found)
    else:
        out.print(tenants_table(found))


@command
def url(
    env: EnvArgument,
    org: OrgArgument,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Where a tenant answers, as this machine reaches it."""
    tenant = _tenant(env, org, application)
    endpoint = aws.reachable(tenant["endpoint"])
    if current.as_json:
        print_json({"url": endpoint, "endpoint": tenant["endpoint"]})
    else:
        print(endpoint)


@command
def check(
    env: EnvArgument,
    org: OrgArgument,
    jwt: Annotated[
        bool, typer.Option("--jwt", help="sign in as ADMIN_USERNAME with ADMIN_PASSWORD")
    ] = False,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a live tenant whether it works: its health, its build, and with --jwt a real sign-in."""
    api = current.api()
    tenant = _tenant(env, org, application)
    manifest = manifest_of(api, tenant["application"], tenant["source"])
    username = os.environ.get("ADMIN_USERNAME") or (tenant.get("admin") or {}).get("username")
    if jwt and not username:
        raise Refused("whom to sign in as? set ADMIN_USERNAME and ADMIN_PASSWORD")
    results = check_tenant(tenant, manifest, username if jwt else None)
    path = f"{tenant_path(env, org)}/config{query(application=application)}"
    results += check_config(api, path, manifest)
    if current.as_json:
        print_json(results)
    else:
        for item in results:
            out.print(f"{coloured(item['status'])} {escape(item['name'] + ': ' + item['detail'])}")
    if any(item["status"] == "FAILED" for item in results):
        raise typer.Exit(1)


def _tenant(env: Env, org: str, application: str | None) -> dict[str, Any]:
    """The tenant's current state. Raises Refused when it was never deployed with success."""
    path = f"{tenant_path(env, org)}{query(application=application)}"
    return current.api().call("GET", path)
