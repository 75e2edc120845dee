"""The record worker tells people, and measures: once, after the record, and failing nothing."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from record_calls import BARE, end, fail, prepare
from worker_builders import ALPHA, BETA

from control_plane import aws
from control_plane.models import Deployment
from control_plane.settings import forget_settings
from workers import record
from workers.record_telling import tell_end

SENT = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
REFUSED = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
DENIED = scripted.failure("AccessDeniedException", "no identity-based policy allows it")


@pytest.fixture
def bus(script: scripted.Scripted) -> scripted.Scripted:
    """The event bus, which takes every event."""
    script.on(aws.events(), "PutEvents", SENT)
    return script


def events(bus: scripted.Scripted) -> list[tuple[str, dict[str, Any]]]:
    """(detail-type, detail) of every event."""
    found = [entry for call in bus.of("PutEvents") for entry in call["Entries"]]
    assert all(entry["Source"] == "syndi" for entry in found)
    assert all("EventBusName" not in entry for entry in found), "the default bus"
    return [(entry["DetailType"], json.loads(entry["Detail"])) for entry in found]


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, list[dict[str, Any]]]:
    """The metrics that were told, by name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for text in capsys.readouterr().out.splitlines():
        line = json.loads(text)
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for metric in directive["Metrics"]:
                found.setdefault(metric["Name"], []).append(line)
    return found


def ask(made: Deployment) -> dict[str, Any]:
    return record.handler(build.event(made, "AwaitApproval", token="t"), None)


# Telling ------------------------------------------------------------------------------------------


def test_a_failure_is_told_after_it_was_recorded(source: str, script: scripted.Scripted) -> None:
    made = prepare(BARE)

    def recorded(_: Any) -> Any:
        assert build.record(made)["status"] == "FAILED"
        return SENT

    script.on(aws.events(), "PutEvents", recorded)
    fail(BARE)
    ((kind, detail),) = events(script)
    assert kind == "Deployment Failed"
    assert (detail["tenant"], detail["deployment"]) == ("notes-stage-alpha", made.id)
    assert (detail["status"], detail["reason"]) == ("FAILED", "AwaitStack: why")
    assert detail["todo"] == build.record(made)["hint"]
    assert detail["control_plane"] == "control-plane-prod-main"
    assert build.record(made)["end_told_at"]


def test_the_word_of_the_execution_end_tells_nothing_twice(
    source: str, bus: scripted.Scripted
) -> None:
    prepare(BARE)
    fail(BARE)
    fail(BARE)
    end("FAILED", error="StackFailed", cause="why")
    assert len(events(bus)) == 1


@pytest.mark.parametrize("lost", [REFUSED, DENIED])
def test_a_failure_that_could_not_be_told_is_recorded_all_the_same_and_told_by_whoever_comes_next(
    source: str,
    script: scripted.Scripted,
    lost: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = prepare(BARE)
    script.on(aws.events(), "PutEvents", lost, SENT)
    fail(BARE)
    found = build.record(made)
    assert found["status"] == "FAILED"
    assert "end_told_at" not in found
    assert len(metrics(capsys)["NotificationsFailed"]) == 1
    end("FAILED", error="StackFailed", cause="why")
    assert build.record(made)["end_told_at"]
    assert "NotificationsFailed" not in metrics(capsys)


@pytest.mark.parametrize(
    ("status", "kind"), [("TIMED_OUT", "Deployment Timed Out"), ("ABORTED", None)]
)
def test_an_end_that_nobody_was_there_for_is_told_when_nobody_wanted_it(
    source: str, bus: scripted.Scripted, status: str, kind: str | None
) -> None:
    prepare(BARE)
    end(status)
    assert [told for told, _ in events(bus)] == ([kind] if kind else [])


@pytest.mark.parametrize("error", ["Superseded", "Cancelled"])
def test_whoever_ended_it_knows(source: str, bus: scripted.Scripted, error: str) -> None:
    prepare(BARE)
    fail(BARE, error)
    assert events(bus) == []


def test_an_approval_is_asked_for_once(world: None, bus: scripted.Scripted) -> None:
    made = build.opened(build.deployment())
    ask(made)
    ask(made)
    ((kind, detail),) = events(bus)
    assert kind == "Deployment Waiting For Approval"
    assert detail["todo"] == f"syndi approve {made.id}, or syndi reject {made.id}"
    assert detail["status"] == "AWAITING_APPROVAL"


def test_a_deployment_waits_also_when_nobody_could_be_told(
    world: None, script: scripted.Scripted
) -> None:
    made = build.opened(build.deployment())
    script.on(aws.events(), "PutEvents", DENIED)
    assert ask(made) == {"done": False}
    assert build.record(made)["status"] == "AWAITING_APPROVAL"


def test_a_mark_that_cannot_be_written_fails_nothing(source: str, bus: scripted.Scripted) -> None:
    made = prepare(BARE)
    fail(BARE)
    bus.on(aws.dynamodb(), "UpdateItem", DENIED)
    told = {k: v for k, v in build.record(made).items() if k != "end_told_at"}
    tell_end(made.tenant, told)
    assert len(events(bus)) == 2


# Measuring ----------------------------------------------------------------------------------------


def test_an_end_is_measured_once(
    source: str, bus: scripted.Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(BARE)
    assert metrics(capsys)["StepSeconds"][0]["state"] == "PrepareDeployment"
    fail(BARE)
    fail(BARE)
    end("FAILED", error="StackFailed", cause="why")
    found = metrics(capsys)
    assert len(found["DeploymentsFailed"]) == 3  # over all, its application, its environment
    assert [line["mode"] for line in found["DeploymentSeconds"]] == ["full"]
    assert "UnexpectedFailures" not in found


def test_what_was_cut_short_has_no_duration(
    source: str, bus: scripted.Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(BARE)
    fail(BARE, "Cancelled")
    found = metrics(capsys)
    assert len(found["DeploymentsCancelled"]) == 3
    assert "DeploymentSeconds" not in found


def test_a_mistake_of_the_control_plane_is_counted_as_such(
    source: str, bus: scripted.Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(BARE)
    fail(BARE, "KeyError")
    assert len(metrics(capsys)["UnexpectedFailures"]) == 1


def test_the_queue_is_measured_while_it_lasts_and_at_its_end(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = build.opened(build.deployment(number=1))
    build.take_lock(first)
    aws.stepfunctions().start_execution(
        stateMachineArn=build.MACHINE, name=first.execution_arn.rsplit(":", 1)[1]
    )
    second = build.opened(build.deployment(number=2))
    waits = record.handler(build.event(second, "AcquireLock"), None)
    assert waits["done"] is False
    found = metrics(capsys)
    assert found["QueueAgeSeconds"][0]["QueueAgeSeconds"] > [0]
    assert "StepSeconds" not in found
    aws.stepfunctions().stop_execution(executionArn=first.execution_arn)
    assert record.handler(build.event(second, "AcquireLock"), None)["done"] is True
    found = metrics(capsys)
    assert [line["state"] for line in found["StepSeconds"]] == ["AcquireLock"]
    assert "QueueSeconds" not in found, "it has no slot yet"
    assert record.handler(build.event(second, "AcquireSlot"), None)["done"] is True
    found = metrics(capsys)
    assert len(found["QueueSeconds"]) == 1
    assert "QueueAgeSeconds" not in found


def test_slots_are_measured_whenever_one_is_taken(
    world: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEPLOYMENT_SLOTS", "1")
    forget_settings()
    first, second = (build.opened(build.deployment(of)) for of in (ALPHA, BETA))
    for made in (first, second):
        aws.stepfunctions().start_execution(
            stateMachineArn=build.MACHINE, name=made.execution_arn.rsplit(":", 1)[1]
        )
    assert record.handler(build.event(first, "AcquireSlot"), None)["done"] is True
    ((taken,), (limit,), (waiting,)) = _slots(capsys)
    assert (taken, limit, waiting) == (1, 1, 0)
    assert record.handler(build.event(second, "AcquireSlot"), None)["done"] is False
    assert "SlotsTaken" not in metrics(capsys), "all who wait would ask too often"
    aws.stepfunctions().stop_execution(executionArn=first.execution_arn)
    assert record.handler(build.event(second, "AcquireSlot"), None)["done"] is True
    assert _slots(capsys) == [[1], [1], [0]]


def _slots(capsys: pytest.CaptureFixture[str]) -> list[list[float]]:
    (line,) = metrics(capsys)["SlotsTaken"]
    return [line[name] for name in ("SlotsTaken", "SlotsLimit", "DeploymentsWaiting")]
