"""What is asked of a deployment that is named by its id alone."""

from collections.abc import Callable
from typing import Any

from cli.connection import Api
from cli.context import query, tenant_path
from control_plane.models import Env

Body = dict[str, Any] | None


def ask_of(
    api: Api, deployment_id: str, verb: str, body: Callable[[dict[str, Any]], Body]
) -> dict[str, Any]:
    """Find a deployment, and post `verb` to it with the body that `body` makes of its record.

    Gives the record that the API answers. Raises Refused, also when there is no such deployment.
    """
    found = api.call("GET", f"/deployments/{deployment_id}")
    application = found["application"]
    base = tenant_path(Env(found["env"]), found["org"], application)
    path = f"{base}/deployments/{found['id']}/{verb}{query(application=application)}"
    return api.call("POST", path, body(found))
