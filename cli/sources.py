"""`syndi source`: push what is to be deployed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import source
from cli.connection import ROOT, Api
from cli.context import command, current, query
from cli.failure import Refused
from cli.options import JsonOption
from cli.output import err, out, print_json
from control_plane.models import Env

app = typer.Typer(no_args_is_help=True, help="The sources of applications.")


def manifest_of(api: Api, application: str, sha256: str) -> dict[str, Any]:
    """The manifest of a source. Raises Refused when the source is not registered."""
    listed = api.call("GET", f"/sources{query(application=application)}")["sources"]
    found: dict[str, Any] | None = next(
        (item["manifest"] for item in listed if item["sha256"] == sha256), None
    )
    if found is None:
        raise Refused(f"source {sha256[:12]} is not registered any more: 'syndi source push' it")
    return found


@app.callback()
def group() -> None:
    """The sources of applications."""


@app.command("push")
@command
def push(
    path: Annotated[
        Path, typer.Argument(help="a directory with an application.toml", show_default="backend")
    ] = ROOT / "backend",
    env: Annotated[
        list[Env] | None, typer.Option(help="environments that shall deploy it; default: all")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Pack a directory's tracked files, upload them, and make them the environments' source."""
    packed = source.pack(path)
    if packed.untracked:
        names = ", ".join(packed.untracked[:5])
        err.print(f"note: git does not track {names}: left out of the source", style="yellow")
    environments = [str(item) for item in (env or list(Env))]
    answer = source.push(current.api(), packed, environments)
    if current.as_json:
        print_json({"sha256": packed.sha256, **answer})
    else:
        out.print(
            f"{packed.application} {packed.sha256} ({len(packed.content)} bytes) "
            f"for {', '.join(environments)}"
        )
