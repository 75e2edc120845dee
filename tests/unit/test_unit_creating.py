"""Before a deployment creates a tenant, somebody at a terminal says that this is meant."""

from typing import Any

import pytest
import typer
from asked_api import Asked, instead
from typer.testing import CliRunner

from cli import creating
from cli.connection import Api
from cli.context import current
from cli.failure import Refused
from cli.main import app
from control_plane.models import Env

NEW = {
    "stack_name": "notes-stage-acmme", "exists": False, "explicit": False, "offboarded_at": None,
    "similar": ["acme", "acme-two"],
}  # fmt: skip


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(current, "as_json", False)


def asked(monkeypatch: pytest.MonkeyPatch, answer: Any, *, confirmed: bool = False) -> list[str]:
    """The questions that are put to somebody who answers `confirmed`; `answer`: the API's."""
    questions: list[str] = []

    def confirm(question: str, **_: Any) -> bool:
        questions.append(question)
        return confirmed

    monkeypatch.setattr(typer, "confirm", confirm)
    creating.confirm_creation(Asked(answer), Env.STAGE, "acmme", None)
    return questions


@pytest.mark.usefixtures("terminal")
def test_a_new_tenant_is_confirmed_and_similar_names_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(monkeypatch, NEW, confirmed=True) == ["create acmme in stage?"]
    shown = capsys.readouterr().err
    assert "notes-stage-acmme does not exist: this creates a new tenant in stage" in shown
    assert "acme, acme-two" in shown


@pytest.mark.usefixtures("terminal")
def test_a_no_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="nothing was started"):
        asked(monkeypatch, NEW)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("known", [{"exists": True}, {"explicit": True}])
def test_nobody_is_asked_about_what_exists_or_what_the_api_refuses(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, bool]
) -> None:
    assert asked(monkeypatch, {**NEW, **known}) == []


@pytest.mark.usefixtures("terminal")
def test_what_cannot_be_read_is_not_taken_for_an_existing_tenant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Refused("403")

    monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
    monkeypatch.setattr(Api, "call", refuse)
    with pytest.raises(Refused, match="nothing was started"):
        creating.confirm_creation(Api("https://x", "r"), Env.STAGE, "acmme", None)


def test_without_a_terminal_it_proceeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert asked(monkeypatch, NEW) == []


@pytest.mark.parametrize(
    ("options", "body"),
    [(["--yes"], {}), (["--create"], {"create": True}), (["--dry-run"], {"dry_run": True})],
)
def test_yes_create_and_a_dry_run_ask_nothing(
    monkeypatch: pytest.MonkeyPatch, options: list[str], body: dict[str, Any]
) -> None:
    api = instead(monkeypatch, {"id": "x", "status": "QUEUED", "stack_name": "s"})
    monkeypatch.setattr("cli.deploying.confirm_creation", lambda *_: pytest.fail("asked"))
    answer = CliRunner().invoke(app, ["deploy", "stage", "acmme", "--no-wait", "--json", *options])
    assert answer.exit_code == 0, answer.output
    assert [call[2] for call in api.calls] == [body]
