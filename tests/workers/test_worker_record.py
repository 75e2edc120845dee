"""The record worker: preparing a deployment, and the tenant's lock."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import HTTPClientError
from record_calls import BARE, BY_HAND, prepare, registered
from worker_builders import ALPHA, BETA, TABLE, arn

from control_plane import aws, naming, own
from control_plane.api import routes
from control_plane.errors import DeploymentInProgress, InvalidRequest, ServiceBusy, Superseded
from control_plane.models import Deployment, Options
from control_plane.store.listing import Listing
from workers import record

# PrepareDeployment --------------------------------------------------------------------------------


def test_an_environment_and_an_organization_make_a_deployment(source: str) -> None:
    made = prepare(BARE)
    assert (made.tenant, made.source, made.execution_arn) == (ALPHA, source, arn(BY_HAND))
    assert made.manifest.name == "notes"
    assert made.id.startswith("20261122-120000-")
    found = build.record(made)
    assert (found["status"], found["trigger"]) == ("QUEUED", "manual")
    assert found["steps"]["PrepareDeployment"]["status"] == "SUCCEEDED"


def test_a_record_says_which_release_runs_it(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    release = own.Release(version="1.2.3", source="5" * 64, build="f" * 64)
    monkeypatch.setattr(own, "running", lambda: release)
    found = build.record(prepare(BARE))
    expected = {"version": "1.2.3", "source": "5" * 64, "build": "f" * 64}
    assert found["control_plane"] == expected
    assert routes.presented(found)["control_plane"] == expected


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
    asked = {"enable_auth": True, "admin_username": "a@b.cd", "on_conflict": "reject"}
    made = prepare(registered({**BARE, **asked, "admin_secret_arn": secret}))
    assert (made.options.enable_auth, made.options.create_buckets) == (True, None)
    assert made.admin_secret_arn == secret
    request = build.record(made)["request"]
    assert request == asked


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"orgg": "x"}, "orgg"),
        ({"admin_password": "secret-password"}, "admin_password"),
        ({"source": "a" * 64}, "is unknown"),
        ({"application": "unknown"}, "has no source"),
        ({"env": "test"}, "has no source for test"),
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


def test_a_holder_that_step_functions_does_not_know_yet_keeps_the_tenant(world: None) -> None:
    """DescribeExecution is eventually consistent."""
    holder = build.opened(build.deployment(number=1))
    assert acquire(holder)["done"] is True
    assert acquire(running(build.deployment(number=2))) == {"holder": holder.id, "done": False}
    assert build.holder() == holder.execution_arn


def test_a_throttled_look_at_the_holder_takes_nothing_over(script: scripted.Scripted) -> None:
    first, second = running(build.deployment(number=1)), running(build.deployment(number=2))
    acquire(first)
    script.on(aws.stepfunctions(), "DescribeExecution", scripted.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        acquire(second)
    assert build.holder() == first.execution_arn


def test_whoever_asked_to_be_rejected_is(world: None) -> None:
    first = running(build.deployment(number=1))
    second = running(build.deployment(number=2, on_conflict="reject"))
    acquire(first)
    with pytest.raises(DeploymentInProgress, match=first.id):
        acquire(second)
    assert build.record(second)["steps"]["AcquireLock"]["status"] == "FAILED"


def test_of_those_who_wait_the_newest_that_supersedes_wins(world: None) -> None:
    holding = running(build.deployment(number=1))
    acquire(holding)
    waiting = [running(build.deployment(number=n, on_conflict="supersede")) for n in (2, 3)]
    with pytest.raises(Superseded, match=waiting[1].id):
        acquire(waiting[0])
    assert acquire(waiting[1])["done"] is False
    assert acquire(holding)["done"] is True  # whoever works is not thrown out


def test_the_newest_wins_though_the_tenant_became_free(world: None) -> None:
    older, newer = running(build.deployment(number=1)), build.deployment(number=2)
    running(newer.model_copy(update={"options": Options(on_conflict="supersede")}))
    with pytest.raises(Superseded):
        acquire(older)
    assert build.holder() is None


def test_neighbours_do_not_wait_for_each_other(world: None) -> None:
    acquire(running(build.deployment(ALPHA, 1)))
    assert acquire(running(build.deployment(BETA, 2)))["done"] is True
    lab2 = build.tenant("alpha2")
    assert acquire(running(build.deployment(lab2, 3)))["done"] is True


def test_a_throttle_is_raised_as_one_that_the_state_machine_retries(
    script: scripted.Scripted, source: str
) -> None:
    script.on(aws.dynamodb(), "TransactWriteItems", scripted.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        prepare(BARE)


def test_silence_is_raised_as_one_that_the_state_machine_retries(
    script: scripted.Scripted, source: str
) -> None:
    def silence(params: dict[str, Any]) -> dict[str, Any]:
        raise HTTPClientError(error="no answer")

    script.on(aws.dynamodb(), "TransactWriteItems", silence)
    with pytest.raises(ServiceBusy):
        prepare(BARE)
