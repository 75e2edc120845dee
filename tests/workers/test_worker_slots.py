"""Deployment slots in the table: never more than there are, in their order, and none is lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Lock
from typing import Any

import pytest
import worker_builders as build
from api_calls import CALLER, call
from moto.core.botocore_stubber import BotocoreStubber
from record_calls import BARE, BY_HAND, end, fail, prepare
from worker_builders import NOON, TABLE

from control_plane import aws, own
from control_plane.api import routes_slots
from control_plane.errors import Cancelled
from control_plane.models import Deployment, Env, Priority, Tenant, utc_now
from control_plane.store.history import History
from control_plane.store.locks import Locks
from control_plane.store.slots import Slots, rank_of
from workers import record

ORGS = ("alpha", "beta", "gamma", "delta", "epsilon")


def tenant(number: int) -> Tenant:
    return Tenant(application="notes", env=Env.STAGE, org=ORGS[number])


def opened(number: int, **options: Any) -> Deployment:
    """The deployment of a tenant of its own; later numbers are newer."""
    return build.opened(build.deployment(tenant(number), number + 1, **options))


def running(made: Deployment) -> None:
    """Its execution runs."""
    name = made.execution_arn.rsplit(":", 1)[-1]
    aws.stepfunctions().start_execution(stateMachineArn=build.MACHINE, name=name)


def running_as(made: Deployment) -> Deployment:
    """A deployment with its record, whose execution runs."""
    running(build.opened(made))
    return made


def acquire(made: Deployment, step: str = "AcquireSlot") -> bool:
    return bool(record.handler(build.event(made, step), None)["done"])


def slots(now: Any = NOON) -> Slots:
    return Slots(TABLE, 2, clock=lambda: now)


@pytest.fixture
def five(world: None) -> list[Deployment]:
    """Five deployments of five tenants, all of which run."""
    made = [opened(number) for number in range(5)]
    for one in made:
        running(one)
    return made


def test_there_are_no_more_than_there_are(five: list[Deployment]) -> None:
    assert [acquire(one) for one in five] == [True, True, False, False, False]
    assert set(slots().state()["holders"]) == {five[0].id, five[1].id}
    assert build.record(five[2])["status"] == "QUEUED"
    assert "slots" in build.record(five[2])["steps"]["AcquireSlot"]["note"]


def test_nobody_has_two(five: list[Deployment]) -> None:
    assert [acquire(five[0]) for _ in range(3)] == [True, True, True]
    assert list(slots().state()["holders"]) == [five[0].id]


@pytest.fixture
def one_request_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto checks a condition and writes in two steps, which two threads can come between; DynamoDB
    does both at once."""
    answer, lock = BotocoreStubber.process_request, Lock()

    def alone(self: Any, request: Any) -> Any:
        with lock:
            return answer(self, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", alone)


def test_all_at_once_get_no_more(
    world: None, one_request_at_a_time: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All have read that both slots are free before the first one writes."""
    made = [opened(number) for number in range(5)]
    store, all_have_read, add = Slots(TABLE, 2), Barrier(len(made), timeout=30), Slots._add

    def at_once(*given: Any) -> bool:
        all_have_read.wait()
        return add(*given)

    monkeypatch.setattr(Slots, "_add", at_once)
    with ThreadPoolExecutor(len(made)) as pool:
        taken = list(pool.map(store.take, made))
    assert taken.count(True) == len(store.state()["holders"]) == 2


def test_a_slot_that_is_given_back_goes_to_who_waited_longest(five: list[Deployment]) -> None:
    for one in five[:4]:
        acquire(one)
    Slots(TABLE, 2).give_back(five[0].id, five[0].execution_arn)
    assert not acquire(five[3])
    assert acquire(five[2])
    assert [w.rank for w in slots().waiters()] == [rank_of(five[3])]


def test_an_urgent_one_goes_first(world: None) -> None:
    made = [opened(n) for n in range(3)] + [opened(3, priority=Priority.URGENT)]
    for one in made:
        running(one)
        acquire(one)
    slots().give_back(made[0].id, made[0].execution_arn)
    assert not acquire(made[2])
    assert acquire(made[3])


def test_whoever_waits_for_a_tenant_lends_its_priority(world: None) -> None:
    """The tenant's lock is a rollout's, which would get its slot after all that wait."""
    five = {n: running_as(build.deployment(tenant(n), n + 1)) for n in (0, 1, 3)}
    low = running_as(build.deployment(tenant(2), 9, priority=Priority.LOW))
    assert acquire(low, "AcquireLock")
    for one in (*five.values(), low):
        acquire(one)
    urgent = running_as(build.deployment(tenant(2), 10, priority=Priority.URGENT))
    assert not acquire(urgent, "AcquireLock")
    assert not acquire(low), "no slot is free"
    assert [w.rank for w in slots().waiters()] == [rank_of(low, Priority.URGENT), rank_of(five[3])]
    slots().give_back(five[0].id, five[0].execution_arn)
    assert not acquire(five[3])
    assert acquire(low)
    assert [w.rank for w in slots().waiters()] == [rank_of(five[3])]


def test_a_lower_priority_takes_nothing_from_who_has_the_tenant(world: None) -> None:
    holder = running_as(build.deployment(tenant(0), 1, priority=Priority.URGENT))
    acquire(holder, "AcquireLock")
    locks = Locks(TABLE)
    for priority in (Priority.NORMAL, Priority.URGENT, Priority.LOW):
        locks.hurry(holder.tenant, priority)
    assert locks.hurried_to(holder.tenant) == Priority.URGENT
    locks.release(holder.tenant, holder.execution_arn)
    locks.hurry(holder.tenant, Priority.URGENT)
    assert locks.holder(holder.tenant) is None, "lending to nobody locks nothing"


def test_who_is_silent_is_passed_over(five: list[Deployment]) -> None:
    for one in five[:3]:
        acquire(one)
    later = slots(utc_now() + timedelta(minutes=2))
    later.give_back(five[0].id, five[0].execution_arn)
    assert later.take(five[3])


def test_a_slot_of_another_is_not_given_back(five: list[Deployment]) -> None:
    acquire(five[0])
    slots().give_back(five[0].id, "arn:of:another")
    assert list(slots().state()["holders"]) == [five[0].id]


def test_a_holder_that_runs_no_more_loses_its_slot(
    five: list[Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in five[:2]:
        acquire(one)
    aws.stepfunctions().stop_execution(executionArn=five[1].execution_arn)
    looks = []
    for second in range(2):  # each asks about another one
        now = NOON + timedelta(seconds=second)
        monkeypatch.setattr("workers.record_slots.utc_now", lambda now=now: now)
        looks.append(acquire(five[2]))
    assert looks[-1]
    assert set(slots().state()["holders"]) == {five[0].id, five[2].id}
    assert "took over" in build.record(five[2])["steps"]["AcquireSlot"]["note"]


def test_a_holder_that_step_functions_does_not_know_yet_keeps_its_slot(world: None) -> None:
    made = [opened(number) for number in range(3)]
    running(made[2])
    assert [acquire(one) for one in made] == [True, True, False]
    assert set(slots().state()["holders"]) == {made[0].id, made[1].id}


def test_a_failure_gives_the_slot_back(source: str) -> None:
    made = prepare(BARE)
    acquire(made)
    assert list(slots().state()["holders"]) == [made.id]
    fail(BARE)
    assert slots().state()["holders"] == {}


def test_a_stopped_execution_gives_the_slot_back(source: str) -> None:
    made = prepare(BARE)
    acquire(made)
    end("ABORTED")
    assert slots().state()["holders"] == {}


def test_one_that_is_stopped_while_it_waits_leaves_the_queue(
    five: list[Deployment], source: str
) -> None:
    for one in five[:2]:
        acquire(one)
    urgent = {**BARE, "org": "omega", "priority": "urgent"}
    made = prepare(urgent, BY_HAND)
    running(made)
    assert not acquire(made)
    end("ABORTED", urgent)
    assert list(slots().waiters()) == []


def test_a_waiter_whose_end_was_asked_for_is_told(five: list[Deployment]) -> None:
    assert History(TABLE).ask_for_end(five[0].tenant, five[0].id, "somebody")
    with pytest.raises(Cancelled):
        acquire(five[0])


def test_whoever_waits_for_a_person_has_no_slot(five: list[Deployment]) -> None:
    acquire(five[0])
    record.handler(build.event(five[0], "AwaitApproval", token="t"), None)
    assert slots().state()["holders"] == {}
    assert acquire(five[0], "RegainSlot")
    assert build.record(five[0])["status"] == "QUEUED"


@pytest.mark.parametrize("application", [own.APPLICATION, own.TRIAL_APPLICATION])
def test_the_control_planes_own_work_takes_none(world: None, application: str) -> None:
    made = build.deployment(Tenant(application=application, env=Env.PROD, org="main"))
    build.opened(made)
    slots().set_limit(1, None)
    assert acquire(made)
    assert slots().state()["holders"] == {}


def test_a_smaller_number_takes_nobodys_slot(five: list[Deployment]) -> None:
    acquire(five[0])
    acquire(five[1])
    state = slots().set_limit(1, "arn:aws:iam::1:user/x")
    assert (state["limit"], state["set_by"], len(state["holders"])) == (
        1,
        "arn:aws:iam::1:user/x",
        2,
    )
    slots().give_back(five[0].id, five[0].execution_arn)
    assert not acquire(five[2])
    slots().set_limit(2, None)
    assert acquire(five[2])


def test_the_api_shows_the_slots_and_changes_their_number(five: list[Deployment]) -> None:
    for one in five[:3]:
        acquire(one)
    shown = call("GET", "/slots").body
    assert (shown["limit"], shown["taken"], shown["waiting"]) == (2, 2, 1)
    assert [held["deployment"] for held in shown["holders"]] == [five[0].id, five[1].id]
    changed = call("PUT", "/slots", {"limit": 3}).body
    assert (changed["limit"], changed["set_by"]) == (3, CALLER)
    assert acquire(five[2])


def test_the_api_says_who_waits_the_next_one_first(five: list[Deployment]) -> None:
    for one in five[:2]:
        acquire(one)
    urgent = build.opened(build.deployment(build.tenant("zeta"), 9, priority=Priority.URGENT))
    Slots(TABLE, 2).take(five[2])
    Slots(TABLE, 2).take(urgent)
    unknown = build.deployment(build.tenant("eta"), 10)  # its record is not listed yet
    Slots(TABLE, 2).take(unknown)
    assert call("GET", "/slots").body["waiters"] == [
        {"deployment": urgent.id, "stack_name": "notes-stage-zeta", "priority": "urgent",
         "since": build.record(urgent)["created_at"]},
        {"deployment": five[2].id, "stack_name": "notes-stage-gamma", "priority": "normal",
         "since": build.record(five[2])["created_at"]},
        {"deployment": unknown.id},
    ]  # fmt: skip


def test_of_many_that_wait_the_first_are_named(
    five: list[Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes_slots, "SHOWN", 2)
    for one in five:
        acquire(one)
    shown = call("GET", "/slots").body
    assert (shown["waiting"], len(shown["waiters"])) == (3, 2)


@pytest.mark.parametrize("limit", [0, 401, "many", None])
def test_a_number_that_cannot_be_is_refused(world: None, limit: Any) -> None:
    reply = call("PUT", "/slots", {"limit": limit})
    assert reply.status == 400
    assert reply.body["error"]["details"][0]["field"] == "limit"
    assert slots().state()["limit"] == 2
