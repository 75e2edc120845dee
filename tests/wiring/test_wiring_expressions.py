"""The JSONata of the state machine: it parses, reads only what is there, and waits as it should."""

import time
from typing import Any

import asl_dataflow
import jsonata_process
import pytest
from asl_graph import Json, deadline_rule, definition, expressions, inside

WAITS = {name: s for name, s in definition()["States"].items() if s["Type"] == "Wait"}
DEADLINES = {name: rule for name, s in definition()["States"].items() if (rule := deadline_rule(s))}


def test_every_expression_parses() -> None:
    found = expressions(definition())
    answers = jsonata_process.parse([text for _, text in found])
    wrong = [
        f"{'.'.join(path)}: {text}: {answer['error']}"
        for (path, text), answer in zip(found, answers, strict=True)
        if "error" in answer
    ]
    assert len(found) > 100
    assert wrong == []


def test_an_expression_that_is_none_is_noticed() -> None:
    assert "error" in jsonata_process.parse(["$max([1, "])[0]


def test_the_reader_finds_variables_and_their_fields_but_no_functions() -> None:
    text = "$millis() > $waiting.until ? [$a, {'k': $b.c.d}] : ($e[0].f; $exists($g.h))"
    found = jsonata_process.parse([text])[0]["variables"]
    assert sorted(found) == [["a"], ["b", "c", "d"], ["e", "f"], ["g", "h"], ["waiting", "until"]]


# Variables --------------------------------------------------------------------------------------


def test_every_variable_is_assigned_on_every_way_to_where_it_is_read() -> None:
    assert asl_dataflow.unassigned_reads(definition(), jsonata_process.parse) == []


def test_no_variable_is_assigned_for_nobody() -> None:
    assert asl_dataflow.never_read(definition(), jsonata_process.parse) == set()


@pytest.mark.parametrize(
    ("state", "member", "complaint"),
    [
        ("PrepareDeployment", "patch", "RecordSuccess.Arguments.Payload.patch: $patch"),
        (
            "PrepareDeployment",
            "deployment",
            "AcquireLock.Arguments.Payload.deployment: $deployment",
        ),
        ("RecordFailure", "reason", "DeploymentFailed.Cause: $reason"),
        ("AwaitStack", "stack", "SyncConfig.Arguments.Payload.outputs: $stack"),
        ("DetectDrift", "detectionId", "AwaitDrift.Arguments.Payload.detection_id: $detectionId"),
    ],
)
def test_a_variable_that_one_way_does_not_assign_is_found(
    state: str, member: str, complaint: str
) -> None:
    broken = definition()
    del broken["States"][state]["Assign"][member]
    found = asl_dataflow.unassigned_reads(broken, jsonata_process.parse)
    assert any(line.startswith(complaint) for line in found), found


def test_a_catch_that_assigns_nothing_is_found() -> None:
    broken = definition()
    del broken["States"]["AwaitBuild"]["Catch"][1]["Assign"]
    found = asl_dataflow.unassigned_reads(broken, jsonata_process.parse)
    assert any("RecordFailure.Arguments.Payload.failure" in line for line in found), found


def test_what_a_state_assigns_is_not_there_for_the_state_itself() -> None:
    broken = definition()
    broken["States"]["AwaitStack"]["Output"] = "{% $stack %}"
    found = asl_dataflow.unassigned_reads(broken, jsonata_process.parse)
    assert found == ["AwaitStack.Output: $stack is not assigned on every way"]


def _misplaced(machine: Json) -> list[str]:
    """Reads of `$states` where Step Functions has no such member."""
    allowed = {
        "Output": {"input", "result", "context"},
        "Assign": {"input", "result", "context"},
        "Catch": {"input", "errorOutput", "context"},
    }
    places = [
        (name, path, text)
        for name, state in machine["States"].items()
        for path, text in expressions(state)
    ]
    answers = jsonata_process.parse([text for _, _, text in places])
    return [
        f"{name}.{'.'.join(path)}: $states.{read[1]}"
        for (name, path, _), answer in zip(places, answers, strict=True)
        for read in answer["variables"]
        if read[0] == "states" and read[1] not in allowed.get(path[0], {"input", "context"})
    ]


def test_result_and_error_are_read_only_where_there_are_some() -> None:
    assert _misplaced(definition()) == []


def test_a_result_read_before_there_is_one_is_found() -> None:
    broken = definition()
    broken["States"]["RunTests"]["Arguments"]["Payload"]["x"] = "{% $states.result.Payload %}"
    assert _misplaced(broken) == ["RunTests.Arguments.Payload.x: $states.result"]


# Waiting ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize(
    ("elapsed", "expected"), [(0, 1), (5, 1), (100, 10), (1000, 30)], ids=lambda v: f"{v}s"
)
def test_a_wait_is_a_tenth_of_the_time_waited_from_1_to_30_seconds(
    name: str, elapsed: int, expected: int
) -> None:
    waiting: dict[str, Any] = {"since": time.time() * 1000 - elapsed * 1000, "until": 0}
    assert jsonata_process.evaluate(inside(WAITS[name]["Seconds"]), waiting=waiting) == expected


@pytest.mark.parametrize("name", DEADLINES)
def test_a_deadline_is_met_when_its_time_has_come_and_not_before(name: str) -> None:
    condition, now = inside(DEADLINES[name]["Condition"]), time.time() * 1000
    assert jsonata_process.evaluate(condition, waiting={"until": now - 1000}) is True
    assert jsonata_process.evaluate(condition, waiting={"until": now + 60_000}) is False


@pytest.mark.parametrize("name", DEADLINES)
def test_a_deadline_says_who_waited_for_how_long_and_what_to_do(name: str) -> None:
    failure = DEADLINES[name]["Assign"]["failure"]
    states = definition()["States"]
    assert states[failure["state"]]["Type"] == "Task"
    assert states[failure["state"]]["Next"] == name, "the state that asked is the one that failed"
    assert failure["error"].isidentifier()
    assert ": " in failure["cause"], "what to do comes after the colon"
    minutes = failure["cause"].split(" minutes")[0].split()[-1]
    told = {
        assign["waiting"]["until"].split("+ ")[1].split(" *")[0]
        for assign in _assigns_of_waiting_before(name)
    }
    assert minutes in told


def _assigns_of_waiting_before(choice: str) -> list[Json]:
    """Every Assign of a deadline from which this Choice is reached before another one is set."""
    found = []
    states = definition()["States"]
    for state in states.values():
        rules = [state, *state.get("Choices", [])]
        for rule in rules:
            if "waiting" in rule.get("Assign", {}) and _leads_to(rule.get("Next", ""), choice):
                found.append(rule["Assign"])
    return found


def _leads_to(start: str, goal: str) -> bool:
    states, seen, todo = definition()["States"], set(), [start]
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name in seen or name not in states:
            continue
        seen.add(name)
        state = states[name]
        for rule in (state, *state.get("Choices", [])):
            if "waiting" not in rule.get("Assign", {}) and "Next" in rule:
                todo.append(rule["Next"])
        todo += [state["Default"]] if "Default" in state else []
    return False
