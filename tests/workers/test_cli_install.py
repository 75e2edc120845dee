"""Installing over a control plane: nobody updates it meanwhile, and what does not work is not good.

Not of a worker; here because moto's AWS is.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from test_cli_uninstall import STACK, STACK_ID, a_hold, hold, holder, target
from test_worker_record import acquire, running
from typer.testing import CliRunner

from cli import (
    holding,
    installing,
    own_stack,
    proving,
    release_order,
)
from cli.failure import Failed, Refused
from cli.holding import Hold
from cli.install import Built
from cli.main import app
from cli.source import Source
from control_plane import aws
from control_plane.errors import TenantNotReady
from control_plane.models import Deployment, JsonObject
from control_plane.own import own_tenant
from control_plane.services.live import Answer
from control_plane.store.locks import Locks

__all__ = ["hold"]

BUILT = Built(build.deployment().manifest, "5" * 64, "a" * 64, build.ARTIFACTS, "k/template.yaml")
STACK_FOUND = {
    "StackName": STACK, "StackId": STACK_ID, "StackStatus": "UPDATE_COMPLETE",
    "CreationTime": "2026-11-25T12:00:00Z",
    "Outputs": [{"OutputKey": "ApiUrl", "OutputValue": "https://x/v1"}],
}  # fmt: skip


def update() -> Deployment:
    return running(build.deployment(own_tenant(STACK)))


# The lock ---------------------------------------------------------------------------------------


def test_an_update_waits_for_whoever_installs(hold: Hold) -> None:
    hold.take()
    queued = update()
    assert acquire(queued) == {"holder": hold.id, "done": False}
    hold.release()
    assert acquire(queued)["done"] is True


def test_a_command_that_died_keeps_updates_away_for_a_while_only(
    hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "MANUAL_WORK", -timedelta(seconds=1))
    hold.take()
    assert acquire(update())["done"] is True


def test_a_new_table_is_held_when_it_is_there(world: None) -> None:
    a_hold().keep()  # there is none, and nobody else either


class Steps:
    """The steps of an installation, which do nothing but remember that they were taken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: list[str] = []
        self.during: dict[str, Any] = {}
        self.told: list[str] = []
        self.running: JsonObject | None = None
        monkeypatch.setattr(release_order, "running_release", lambda _: self.running)
        monkeypatch.setattr(own_stack, "artifact_bucket", lambda *_: build.ARTIFACTS)
        monkeypatch.setattr(own_stack, "make_ready", lambda _: True)
        monkeypatch.setattr(own_stack, "protect", lambda _: None)
        monkeypatch.setattr(own_stack, "deploy", self._deploy)
        monkeypatch.setattr(installing, "build", lambda *_: self._step("build", BUILT))
        monkeypatch.setattr(installing, "prove", lambda *_: self._step("prove", None))
        recorded = lambda *_: self._step("record", None)  # noqa: E731
        monkeypatch.setattr(installing.recording.Installation, "record", recorded)

    def _deploy(self, *given: Any) -> dict[str, bool]:
        self._step("change set", None)
        given[3]()
        return self._step("deploy", {"has_changes": True})

    def _step(self, name: str, answer: Any) -> Any:
        self.taken.append(name)
        if name in self.during:
            self.during[name]()
        return answer

    def run(self, **more: Any) -> None:
        packed = Source(b"", "5" * 64, "control-plane", [])
        to = replace(target("notes"), **more)
        installing.install_stack(to, packed, Path(), Path(), self.told.append)


def taken_over() -> None:
    """An update has the lock, as after a build that took too long."""
    before = holder()
    assert Locks(build.TABLE).acquire(own_tenant(STACK), "u", build.arn("u"), before)


@pytest.mark.parametrize(
    ("during", "taken"),
    [("build", ["build"]), ("change set", ["build", "change set"])],
)
def test_an_installation_that_lost_its_lock_changes_nothing(
    hold: Hold, monkeypatch: pytest.MonkeyPatch, during: str, taken: list[str]
) -> None:
    steps = Steps(monkeypatch)
    steps.during[during] = taken_over
    with pytest.raises(Refused, match="somebody else"):
        steps.run()
    assert steps.taken == taken
    assert holder() == build.arn("u")


def test_the_stack_changes_only_after_the_last_question(
    world: None, script: scripted.Scripted
) -> None:
    cloud = aws.cloudformation()
    script.on(cloud, "DescribeStacks", {"Stacks": [STACK_FOUND]})
    script.on(cloud, "CreateChangeSet", {"Id": "arn:aws:x", "StackId": STACK_ID})
    script.on(cloud, "GetTemplate", {"TemplateBody": {}})
    script.on(cloud, "DescribeChangeSet", {"Status": "CREATE_COMPLETE", "Changes": []})
    script.on(cloud, "ExecuteChangeSet", {})

    def refuse() -> None:
        raise Refused("no")

    with pytest.raises(Refused):
        own_stack.change(target("notes"), {}, {}, kind="UPDATE", body="{}", before_change=refuse)
    assert script.of("ExecuteChangeSet") == []


# In which role CloudFormation works -------------------------------------------------------------

ROLE = f"arn:aws:iam::{build.ACCOUNT}:role/rescue"


@pytest.mark.parametrize("role", [None, ROLE])
def test_cloudformation_works_in_the_role_that_is_named(
    world: None, script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch, role: str | None
) -> None:
    cloud, of = aws.cloudformation(), replace(target("notes"), role_arn=role)
    stuck = {**STACK_FOUND, "StackStatus": "UPDATE_ROLLBACK_FAILED"}
    script.on(cloud, "DescribeStacks", {"Stacks": [stuck]})
    script.on(cloud, "DescribeStackEvents", {"StackEvents": []})
    script.on(cloud, "CreateChangeSet", {"Id": "arn:aws:x", "StackId": STACK_ID})
    script.on(cloud, "GetTemplate", {"TemplateBody": {}})
    script.on(cloud, "DescribeChangeSet", {"Status": "CREATE_COMPLETE", "Changes": []})
    for operation in (
        "ContinueUpdateRollback", "ExecuteChangeSet", "DeleteStack", "UpdateTerminationProtection"
    ):  # fmt: skip
        script.on(cloud, operation, {})
    monkeypatch.setattr(own_stack, "await_operation", lambda *_: None)
    assert own_stack.make_ready(of)
    own_stack.change(of, {}, {}, kind="UPDATE", body="{}")
    own_stack.delete(STACK, STACK_ID, 1, role)
    for operation in ("ContinueUpdateRollback", "CreateChangeSet", "DeleteStack"):
        assert [call.get("RoleARN") for call in script.of(operation)] == [role], operation


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_the_role_is_an_option_of_both(verb: str) -> None:
    assert "--role-arn" in CliRunner().invoke(app, [verb, "--help"], terminal_width=200).stdout


# The proof --------------------------------------------------------------------------------------


def test_what_does_not_work_is_not_recorded(hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise Failed("it does not work")

    steps = Steps(monkeypatch)
    steps.during["prove"] = broken
    with pytest.raises(Failed):
        steps.run()
    assert steps.taken == ["build", "change set", "deploy", "prove"]
    steps.during.clear()
    steps.run()
    assert steps.taken[-2:] == ["prove", "record"]


def prove(
    monkeypatch: pytest.MonkeyPatch, script: scripted.Scripted, *answers: Answer | Exception
) -> list[str]:
    """Prove by an API that gives these answers, the last one for ever; the addresses asked."""
    script.on(aws.cloudformation(), "DescribeStacks", {"Stacks": [STACK_FOUND]})
    left, asked = list(answers), []

    def answer(url: str, _: str) -> Answer:
        asked.append(url)
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    seconds = iter(range(0, 100_000, 60))
    monkeypatch.setattr(proving, "signed_get", answer)
    monkeypatch.setattr(proving.time, "sleep", lambda _: None)
    proving.prove(target("notes"), BUILT, lambda: next(seconds))
    return asked


def test_a_new_api_is_given_time(world: None, monkeypatch: Any, script: Any) -> None:
    late = [TenantNotReady("silence"), Answer(403, {}), Answer(200, {"build": "b" * 64})]
    good = Answer(200, {"version": "1", "build": "a" * 64})
    asked = prove(monkeypatch, script, *late, good)
    assert asked == ["https://x/v1/health"] * 4


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(500, {}), "answered 500"),
        (Answer(200, {"build": "b" * 64}), "reports build bbbbbbbbbbbb"),
        (Answer(200, None), "reports build None"),
        (TenantNotReady("it is silent"), "it is silent"),
    ],
)
def test_an_api_that_never_reports_the_build_fails_the_installation(
    world: None, monkeypatch: Any, script: Any, answer: Any, told: str
) -> None:
    with pytest.raises(Failed, match=f"{told}.*not recorded"):
        prove(monkeypatch, script, answer)


def test_names_without_room_are_refused_before_anything_is_made(
    hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(monkeypatch)
    monkeypatch.setattr(installing, "ROLE_NAME_LIMIT", 32)
    with pytest.raises(Refused, match="shorter organization"):
        steps.run()
    assert steps.taken == []
