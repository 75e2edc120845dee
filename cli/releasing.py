"""`syndi self-update` and `syndi version`: the release that runs, and the next one."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import source
from cli.connection import ROOT, Api
from cli.context import command, current, once, say
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
from cli.release_order import in_words, is_newer
from cli.watching import UNWATCHED, follow
from control_plane import __version__, own
from control_plane.models import Env, Mode, OnConflict
from control_plane.rules import comebacks

_BELOW = f"/{own.APPLICATION}"
_OTHER_CHECKOUT = "this checkout is another source: 'syndi self-update' brings it"
_OLDER_CHECKOUT = (
    "this checkout is older than the release that runs: 'git pull' it; 'syndi self-update' would "
    "bring the older release"
)
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
    trusted. What fails is put back. Deployments that run meanwhile, and their builds, go on with
    the workers and the CodeBuild project that they started with."""
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
    if rollback and to is None:
        _tell_where_back(api)
    body = {name: value for name, value in request.items() if value is not None}
    record = api.call("POST", f"{_BELOW}/{verb}", body, once(idempotency_key))
    ended = wait and not current.as_json
    try:
        follow(api, Env(record["env"]), record["org"], record, own.APPLICATION, wait=wait)
    except typer.Exit as how:
        ended = ended and how.exit_code != UNWATCHED
        raise
    finally:  # also of what failed, and was put back
        if ended:
            out.print(f"release    {in_words(before)}", markup=False)
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
    answer = source.push_own(api, packed, [str(env) for env in environments])
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
    out.print(f"control plane  {in_words(running) if running else problem}", markup=False)
    if running and running["source"] != here:
        older = is_newer(running["version"], __version__)
        out.print(current.typed(_OLDER_CHECKOUT if older else _OTHER_CHECKOUT), style="yellow")


def _tell_where_back(api: Api) -> None:
    """Say which deployment's release a rollback brings, by the rule that its worker goes by."""
    try:
        listed = api.call("GET", f"{_BELOW}/deployments")["deployments"]
    except CommandError:
        return  # what it would tell is not worth a way back
    good = next((record for record in listed if not comebacks.refusal(record)), None)
    back = good and comebacks.previous({**good, "last_good": good["id"]}, listed)
    if not good or not back:
        return  # the worker reads further, and says when there is none
    say(f"going back to deployment {back['id']}, build {back['running'][:12]}")
    if good.get("mode") == Mode.ROLLBACK:
        syndi = "syndi --local" if current.local else "syndi"
        say(
            f"the newest one, {good['id']}, went back itself: this undoes it; for an earlier "
            f"release say --to ID, as in '{syndi} history {good['env']} {good['org']} "
            f"--application {own.APPLICATION}'"
        )


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
            return in_words(release(api))
        except Failed as error:
            if time.monotonic() > deadline:
                return f"unknown: {error}"
            time.sleep(_POLL_SECONDS)
        except Refused as error:
            return f"unknown: {error}"
