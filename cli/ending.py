"""`syndi cancel` and `syndi retry`: the end of a deployment, and another try."""

import os
from typing import Any

from cli.by_id import ask_of
from cli.context import command, current
from cli.deploying import PASSWORD_VARIABLE
from cli.options import IdArgument, JsonOption, WaitOption
from cli.watching import follow
from control_plane.models import DeploymentStatus, Env


@command
def cancel(deployment_id: IdArgument, wait: WaitOption = True, as_json: JsonOption = False) -> None:
    """End a deployment: its build is stopped, its stack's update undone. Exit 0: CANCELLED."""
    api = current.api()
    record = ask_of(api, deployment_id, "cancel", lambda _: None)
    env, org, application = Env(record["env"]), record["org"], record["application"]
    follow(api, env, org, record, application, wait=wait, good=DeploymentStatus.CANCELLED)


@command
def retry(deployment_id: IdArgument, wait: WaitOption = True, as_json: JsonOption = False) -> None:
    """Start the request of a deployment that failed again, for the same source.

    A password for its administrator is taken from ADMIN_PASSWORD: none is kept anywhere.
    """
    api = current.api()
    record = ask_of(api, deployment_id, "retry", _password)
    env, org, application = Env(record["env"]), record["org"], record["application"]
    follow(api, env, org, record, application, wait=wait)


def _password(found: dict[str, Any]) -> dict[str, Any]:
    """The password that a retry needs, where the deployment was to have an administrator."""
    wanted = "admin_username" in found.get("request", {})
    password = os.environ.get(PASSWORD_VARIABLE) if wanted else None
    return {"admin_password": password} if password else {}
