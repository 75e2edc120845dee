"""`syndi config`: what a tenant is configured with, why, and how to change it."""

import json
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.config_output import shown, stored_notice, versions_table
from cli.config_values import assigned, parsed_assignment, unset_paths
from cli.connection import Api
from cli.context import command, current, query, tenant_path
from cli.failure import Failed, Refused
from cli.options import ApplicationOption, CommentOption, EnvArgument, JsonOption, OrgArgument
from cli.output import err, out, print_json
from control_plane.models import Env

app = typer.Typer(no_args_is_help=True, help="A tenant's configuration.")


@app.command("show")
@command
def show(
    env: EnvArgument,
    org: OrgArgument,
    explain: Annotated[
        bool, typer.Option("--explain", help="each value, the layer it is from, whom it overrode")
    ] = False,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """The configuration that is live, and whether it is what was deployed."""
    asked = query(application=application, explain="true" if explain else None)
    answer = current.api().call("GET", f"{tenant_path(env, org)}/config{asked}")
    if current.as_json:
        print_json(answer)
    else:
        shown(answer, explain=explain)


@app.command("set")
@command
def set_values(
    env: EnvArgument,
    org: OrgArgument,
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE…", help="a dotted key; JSON, or else a text; null deletes"
        ),
    ],
    comment: CommentOption = "",
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Override values of a tenant's configuration; a deployment applies it."""
    wanted = [parsed_assignment(text) for text in values]
    api = current.api()
    latest = _latest(api, env, org, application)
    overrides = latest["content"]
    for path, value in wanted:
        overrides = assigned(overrides, path, value)
    _store(api, env, org, application, overrides, latest["version"], comment)


@app.command("unset")
@command
def unset_values(
    env: EnvArgument,
    org: OrgArgument,
    keys: Annotated[list[str], typer.Argument(metavar="KEY…", help="dotted keys")],
    comment: CommentOption = "",
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take overrides back, so that the layers below count again; a deployment applies it."""
    api = current.api()
    latest = _latest(api, env, org, application)
    overrides = unset_paths(latest["content"], keys)
    _store(api, env, org, application, overrides, latest["version"], comment)


@app.command("edit")
@command
def edit(
    env: EnvArgument,
    org: OrgArgument,
    comment: CommentOption = "",
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Edit all overrides as JSON, with $EDITOR; a deployment applies it."""
    api = current.api()
    latest = _latest(api, env, org, application)
    before = json.dumps(latest["content"], indent=2, ensure_ascii=False) + "\n"
    handle, name = tempfile.mkstemp(prefix=f"syndi-{env}-{org}-overrides-", suffix=".json")
    with os.fdopen(handle, "wb") as file:
        file.write(before.encode())
    path, done = Path(name), False
    try:
        _run_editor(path)
        if path.read_bytes() == before.encode():
            err.print("nothing changed")
        else:
            edited = _parsed(path.read_bytes())
            _store(api, env, org, application, edited, latest["version"], comment)
        done = True
    finally:
        if done or path.read_bytes() == before.encode():
            path.unlink()
        else:
            err.print(f"nothing was changed; your text is kept in {path}", markup=False)


@app.command("history")
@command
def history(
    env: EnvArgument,
    org: OrgArgument,
    version: Annotated[int | None, typer.Option(min=1, help="print this version's JSON")] = None,
    limit: Annotated[int, typer.Option(min=1, max=50)] = 20,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who changed a tenant's overrides when, newest first; the content of one with --version."""
    answer = _versions(current.api(), env, org, application, 50 if version else limit)
    if version:
        found = next((v for v in answer["versions"] if v["version"] == version), None)
        if found is None:
            raise Refused(f"there is no version {version} among the newest 50")
        print_json(found if current.as_json else found["content"])
    elif current.as_json:
        print_json(answer)
    elif answer["versions"]:
        out.print(versions_table(answer))
    else:
        out.print(f"{env}/{org} has no overrides: its configuration is that of its source")


def _versions(api: Api, env: Env, org: str, application: str | None, limit: int) -> dict[str, Any]:
    asked = query(limit=limit, application=application)
    return api.call("GET", f"{tenant_path(env, org)}/config/history{asked}")


def _latest(api: Api, env: Env, org: str, application: str | None) -> dict[str, Any]:
    """The newest version of the overrides; version 0 where there is none."""
    found = _versions(api, env, org, application, 1)["versions"]
    latest: dict[str, Any] = found[0] if found else {"version": 0, "content": {}}
    return latest


def _store(
    api: Api,
    env: Env,
    org: str,
    application: str | None,
    overrides: dict[str, Any],
    base_version: int,
    comment: str,
) -> None:
    """Store overrides that were made from `base_version`, and say what applies them."""
    body = {"overrides": overrides, "base_version": base_version, "comment": comment}
    if application:
        body["application"] = application
    stored = api.call("PUT", f"{tenant_path(env, org)}/config", body)
    if current.as_json:
        print_json(stored)
    elif stored["version"] == base_version:
        out.print(f"nothing changed: version {base_version} says the same")
    else:
        local = "--local " if current.local else ""
        other = f" --application {application}" if application else ""
        apply = f"syndi {local}deploy {env} {org}{other} --mode deploy-only"
        stored_notice(stored["version"], apply)


def _run_editor(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        ended = subprocess.run([*shlex.split(editor), str(path)], check=False)
    except (OSError, ValueError) as error:
        raise Refused(f"the editor {editor!r} cannot be started: {error}; set EDITOR") from error
    if ended.returncode:
        raise Failed(f"the editor {editor!r} ended with {ended.returncode}")


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Refused(f"that is not JSON ({place}): {error.msg}") from error
    except UnicodeDecodeError as error:
        raise Refused(f"that is not UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise Refused("overrides must be a JSON object, in braces")
    return value
