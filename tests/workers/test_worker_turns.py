"""The tenant's queue: first come, first served, among those whose execution runs."""

from datetime import timedelta

import pytest
import worker_builders as build
from test_worker_record import acquire, running, stopped
from worker_builders import NOON, TABLE

from control_plane import naming
from control_plane.errors import DeploymentInProgress, Superseded
from control_plane.models import Deployment, DeploymentStatus
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.locks import Locks
from control_plane.store.progress import Progress

pytestmark = pytest.mark.usefixtures("world")


def ends(made: Deployment, status: str = "FAILED") -> None:
    """A deployment ends, and its execution with it."""
    stopped(made)
    History(TABLE).fail(
        made.tenant, made.id, made.execution_arn, DeploymentStatus(status), {"reason": "why"}
    )


def test_whoever_waits_longest_gets_the_tenant_first() -> None:
    holder, second, third = (running(build.deployment(number=n)) for n in (1, 2, 3))
    acquire(holder)
    acquire(second)
    ends(holder)
    assert acquire(third) == {"holder": second.id, "done": False}
    assert build.holder() is None
    assert acquire(second)["done"] is True
    ends(second)
    assert acquire(third)["done"] is True


@pytest.mark.parametrize("known", [True, False])
def test_an_older_one_that_died_holds_nobody_up(known: bool) -> None:
    dead = build.deployment(number=1)
    if known:
        stopped(running(dead))
    else:
        build.opened(dead)  # recorded by the API; its execution was never started
    assert acquire(running(build.deployment(number=2)))["done"] is True


def test_the_holder_goes_on_though_an_older_one_came_late() -> None:
    newer = running(build.deployment(number=2))
    assert acquire(newer)["done"] is True
    running(build.deployment(number=1))
    assert acquire(newer)["done"] is True


def test_whoever_would_not_wait_does_not_wait_for_the_queue_either() -> None:
    first = running(build.deployment(number=1))
    with pytest.raises(DeploymentInProgress, match=first.id):
        acquire(running(build.deployment(number=2, on_conflict="reject")))
    assert build.holder() is None


def test_the_one_that_supersedes_passes_all_that_wait() -> None:
    waiting = [running(build.deployment(number=n)) for n in (1, 2)]
    newest = running(build.deployment(number=3, on_conflict="supersede"))
    assert acquire(newest)["done"] is True
    for made in waiting:
        with pytest.raises(Superseded, match=newest.id):
            acquire(made)


def test_one_that_supersedes_and_is_through_already_took_their_place() -> None:
    older, newest = (
        running(build.deployment(number=1)),
        running(build.deployment(number=2, on_conflict="supersede")),
    )
    acquire(newest)
    ends(newest)
    with pytest.raises(Superseded, match=newest.id):
        acquire(older)


@pytest.mark.parametrize("ended", [True, False])
def test_one_that_supersedes_and_died_before_its_turn_took_nobodys_place(ended: bool) -> None:
    older = running(build.deployment(number=1))
    newest = running(build.deployment(number=2, on_conflict="supersede"))
    if ended:
        ends(newest)
    else:
        stopped(newest)
    assert acquire(older)["done"] is True


def test_only_the_last_two_hours_are_looked_at() -> None:
    old = build.deployment(number=1)
    recent = build.opened(build.deployment(number=2))
    early = old.model_copy(update={"id": naming.new_deployment_id(NOON - timedelta(hours=3))})
    build.opened(early)
    since = naming.earliest_id(NOON - timedelta(hours=2))
    assert [rival.id for rival in Listing(TABLE).rivals(build.ALPHA, since, "3")] == [recent.id]


def test_neither_who_works_nor_another_tenants_queue_matters() -> None:
    works = build.opened(build.deployment(number=1))
    Progress(TABLE).begin_step(works, "CheckStack")
    build.opened(build.deployment(build.tenant("alpha2"), 1))
    assert Listing(TABLE).rivals(build.ALPHA, "2", "3") == []


def test_a_dead_holder_and_a_dead_queue_leave_the_tenant_free() -> None:
    holder, waiting, alive = (running(build.deployment(number=n)) for n in (1, 2, 3))
    acquire(holder)
    stopped(holder)
    stopped(waiting)
    assert acquire(alive)["done"] is True
    assert (Locks(TABLE).holder(build.ALPHA) or {})["deployment_id"] == alive.id


@pytest.mark.parametrize(
    ("trigger", "minute", "comes_back"),
    [("schedule", 5, False), ("schedule", 0, True), ("api", 5, True)],
    ids=["a schedule that waited", "a schedule set since then", "somebody who means it"],
)
def test_no_schedule_brings_a_tenant_back_that_was_removed_meanwhile(
    trigger: str, minute: int, comes_back: bool
) -> None:
    gone = {"offboarded_at": NOON.replace(minute=minute).isoformat()}
    first = running(build.deployment(number=1))
    acquire(first)
    History(TABLE).succeed(first.tenant, first.id, first.execution_arn, {}, gone)
    made = build.deployment(number=2)
    facts = {"request": {}, "source": made.source, "trigger": trigger}
    History(TABLE).open(made.tenant, made.id, made.execution_arn, facts)
    if comes_back:
        assert acquire(made)["done"] is True
        return
    with pytest.raises(Superseded, match="was offboarded at"):
        acquire(made)
