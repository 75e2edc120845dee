"""`syndi self-update` and `syndi version`: the release that runs, and the next one."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import source
from cli.connection import ROOT, Api
from cli.context import command, current, once
from cli.failure import CommandError, Failed, Refused
from cli.options import (
    AllowReplacementOption,
    ApprovalOption,
    DryRunOption,
    IdempotencyKeyOption,
    JsonOption,
    OnConflictOption,
    WaitOption,
)
from cli.output import err, out, print_json
from cli.watching import follow
from control_plane import __version__, own
from control_plane.models import Env, Mode, OnConflict

_BELOW = f"/{own.APPLICATION}"
_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 30.0


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
    on_conflict: OnConflictOption = OnConflict.WAIT,
    allow_replacement: AllowReplacementOption = None,
    dry_run: DryRunOption = False,
    approval: ApprovalOption = False,
    idempotency_key: IdempotencyKeyOption = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Update the control plane by itself: this checkout, built, deployed, and tried before it is
    trusted. What fails is put back; what runs meanwhile is not disturbed."""
    _check(path, mode, to, push_only=push_only, rollback=rollback)
    api = current.api()
    if push_only:
        _push(api, path, list(Env), alone=True)
        return
    request: dict[str, Any] = {
        "on_conflict": None if on_conflict == OnConflict.WAIT else on_conflict,
        "allow_replacement": allow_replacement or None,
        "dry_run": dry_run or None,
        "approval": approval or None,
    }
    if rollback:
        verb = "rollback"
        request["to"] = to
    elif mode == UpdateMode.FULL:
        verb = "deployments"
        # A schedule must not bring what was only looked at.
        request["source"] = _push(api, path, [] if dry_run else list(Env))
    else:
        verb = "deployments"
        request["mode"] = mode
    before = release(api)
    body = {name: value for name, value in request.items() if value is not None}
    record = api.call("POST", f"{_BELOW}/{verb}", body, once(idempotency_key))
    try:
        follow(api, Env(record["env"]), record["org"], record, own.APPLICATION, wait=wait)
    finally:  # also of what failed, and was put back
        if wait and not current.as_json:
            out.print(f"release    {_told(before)}", markup=False)
            out.print(f"now        {_release_after(api)}", markup=False)


def _check(
    path: Path, mode: UpdateMode, to: str | None, *, push_only: bool, rollback: bool
) -> None:
    """Raise Refused for options that would be ignored beside each other."""
    if to and not rollback:
        raise Refused("--to needs --rollback")
    if push_only and rollback:
        raise Refused("--push-only or --rollback: going back needs no source")
    brings_source = not rollback and mode == UpdateMode.FULL
    if push_only and not brings_source:
        raise Refused("--push-only brings a source, which deploy-only has no use for")
    if path != ROOT and not brings_source:
        raise Refused("--path names a source, which neither --rollback nor deploy-only builds")
    if rollback and mode != UpdateMode.FULL:
        raise Refused("--rollback is a mode of its own: leave --mode out")


def _push(api: Api, path: Path, environments: list[Env], *, alone: bool = False) -> str:
    """Push a checkout of the control plane; gives its SHA-256. `alone`: nothing else is done."""
    packed = source.pack(path)
    if packed.application != own.APPLICATION:
        raise Refused(f"{path} is {packed.application}, not {own.APPLICATION}")
    if packed.untracked:
        names = ", ".join(packed.untracked[:5])
        err.print(f"note: git does not track {names}: left out of the source", style="yellow")
    answer = source.push(api, packed, [str(env) for env in environments], _BELOW)
    if not current.as_json:
        told = f"pushed {packed.application} {packed.sha256[:12]}"
        (out if alone else err).print(told, markup=False)
    elif alone:
        print_json({"sha256": packed.sha256, **answer})
    return packed.sha256


@command
def version(as_json: JsonOption = False) -> None:
    """Which release this command is, and which one the control plane runs. Exit code 0."""
    running, problem = _release_if_any()
    here = source.pack(ROOT).sha256
    if current.as_json:
        told: dict[str, Any] = {"command": {"version": __version__, "source": here}}
        told |= {"control_plane": running} | ({"problem": problem} if problem else {})
        print_json(told)
        return
    out.print(f"command        {__version__}, source {here[:12]}", markup=False)
    out.print(f"control plane  {_told(running) if running else problem}", markup=False)
    if running and running["source"] != here:
        out.print("this checkout is another source: 'syndi self-update' brings it", style="yellow")


def release(api: Api) -> dict[str, Any]:
    """The release that the control plane runs: version, source, build. Raises Refused or Failed."""
    answer = api.call("GET", "/health")
    return {name: answer.get(name) for name in ("version", "source", "build")}


def _release_if_any() -> tuple[dict[str, Any] | None, str]:
    """The running release, or why it is not known."""
    try:
        return release(current.api()), ""
    except CommandError as error:
        return None, str(error)


def _release_after(api: Api) -> str:
    """What runs after an update: the API may have been replaced in this moment."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return _told(release(api))
        except Failed as error:
            if time.monotonic() > deadline:
                return f"unknown: {error}"
            time.sleep(_POLL_SECONDS)
        except Refused as error:
            return f"unknown: {error}"


def _told(running: dict[str, Any]) -> str:
    source_, build = (str(running[name] or "unknown")[:12] for name in ("source", "build"))
    return f"{running['version'] or 'unknown'}, source {source_}, build {build}"
