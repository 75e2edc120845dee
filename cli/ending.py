"""`syndi cancel` and `syndi retry`: the end of a deployment, and another try."""

import os
from typing import Annotated, Any

import typer

from cli.connection import Api
from cli.context import JsonOption, command, current, query, tenant_path
from cli.deploying import PASSWORD_VARIABLE
from cli.output import out, print_json
from cli.summaries import summary
from cli.watching import follow, show_command, watch
from control_plane.models import DeploymentStatus, Env

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="as 'syndi history' lists them")]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="watch it to its end")]


@command
def cancel(deployment_id: IdArgument, wait: WaitOption = True, as_json: JsonOption = False) -> None:
    """End a deployment: its build is stopped, its stack's update undone. Exit 0: CANCELLED."""
    api = current.api()
    _, env, org, application = _find(api, deployment_id)
    record = api.call("POST", _path(env, org, deployment_id, "cancel", application))
    if wait:
        record = watch(api, env, org, record, application)
    if current.as_json:
        print_json(record)
    elif wait:
        summary(record)
    else:
        out.print(f"asked {deployment_id} to end: {show_command(deployment_id)}")
    if wait and record["status"] != DeploymentStatus.CANCELLED:
        raise typer.Exit(1)


@command
def retry(deployment_id: IdArgument, wait: WaitOption = True, as_json: JsonOption = False) -> None:
    """Start the request of a deployment that failed again, for the same source.

    A password for its administrator is taken from ADMIN_PASSWORD: none is kept anywhere.
    """
    api = current.api()
    found, env, org, application = _find(api, deployment_id)
    wanted = "admin_username" in found.get("request", {})
    password = os.environ.get(PASSWORD_VARIABLE) if wanted else None
    body: dict[str, Any] = {"admin_password": password} if password else {}
    record = api.call("POST", _path(env, org, deployment_id, "retry", application), body)
    follow(api, env, org, record, application, wait=wait)


def _find(api: Api, deployment_id: str) -> tuple[dict[str, Any], Env, str, str]:
    """A deployment, with its environment, organization and application. Raises Refused."""
    found = api.call("GET", f"/deployments/{deployment_id}")
    return found, Env(found["env"]), str(found["org"]), str(found["application"])


def _path(env: Env, org: str, deployment_id: str, verb: str, application: str) -> str:
    base = tenant_path(env, org, application)
    return f"{base}/deployments/{deployment_id}/{verb}{query(application)}"
