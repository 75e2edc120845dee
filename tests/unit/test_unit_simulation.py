"""The simulator: small rollouts that are reckoned by hand, its budgets, its quotas, its chance."""

from typing import Any

import pytest

from control_plane.errors import InvalidRequest
from control_plane.models import Priority
from control_plane.rollout_models import Failure, RolloutStatus
from control_plane.rules import request_limits as limits
from control_plane.rules.request_limits import Service
from control_plane.rules.rollout_plan import WaveRequest
from simulation import quotas
from simulation.run import Outcome, run
from simulation.scenario import Scenario
from simulation.summary import Summary, summary
from simulation.world import World

AT_ONCE: dict[str, Any] = {
    "spread": 0, "build_minutes": 0, "change_set_seconds": 0, "tests_seconds": 0,
    "step_seconds": 0, "row_seconds": 0, "budget": False,
}  # fmt: skip
"""Nothing takes any time but the stacks, and they are all alike; nobody waits for requests."""

LOOK = 10
"""The longest that a rollout does not look after its deployments, in seconds."""

FREE = dict.fromkeys(quotas.LIMITS, 1e9)
WAVES = (WaveRequest(count=1), WaveRequest(percent=10), WaveRequest(rest=True))


def simulated(**given: Any) -> Outcome:
    return run(Scenario(**{"tenants": 40, "slots": 10, "concurrency": 10, **given}))


def numbers(**given: Any) -> Summary:
    return summary(simulated(**given))


def rate(found: Summary, name: str) -> Any:
    return next(one for one in found.rates if one.name == name)


# By hand ------------------------------------------------------------------------------------------


def test_one_tenant_takes_as_long_as_its_stack() -> None:
    # Looks at 0 to 20 every second, then every 2, 3, 4, 5 s: one of them is at 60 s.
    ended = simulated(tenants=1, stack_minutes=1, **AT_ONCE).driver.ended
    assert 60 < ended <= 60 + LOOK


def test_a_look_sees_all_that_have_ended() -> None:
    given = {"slots": 40, "concurrency": 40, "quotas": FREE, **AT_ONCE}
    ended = simulated(stack_minutes=1, **given).driver.ended
    assert 60 < ended <= 60 + LOOK


def test_four_tenants_of_a_minute_take_two_minutes_with_two_slots_and_the_looks() -> None:
    outcome = simulated(tenants=4, slots=2, concurrency=4, stack_minutes=1, **AT_ONCE)
    # No more are started than there are slots, so nobody waits for one.
    assert [wait.seconds for wait in outcome.world.slot_waits] == [0, 0, 0, 0]
    assert 120 < outcome.driver.ended <= 120 + 2 * LOOK
    assert outcome.world.slots.most_held == 2
    assert outcome.world.slots.longest == 0


def test_the_looks_are_those_of_the_state_machines_waiting() -> None:
    found = numbers(tenants=1, stack_minutes=1, **AT_ONCE)
    # 0…19 s: 20, 20…28: 5, 30…36: 3 (30, 33, 36), 39: 1, 42…46: 2, 50, 55, 60: 3. Besides,
    # CheckStack and CreateChangeSet read the newest event; the proof reads the stack once more.
    assert rate(found, quotas.STACK_EVENTS).total == 20 + 5 + 3 + 1 + 2 + 3 + 2
    assert rate(found, quotas.DESCRIBE_STACKS).total == 4
    assert rate(found, quotas.EXECUTE_CHANGE_SET).total == 1


def test_one_build_is_made_for_all_and_a_build_for_each_with_dependencies_of_its_own() -> None:
    assert rate(numbers(), quotas.START_BUILD).total == 1
    assert rate(numbers(own_builds=1), quotas.START_BUILD).total == 40
    some = rate(numbers(own_builds=0.25), quotas.START_BUILD).total
    assert 2 < some < 25


def test_it_costs_what_the_list_prices_say() -> None:
    found = numbers(build_minutes=4)
    lines = {what: dollars for what, _, dollars in found.bill}
    assert lines["CodeBuild"] == pytest.approx(4 * 0.005)
    transitions = rate(found, quotas.TRANSITIONS).total
    assert lines["Step Functions"] == pytest.approx(transitions * 0.025 / 1000)
    assert found.dollars == pytest.approx(sum(lines.values()))


# Waves and budgets --------------------------------------------------------------------------------


def test_a_wave_begins_when_the_one_before_it_is_through_and_was_watched() -> None:
    found = numbers(waves=WAVES, bake_seconds=600)
    assert [wave.size for wave in found.waves] == [1, 4, 35]
    assert [wave.succeeded for wave in found.waves] == [1, 4, 35]
    for before, after in zip(found.waves, found.waves[1:], strict=False):
        assert before.ended is not None
        assert after.began is not None
        assert 600 <= after.began - before.ended < 600 + 31
    assert found.status == RolloutStatus.SUCCEEDED


def test_a_build_that_is_wrong_stops_at_its_canary() -> None:
    found = numbers(waves=WAVES, failure_rate=1)
    assert found.status == RolloutStatus.FAILED
    assert [wave.failed for wave in found.waves] == [1, 0, 0]
    assert found.failure == "1 of wave 1 failed, and 0 may"


def test_a_budget_that_is_spent_stops_the_rest_and_one_that_is_not_does_not() -> None:
    few = numbers(tenants=200, failure_rate=0.1, max_failures="2%")
    assert few.status == RolloutStatus.FAILED
    assert few.waves[0].failed + few.waves[0].succeeded < 100
    many = numbers(tenants=200, failure_rate=0.1, max_failures="20%")
    assert many.status == RolloutStatus.SUCCEEDED
    assert 10 <= many.waves[0].failed <= 30
    assert many.waves[0].failed == sum(many.reasons.values())


def test_a_wave_that_went_wrong_is_brought_back() -> None:
    found = numbers(tenants=100, failure_rate=0.1, max_failures="2%", on_failure=Failure.ROLL_BACK)
    assert found.status == RolloutStatus.ROLLED_BACK
    assert found.waves[0].rolled_back == found.waves[0].succeeded > 0


def test_who_has_the_build_is_skipped() -> None:
    found = numbers(skipped=0.5)
    assert found.waves[0].skipped + found.waves[0].succeeded == 40
    assert 10 <= found.waves[0].skipped <= 30
    assert rate(found, quotas.CREATE_CHANGE_SET).total == found.waves[0].succeeded


def test_waves_that_leave_somebody_out_are_refused_as_the_rollout_would_be() -> None:
    with pytest.raises(InvalidRequest, match="in no wave"):
        simulated(waves=(WaveRequest(count=1),))


# Slots --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 3, 10, 60])
def test_never_more_than_the_slots_and_never_more_than_the_rollout_may(slots: int) -> None:
    outcome = simulated(slots=slots, concurrency=20, others=5, urgent=3)
    assert outcome.world.slots.most_held <= slots
    rollouts_own = simulated(slots=slots, concurrency=20)
    assert rollouts_own.world.slots.most_held == min(slots, 20)


def test_more_slots_are_never_slower() -> None:
    given = {"concurrency": 40, "quotas": FREE}
    took = [numbers(slots=slots, **given).duration for slots in (1, 2, 5, 10, 20, 40)]
    assert took == sorted(took, reverse=True)
    assert took[0] > 6 * took[-1]


def test_an_urgent_deployment_goes_before_all_that_wait() -> None:
    found = numbers(tenants=80, slots=5, concurrency=40, urgent=6, others=10)
    waits = {queue.who: queue for queue in found.queues}
    urgent = waits[f"others, {Priority.URGENT}"]
    assert urgent.median < 0.5 * waits["the rollout"].median
    assert urgent.longest < 0.5 * waits["the rollout"].longest


def test_who_waits_asks_after_the_holders_and_nobody_else_does() -> None:
    assert rate(numbers(slots=10), quotas.DESCRIBE_EXECUTION).total == 0
    assert rate(numbers(slots=2, others=5), quotas.DESCRIBE_EXECUTION).total > 100


# Quotas -------------------------------------------------------------------------------------------


def test_throttling_lengthens_and_never_fails() -> None:
    reads = (quotas.DESCRIBE_STACKS, quotas.STACK_EVENTS)
    free = numbers(tenants=60, slots=20, concurrency=20, quotas=FREE)
    slow = numbers(tenants=60, slots=20, concurrency=20, quotas=FREE | dict.fromkeys(reads, 1))
    assert free.duration < slow.duration < 2 * free.duration
    assert (slow.status, slow.reasons) == (RolloutStatus.SUCCEEDED, {})
    events = rate(slow, quotas.STACK_EVENTS)
    assert (events.mark, events.quota) == ("throttled", 1)
    assert events.throttled > 1000
    assert {one.mark for one in free.rates} == {""}


def test_who_is_kept_waiting_for_too_long_fails_and_says_so() -> None:
    scarce = {quotas.DESCRIBE_STACKS: 1.0, quotas.STACK_EVENTS: 2.0}
    given = {"tenants": 100, "slots": 50, "concurrency": 50, "max_failures": "100%"}
    found = numbers(quotas=scarce, budget=False, **given)
    assert found.status == RolloutStatus.SUCCEEDED
    assert sum(found.reasons.values()) == found.waves[0].failed > 0
    assert {reason.partition(": ")[2] for reason in found.reasons} == {"AWS was busy"}


def test_no_more_is_served_in_a_second_than_the_quota() -> None:
    api = quotas.Api("x", 3)
    assert [api.admit(5.1 + step / 10) for step in range(5)] == [True, True, True, False, False]
    assert api.admit(6.0)
    assert (api.total, api.throttled, api.peak()) == (4, 2, 5)
    assert api.busiest_minute() == 6 / 60


def test_what_cloudformation_asks_itself_is_counted_and_marked_when_it_is_above() -> None:
    found = numbers(concurrency=40, slots=40, function_calls=1000)
    control = rate(found, quotas.FUNCTION_CONTROL)
    assert control.total == 40 * (1001 + 3)  # ReconcileFunction's, and three of the proof
    assert control.mark in ("above", "throttled")
    assert control.peak > 15


def test_a_quota_of_nothing_is_refused() -> None:
    with pytest.raises(KeyError, match="s3"):
        World(Scenario(quotas={"s3": 1}))


# The budget of requests ---------------------------------------------------------------------------


def test_steps_ask_for_no_more_than_their_budget() -> None:
    found = numbers(tenants=100, slots=50, concurrency=50, step_seconds=0)
    calls = [one for one in found.rates if one.name.startswith("cloudformation:")]
    # What a look makes when it is through, and what is looked into after a failure, is not in it.
    assert max(one.peak for one in calls) < 1.5 * limits.A_SECOND[Service.CLOUDFORMATION]
    assert rate(found, quotas.DESCRIBE_STACKS).peak <= limits.A_SECOND[Service.CLOUDFORMATION] / 2
    assert found.held_back > 0
    assert [one.mark for one in calls] == [""] * len(calls)


@pytest.mark.parametrize("at_once", [50, 100, 200])
@pytest.mark.parametrize("step_seconds", [0.2, 1])
def test_no_deployment_fails_for_its_budget(at_once: int, step_seconds: float) -> None:
    given = {"slots": at_once, "concurrency": at_once, "step_seconds": step_seconds}
    found = numbers(tenants=2 * at_once, **given)
    assert (found.status, found.reasons) == (RolloutStatus.SUCCEEDED, {})


def test_without_it_two_hundred_at_once_are_more_than_cloudformation_takes() -> None:
    found = numbers(tenants=500, slots=200, concurrency=200, budget=False)
    assert set(found.reasons) == {"CreateChangeSet: AWS was busy"}


def test_it_takes_hardly_any_longer() -> None:
    given = {"tenants": 500, "slots": 50, "concurrency": 50}
    free, kept = numbers(budget=False, **given), numbers(**given)
    assert kept.duration < 1.05 * free.duration
    assert kept.dollars < free.dollars


# The scale ----------------------------------------------------------------------------------------


def test_the_same_seed_comes_to_the_same_and_another_one_does_not() -> None:
    given: dict[str, Any] = {"failure_rate": 0.05, "max_failures": "50%", "others": 20, "slots": 5}
    assert numbers(seed=7, **given) == numbers(seed=7, **given)
    assert numbers(seed=7, **given).duration != numbers(seed=8, **given).duration


def test_five_hundred_tenants_at_fifty_slots_take_about_an_hour() -> None:
    found = numbers(tenants=500, slots=50, concurrency=50)
    assert found.status == RolloutStatus.SUCCEEDED
    assert 55 * 60 < found.duration < 75 * 60
    assert found.rollout_executions > 1
    assert max(found.rollout_events, found.deployment_events) < 25_000
    assert found.largest_answer < 256 * 1024
    assert found.largest_item < 400 * 1024
    assert 1 < found.dollars < 5
