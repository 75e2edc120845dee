"""The record worker dies between the record and the message: whoever comes next tells people."""

from collections.abc import Callable

import pytest
import worker_builders as build
from people import People, died
from record_calls import BARE, end, fail, prepare

from control_plane.models import Deployment
from workers import record


def dies(*_: object) -> None:
    """What the worker was doing when it died."""
    raise died()


def dying(
    people: People, monkeypatch: pytest.MonkeyPatch, where: str, act: Callable[[], object]
) -> None:
    """Do something and die of it: in the message, or in a function before it."""
    with monkeypatch.context() as patched:
        if where == "message":
            people.lost = [died()]
        else:
            patched.setattr(where, dies)
        with pytest.raises(RuntimeError, match="killed"):
            act()


def ended() -> None:
    """EventBridge's word of the execution's end."""
    end("FAILED", error="StackFailed", cause="why")


@pytest.mark.parametrize("comes_next", [lambda: fail(BARE), ended], ids=["record", "end"])
@pytest.mark.parametrize("where", ["message", "workers.record_slots.leave"])
def test_a_failure_is_told_by_whoever_comes_next(
    source: str,
    people: People,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    comes_next: Callable[[], object],
) -> None:
    made = prepare(BARE)
    dying(people, monkeypatch, where, lambda: fail(BARE))
    assert build.record(made)["status"] == "FAILED", "written before"
    for _ in range(2):
        comes_next()
    assert people.kinds == ["Deployment Failed"]
    assert people.notices[0].reason == "AwaitStack: why", "as it was recorded"


def ask(made: Deployment) -> None:
    """One attempt of AwaitApproval."""
    record.handler(build.event(made, "AwaitApproval", token="t"), None)


@pytest.mark.parametrize("where", ["message", "workers.record_slots.give_back"])
def test_an_approval_is_asked_for_by_the_next_attempt(
    world: None, people: People, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    made = build.opened(build.deployment())
    dying(people, monkeypatch, where, lambda: ask(made))
    assert build.record(made)["status"] == "AWAITING_APPROVAL", "written before"
    for _ in range(2):
        ask(made)
    assert people.kinds == ["Deployment Waiting For Approval"]
