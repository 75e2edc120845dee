"""`syndi self-update` and `syndi version`: the release that runs, and the next one."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import source
from cli.connection import ROOT, Api
from cli.context import JsonOption, command, current
from cli.failure import Refused
from cli.output import err, out, print_json
from cli.watching import follow
from control_plane import __version__, own
from control_plane.models import Env, Mode, OnConflict

_BELOW = f"/{own.APPLICATION}"


class UpdateMode(StrEnum):
    """The modes of `self-update`; going back is an option of its own."""

    FULL = Mode.FULL
    DEPLOY_ONLY = Mode.DEPLOY_ONLY


@command
def self_update(
    path: Annotated[
        Path, typer.Option(help="another checkout of the control plane", show_default="this one")
    ] = ROOT,
    push_only: Annotated[
        bool, typer.Option("--push-only", help="make it the current source, for a schedule")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="bring the release before the current one back")
    ] = False,
    to: Annotated[
        str | None, typer.Option(help="with --rollback: as the deployment with this id left it")
    ] = None,
    mode: Annotated[
        UpdateMode, typer.Option(help="full: build and deploy; deploy-only: the last build again")
    ] = UpdateMode.FULL,
    on_conflict: Annotated[
        OnConflict, typer.Option(help="what to do while another update runs")
    ] = OnConflict.WAIT,
    allow_replacement: Annotated[
        list[str] | None,
        typer.Option(help="a resource, by logical id, that running executions may lose"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would change, and change nothing")
    ] = False,
    approval: Annotated[
        bool, typer.Option("--approval", help="wait for 'syndi approve' before anything changes")
    ] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="the same key starts the same update only once")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="watch it to its end")] = True,
    as_json: JsonOption = False,
) -> None:
    """Update the control plane by itself: this checkout, built, deployed, and tried before it is
    trusted. What fails is put back; what runs meanwhile is not disturbed."""
    if to and not rollback:
        raise Refused("--to needs --rollback")
    api = current.api()
    body: dict[str, Any] = {
        "on_conflict": None if on_conflict == OnConflict.WAIT else on_conflict,
        "allow_replacement": allow_replacement or None,
        "dry_run": dry_run or None,
        "approval": approval or None,
    }
    if rollback:
        body["to"] = to
    else:
        body["mode"] = None if mode == UpdateMode.FULL else mode
        if mode == UpdateMode.FULL:
            body["source"] = _push(api, path)
    if push_only:
        return
    before = _release(api)
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    asked = {name: value for name, value in body.items() if value is not None}
    verb = "rollback" if rollback else "deployments"
    record = api.call("POST", f"{_BELOW}/{verb}", asked, headers)
    try:
        follow(api, Env(record["env"]), record["org"], record, own.APPLICATION, wait=wait)
    finally:
        if wait and not current.as_json:
            out.print(f"release    {_told(before)} → {_told(_release(api))}", markup=False)


@command
def version(as_json: JsonOption = False) -> None:
    """Which release this command is, and which one the control plane runs."""
    running = _release(current.api())
    here = source.pack(ROOT).sha256
    if current.as_json:
        print_json({"command": {"version": __version__, "source": here}, "control_plane": running})
        return
    out.print(f"command        {__version__}, source {here[:12]}", markup=False)
    out.print(f"control plane  {_told(running)}", markup=False)
    if running["source"] != here:
        out.print("this checkout is another source: 'syndi self-update' brings it", style="yellow")


def _push(api: Api, path: Path) -> str:
    packed = source.pack(path)
    if packed.application != own.APPLICATION:
        raise Refused(f"{path} is {packed.application}, not {own.APPLICATION}")
    if packed.untracked:
        names = ", ".join(packed.untracked[:5])
        err.print(f"note: git does not track {names}: left out of the source", style="yellow")
    answer = source.push(api, packed, [str(env) for env in Env], _BELOW)
    if current.as_json:
        return packed.sha256
    err.print(f"pushed {answer['application']} {packed.sha256[:12]}", style="dim")
    return packed.sha256


def _release(api: Api) -> dict[str, Any]:
    answer = api.call("GET", "/health")
    return {name: answer.get(name) for name in ("version", "source", "build")}


def _told(release: dict[str, Any]) -> str:
    source_, build = (str(release[name] or "unknown")[:12] for name in ("source", "build"))
    return f"{release['version']}, source {source_}, build {build}"
