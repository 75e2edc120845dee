"""The requests that deployments share: counted by seconds, waited for, or come again later."""

from datetime import datetime, timedelta

import pytest
import worker_builders as build
from cloudformation_answers import (
    CHANGE_SET_ID,
    MISSING,
    STACK_ID,
    Cloud,
    change_set,
    event,
    looked_at,
    upload_template,
)
from cloudformation_answers import stack as described
from worker_builders import NOON, TABLE

from control_plane import aws
from control_plane.errors import Cancelled, ServiceBusy
from control_plane.models import JsonObject, utc_now
from control_plane.rules import request_limits as limits
from control_plane.rules.request_limits import A_SECOND, CALLS, Service
from control_plane.store import items
from control_plane.store.history import History
from control_plane.store.request_budget import RequestBudget
from workers import stack

CLOUDFORMATION, LAMBDA = Service.CLOUDFORMATION, Service.LAMBDA


@pytest.fixture(autouse=True)
def _requests() -> None:
    """As few as there really are."""


class Clock:
    """A clock that only goes on when somebody sleeps. `naps`: for how many seconds, each time."""

    def __init__(self, now: datetime = NOON + timedelta(milliseconds=400)) -> None:
        self.now = now
        self.naps: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += timedelta(seconds=seconds)


def budget(clock: Clock) -> RequestBudget:
    return RequestBudget(TABLE, clock=clock, sleep=clock.sleep)


def used(service: Service, at: datetime = NOON) -> int:
    """How many requests of that second are taken."""
    key = items.key(f"BUDGET#{service.value}", f"SECOND#{int(at.timestamp())}")
    found = aws.dynamodb().get_item(TableName=TABLE, Key=key).get("Item")
    return int(found["used"]["N"]) if found else 0


def use_up(service: Service, seconds: int = 1, but: int = 0, since: datetime = NOON) -> None:
    """Others take what these seconds have, but for some."""
    for second in range(seconds):
        values = {"used": A_SECOND[service] - but}
        sk = f"SECOND#{int(since.timestamp()) + second}"
        item = items.whole(f"BUDGET#{service.value}", sk, values)
        aws.dynamodb().put_item(TableName=TABLE, Item=item)


def test_a_step_takes_what_it_asks_for(world: None) -> None:
    clock = Clock()
    budget(clock).take("ReconcileFunction")
    assert {service: used(service) for service in Service} == CALLS["ReconcileFunction"]
    budget(clock).take("CreateChangeSet")
    assert used(CLOUDFORMATION) == 2 + 3
    assert clock.naps == []


def test_a_step_without_requests_writes_nothing(world: None) -> None:
    budget(Clock()).take("UploadConfig")
    assert build.everything() == []


def test_a_second_is_forgotten_after_an_hour(world: None) -> None:
    budget(Clock()).take("AwaitDeletion")
    (item,) = build.everything()
    assert int(item["expires_at"]["N"]) == int((NOON + timedelta(hours=1)).timestamp())


@pytest.mark.parametrize(("step", "calls"), [("AwaitStack", 1), ("CheckStack", 2)])
@pytest.mark.parametrize("enough", [True, False])
def test_a_step_gets_all_or_nothing(world: None, step: str, calls: int, enough: bool) -> None:
    others = A_SECOND[CLOUDFORMATION] // 2 if step in limits.LOOKS else 0
    use_up(CLOUDFORMATION, but=calls + others - (not enough), seconds=60)
    if enough:
        budget(Clock()).take(step)
        assert used(CLOUDFORMATION) == A_SECOND[CLOUDFORMATION] - others
    else:
        before = used(CLOUDFORMATION)
        with pytest.raises(ServiceBusy, match="12 requests a second to cloudformation"):
            budget(Clock()).take(step)
        assert used(CLOUDFORMATION) == before


def test_a_look_waits_for_the_next_second_only(world: None) -> None:
    use_up(CLOUDFORMATION, seconds=2)
    clock = Clock()
    with pytest.raises(ServiceBusy):
        budget(clock).take("AwaitStack")
    assert clock.naps == pytest.approx([0.6])
    budget(clock).take("AwaitStack")
    assert clock.naps == pytest.approx([0.6, 1]), "the one after it has enough"


def test_a_step_that_acts_waits_for_a_second_that_has_enough(world: None) -> None:
    use_up(CLOUDFORMATION, seconds=3)
    clock = Clock()
    budget(clock).take("CreateChangeSet")
    assert clock.naps == pytest.approx([0.6, 1, 1])
    assert used(CLOUDFORMATION, NOON + timedelta(seconds=3)) == 3


def test_it_does_not_wait_for_ever(world: None) -> None:
    use_up(CLOUDFORMATION, seconds=60)
    clock = Clock()
    with pytest.raises(ServiceBusy):
        budget(clock).take("CreateChangeSet")
    assert sum(clock.naps) <= limits.PATIENCE.total_seconds()
    assert clock.naps


def test_the_services_have_budgets_of_their_own(world: None) -> None:
    use_up(LAMBDA, seconds=60)
    budget(Clock()).take("AwaitStack")
    with pytest.raises(ServiceBusy, match="to lambda"):
        budget(Clock()).take("PatchFunction")


def test_more_than_there_are_get_no_more_than_there_are(world: None) -> None:
    """One after the other: moto checks a condition and writes in two steps."""
    second = A_SECOND[CLOUDFORMATION]
    for step, most in (("AwaitStack", second // 2), ("ExecuteChangeSet", second)):
        clock = Clock()
        while not clock.naps:
            budget(clock).take(step)
        assert used(CLOUDFORMATION) == most, "then somebody waited for the next second"


# In a step ----------------------------------------------------------------------------------------


@pytest.fixture
def used_up(world: None) -> None:
    """For a minute, no second has anything left."""
    use_up(CLOUDFORMATION, seconds=60, since=utc_now())


def test_a_step_that_gets_none_asks_nothing_and_has_not_failed(cloud: Cloud, used_up: None) -> None:
    made = build.opened(build.deployment())
    with pytest.raises(ServiceBusy):
        stack.handler(build.event(made, "AwaitStack", **GIVEN["AwaitStack"]), None)
    assert cloud.asked("DescribeStackEvents") == []
    step = build.record(made)["steps"]["AwaitStack"]
    assert step["status"] == "RUNNING"
    assert build.record(made)["status"] == "RUNNING"


def test_a_deployment_that_was_cancelled_ends_without_any(cloud: Cloud, used_up: None) -> None:
    made = build.opened(build.deployment())
    History(TABLE).ask_for_end(made.tenant, made.id, "somebody")
    with pytest.raises(Cancelled):
        stack.handler(build.event(made, "CheckStack"), None)


def test_a_step_that_runs_has_taken_its_requests(cloud: Cloud) -> None:
    made = build.opened(build.deployment())
    cloud.says("DescribeStacks", MISSING)
    stack.handler(build.event(made, "CheckStack"), None)
    counted = [item for item in build.everything() if item["PK"]["S"] == "BUDGET#cloudformation"]
    assert [item["used"]["N"] for item in counted] == ["2"]


# What steps really ask for ------------------------------------------------------------------------

IDS = {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}
GIVEN: dict[str, JsonObject] = {
    "CheckStack": {},
    "CreateChangeSet": {"template_key": "notes-stage-alpha/builds/f00/template.yaml"},
    "AwaitChangeSet": IDS,
    "ExecuteChangeSet": IDS,
    "AwaitStack": {"stack_id": STACK_ID, "has_changes": True},
    "AwaitDeletion": {"stack_id": STACK_ID},
    "AwaitRemoval": {"stack_id": STACK_ID},
    "DiscardChangeSet": IDS,
}


@pytest.mark.parametrize("step", GIVEN)
def test_a_step_asks_for_no_more_than_it_takes(cloud: Cloud, step: str) -> None:
    """An update's; a look at what is not there yet, as most of them are."""
    made = build.opened(build.deployment())
    upload_template()
    looked_at(made)
    going = step in ("AwaitDeletion", "AwaitRemoval")
    cloud.says("DescribeStacks", described("DELETE_IN_PROGRESS" if going else "UPDATE_COMPLETE"))
    cloud.has_events(event("UPDATE_IN_PROGRESS", token=made.id), event("UPDATE_COMPLETE"))
    cloud.says("CreateChangeSet", {"Id": CHANGE_SET_ID, "StackId": STACK_ID})
    cloud.says("DescribeChangeSet", change_set("CREATE_IN_PROGRESS"))
    cloud.says("ExecuteChangeSet", {})
    cloud.says("DeleteChangeSet", {})
    asked: list[str] = []
    events = aws.cloudformation().meta.events
    name = "provide-client-params.cloudformation"
    events.register(name, remember := lambda model, **_: asked.append(model.name))
    try:
        stack.handler(build.event(made, step, **GIVEN[step]), None)
    finally:
        events.unregister(name, remember)
    assert len(asked) == CALLS[step][CLOUDFORMATION], asked
