"""What is asked of a deployment that is named by its id alone."""

from collections.abc import Callable
from typing import Any

from cli.connection import Api
from cli.context import query, tenant_path

Body = dict[str, Any] | None


def ask_of(
    api: Api, deployment_id: str, verb: str, body: Callable[[dict[str, Any]], Body]
) -> dict[str, Any]:
    """Find a deployment, and post `verb` to it with the body that `body` makes of its record.

    Gives the record that the API answers. Raises Refused, also when there is no such deployment.
    """
    found = api.call("GET", f"/deployments/{deployment_id}")
    path = f"{tenant_path(found['env'], found['org'])}/deployments/{found['id']}/{verb}"
    return api.call("POST", path + query(application=found["application"]), body(found))
