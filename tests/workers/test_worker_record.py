"""The record worker: preparing, the tenant's lock, and how an execution ends in the table."""

import json
from typing import Any

import pytest
import worker_builders as build
from worker_builders import ALPHA, BETA, TABLE, arn

from control_plane import aws, naming
from control_plane.errors import DeploymentInProgress, InvalidRequest, ServiceBusy, Superseded
from control_plane.history import History
from control_plane.listing import Listing
from control_plane.locks import Locks
from control_plane.models import Deployment, DeploymentStatus
from workers import record

BY_HAND = "6f0d1c9e-1111-2222-3333-444455556666"
BARE = {"env": "stage", "org": "alpha"}


def execution(given: Any, name: str = BY_HAND) -> dict[str, Any]:
    """The context object's `Execution`."""
    return {"Id": arn(name), "StartTime": "2026-11-22T12:00:00.123Z", "Input": given}


def prepare(given: Any, name: str = BY_HAND) -> Deployment:
    event = {"step": "PrepareDeployment", "execution": execution(given, name)}
    return Deployment.model_validate(record.handler(event, None))


# PrepareDeployment --------------------------------------------------------------------------------


def test_an_environment_and_an_organization_make_a_deployment(source: str) -> None:
    made = prepare(BARE)
    assert (made.tenant, made.source, made.execution_arn) == (ALPHA, source, arn(BY_HAND))
    assert made.manifest.name == "notes"
    assert made.id.startswith("20261122-120000-123")
    found = build.record(made)
    assert (found["status"], found["trigger"]) == ("QUEUED", "execution")
    assert found["steps"]["PrepareDeployment"]["status"] == "SUCCEEDED"


def test_preparing_twice_is_the_same_deployment(source: str) -> None:
    first = prepare(BARE)
    assert prepare(BARE) == first
    assert len(Listing(TABLE).deployments(ALPHA, 10)) == 1
    assert build.record(first)["steps"]["PrepareDeployment"]["attempts"] == 2


def test_the_record_that_the_api_opened_is_used(source: str) -> None:
    made = build.opened(build.deployment())
    name = naming.execution_name(ALPHA, made.id)
    assert prepare({**BARE, "trigger": "api"}, name).id == made.id
    assert len(Listing(TABLE).deployments(ALPHA, 10)) == 1


def test_what_was_asked_for_reaches_every_step_and_the_record(source: str) -> None:
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:syndi/notes-stage-alpha/admin-x"
    asked = {"enable_auth": True, "admin_username": "a@b.cd", "on_busy": "reject"}
    made = prepare({**BARE, **asked, "admin_secret_arn": secret})
    assert (made.options.enable_auth, made.options.create_buckets) == (True, None)
    assert made.admin_secret_arn == secret
    request = build.record(made)["request"]
    assert request == {**asked, "allow_replacement": False}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"orgg": "x"}, "orgg"),
        ({"admin_password": "secret-password"}, "admin_password"),
        ({"source": "a" * 64}, "is unknown"),
        ({"application": "unknown"}, "has no source"),
        ({"env": "prod"}, "has no source for prod"),
        ({"org": "o" * 32}, "has room for"),
        ({"env": "nowhere"}, "env"),
    ],
)
def test_a_wrong_request_is_refused_and_opens_no_record(
    source: str, given: dict[str, str], told: str
) -> None:
    with pytest.raises(InvalidRequest, match=told):
        prepare({**BARE, **given})
    assert [item for item in build.everything() if item["PK"]["S"].startswith("TENANT#")] == []


def test_an_id_that_belongs_to_another_execution_is_refused(source: str) -> None:
    made = build.deployment(execution_arn="arn:aws:states:us-east-1:1:execution:other:x")
    build.opened(made)
    with pytest.raises(InvalidRequest, match="belongs to"):
        prepare(BARE, naming.execution_name(ALPHA, made.id))


# AcquireLock --------------------------------------------------------------------------------------


def acquire(made: Deployment) -> dict[str, Any]:
    return record.handler(build.event(made, "AcquireLock"), None)


def running(made: Deployment) -> Deployment:
    """A deployment whose execution Step Functions knows."""
    aws.stepfunctions().start_execution(
        stateMachineArn=build.MACHINE, name=made.execution_arn.rsplit(":", 1)[-1]
    )
    return build.opened(made)


def stopped(made: Deployment) -> None:
    aws.stepfunctions().stop_execution(executionArn=made.execution_arn)


def test_a_free_tenant_is_taken(world: None) -> None:
    made = running(build.deployment())
    assert acquire(made) == {"done": True}
    assert build.holder() == made.execution_arn
    assert acquire(made)["done"] is True


def test_a_busy_tenant_is_waited_for(world: None) -> None:
    first, second = running(build.deployment(number=1)), running(build.deployment(number=2))
    acquire(first)
    assert acquire(second) == {"holder": first.id, "done": False}
    assert build.holder() == first.execution_arn
    assert build.record(second)["steps"]["AcquireLock"]["status"] == "RUNNING"


@pytest.mark.parametrize("known", [True, False])
def test_a_holder_that_runs_no_more_loses_the_tenant_at_once(world: None, known: bool) -> None:
    dead = build.deployment(number=1)
    if known:
        stopped(running(dead))
    build.take_lock(dead)
    made = running(build.deployment(number=2))
    assert acquire(made)["done"] is True
    assert build.holder() == made.execution_arn
    note = build.record(made)["steps"]["AcquireLock"]["note"]
    assert dead.id in note


def test_a_throttled_look_at_the_holder_takes_nothing_over(script: build.Scripted) -> None:
    first, second = running(build.deployment(number=1)), running(build.deployment(number=2))
    acquire(first)
    script.on(aws.stepfunctions(), "DescribeExecution", build.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        acquire(second)
    assert build.holder() == first.execution_arn


def test_whoever_asked_to_be_rejected_is(world: None) -> None:
    first = running(build.deployment(number=1))
    second = running(build.deployment(number=2, on_busy="reject"))
    acquire(first)
    with pytest.raises(DeploymentInProgress, match=first.id):
        acquire(second)
    assert build.record(second)["steps"]["AcquireLock"]["status"] == "FAILED"


def test_of_those_who_wait_the_newest_that_supersedes_wins(world: None) -> None:
    holding = running(build.deployment(number=1))
    acquire(holding)
    waiting = [running(build.deployment(number=n, on_busy="supersede")) for n in (2, 3)]
    with pytest.raises(Superseded, match=waiting[1].id):
        acquire(waiting[0])
    assert acquire(waiting[1])["done"] is False
    assert acquire(holding)["done"] is True  # whoever works is not thrown out


def test_the_newest_wins_though_the_tenant_became_free(world: None) -> None:
    older, newer = running(build.deployment(number=1)), build.deployment(number=2)
    running(newer.model_copy(update={"options": build.Options(on_busy="supersede")}))
    with pytest.raises(Superseded):
        acquire(older)
    assert build.holder() is None


def test_neighbours_do_not_wait_for_each_other(world: None) -> None:
    acquire(running(build.deployment(ALPHA, 1)))
    assert acquire(running(build.deployment(BETA, 2)))["done"] is True
    lab2 = build.tenant("alpha2")
    assert acquire(running(build.deployment(lab2, 3)))["done"] is True


def test_a_throttle_is_raised_as_one_that_the_state_machine_retries(
    script: build.Scripted, source: str
) -> None:
    script.on(aws.dynamodb(), "TransactWriteItems", build.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        prepare(BARE)


def test_silence_is_raised_as_one_that_the_state_machine_retries(
    script: build.Scripted, source: str
) -> None:
    def silence(params: dict[str, Any]) -> dict[str, Any]:
        raise aws.HTTPClientError(error="no answer")

    script.on(aws.dynamodb(), "TransactWriteItems", silence)
    with pytest.raises(ServiceBusy):
        prepare(BARE)


# RecordFailure ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (
            '{"errorMessage": "Bucket:\\n it exists", "errorType": "StackFailed"}',
            "Bucket: it exists",
        ),
        ("plain\n  text", "plain text"),
        ("", "StackFailed"),
        ('{"other": 1}', '{"other": 1}'),
        ("[1]", "[1]"),
    ],
)
def test_a_failures_reason_is_one_line(cause: str, reason: str) -> None:
    failure = {"state": "AwaitStack", "error": "StackFailed", "cause": cause}
    assert record.one_line(failure) == f"AwaitStack: {reason}"


def fail(given: Any, error: str = "StackFailed", cause: str = "why") -> dict[str, Any]:
    failure = {"state": "AwaitStack", "error": error, "cause": cause}
    event = {"step": "RecordFailure", "execution": execution(given), "failure": failure}
    return record.handler(event, None)


@pytest.mark.parametrize(
    ("error", "status"), [("StackFailed", "FAILED"), ("Superseded", "SUPERSEDED")]
)
def test_a_failure_is_recorded_with_its_reason_and_frees_the_tenant(
    source: str, error: str, status: str
) -> None:
    made = prepare(BARE)
    build.take_lock(made)
    assert fail(BARE, error) == {"id": made.id, "reason": "AwaitStack: why", "error": error}
    found = build.record(made)
    assert (found["status"], found["reason"]) == (status, "AwaitStack: why")
    assert (found["failed_step"], found["error"]) == ("AwaitStack", error)
    assert found["created_at"] <= found["finished_at"]
    assert build.holder() is None


def test_a_request_that_was_refused_has_a_record_too(source: str) -> None:
    answer = fail({**BARE, "source": "a" * 64}, "InvalidRequest")
    (found,) = Listing(TABLE).deployments(ALPHA, 10)
    assert (found["id"], found["status"]) == (answer["id"], "FAILED")


@pytest.mark.parametrize("given", [{}, {"env": "x", "org": "y"}, {"env": "stage"}, [], "x", None])
def test_a_failure_of_no_tenant_keeps_its_reason(world: None, given: Any) -> None:
    assert fail(given) == {"id": "", "reason": "AwaitStack: why", "error": "StackFailed"}
    assert build.everything() == []


# The end that nobody was there for ----------------------------------------------------------------


def end(status: str, given: Any = BARE, **detail: Any) -> dict[str, Any]:
    """EventBridge's `Step Functions Execution Status Change` (Step Functions guide)."""
    event = {
        "executionArn": arn(BY_HAND),
        "stateMachineArn": build.MACHINE,
        "name": BY_HAND,
        "status": status,
        "startDate": 1795348800123,
        "stopDate": 1795348860000,
        "input": given if given is None else json.dumps(given),
        "error": None,
        "cause": None,
        **detail,
    }
    return record.handler({"source": "aws.states", "detail": event}, None)


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
def test_an_execution_that_was_stopped_ends_its_record_and_frees_the_tenant(
    source: str, status: str
) -> None:
    made = prepare(BARE)
    build.take_lock(made)
    assert end(status, cause="by\n hand") == {"id": made.id, "status": status}
    found = build.record(made)
    assert found["status"] == status
    assert found["reason"] == f"the execution ended {status}: by hand"
    assert build.holder() is None
    assert end(status, cause="again")["id"] == made.id
    assert build.record(made) == found


def test_the_end_of_an_execution_does_not_change_a_recorded_failure(source: str) -> None:
    made = prepare(BARE)
    fail(BARE)
    before = build.record(made)
    end("FAILED", error="StackFailed", cause="why")
    assert build.record(made) == before


@pytest.mark.parametrize("given", [{}, {"env": "stage"}, {"env": 1, "org": []}, [], "x", None])
def test_the_end_of_an_execution_of_no_tenant_is_no_error(world: None, given: Any) -> None:
    assert end("ABORTED", given) == {"id": "", "status": "ABORTED"}
    assert build.everything() == []


# RecordSuccess ------------------------------------------------------------------------------------


def test_success_records_its_proof_and_where_the_tenant_answers(source: str) -> None:
    made = prepare(BARE)
    build.take_lock(made)
    proof = {
        "build": {"fingerprint": "f00", "reused": False},
        "change_set": {"summary": {"added": ["Function"]}},
        "stack": {"outputs": {"Url": "https://x"}, "parameters": {"EnableAuth": "true"}},
        "config": {"version_id": "v1"},
        "tests": [{"name": "health", "status": "PASSED"}],
    }
    answer = record.handler(build.event(made, "RecordSuccess", admin={}, **proof), None)
    assert answer == {"id": made.id, "status": "SUCCEEDED"}
    found = build.record(made)
    assert {name: found[name] for name in proof} == proof
    assert (found["source"], found["endpoint"]) == (source, "https://x")
    assert build.current()["last_good"] == made.id
    assert build.holder() is None


def test_success_of_an_execution_that_lost_its_tenant_is_an_error(source: str) -> None:
    made = prepare(BARE)
    Locks(TABLE).acquire(ALPHA, "other", "other-arn", instead_of="other-arn")
    proof = {"build": {}, "change_set": {}, "stack": {"outputs": {}}, "config": {}, "tests": []}
    with pytest.raises(aws.ClientError, match="TransactionCanceled"):
        record.handler(build.event(made, "RecordSuccess", **proof), None)
    status = DeploymentStatus(build.record(made)["status"])
    assert not status.is_final
    assert History(TABLE).fail(ALPHA, made.id, "x", DeploymentStatus.FAILED, {})["id"] == made.id
