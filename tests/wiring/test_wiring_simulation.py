"""The simulator's models are those of the state machines, the workers and the template."""

import re
import subprocess
import sys
from itertools import pairwise
from typing import Any, cast

import jsonata_process
import pytest
from asl_graph import ROLLOUT, ROOT, all_ways, asks_again, definition, task_states
from aws_calls import actions
from sam_template import functions, template
from source_code import files

from control_plane import aws
from control_plane.models import Mode, Priority
from control_plane.rollout_models import Failure
from control_plane.rules import slot_rules
from simulation import driver, execution, payloads, quotas, scenario, steps
from simulation.deployment import Deployment, Job
from simulation.run import run
from simulation.scenario import Scenario
from simulation.world import World
from workers import rollout, rollout_tenants
from workers import step as worker_step

MACHINE, ROLLOUTS = definition(), definition(ROLLOUT)
WAYS = {(way.source, way.target) for way in all_ways(MACHINE)}
ROLLOUT_WAYS = {(way.source, way.target) for way in all_ways(ROLLOUTS)}


def test_it_needs_no_aws() -> None:
    names = [f"simulation.{path.stem}" for path in files("simulation") if path.stem != "__init__"]
    code = f"import sys, {', '.join(names)}; print('boto3' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "False\n", done.stderr


# The ways of the executions -----------------------------------------------------------------------


def _walks(**given: Any) -> dict[str, list[str]]:
    outcome = run(Scenario(**{"tenants": 12, "slots": 6, "concurrency": 12, **given}), trace=True)
    assert outcome.world.traces is not None
    return outcome.world.traces


FREE = dict.fromkeys(quotas.LIMITS, 1e9)
SCENARIOS: dict[str, dict[str, Any]] = {
    "all well": {},
    "failures in stacks": {"failure_rate": 1, "failing_tests": 0},
    "failures in tests": {"failure_rate": 1, "failing_tests": 1, "max_failures": "100%"},
    "brought back": {
        "tenants": 60, "failure_rate": 0.2, "max_failures": "3", "on_failure": Failure.ROLL_BACK,
    },
    "no slot in time": {"slots": 1, "stack_minutes": 200},
    "no change set": {"quotas": {quotas.CREATE_CHANGE_SET: 0.0}},
    "no events": {"quotas": FREE | {quotas.STACK_EVENTS: 0.0}},
    "a stack that never settles": {"stack_minutes": 200, "tenants": 1},
}  # fmt: skip


@pytest.mark.parametrize("given", SCENARIOS.values(), ids=SCENARIOS)
def test_every_execution_goes_by_ways_that_there_are(given: dict[str, Any]) -> None:
    walks = _walks(**given)
    whole = walks.pop("rollout")
    for walk in walks.values():
        assert walk[0] == MACHINE["StartAt"]
        assert MACHINE["States"][walk[-1]]["Type"] in ("Succeed", "Fail")
        assert set(pairwise(walk)) - WAYS == set()
    over = ("RolloutHandedOver", "PrepareRollout")  # another execution goes on
    assert set(pairwise(whole)) - ROLLOUT_WAYS - {over} == set()
    assert ROLLOUTS["States"][whole[-1]]["Type"] in ("Succeed", "Fail")


def test_one_that_is_slow_to_begin_is_started_again_and_is_the_same_execution() -> None:
    outcome = run(Scenario(tenants=3, step_seconds=8), trace=True)
    assert outcome.world.apis[quotas.START_EXECUTION].total > 3
    walks = [walk for name, walk in (outcome.world.traces or {}).items() if name != "rollout"]
    assert [walk.count("PrepareDeployment") for walk in walks] == [1, 1, 1]


def test_a_full_deployment_passes_what_the_state_machine_has_for_one() -> None:
    walk = next(walk for name, walk in _walks(tenants=1).items() if name != "rollout")
    tasks = [name for name in dict.fromkeys(walk) if name in task_states(MACHINE)]
    assert tasks == [
        "PrepareDeployment", "AcquireLock", "AcquireSlot", "CheckStack", "StartBuild", "AwaitBuild",
        "CreateChangeSet", "AwaitChangeSet", "UploadConfig", "ExecuteChangeSet", "AwaitStack",
        "ReconcileFunction", "SyncConfig", "RunTests", "ProveDeployment",
        "RecordSuccess",
    ]  # fmt: skip


def test_it_ends_as_it_is_recorded() -> None:
    world = World(Scenario(), trace=True)
    asked = Job("d", "d/forth", Priority.LOW, Mode.FULL, update=60.0, fails_at="tests")
    world.clock.start(Deployment(world, asked).process())
    world.clock.run()
    assert world.records == {"d": "ROLLED_BACK"}
    assert (world.traces or {})["d"][-2:] == ["RecordFailure", "DeploymentFailed"]
    assert world.slots.holders == set()


# Waiting and asking again -------------------------------------------------------------------------


def test_every_wait_is_as_long_as_the_state_machines() -> None:
    waits = {state["Seconds"] for state in MACHINE["States"].values() if state["Type"] == "Wait"}
    (expression,) = waits
    text = expression.removeprefix("{%").removesuffix("%}").replace("$millis()", "$now")
    for waited in (0, 0.5, 9.9, 19, 20, 29.99, 155, 299, 300, 5000):
        now = {"now": waited * 1000, "waiting": {"since": 0}}
        assert steps.pause(waited) == jsonata_process.evaluate(text, **now), waited


def test_the_same_steps_take_a_busy_aws_for_not_yet() -> None:
    again = {
        name
        for name, state in task_states(MACHINE).items()
        if any(asks_again(rule) for rule in state.get("Catch", []))
    }
    assert again & set(steps.STEPS) == steps.ASKED_AGAIN


def test_each_is_asked_again_for_as_long() -> None:
    for name, minutes in steps.MINUTES.items():
        (choice,) = {
            way.target for way in all_ways(MACHINE) if way.source == name and way.by == "Next"
        }
        causes = [
            str(rule["Assign"]["failure"]["cause"])
            for rule in MACHINE["States"][choice]["Choices"]
            if "failure" in rule.get("Assign", {})
        ]
        assert any(f"{minutes} minutes" in cause for cause in causes), (name, causes)


def test_it_tries_as_often() -> None:
    for name in steps.STEPS:
        assert MACHINE["States"][name]["Retry"][0]["MaxAttempts"] + 1 == execution.ATTEMPTS
    config = cast("Any", aws._CONFIG)
    # botocore rewrites retries in place when it makes a client: which of the two is there depends.
    tries = config.retries.get("total_max_attempts") or config.retries["max_attempts"] + 1
    assert tries == execution.TRIES
    assert execution.RETRYING == worker_step.RETRYING


def test_a_worker_has_as_long() -> None:
    default = template()["Globals"]["Function"]["Timeout"]
    for name, step in steps.STEPS.items():
        (function,) = re.findall(r"\w+", MACHINE["States"][name]["Arguments"]["FunctionName"])
        assert step.timeout == functions()[function].get("Timeout", default), name


def test_a_call_that_is_counted_is_made() -> None:
    made = {action for path in files("workers", "control_plane") for action in actions(path)}
    for step in steps.STEPS.values():
        for call in (*step.calls, *step.last):
            # The session's call is control_plane/aws.py's, for each that is made in one.
            assert call in made or call in (quotas.FUNCTION_CONTROL, quotas.ASSUME_ROLE)


# The rollout --------------------------------------------------------------------------------------


def test_the_rollouts_numbers_are_the_workers() -> None:
    assert (driver.SPENT, driver.PASSED_BY, driver.AT_ONCE) == (
        rollout.SPENT, rollout.PASSED_BY, rollout.AT_ONCE,
    )  # fmt: skip
    assert slot_rules.LARGEST == scenario.LARGEST
    spent = ROLLOUTS["States"]["AdvanceRollout"]["Assign"]["spent"]
    assert f"$spent + {driver.LOOK} + {driver.START} * $count(" in spent
    assert ROLLOUTS["States"]["StartDeployments"]["MaxConcurrency"] == driver.STARTED_AT_ONCE


def test_a_start_is_as_large_as_the_workers() -> None:
    outcome = run(Scenario(tenants=1))
    waiting = outcome.driver.rollout.model_copy(update={"wave": 0})
    one = driver.Running(
        row=0, org="org00000", deployment="d" * 24, started_at=outcome.world.clock.time
    )
    made = rollout_tenants.starts(cast("Any", None), waiting, [one], payloads.ARN)
    assert made == [payloads.start(waiting, one)]
