"""What `syndi route` is told on the command line, and what it tells of a change."""

from typing import Any

import pytest
from asked_api import Asked, instead
from typer.testing import CliRunner

from cli.main import app
from cli.route_output import line

ROUTE: dict[str, Any] = {
    "name": "myorg.stage.example.com", "env": "stage", "org": "myorg", "weights": {"myorg": 100},
    "records": [], "recorded": {"myorg": 90, "myorg-blue": 10}, "before": {}, "shift": None,
    "changes": [],
}  # fmt: skip


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return instead(monkeypatch, {**ROUTE, "id": "1"})


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["route", *arguments])


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("myorg=100", {"myorg": 100}),
        ("myorg=90,myorg-blue=10", {"myorg": 90, "myorg-blue": 10}),
        (" myorg = 90 , myorg-blue=10", {"myorg": 90, "myorg-blue": 10}),
        ("none", {}),
    ],
)
def test_weights_are_sent_as_they_are_said(api: Asked, text: str, weights: dict[str, int]) -> None:
    assert run("set", "stage", "myorg", "--weights", text).exit_code == 0
    assert api.calls == [("PUT", "/envs/stage/orgs/myorg/route", {"weights": weights})]


@pytest.mark.parametrize(("every", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("45", 45)])
def test_a_shift_is_sent_as_it_is_said(api: Asked, every: str, seconds: int) -> None:
    options = ("--steps", "5, 100", "--every", every, "--alarm", "a", "--alarm", "b")
    told = run(
        "shift", "stage", "myorg", "--to", "myorg-blue", *options, "--no-wait",
        "--application", "notes",
    )  # fmt: skip
    assert told.exit_code == 0
    body = {
        "to": "myorg-blue", "steps": [5, 100], "every_seconds": seconds, "alarms": ["a", "b"],
        "application": "notes",
    }  # fmt: skip
    assert api.calls == [("POST", "/envs/stage/orgs/myorg/route/shift", body)]
    assert "syndi route show stage myorg" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("set", "stage", "myorg", "--weights", "myorg"), "--weights myorg: must be ORG=PERCENT"),
        (("set", "stage", "myorg", "--weights", "myorg=x"), "must be ORG=PERCENT"),
        (("set", "stage", "myorg", "--weights", "=5"), "must be ORG=PERCENT"),
        (("set", "stage", "myorg", "--weights", "a=50,a=50"), "names a twice"),
        (("shift", "stage", "myorg", "--to", "b", "--steps", "10;50"), "--steps 10;50"),
        (("shift", "stage", "myorg", "--to", "b", "--every", "5 m"), "--every 5 m"),
        (("shift", "stage", "myorg", "--to", "b", "--every", "1d"), "--every 1d"),
    ],
)
def test_what_cannot_be_understood_is_refused_and_nothing_is_asked(
    api: Asked, arguments: tuple[str, ...], told: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in result.output
    assert api.calls == []


def test_records_that_are_not_as_they_were_recorded_stand_out(api: Asked) -> None:
    told = run("show", "stage", "myorg").stdout
    assert "myorg.stage.example.com myorg 100 %" in told
    assert "DIFFERS from what was recorded: myorg 90 %, myorg-blue 10 %" in told


def test_a_change_is_a_line() -> None:
    step = {"kind": "shift", "step": 2, "steps": [10, 50, 100], "after": {"a": 50, "a-blue": 50}}
    assert line(step) == "shift, 2 of 3    a 50 %, a-blue 50 %"
    end = {"kind": "end", "status": "FAILED", "after": {"a": 100}, "reason": "why"}
    assert line(end) == "shift FAILED     a 100 %: why"
    assert line({"kind": "set", "after": {}}) == "set              nowhere"
