"""Installing again: no release and no source is replaced by the way."""

from typing import Any

import pytest
from test_cli_install import STACK_FOUND, Steps
from test_cli_uninstall import STACK, hold, holder
from typer.testing import CliRunner

from cli import (
    connection,
    first_source,
    release_order,
    source,
)
from cli.context import current
from cli.failure import Refused
from cli.holding import Hold
from cli.main import app
from cli.source import Source
from control_plane import __version__, aws
from control_plane.errors import TenantNotReady
from control_plane.models import JsonObject
from control_plane.services.live import Answer

__all__ = ["hold"]


# The release before -----------------------------------------------------------------------------

NEWER = {"version": "99.0.0", "source": "9" * 64, "build": "c" * 64}
CHANGE = (
    f"release 99.0.0, source 999999999999, build cccccccccccc -> {__version__}, source 555555555555"
)


def test_a_newer_release_is_not_replaced_by_the_way(
    hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(monkeypatch)
    steps.running = NEWER
    with pytest.raises(Refused, match=r"older one.*--downgrade") as refused:
        steps.run()
    assert str(refused.value).startswith(CHANGE)
    assert (steps.taken, holder()) == ([], None)
    steps.run(downgrade=True)
    assert steps.told[0] == CHANGE
    assert steps.taken[-1] == "record"


@pytest.mark.parametrize(
    ("running", "told"),
    [
        (None, False),  # broken, or nothing yet: to be repaired
        ({**NEWER, "source": "5" * 64}, False),
        ({**NEWER, "version": "0.1.9"}, True),
        ({**NEWER, "version": __version__}, True),
        ({**NEWER, "version": "unreadable"}, True),
        ({"version": None}, True),
    ],
)
def test_what_is_not_known_to_be_newer_is_replaced(
    hold: Hold, monkeypatch: pytest.MonkeyPatch, running: Any, told: bool
) -> None:
    steps = Steps(monkeypatch)
    steps.running = running
    steps.run()
    assert steps.taken[-1] == "record"
    assert any(line.startswith("release ") for line in steps.told) == told


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, NEWER), NEWER),
        (Answer(500, {"version": "1"}), None),
        (Answer(200, None), None),
        (Answer(200, {"message": "?"}), None),
        (TenantNotReady("silence"), None),
    ],
)
def test_the_running_release_is_what_the_api_says(
    world: None, monkeypatch: Any, script: Any, answer: Any, expected: Any
) -> None:
    def get(url: str, _: str) -> Answer:
        assert url == "https://x/v1/health"
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(release_order, "signed_get", get)
    script.on(aws.cloudformation(), "DescribeStacks", {"Stacks": [STACK_FOUND]})
    assert release_order.running_release(STACK) == expected
    script.on(aws.cloudformation(), "DescribeStacks", {"Stacks": [{**STACK_FOUND, "Outputs": []}]})
    assert release_order.running_release(STACK) is None


@pytest.mark.parametrize(("verb", "local"), [("install", []), ("up", ["--local"])])
def test_going_to_an_older_release_is_an_option_of_both(verb: str, local: list[str]) -> None:
    told = CliRunner().invoke(app, [*local, verb, "--help"], terminal_width=200).stdout
    assert "--downgrade" in told


# The first source -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "pushed", "told"),
    [
        ({}, ["dev", "test", "stage", "prod"], ["pushed notes 555555555555 for dev, test, stage"]),
        (dict.fromkeys(["dev", "test", "stage", "prod"], "5" * 64), None, []),
        (
            {"dev": "a" * 64, "stage": "5" * 64, "prod": "a" * 64},
            ["test"],
            [
                "pushed notes 555555555555 for test",
                "left notes as it is: aaaaaaaaaaaa in dev, prod; 'syndi source push' changes it",
            ],
        ),
    ],
)
def test_only_environments_without_a_source_get_the_checkouts(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    there: dict[str, str],
    pushed: list[str] | None,
    told: list[str],
) -> None:
    class Api:
        def call(self, *asked: str) -> JsonObject:
            assert asked == ("GET", "/sources?application=notes")
            return {"sources": [], "environments": there}

    pushes: list[list[str]] = []
    monkeypatch.setattr(connection, "connect", lambda _: Api())
    monkeypatch.setattr(source, "pack", lambda _: Source(b"", "5" * 64, "notes", []))
    monkeypatch.setattr(source, "push", lambda _, packed, envs: pushes.append(envs))
    monkeypatch.setattr(current, "as_json", False)
    first_source.push_first()
    assert pushes == ([pushed] if pushed else [])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(told)
    assert all(line.startswith(start) for line, start in zip(lines, told, strict=True))
