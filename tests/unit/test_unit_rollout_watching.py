"""How `syndi rollout` follows a rollout, what it tells of a bad end, and of a pause."""

from typing import Any

import pytest
from asked_api import Asked
from typer.testing import CliRunner

from cli import watching
from cli.context import Context, current
from cli.failure import Failed
from cli.main import app
from control_plane.rollout_models import Failure, RolloutStatus

SHOW = "syndi rollout show r1 --tenants"


def wave(size: int, **counts: int) -> dict[str, Any]:
    zero = dict.fromkeys(("succeeded", "skipped", "failed", "rolled_back", "not_rolled_back"), 0)
    return {"size": size, "allowed": 0, **zero, **counts}


def found(status: str, *waves: dict[str, Any], at: int = 0, **more: Any) -> dict[str, Any]:
    """A rollout as the API shows it, in wave `at` (from 0)."""
    state = {
        "status": status, "source": "5" * 64, "wave": at, "running": [],
        "waves": list(waves or [wave(2)]), "on_failure": Failure.STOP,
    }  # fmt: skip
    return {
        "id": "r1", "env": "dev", "application": "notes", "console_url": "https://console",
        "state": state, **more,
    }  # fmt: skip


class Script(Asked):
    """Gives these answers to looks at the rollout, the last one again and again; None: nobody
    answers. `rows`: the tenants of each wave."""

    looks: list[dict[str, Any] | None]
    rows: list[list[dict[str, Any]]]

    def call(self, method: str, path: str, body: Any = None, headers: Any = None) -> dict[str, Any]:
        self.calls.append((method, path, body))
        if "/tenants?" in path:
            number = int(path.split("wave=")[1].split("&")[0]) - 1
            return {"tenants": [{"wave": number, **row} for row in self.rows[number]]}
        answer = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if answer is None:
            raise Failed("nobody answers")
        return answer


def scripted(
    monkeypatch: pytest.MonkeyPatch,
    *looks: dict[str, Any] | None,
    rows: tuple[list[dict[str, Any]], ...] = ([], [], []),
) -> Script:
    made = Script({})
    object.__setattr__(made, "looks", list(looks))
    object.__setattr__(made, "rows", list(rows))
    monkeypatch.setattr(Context, "api", lambda _: made)
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(current, "as_json", False)
    monkeypatch.setattr(current, "local", False)
    return made


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["rollout", *arguments])


def test_what_nobody_answers_for_a_moment_is_watched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, found("RUNNING"), None, None, found("SUCCEEDED", wave(2, succeeded=2)))
    assert run("show", "r1", "--watch").exit_code == 0


def test_when_nobody_answers_for_long_the_rollout_is_said_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted(monkeypatch, found("RUNNING"), None)
    monkeypatch.setattr(watching, "_PATIENCE_SECONDS", 0.0)
    told = run("show", "r1", "--watch")
    assert told.exit_code == 130
    assert "not watching any more; it goes on: syndi rollout show r1" in told.stderr


def test_a_log_file_has_a_line_for_whatever_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    began, half = found("RUNNING"), found("RUNNING", wave(2, succeeded=1))
    baking = found("BAKING", wave(2, succeeded=2))
    scripted(monkeypatch, began, began, began, half, half, baking, found("SUCCEEDED"))
    lines = [line.split(maxsplit=1) for line in run("show", "r1", "--watch").stderr.splitlines()]
    assert lines[2:] == [
        ["RUNNING", "wave 1 of 1: nothing yet of 2"],
        ["RUNNING", "wave 1 of 1: 1 succeeded of 2"],
        ["BAKING", "wave 1 of 1: 2 succeeded of 2"],
        ["SUCCEEDED", "wave 1 of 1: nothing yet of 2"],
    ]


def failed(org: str) -> dict[str, str]:
    return {"org": org, "status": "FAILED", "reason": f"{org} is broken"}


GOOD = {"org": "good", "status": "SUCCEEDED"}
STOPPED = found("FAILED", wave(2, succeeded=2), wave(3, succeeded=1, failed=2), wave(4), at=1)


@pytest.mark.parametrize("verb", [("show", "r1"), ("show", "r1", "--watch")])
def test_a_bad_end_names_who_failed_and_says_who_has_what(
    monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    api = scripted(monkeypatch, STOPPED, rows=([GOOD] * 2, [failed("a"), GOOD, failed("b")], []))
    told = run(*verb).stdout.splitlines()
    assert told[-5:] == [
        "a (wave 2): a is broken",
        "b (wave 2): b is broken",
        f"each tenant: {SHOW}",
        "the new build stays with 2 of earlier waves and 1 of wave 2",
        "4 were not begun",
    ]
    asked = [path for _, path, _ in api.calls if "/tenants" in path]
    assert asked == ["/rollouts/r1/tenants?wave=2&start=0&limit=100"], "of no other wave"


def test_of_many_that_failed_the_first_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [failed(f"o{number}") for number in range(7)]
    scripted(monkeypatch, found("FAILED", wave(7, failed=7)), rows=(many,))
    told = run("show", "r1").stdout
    assert "o4 is broken" in told
    assert "o5" not in told
    assert f"the rest: {SHOW}" in told


def test_a_large_wave_is_read_only_as_far_as_somebody_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = found("FAILED", wave(9000, succeeded=500, failed=1))
    api = scripted(monkeypatch, stopped, rows=([GOOD, failed("a")],))
    assert "a is broken" in run("show", "r1").stdout
    assert len(api.calls) == 2


def test_a_wave_that_was_brought_back_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    back = found("ROLLED_BACK", wave(2, succeeded=1, failed=1, rolled_back=2))
    row = {**failed("a"), "status": "ROLLED_BACK"}
    scripted(monkeypatch, back, rows=([row, {**GOOD, "status": "ROLLED_BACK"}],))
    told = run("show", "r1").stdout
    assert "a (wave 1): a is broken" in told
    assert "good (" not in told
    assert "stays with" not in told


@pytest.mark.parametrize("status", [s for s in RolloutStatus if s.is_good or not s.is_final])
def test_what_is_well_or_under_way_is_told_as_before(
    monkeypatch: pytest.MonkeyPatch, status: RolloutStatus
) -> None:
    scripted(monkeypatch, found(status, wave(2, failed=1), wave(2)))
    told = run("show", "r1").stdout
    assert "not begun" not in told
    assert SHOW not in told


def test_a_pause_is_said_once_and_its_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    paused = found("PAUSED", note="paused", control={"paused_by": "somebody"})
    scripted(monkeypatch, paused)
    assert "\npaused\n" not in (told := run("pause", "r1").stdout)
    assert "paused by somebody" in told
    told = run("resume", "r1").stdout
    assert told == "resumed; it goes on within seconds: syndi rollout show r1\n"
