"""What `syndi rollout` sends for its options, now and by a schedule, and what it tells of one."""

from typing import Any

import pytest
from asked_api import Asked, instead
from typer.testing import CliRunner

from cli.main import app

PLAN: dict[str, Any] = {"dry_run": True, "waves": []}
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


def test_a_schedule_is_told_in_the_words_of_the_options(api: Asked) -> None:
    told = run("schedule", "show", "dev", "--application", "notes").stdout
    assert api.calls == [("GET", "/envs/dev/rollout-schedule?application=notes", None)]
    for words in (
        "cron(0 6 * * ? *) Europe/Berlin (enabled)", "notes in dev",
        "the environment's current one", "ring=two", "one+two, 5, 25%, rest",
        "5%; when more do, it is rolled back", "600 s after each wave",
    ):  # fmt: skip
        assert words in told, words


def test_a_schedule_ends(api: Asked) -> None:
    assert run("schedule", "delete", "dev").stdout.strip() == "deleted"
    assert api.calls == [("DELETE", "/envs/dev/rollout-schedule", None)]
