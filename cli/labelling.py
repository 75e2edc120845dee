"""`syndi label`: what rollouts select tenants by."""

from typing import Annotated, Any

import typer

from cli.context import command, current, query, tenant_path
from cli.failure import Refused
from cli.options import ApplicationOption, EnvArgument, JsonOption, OrgArgument
from cli.output import err, out, print_json


@command
def label(
    env: EnvArgument,
    org: OrgArgument,
    labels: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="labels to set; none: show")
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(help="a label to remove")] = None,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set, remove or show the labels of a tenant."""
    path = f"{tenant_path(env, org)}/labels"
    if labels or remove:
        pairs = [text.partition("=") for text in labels or []]
        if wrong := [key for key, sign, _ in pairs if not sign]:
            raise Refused(f"{wrong[0]!r} must be KEY=VALUE")
        body: dict[str, Any] = {"labels": {key: value for key, _, value in pairs}}
        body |= {"remove": remove} if remove else {}
        body |= {"application": application} if application else {}
        answer = current.api().call("PUT", path, body)
    else:
        answer = current.api().call("GET", path + query(application=application))
    if current.as_json:
        print_json(answer)
    elif answer["labels"]:
        out.print("\n".join(f"{key}={value}" for key, value in sorted(answer["labels"].items())))
    else:
        out.print(f"{env}/{org} has no labels")
    if not current.as_json and not answer.get("deployed", True):
        err.print(f"note: {env}/{org} is not deployed (yet): no rollout selects it until it is")
