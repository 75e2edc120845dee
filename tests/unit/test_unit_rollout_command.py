"""What `syndi rollout` sends for its options, now and by a schedule, and what it tells of one."""

import json
from typing import Any

import pytest
from asked_api import Asked, instead
from typer.testing import CliRunner

from cli.main import app

PLAN: dict[str, Any] = {"dry_run": True, "source": "5" * 64, "waves": []}
SCHEDULE: dict[str, Any] = {
    "expression": "cron(0 6 * * ? *)", "timezone": "Europe/Berlin", "enabled": True,
    "request": {
        "application": "notes", "labels": {"ring": "two"}, "max_failures": "5%",
        "waves": [{"tenants": ["one", "two"]}, {"count": 5}, {"percent": 25.0}, {"rest": True}],
        "on_failure": "rollback", "bake_seconds": 600,
    },
}  # fmt: skip


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return instead(monkeypatch, PLAN | SCHEDULE)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["rollout", *arguments])


OPTIONS = (
    "--canary", "one", "--waves", "5, 25%,rest", "--label", "ring=two", "--build", "abcd",
    "--mode", "deploy-only", "--concurrency", "7", "--max-failures", "5%",
    "--on-failure", "rollback", "--bake", "10m", "--alarm", "loud", "--approval",
    "--priority", "normal", "--application", "notes",
)  # fmt: skip
MEANS = {
    "application": "notes", "mode": "deploy-only", "labels": {"ring": "two"}, "build": "abcd",
    "waves": [{"tenants": ["one"]}, {"count": 5}, {"percent": 25.0}, {"rest": True}],
    "concurrency": 7, "max_failures": "5%", "on_failure": "rollback", "bake_seconds": 600,
    "alarms": ["loud"], "approval": True, "priority": "normal",
}  # fmt: skip


def test_a_start_is_sent_as_it_is_said(api: Asked) -> None:
    assert run("start", "dev", *OPTIONS, "--dry-run").exit_code == 0
    assert api.calls == [("POST", "/envs/dev/rollouts", {**MEANS, "dry_run": True})]


@pytest.mark.parametrize(
    ("when", "expression", "zone"),
    [
        (("--rate", "1 day"), "rate(1 day)", "UTC"),
        (("--cron", "0 6 * * ? *", "--timezone", "Asia/Tokyo"), "cron(0 6 * * ? *)", "Asia/Tokyo"),
    ],
)
def test_a_schedule_is_sent_as_it_is_said(
    api: Asked, when: tuple[str, ...], expression: str, zone: str
) -> None:
    assert run("schedule", "set", "dev", *when, *OPTIONS).exit_code == 0
    body = {**MEANS, "expression": expression, "timezone": zone}
    assert api.calls == [("PUT", "/envs/dev/rollout-schedule", body)]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ((), "--rate or --cron"),
        (("--rate", "1 day", "--cron", "0 6 * * ? *"), "--rate or --cron"),
        (("--rate", "1 day", "--waves", "5,some"), "--waves"),
        (("--rate", "1 day", "--label", "ring"), "--label"),
        (("--rate", "1 day", "--bake", "soon"), "--bake"),
        (("--rate", "1 day", "--plan", "/nowhere.json"), "--plan"),
    ],
)
def test_a_schedule_that_is_none_is_refused_by_its_option(
    api: Asked, wrong: tuple[str, ...], named: str
) -> None:
    told = run("schedule", "set", "dev", *wrong)
    assert told.exit_code == 2
    assert named in told.stderr
    assert api.calls == []


SHOWN: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, (
        "cron(0 6 * * ? *) Europe/Berlin (enabled)", "notes in dev",
        "of the source that is current then", "all that are deployed then and label ring=two",
        "one+two, 5, 25%, rest", "10, priority low", "5% in all",
        "when more do it stops, and the wave is brought back", "600 s after each wave",
    )),
    ({"source": "ab" * 32, "labels": {}}, ("of source abababababab", "all that are deployed then")),
    ({"mode": "deploy-only"}, ("each tenant's last one, with the configuration of then",)),
    ({"labels": {}, "tenants": [f"o{n:02d}" for n in range(12)]}, ("o08, o09 and 2 more",)),
    ({"build": "abcd"}, ("label ring=two and build abcd",)),
    (
        {"max_failures": None, "waves": [{"count": 5, "max_failures": "1", "concurrency": 3}]},
        ("5 (3 at once, 1 may fail)", "as many as in the waves together"),
    ),
    ({"max_failures": None, "on_failure": "stop"}, ("none; when more do it stops",)),
    ({"approval": True, "alarms": ["loud"]}, ("asked for between waves", "loud")),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), SHOWN)
def test_a_schedule_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    api = instead(monkeypatch, SCHEDULE | {"request": SCHEDULE["request"] | changes})
    told = run("schedule", "show", "dev", "--application", "notes").stdout
    assert api.calls == [("GET", "/envs/dev/rollout-schedule?application=notes", None)]
    for word in words:
        assert word in told


def test_a_schedule_is_printed_as_it_is_for_programs(api: Asked) -> None:
    assert (
        json.loads(run("schedule", "show", "dev", "--json").stdout)["request"]
        == (SCHEDULE["request"])
    )


def test_the_list_tells_what_a_schedule_started_and_that_it_did_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = {"status": "SUCCEEDED", "waves": [{"size": 3, "skipped": 3, "failed": 0}]}
    one = {"id": "r1", "env": "dev", "application": "notes", "trigger": "schedule", "state": state}
    instead(monkeypatch, {"rollouts": [one]})
    titles, line = run("list").stdout.splitlines()
    assert titles.split()[3:8] == ["status", "trigger", "tenants", "skipped", "failed"]
    assert line.split()[3:8] == ["SUCCEEDED", "schedule", "3", "3", "0"]


def test_a_schedule_ends(api: Asked) -> None:
    assert run("schedule", "delete", "dev").stdout.strip() == "deleted"
    assert api.calls == [("DELETE", "/envs/dev/rollout-schedule", None)]


def test_a_dry_run_says_what_it_would_bring_and_who_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = {"size": 2, "concurrency": 3, "allowed": 0, "tenants": ["one", "two"], "new": ["two"]}
    plan = {"dry_run": True, "source": "ab" * 32, "mode": "full", "waves": [wave]}
    instead(monkeypatch, plan)
    told = run("start", "dev", "--org", "one", "--org", "two", "--dry-run").stdout
    assert "would bring source abababababab" in told
    assert "one, two (new)" in told
    instead(monkeypatch, plan | {"mode": "deploy-only"})
    told = run("start", "dev", "--mode", "deploy-only", "--dry-run").stdout
    assert "would bring each tenant's own last build" in told


@pytest.mark.parametrize("arguments", [(), ("ring=two",)])
def test_labels_of_who_is_not_deployed_say_so(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    answer = {"labels": {"ring": "two"}, "deployed": False}
    for deployed in (False, True):
        instead(monkeypatch, answer | {"deployed": deployed})
        told = CliRunner().invoke(app, ["label", "dev", "r7", *arguments])
        assert told.stdout == "ring=two\n"
        assert ("dev/r7 is not deployed (yet)" in told.stderr) == (not deployed)


def test_the_slots_say_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    waiters = [
        {"deployment": "d1", "stack_name": "notes-dev-one", "priority": "urgent",
         "since": "2026-11-25T12:00:00.123+00:00"},
        {"deployment": "d2"},
    ]  # fmt: skip
    answer = {"limit": 2, "taken": 2, "holders": [], "waiting": 5, "waiters": waiters}
    instead(monkeypatch, answer)
    told = CliRunner().invoke(app, ["slots", "show"]).stdout.splitlines()
    assert told == [
        "2 of 2 slots taken, 5 waiting",
        "waiting, who is next first:",
        "  d1  notes-dev-one  urgent  since 2026-11-25T12:00:00",
        "  d2  syndi show d2",
        "  and 3 more",
    ]


LEFT: dict[str, Any] = {
    "id": "r1", "env": "dev", "application": "notes", "console_url": "https://console",
    "execution_status": "FAILED",
    "state": {"status": "RUNNING", "source": "ab" * 32, "waves": [], "wave": 0, "running": []},
}  # fmt: skip
"""A rollout whose execution is over without a word."""


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [
        (("show", "r1"), 0),
        (("show", "r1", "--watch"), 1),
        (("cancel", "r1"), 1),
        (("cancel", "r1", "--no-wait"), 0),
    ],
)
def test_a_rollout_that_nothing_drives_is_not_watched_and_says_what_ends_it(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], exit_code: int
) -> None:
    instead(monkeypatch, LEFT)
    monkeypatch.setattr("cli.rollout_watching.time.sleep", lambda _: pytest.fail("it watches"))
    told = run(*command)
    assert told.exit_code == exit_code
    assert "its execution FAILED" in told.stdout
    assert "'syndi rollout cancel r1' ends it" in " ".join(told.stdout.split())
