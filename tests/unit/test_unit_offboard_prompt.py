"""On a terminal, offboarding shows what goes and what stays before it asks for the stack's name."""

from typing import Any

import pytest
import typer

from cli import offboarding
from cli.failure import Refused
from control_plane.models import Env

RECORD = {
    "stack_name": "notes-stage-alpha", "application": "notes", "env": "stage", "org": "alpha",
    "source": "s1", "execution_arn": "arn:aws:states:us-east-1:123456789012:execution:m:x",
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "/envs/stage/orgs/alpha/deployments?limit=1": {"deployments": [RECORD]},
    "/tenants": {"tenants": [{"stack_name": "notes-stage-alpha", "endpoint": "https://x/v1"}]},
    "/sources?application=notes": {
        "sources": [
            {"sha256": "s1", "manifest": {"stack": {"buckets": ["notes-{env}-{org}-{account}"]}}}
        ]
    },
}


class Asked:
    """An API that only answers reads."""

    def call(self, method: str, path: str) -> Any:
        assert method == "GET"
        return ANSWERS[path]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: " notes-stage-alpha ")


def ask(*, purge: bool) -> str:
    return offboarding._ask(Asked(), Env.STAGE, "alpha", None, purge=purge)  # type: ignore[arg-type]


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("purge", "fate"), [(False, "kept; --purge removes them"), (True, "removed for good")]
)
def test_what_goes_and_what_stays_is_shown_before_the_name_is_asked_for(
    capsys: pytest.CaptureFixture[str], purge: bool, fate: str
) -> None:
    assert ask(purge=purge) == "notes-stage-alpha"
    shown = capsys.readouterr().err
    for told in ("notes-stage-alpha", "https://x/v1", "notes-stage-alpha-123456789012", fate):
        assert told in shown


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(Refused, match="--confirm"):
        ask(purge=False)


TABLE = {"kind": "table", "name": "orders", "items": 3, "why": "kept by its DeletionPolicy"}
FOREIGN = {"kind": "bucket", "name": "b", "why": "not ours: it has no tag of this tenant"}
UNKNOWN = {"kind": "AWS::MQ::Broker", "name": "q", "why": "look, by hand", "by_hand": True}


@pytest.mark.parametrize(
    ("leftovers", "said", "unsaid"),
    [
        ({"items": []}, ["nothing is left"], ["not read", "--purge"]),
        ({"items": [], "unread": ["the tags"]}, ["not read   the tags"], ["nothing is left of"]),
        ({"items": [TABLE]}, ["about 3 items", "--purge"], ["nothing is left"]),
        ({"items": [FOREIGN, UNKNOWN]}, ["AWS::MQ::Broker", "by hand"], ["--purge"]),
    ],
)
def test_nothing_is_left_is_said_only_when_all_was_read(
    capsys: pytest.CaptureFixture[str], leftovers: Any, said: list[str], unsaid: list[str]
) -> None:
    """And a purge is proposed only for what it removes."""
    offboarding._tell({**RECORD, "leftovers": leftovers}, "stage alpha")
    shown = capsys.readouterr().out
    assert all(told in shown for told in said), shown
    assert not any(told in shown for told in unsaid), shown
