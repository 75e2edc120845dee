"""A state machine as a graph: states, the ways between them, and their texts."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEPLOYMENT, ROLLOUT = "state_machine.asl.json", "rollout.asl.json"
SHIFT = "shift.asl.json"
MACHINES = {
    "DeploymentStateMachine": DEPLOYMENT,
    "RolloutStateMachine": ROLLOUT,
    "ShiftStateMachine": SHIFT,
}
"""The state machines of template.yaml and the files of their definitions."""

Json = dict[str, Any]


@cache
def _text(file: str) -> str:
    return (ROOT / file).read_text()


def definition(file: str = DEPLOYMENT) -> Json:
    """A definition, the deployment's unless told otherwise; a copy of one's own."""
    return copy.deepcopy(json.loads(_text(file)))


@dataclass(frozen=True)
class Way:
    """One way out of a state: where to, by which member, and what is assigned on it."""

    source: str
    target: str
    by: str
    assign: Json = field(default_factory=dict)
    asks_again: bool = False


def asks_again(rule: Json) -> bool:
    """Whether a Catch takes "AWS is busy" for "not yet": its state is asked again after a wait."""
    busy = {"ServiceBusy", "StepFunctions.ThrottlingException"}
    return bool(busy & {*rule.get("ErrorEquals", [])}) and "Output" in rule


def ways_out(name: str, state: Json) -> list[Way]:
    """Every way out of a state. A Catch and a Choice rule assign their own, not the state's."""
    ways = []
    if "Next" in state:
        ways.append(Way(name, state["Next"], "Next", state.get("Assign", {})))
    if "Default" in state:
        ways.append(Way(name, state["Default"], "Default", state.get("Assign", {})))
    for member in ("Catch", "Choices"):
        for index, rule in enumerate(state.get(member, [])):
            target, by = rule.get("Next", ""), f"{member}[{index}]"
            ways.append(Way(name, target, by, rule.get("Assign", {}), asks_again(rule)))
    return ways


def all_ways(machine: Json) -> list[Way]:
    """Every way of the machine."""
    return [way for name, state in machine["States"].items() for way in ways_out(name, state)]


def reachable_from(machine: Json, start: str) -> set[str]:
    """The states that a way leads to from `start`, itself included."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in machine["States"]:
            continue
        seen.add(name)
        waiting += [way.target for way in ways_out(name, machine["States"][name])]
    return seen


def states_in_loops(machine: Json) -> set[str]:
    """The states from which a way leads back to themselves."""
    found = set()
    for name, state in machine["States"].items():
        if any(name in reachable_from(machine, way.target) for way in ways_out(name, state)):
            found.add(name)
    return found


def task_states(machine: Json) -> dict[str, Json]:
    """The Task states, in the order of the file."""
    return {name: state for name, state in machine["States"].items() if state["Type"] == "Task"}


def invoking(machine: Json) -> dict[str, Json]:
    """The Task states that invoke a function."""
    tasks = task_states(machine)
    return {name: state for name, state in tasks.items() if "FunctionName" in state["Arguments"]}


def happy_path(machine: Json) -> list[str]:
    """The Task states in the order of the file: the file is written along the happy path."""
    return list(task_states(machine))


def is_expression(text: object) -> bool:
    """Whether a text is JSONata: Step Functions takes what stands between {% and %} for it."""
    return isinstance(text, str) and text.startswith("{%") and text.endswith("%}")


def inside(text: str) -> str:
    """The JSONata of an expression."""
    return text.removeprefix("{%").removesuffix("%}").strip()


def texts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in a JSON value, with the way to it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, (*path, str(index)))


def expressions(value: Any) -> list[tuple[tuple[str, ...], str]]:
    """Every JSONata expression in a JSON value, with the way to it."""
    return [(path, inside(text)) for path, text in texts(value) if is_expression(text)]


def deadline_rule(state: Json) -> Json | None:
    """The rule of a Choice that ends its loop when the time is up."""
    for rule in state.get("Choices", []):
        if inside(rule["Condition"]) == "$millis() > $waiting.until":
            return dict(rule)
    return None
