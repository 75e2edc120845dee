"""What a new version's workers answer when they are asked whether they could bring the next one."""

import importlib
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import change_set
from pydantic import ValidationError
from test_worker_release_trial_again import NEW, OWN, Api, api

from control_plane import aws, own
from control_plane.errors import (
    ChangeSetFailed,
    ServiceBusy,
    StackFailed,
    TenantNotReady,
    TestsFailed,
    TrialFailed,
)
from control_plane.models import JsonObject
from control_plane.rules import self_checks
from control_plane.services.client import ApiError
from control_plane.services.live import Answer
from control_plane.settings import forget_settings
from workers import release, release_check, release_files, stack, stack_check, verify, verify_check

__all__ = ["api"]

STACK = OWN.stack_name
ASKED = self_checks.question(
    STACK, build.MACHINE, "d-1", {"ApiUrl": "https://x/v1"}, {"deployed": "t1"}
)
EVENT = {self_checks.KEY: ASKED}


@pytest.fixture(autouse=True)
def stamped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code is of the new build."""
    monkeypatch.setattr(own, "running", lambda: own.Release(version="2", source="5", build=NEW))


# The stack worker ---------------------------------------------------------------------------------


def cloud(script: scripted.Scripted, *described: Any) -> None:
    client = aws.cloudformation()
    found = {
        "StackName": STACK, "StackStatus": "UPDATE_COMPLETE",
        "CreationTime": "2026-11-25T12:00:00Z",
        "Parameters": [{"ParameterKey": "Build", "ParameterValue": "b"}],
    }  # fmt: skip
    script.on(client, "DescribeStacks", {"Stacks": [found]})
    script.on(client, "DescribeChangeSet", *described)
    script.on(client, "CreateChangeSet", {"Id": "arn:aws:x", "StackId": "arn:aws:y"})
    script.on(client, "DescribeEvents", {"OperationEvents": []})
    script.on(client, "DeleteChangeSet", {})


NOT_THERE = scripted.failure("ChangeSetNotFound", "it does not exist")
NOTHING = change_set("FAILED", "The submitted information didn't contain changes.")


@pytest.mark.parametrize("ready", [NOTHING, change_set("CREATE_COMPLETE")])
def test_the_stack_worker_makes_a_change_set_in_update_role_and_removes_it(
    world: None, script: scripted.Scripted, ready: JsonObject
) -> None:
    cloud(script, NOT_THERE, change_set("CREATE_IN_PROGRESS"), ready)
    answers = [stack.handler(EVENT, None) for _ in range(3)]
    assert [answer["done"] for answer in answers] == [False, False, True]
    assert answers[0]["build"] == NEW
    (made,) = script.of("CreateChangeSet")
    assert made["RoleARN"] == f"{build.ROLE}-update"
    assert made["UsePreviousTemplate"] is True
    assert made["Parameters"] == [{"ParameterKey": "Build", "UsePreviousValue": True}]
    assert [call["ChangeSetName"] for call in script.of("DeleteChangeSet")] == ["syndi-d-1-check"]


@pytest.mark.parametrize(
    ("described", "error"),
    [
        (change_set("FAILED", "Role is invalid or cannot be assumed"), ChangeSetFailed),
        (scripted.failure("Throttling", "Rate exceeded"), ServiceBusy),
        (scripted.failure("AccessDenied", "not authorized"), Exception),
    ],
)
def test_a_stack_worker_that_could_not_update_says_why(
    world: None, script: scripted.Scripted, described: JsonObject, error: type[Exception]
) -> None:
    cloud(script, described)
    with pytest.raises(error):
        stack.handler(EVENT, None)


def test_a_stack_that_is_gone_is_no_stack_to_update(world: None, script: scripted.Scripted) -> None:
    with pytest.raises(StackFailed, match="disappeared"):
        stack_check.check(ASKED)


# The verify worker --------------------------------------------------------------------------------


def test_the_verify_worker_asks_for_the_health(
    world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answers(url: str, _: str) -> Answer:
        asked.append(url)
        return Answer(200, {})

    monkeypatch.setattr(verify_check, "signed_get", answers)
    assert verify.handler(EVENT, None) == {"done": True, "build": NEW}
    assert asked == ["https://x/v1/health"]


@pytest.mark.parametrize(("status", "error"), [(403, TestsFailed), (502, TenantNotReady)])
def test_a_verify_worker_that_may_not_ask_says_so(
    world: None, monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception]
) -> None:
    monkeypatch.setattr(verify_check, "signed_get", lambda *_: Answer(status, {}))
    with pytest.raises(error, match=f"got {status}"):
        verify.handler(EVENT, None)


# The release worker -------------------------------------------------------------------------------


@pytest.fixture
def seen(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the release worker looked at."""
    found: list[Any] = []

    class Routes:
        def __init__(self, url: str, _: str) -> None:
            self.url = url

        def call(self, method: str, path: str) -> JsonObject:
            found.append((method, self.url + path))
            return {}

    monkeypatch.setattr(release_check, "Client", Routes)
    monkeypatch.setattr(release_check.release_pruning, "survey", lambda *a: found.append(a))
    return found


def test_the_release_worker_looks_at_all_that_it_will_need(seen: list[Any]) -> None:
    assert release.handler(EVENT, None) == {"done": True, "build": NEW}
    assert seen == [
        ("GET", "https://x/v1/control-plane/deployments"),
        ("GET", "https://x/v1/deployments/t1"),
        (STACK, build.MACHINE),
    ]


def test_a_release_without_a_trial_could_not_be_replaced(
    seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_files, "files", dict)
    with pytest.raises(TrialFailed, match="no trial"):
        release.handler(EVENT, None)


def test_a_release_without_its_own_routes_could_not_be_replaced(
    seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> JsonObject:
        raise ApiError(403, "Forbidden", "not authorized")

    monkeypatch.setattr(release_check.Client, "call", refuse)
    with pytest.raises(TrialFailed, match="not authorized"):
        release.handler(EVENT, None)


# The others ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", self_checks.LOADED)
def test_every_other_worker_says_which_build_it_is(world: None, name: str) -> None:
    worker = importlib.import_module(f"workers.{name}")
    assert worker.handler(EVENT, None) == {"done": True, "build": NEW}


@pytest.mark.parametrize("name", self_checks.LOADED)
def test_a_worker_without_one_of_its_variables_says_which(
    world: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    worker = importlib.import_module(f"workers.{name}")
    monkeypatch.delenv("TABLE_NAME")
    forget_settings()
    with pytest.raises(ValidationError, match="TABLE_NAME"):
        worker.handler(EVENT, None)


@pytest.mark.parametrize("name", self_checks.LOADED)
def test_a_question_that_a_worker_does_not_know_fails_as_one_of_an_earlier_release(
    world: None, name: str
) -> None:
    """Their handlers were what these are without the question."""
    worker = importlib.import_module(f"workers.{name}")
    with pytest.raises(KeyError) as raised:
        worker.handler({"of_a_later_release": ASKED}, None)
    told = {"errorType": raised.type.__name__, "errorMessage": str(raised.value)}
    assert self_checks.knows_no_question(told)
