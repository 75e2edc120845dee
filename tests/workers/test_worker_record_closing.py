"""No record stays open for ever: whoever finds that an execution is over closes it."""

from datetime import timedelta
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import call
from lambda_calls import answer_with_the_worker
from people import People
from test_worker_record import acquire, running, stopped
from worker_builders import ALPHA, BETA, TABLE

from control_plane import aws
from control_plane.models import Deployment, DeploymentStatus, utc_now
from control_plane.services.executions import STARTING
from control_plane.store.history import History
from control_plane.store.locks import Locks
from control_plane.store.progress import Progress
from control_plane.store.slots import Slots
from control_plane.store.sweeps import Sweeps
from control_plane.use_cases import closing as reading
from workers import record, record_closing

PATH = "/envs/stage/orgs/alpha/deployments"


@pytest.fixture(autouse=True)
def _worker(world: None, script: scripted.Scripted, people: People) -> None:
    """The API reaches the record worker."""
    answer_with_the_worker(script, record.handler)
    reading._looked_at.clear()


def old(made: Deployment) -> Deployment:
    """The deployment, whose record was opened so long ago that its execution would be known."""
    return opened_before(made, record_closing.UNSEEN)


def opened_before(made: Deployment, age: timedelta) -> Deployment:
    before = utc_now() - age - timedelta(seconds=1)
    request = {"request": {}, "source": made.source, "trigger": "api"}
    History(TABLE, clock=lambda: before).open(made.tenant, made.id, made.execution_arn, request)
    return made


def works(made: Deployment) -> Deployment:
    """The deployment has its tenant and a slot, and is at work."""
    record.handler(build.event(made, "AcquireLock"), None)
    record.handler(build.event(made, "AcquireSlot"), None)
    Progress(TABLE).begin_step(made, "AwaitStack")
    return made


def holders() -> list[str]:
    return list(Slots(TABLE, 2).state()["holders"])


def sweep() -> dict[str, Any]:
    return record.handler({"sweep": True}, None)


def is_released(made: Deployment, status: str) -> None:
    found = build.record(made)
    assert (found["status"], build.holder(made.tenant)) == (status, None)
    assert made.id not in holders()
    running = [s for s in found["steps"].values() if s["status"] == "RUNNING"]
    assert running == [], "no step goes on in what has ended"


# Each of those who meet one -----------------------------------------------------------------------


def by_sweep(made: Deployment) -> None:
    assert sweep()["closed"] == [made.id]


def by_cancel(made: Deployment) -> None:
    reply = call("POST", f"{PATH}/{made.id}/cancel")
    assert (reply.status, reply.body["status"]) == (202, "CANCELLED")


def by_show(made: Deployment) -> None:
    assert call("GET", f"/deployments/{made.id}").body["status"] == "CANCELLED"


def by_watching(made: Deployment) -> None:
    assert call("GET", f"{PATH}/{made.id}").body["status"] == "CANCELLED"


def by_history(made: Deployment) -> None:
    (listed,) = call("GET", PATH).body["deployments"]
    assert listed["status"] == "CANCELLED"


def by_who_wants_the_tenant(made: Deployment) -> None:
    other = running(build.deployment(number=2))
    assert acquire(other)["done"] is True
    record.handler({"step": "RecordFailure", **ended(other)}, None)


def by_who_wants_the_slot(made: Deployment) -> None:
    Slots(TABLE, 2).set_limit(1, None)
    other = running(build.deployment(BETA, number=2))
    record.handler(build.event(other, "AcquireSlot"), None)
    assert holders() == [other.id]


def ended(made: Deployment) -> dict[str, Any]:
    given = {"env": made.tenant.env, "org": made.tenant.org}
    execution = {"Id": made.execution_arn, "StartTime": "2026-11-22T12:00:00Z", "Input": given}
    failure = {"state": "CheckStack", "error": "StackRefused", "cause": "why"}
    return {"execution": execution, "failure": failure, "rollback": {"outcome": "none"}}


@pytest.mark.parametrize(
    "meets",
    [
        by_sweep, by_cancel, by_show, by_watching, by_history, by_who_wants_the_tenant,
        by_who_wants_the_slot,
    ],
)  # fmt: skip
def test_whoever_meets_an_execution_that_was_stopped_closes_its_record(
    meets: Any, people: People
) -> None:
    made = works(running(build.deployment()))
    stopped(made)
    meets(made)
    is_released(made, "CANCELLED")
    found = build.record(made)
    assert "the execution ended ABORTED" in found["reason"]
    at = aws.stepfunctions().describe_execution(executionArn=made.execution_arn)["stopDate"]
    assert found["finished_at"] == at.isoformat(timespec="milliseconds"), "when it really ended"


@pytest.mark.parametrize("meets", [sweep, lambda: call("GET", PATH)])
def test_an_execution_that_is_gone_is_closed_and_told(people: People, meets: Any) -> None:
    """As after `kill -9` of a laptop's AWS, or 90 days."""
    made = works(old(build.deployment()))
    meets()
    is_released(made, "FAILED")
    assert "does not know its execution any more" in build.record(made)["reason"]
    assert people.kinds == ["Deployment Failed"]


def test_one_that_was_never_started_has_failed(people: People) -> None:
    made = old(build.deployment())
    sweep()
    assert build.record(made)["status"] == "FAILED"
    assert build.record(made)["reason"] == "its execution was never started"


def test_one_whose_start_may_be_repeated_stays_open_and_can_be_cancelled(people: People) -> None:
    """The answer of StartExecution was lost: the same idempotency key goes on with it."""
    made = opened_before(build.deployment(), STARTING)
    assert sweep()["closed"] == []
    assert build.record(made)["status"] == "QUEUED"
    assert call("POST", f"{PATH}/{made.id}/cancel").body["status"] == "CANCELLED"


def test_one_that_cannot_be_closed_keeps_up_no_other(
    monkeypatch: pytest.MonkeyPatch, people: People
) -> None:
    bad, good = old(build.deployment(number=1)), old(build.deployment(BETA, number=2))
    close = record_closing.close

    def broken(tenant: Any, deployment_id: str) -> Any:
        if deployment_id == bad.id:
            raise KeyError("steps")
        return close(tenant, deployment_id)

    monkeypatch.setattr(record_closing, "close", broken)
    assert sweep()["closed"] == [good.id]
    assert Sweeps(TABLE).position(record_closing.SWEEP)["floor"] == bad.id
    monkeypatch.setattr(record_closing, "close", close)
    assert sweep()["closed"] == [bad.id]


def test_slots_are_given_back_though_the_records_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = works(running(build.deployment()))
    stopped(made)
    monkeypatch.setattr(record_closing, "sweep", lambda: {}["x"])
    with pytest.raises(KeyError):
        sweep()
    assert holders() == []


def test_a_cancel_of_one_that_is_gone_is_answered_at_once(people: People) -> None:
    made = works(old(build.deployment()))
    reply = call("POST", f"{PATH}/{made.id}/cancel")
    assert (reply.status, reply.body["status"]) == (202, "CANCELLED")
    assert "Step Functions does not know its execution any more" in reply.body["reason"]
    is_released(made, "CANCELLED")


def test_one_that_failed_without_recording_it_is_closed_with_its_cause(
    script: scripted.Scripted,
) -> None:
    made = works(running(build.deployment()))
    answer = {"status": "FAILED", "error": "States.Runtime", "cause": "it broke"}
    script.on(aws.stepfunctions(), "DescribeExecution", answer)
    sweep()
    found = build.record(made)
    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")
    assert found["reason"].startswith("the execution ended FAILED: it broke")


def test_a_success_that_was_never_recorded_is_no_success(script: scripted.Scripted) -> None:
    made = works(running(build.deployment()))
    script.on(aws.stepfunctions(), "DescribeExecution", {"status": "SUCCEEDED"})
    sweep()
    is_released(made, "FAILED")
    assert "never recorded" in build.record(made)["reason"]


# What is left alone -------------------------------------------------------------------------------


def test_what_runs_or_is_too_young_to_be_known_stays_open() -> None:
    runs, young = works(running(build.deployment())), build.opened(build.deployment(BETA))
    assert sweep()["closed"] == []
    assert [call("GET", f"/deployments/{m.id}").body["status"] for m in (runs, young)] == [
        "RUNNING", "QUEUED",
    ]  # fmt: skip
    assert build.holder() == runs.execution_arn


def test_a_final_status_is_never_overwritten() -> None:
    made = works(running(build.deployment()))
    before = build.record(made)
    History(TABLE).succeed(ALPHA, made.id, made.execution_arn, {}, {"last_good": made.id})
    stopped(made)
    assert record_closing._closed(ALPHA, before)["status"] == "SUCCEEDED", "it was read before"
    assert sweep()["looked"] == 0
    assert build.current()["last_good"] == made.id


def test_an_installation_by_hand_is_not_closed_while_it_writes() -> None:
    made = old(build.deployment())
    held = utc_now() + timedelta(minutes=1)
    arn = made.execution_arn
    assert Locks(TABLE).acquire(ALPHA, made.id, arn, instead_of=arn, until=held)
    assert sweep()["closed"] == []


def test_a_reader_gets_an_answer_though_nobody_can_close(script: scripted.Scripted) -> None:
    made = works(running(build.deployment()))
    stopped(made)
    script.on(aws.lambda_(), "Invoke", scripted.failure("TooManyRequestsException", "busy"))
    assert call("GET", f"/deployments/{made.id}").body["status"] == "RUNNING"
    assert sweep()["closed"] == [made.id]


def test_a_watcher_does_not_look_at_step_functions_at_every_read(
    script: scripted.Scripted,
) -> None:
    made = running(build.deployment())
    script.on(aws.stepfunctions(), "DescribeExecution", {"status": "RUNNING"})
    for _ in range(3):
        call("GET", f"/deployments/{made.id}")
    assert len(script.of("DescribeExecution")) == 1


def test_a_late_end_does_not_replace_what_is_known_of_a_newer_one() -> None:
    dead, newer = works(running(build.deployment())), running(build.deployment(number=2))
    History(TABLE).fail(ALPHA, newer.id, newer.execution_arn, DeploymentStatus("FAILED"), {})
    stopped(dead)
    sweep()
    assert build.record(dead)["status"] == "CANCELLED"
    assert build.current()["last_deployment"] == newer.id


# The sweep is bounded -----------------------------------------------------------------------------


def test_a_sweep_that_is_cut_off_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [old(build.deployment(number=n)) for n in range(1, 6)]
    monkeypatch.setattr(record_closing, "LOOKS", 2)
    assert [sweep()["done"] for _ in range(3)] == [False, False, True]
    assert {build.record(one)["status"] for one in made} == {"FAILED"}


def test_the_next_sweep_begins_with_the_oldest_that_is_open() -> None:
    closed, runs = old(build.deployment(number=1)), running(build.deployment(number=2))
    assert sweep()["looked"] == 2
    assert Sweeps(TABLE).position(record_closing.SWEEP)["floor"] == runs.id
    assert build.record(closed)["status"] == "FAILED"
    assert sweep()["looked"] == 1
    stopped(runs)
    assert sweep()["closed"] == [runs.id]


def test_a_slot_of_one_that_ended_long_ago_is_free_again() -> None:
    made = works(running(build.deployment()))
    stopped(made)
    History(TABLE).fail(ALPHA, made.id, made.execution_arn, DeploymentStatus("FAILED"), {})
    assert holders() == [made.id]
    sweep()
    assert holders() == []
