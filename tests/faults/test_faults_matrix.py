"""Every fault in every step: whatever happens to a call, the deployment goes on, or ends red with a
reason; it never ends green without its effect, and never keeps the tenant.

The steps are the Task states of the definitions. A step without a scenario fails by its name.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import record_calls
import worker_builders as build
from effects import answer, effect
from injection import Fault, Injection, Killed, is_write
from machines import AGAIN, after, tasks
from scenarios import INTEGRATIONS, SCENARIOS, Case, World, execution_of, world
from worker_builders import TABLE

from control_plane import aws, crashes
from control_plane.models import DeploymentStatus
from control_plane.settings import RecordSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.slots import Slots
from workers import record

Property = Callable[[str, object], None]
STEPS = [name for name in tasks() if name not in INTEGRATIONS]
CRASHED = "Sandbox.Timedout"
EVERYTHING = os.environ.get("FAULTS") == "all"
"""`make test-faults`: every fault, and executions that end in the middle. Else one fault of each
kind: not now, no, done although nobody heard of it, and a worker that died after it."""

FAULTS = (
    tuple(Fault) if EVERYTHING else (Fault.THROTTLED, Fault.DENIED, Fault.LOST_CLIENT, Fault.KILLED)
)

ATTEMPTS = 120
"""More than any step has calls."""

LOOKS = 6
"""How often a step is asked again that waits for what it began."""


@dataclass(frozen=True)
class Baseline:
    """A run without faults: its answer, what it left, its calls in their order."""

    answer: Any
    effect: Any
    calls: tuple[str, ...]


def _prepared(w: World, step: str) -> Case:
    """The step's case; its faults begin after that."""
    return SCENARIOS[step](w)


def _run(case: Case, injection: Injection) -> tuple[Any, BaseException | None]:
    injection.begin()
    try:
        return case.handler(case.event, None), None
    except (Exception, Killed) as error:  # noqa: BLE001 - the state machine gets any
        return None, error


def _give_back_position(case: Case, answer: Any) -> None:
    """A step that works in parts is given its position again, as the state machine does."""
    if "position" in case.event:
        case.event["position"] = answer["position"]


@cache
def baseline(step: str) -> Baseline:
    """The step without faults."""
    with world() as w:
        case, injection = _prepared(w, step), Injection()
        injection.install(w.patch)
        calls: list[str] = []
        told: Any = None
        for _ in range(LOOKS):
            told, error = _run(case, injection)
            injection.end()
            calls += injection.calls
            assert error is None, f"{step} fails without a fault: {error!r}"
            if told.get("done", True) or step in WAITING:
                break
            _give_back_position(case, told)
        return Baseline(answer(told), effect(case), tuple(dict.fromkeys(calls)))


WAITING = {"AwaitApproval", "AwaitTrial"}
"""Steps that have done their part when they say that they wait."""


def _error(error: BaseException) -> str:
    return CRASHED if isinstance(error, Killed) else type(error).__name__


def test_every_task_has_a_scenario() -> None:
    missing = [name for name in STEPS if name not in SCENARIOS]
    assert not missing, f"tests/faults/scenarios.py has no scenario for {', '.join(missing)}"
    assert {*SCENARIOS} == {*STEPS}


@pytest.mark.parametrize("step", [name for name in STEPS if name in SCENARIOS])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_each_call_of_a_step(step: str, fault: Fault, record_property: Property) -> None:
    record_property("step", step)
    record_property("fault", fault.value)
    wanted = baseline(step)
    if not wanted.calls:
        record_property("outcome", "no call")
        return
    ends: set[str] = set()
    with world() as w:
        case, injection = _prepared(w, step), Injection(fault)
        injection.install(w.patch)
        told: Any = None
        looks = 0
        for _ in range(ATTEMPTS):
            told, error = _run(case, injection)
            fired = injection.end()
            if error is not None:
                target = after(step, _error(error))
                if not fired and target == AGAIN and looks < LOOKS:
                    looks += 1  # what an earlier attempt began is in the way for a moment
                    continue
                assert fired, f"{step} fails after {fault} of other calls: {error!r}"
                if fault == Fault.DENIED:
                    assert target != AGAIN, f"{step} asks for ever what is denied: {fired}"
                    ends.add(target)
                else:
                    assert target == AGAIN, f"{fault} of {fired}: {error!r} leads to {target}"
                continue
            if fired:
                continue  # it did without the call, or the call was answered in the end
            if not told.get("done", True) and step not in WAITING and looks < LOOKS:
                looks += 1
                _give_back_position(case, told)
                continue
            break
        else:
            pytest.fail(f"{step} never ends")
        assert answer(told) == wanted.answer
        assert effect(case) == wanted.effect
    how = f"red by {', '.join(sorted(ends))}, then well" if ends else "well"
    record_property("outcome", f"{how} ({len(injection.met)})")


ABORTED = {"status": "ABORTED", "executionArn": "x", "stopDate": build.NOON}
STOPPED = ("execution stopped", "event lost")


ENDS = [(step, how) for how in STOPPED for step in STEPS if step in SCENARIOS and EVERYTHING]


@pytest.mark.parametrize(("step", "how"), ENDS or [(STEPS[0], STOPPED[0])])
def test_an_execution_that_ends_in_the_middle_of_a_step(
    step: str, how: str, record_property: Property
) -> None:
    """After each write: stopped by hand, and its end is heard of, or is not."""
    record_property("step", step)
    record_property("fault", how)
    writes = [key for key in baseline(step).calls if is_write(key)]
    count = 0
    for key in writes:
        with world() as w:
            case, injection = _prepared(w, step), Injection(Fault.KILLED, only=key)
            injection.install(w.patch)
            for _ in range(LOOKS):  # some calls are made only when it is asked again
                _run(case, injection)
                if injection.end():
                    break
            count += 1
            injection.fault = None
            w.script.on(aws.stepfunctions(), "DescribeExecution", ABORTED)
            wrong = _wrong_after(case, heard=how == STOPPED[0])
            assert not wrong, f"{step} was cut off after {key}: {wrong}"
    record_property("outcome", f"well ({count})" if count else "no write")


RESTART = {"status": "FAILED", "error": "States.ServiceRestart", "stopDate": build.NOON}
"""What a laptop's AWS says, after it was killed, of an execution that ran (docs/emulator.md)."""

RESTARTED = ("emulator restarted", "emulator restarted, writes lost")
"""With the state of the moment in which it was killed, or with that of before the step: it saves
within 20 seconds. Objects are always kept."""

RESTARTS = [(step, how) for how in RESTARTED for step in STEPS if step in SCENARIOS and EVERYTHING]


@pytest.mark.parametrize(("step", "how"), RESTARTS or [(STEPS[0], RESTARTED[0])])
def test_a_laptop_that_is_killed_in_the_middle_of_a_step(
    step: str, how: str, record_property: Property
) -> None:
    """After each write: its processes are gone, `up` starts AWS again and has the workers sweep."""
    record_property("step", step)
    record_property("fault", how)
    writes = [key for key in baseline(step).calls if is_write(key)]
    for key in writes:
        with world() as w:
            case, injection = _prepared(w, step), Injection(Fault.KILLED, only=key)
            saved = build.everything()
            injection.install(w.patch)
            for _ in range(LOOKS):
                _run(case, injection)
                if injection.end():
                    break
            injection.fault = None
            if how == RESTARTED[1]:
                _restore(saved)
            case.restarted()
            w.script.on(aws.stepfunctions(), "DescribeExecution", RESTART)
            wrong = _wrong_after_restart(case)
            assert not wrong, f"{step} was cut off after {key}: {wrong}"
    record_property("outcome", f"well ({len(writes)})" if writes else "no write")


def _restore(saved: list[Any]) -> None:
    """The table as it was."""
    client = aws.dynamodb()
    for item in build.everything():
        client.delete_item(TableName=TABLE, Key={name: item[name] for name in ("PK", "SK")})
    for item in saved:
        client.put_item(TableName=TABLE, Item=item)


def _wrong_after_restart(case: Case) -> list[str]:
    """What is wrong after `up` has swept (cli/laptop_work.py)."""
    if case.stopped is not None:
        return case.stopped(True)
    record.handler({"sweep": True}, None)
    opened = [one for one in Listing(TABLE).open_deployments("0") if isinstance(one, dict)]
    wrong = [f"the record of {one['id']} is {one['status']}" for one in opened]
    holders = Slots(TABLE, settings(RecordSettings).deployment_slots).state()["holders"]
    if case.made is None:
        return wrong
    if build.holder(case.made.tenant) or holders:
        wrong.append(f"the lock is {build.holder(case.made.tenant)}'s, the slots {[*holders]}'s")
    return [*wrong, *_next_deployment(case)]


def _wrong_after(case: Case, *, heard: bool) -> list[str]:
    """What is wrong after an execution was stopped; `heard`: EventBridge told of it."""
    if case.stopped is not None:
        return case.stopped(False) if heard else []
    made = case.made
    if made is None:
        return []
    if heard:
        detail = {
            "executionArn": made.execution_arn, "status": "ABORTED", "cause": None, "error": None,
            "startDate": int(made.started_at.timestamp() * 1000),
            "input": record_calls.json.dumps(execution_of(made)["Input"]),
        }  # fmt: skip
        record.handler({"source": "aws.states", "detail": detail}, None)
        if made.id not in case.event.get("ignored", ()):
            status = DeploymentStatus(build.record(made)["status"])
            if not status.is_final:
                return [f"the record is {status}"]
        held = build.holder(made.tenant)
        holders = Slots(TABLE, settings(RecordSettings).deployment_slots).state()["holders"]
        if held == made.execution_arn or made.id in holders:
            return [f"the lock is {held}'s, the slots are {[*holders]}'s"]
    return list(_next_deployment(case))


def _next_deployment(case: Case) -> Iterator[str]:
    """The next one of the tenant gets it, and a slot."""
    assert case.made is not None
    after_it = build.opened(build.deployment(case.made.tenant, 40))
    for step in ("AcquireLock", "AcquireSlot"):
        for _ in range(LOOKS):
            told = record.handler(build.event(after_it, step), None)
            if told["done"]:
                break
        else:
            yield f"the next deployment waits in {step}"


def test_the_crashes_that_are_retried_are_those_that_are_named() -> None:
    assert CRASHED in crashes.ERRORS
