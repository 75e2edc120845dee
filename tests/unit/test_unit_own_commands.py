"""The verbs about the control plane itself: its own paths, `self-update` and `version`."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import connection, releasing, source, watching
from cli.context import current, tenant_path
from cli.failure import Failed, Refused
from cli.main import app
from cli.source import Source
from control_plane import __version__
from control_plane.models import Env

ID = "20261122-120000-000aaaaa"
OWN = {
    "id": ID, "application": "control-plane", "env": "dev", "org": "local", "status": "QUEUED",
    "stack_name": "control-plane-dev-local", "console_url": "https://x", "execution_arn": "arn",
}  # fmt: skip
TENANTS = {**OWN, "application": "notes", "env": "stage", "org": "alpha"}
OLD = {"version": "0.1.0", "source": "1" * 64, "build": "a" * 64}
NEW = {"version": "0.2.0", "source": "5" * 64, "build": "b" * 64}
PACKED = Source(b"zip", "5" * 64, "control-plane", [])
DECIDED = {"decision": "APPROVED", "decided_by": "me", "comment": ""}


class Api:
    """Answers by path, and remembers what it was asked. An answer that is an error is raised."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, Any]] = []
        self.pushed: list[tuple[str, list[str]]] = []
        self.record: dict[str, Any] = OWN
        self.health: list[Any] = [OLD]
        self.listed: list[Any] = []
        self.watched: list[Any] = [{**OWN, "status": "SUCCEEDED"}]

    def call(self, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
        if path == "/health":
            answer = self.health.pop(0) if len(self.health) > 1 else self.health[0]
        elif method == "GET" and path.startswith("/control-plane/deployments/"):
            answer = self.watched.pop(0)
        else:
            self.asked.append((method, path, body, headers))
            answer = {
                **self.record, "approval": DECIDED, "deployments": self.listed,
                "expression": "rate(1 day)", "timezone": "UTC", "enabled": True,
            }  # fmt: skip
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()
    monkeypatch.delenv(connection.STACK_VARIABLE, raising=False)
    monkeypatch.setattr(connection, "connect", lambda local: made)
    monkeypatch.setattr(source, "pack", lambda path: PACKED)
    monkeypatch.setattr(source, "push_own", lambda _, packed, environments: _pushed(
        made, packed, environments))  # fmt: skip
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(releasing, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(current, "local", False)
    monkeypatch.setattr(current, "as_json", False)
    return made


def _pushed(made: Api, packed: Source, environments: list[str]) -> dict[str, Any]:
    made.pushed.append((packed.sha256, environments))
    return {"state": "REGISTERED"}


def syndi(*arguments: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["--local", *arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def started(api: Api) -> tuple[str, str, Any, Any]:
    (asked,) = [asked for asked in api.asked if asked[0] != "GET"]
    return asked


# Paths --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "org", "application", "path"),
    [
        (Env.DEV, "local", "control-plane", "/control-plane"),
        (Env.DEV, "local", "notes", "/envs/dev/orgs/local"),
        (Env.DEV, "local", None, "/envs/dev/orgs/local"),
        # Another one than this: what it may do there the API says, and this one is left alone.
        (Env.PROD, "main", "control-plane", "/envs/prod/orgs/main"),
        (Env.DEV, "a b/c", "notes", "/envs/dev/orgs/a%20b%2Fc"),
    ],
)
def test_only_this_control_plane_has_a_path_of_its_own(
    monkeypatch: pytest.MonkeyPatch, env: Env, org: str, application: str | None, path: str
) -> None:
    monkeypatch.delenv(connection.STACK_VARIABLE, raising=False)
    monkeypatch.setattr(current, "local", True)
    assert tenant_path(env, org, application) == path


def test_which_one_it_is_depends_on_where_the_command_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(connection.STACK_VARIABLE, raising=False)
    monkeypatch.setattr(current, "local", False)
    assert tenant_path(Env.PROD, "main", "control-plane") == "/control-plane"
    assert tenant_path(Env.DEV, "local", "control-plane") == "/envs/dev/orgs/local"
    monkeypatch.setenv(connection.STACK_VARIABLE, "control-plane-test-team")
    assert tenant_path(Env.TEST, "team", "control-plane") == "/control-plane"
    assert tenant_path(Env.PROD, "main", "control-plane") == "/envs/prod/orgs/main"


@pytest.mark.parametrize(
    ("arguments", "method", "path"),
    [
        (("cancel", ID, "--no-wait"), "POST", f"deployments/{ID}/cancel"),
        (("retry", ID, "--no-wait"), "POST", f"deployments/{ID}/retry"),
        (("approve", ID), "POST", f"deployments/{ID}/approve"),
        (("reject", ID), "POST", f"deployments/{ID}/reject"),
        (("rollback", "ENV", "ORG", "--no-wait"), "POST", "rollback"),
        (("history", "ENV", "ORG"), "GET", "deployments"),
        (("schedule", "set", "ENV", "ORG", "--rate", "1 day"), "PUT", "schedule"),
        (("schedule", "show", "ENV", "ORG"), "GET", "schedule"),
        (("schedule", "delete", "ENV", "ORG"), "DELETE", "schedule"),
    ],
)
@pytest.mark.parametrize(
    ("record", "base"), [(OWN, "/control-plane"), (TENANTS, "/envs/stage/orgs/alpha")]
)
def test_a_verb_takes_the_path_of_whom_it_is_about(
    api: Api, record: dict[str, Any], base: str, arguments: tuple[str, ...], method: str, path: str
) -> None:
    api.record = record
    named = [{"ENV": record["env"], "ORG": record["org"]}.get(word, word) for word in arguments]
    if "ENV" in arguments:
        named += ["--application", record["application"]]
    syndi(*named)
    asked = api.asked[-1]
    assert (asked[0], asked[1].partition("?")[0]) == (method, f"{base}/{path}")


# Updating -----------------------------------------------------------------------------------------


def test_this_checkout_is_pushed_started_watched_and_both_releases_told(api: Api) -> None:
    api.health = [OLD, Failed("replaced in this moment"), NEW]
    api.watched = [Failed("502"), Failed("silence"), {**OWN, "status": "RUNNING"}, *api.watched]
    done = syndi("self-update")
    assert api.pushed == [("5" * 64, ["dev", "test", "stage", "prod"])]
    assert started(api) == ("POST", "/control-plane/deployments", {"source": "5" * 64}, {})
    assert "release    0.1.0, source 111111111111, build aaaaaaaaaaaa" in done.output
    assert "now        0.2.0, source 555555555555, build bbbbbbbbbbbb" in done.output


@pytest.mark.parametrize(
    ("options", "verb", "body"),
    [
        (["--mode", "deploy-only"], "deployments", {"mode": "deploy-only"}),
        (["--dry-run"], "deployments", {"source": "5" * 64, "dry_run": True}),
        (
            ["--approval", "--on-conflict", "reject", "--allow-replacement", "Table"],
            "deployments",
            {
                "source": "5" * 64,
                "approval": True,
                "on_conflict": "reject",
                "allow_replacement": ["Table"],
            },
        ),
        (["--rollback"], "rollback", {}),
        (["--rollback", "--to", ID, "--dry-run"], "rollback", {"to": ID, "dry_run": True}),
    ],
)
def test_options_are_asked_for(
    api: Api, options: list[str], verb: str, body: dict[str, Any]
) -> None:
    syndi("self-update", "--no-wait", "--idempotency-key", "k", *options)
    key = {"Idempotency-Key": "k"}
    assert started(api) == ("POST", f"/control-plane/{verb}", body, key)
    assert len(api.pushed) == ("source" in body)


def test_what_is_only_looked_at_becomes_no_schedules_source(api: Api) -> None:
    syndi("self-update", "--dry-run", "--no-wait")
    assert api.pushed == [("5" * 64, [])]


def test_a_source_for_a_schedule_is_only_pushed(api: Api) -> None:
    done = syndi("self-update", "--push-only", "--json")
    assert json.loads(done.stdout) == {"sha256": "5" * 64, "state": "REGISTERED"}
    assert (api.pushed[0][1], api.asked) == (["dev", "test", "stage", "prod"], [])


@pytest.mark.parametrize("status", ["FAILED", "ROLLED_BACK"])
def test_an_update_that_failed_is_exit_code_1_and_says_what_runs(api: Api, status: str) -> None:
    api.watched = [{**OWN, "status": status}]
    assert "now        0.1.0" in syndi("self-update", code=1).output


def test_that_nobody_says_what_runs_now_does_not_make_a_success_a_failure(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releasing, "_PATIENCE_SECONDS", 0.0)
    api.health = [OLD, Failed("silence")]
    assert "now        unknown: silence" in syndi("self-update").output
    api.health, api.watched = [OLD, Refused("403")], [{**OWN, "status": "SUCCEEDED"}]
    assert "now        unknown: 403" in syndi("self-update").output


@pytest.mark.parametrize(
    "options",
    [
        ["--to", ID],
        ["--push-only", "--rollback"],
        ["--push-only", "--mode", "deploy-only"],
        ["--path", "elsewhere", "--mode", "deploy-only"],
        ["--path", "elsewhere", "--rollback"],
        ["--rollback", "--mode", "deploy-only"],
    ],
)
def test_options_that_would_be_ignored_are_refused(api: Api, options: list[str]) -> None:
    syndi("self-update", *options, code=2)
    assert (api.asked, api.pushed) == ([], [])


def test_another_application_is_no_control_plane(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Path] = []

    def pack(path: Path) -> Source:
        given.append(path)
        return Source(b"zip", "5" * 64, "notes", [])

    monkeypatch.setattr(source, "pack", pack)
    assert "is notes, not control-plane" in syndi("self-update", "--path", "x", code=2).output
    assert (given, api.asked, api.pushed) == ([Path("x")], [], [])


def test_who_stops_watching_is_told_no_end(api: Api) -> None:
    api.watched = [KeyboardInterrupt()]
    told = syndi("self-update", code=130).output
    assert "not watching any more; it goes on" in told
    assert "now " not in told


# Version ------------------------------------------------------------------------------------------


def test_the_commands_version_and_the_running_one_are_told(api: Api) -> None:
    told = syndi("version").stdout
    assert f"command        {__version__}, source 555555555555" in told
    assert "control plane  0.1.0, source 111111111111, build aaaaaaaaaaaa" in told
    assert "'syndi --local self-update' brings it" in told
    api.health = [NEW]
    assert "self-update" not in syndi("version").stdout
    assert json.loads(syndi("version", "--json").stdout) == {
        "command": {"version": __version__, "source": "5" * 64},
        "control_plane": NEW,
    }


def test_a_checkout_that_is_older_is_no_update(api: Api) -> None:
    api.health = [{**OLD, "version": "10.0.0"}]
    told = syndi("version").stdout
    assert "this checkout is older than the release that runs: 'git pull' it" in told
    assert "brings it" not in told


def test_a_release_that_said_nothing_of_itself_is_unknown(api: Api) -> None:
    api.health = [{"status": "ok"}]
    assert "control plane  unknown, source unknown, build unknown" in syndi("version").stdout


@pytest.mark.parametrize("problem", [Refused("there is none"), Failed("it does not answer")])
def test_without_a_control_plane_the_command_still_has_a_version(
    api: Api, problem: Exception
) -> None:
    api.health = [problem]
    assert f"control plane  {problem}" in syndi("version").stdout
    found = json.loads(syndi("version", "--json").stdout)
    assert (found["control_plane"], found["problem"]) == (None, str(problem))
