"""What the state machines do with the error of a state's worker: their real definitions decide."""

import json
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILES = ("state_machine.asl.json", "rollout.asl.json", "shift.asl.json")
AGAIN = "again"


@cache
def tasks() -> dict[str, dict[str, Any]]:
    """Every Task of every state machine, also those inside of a Map."""
    found: dict[str, dict[str, Any]] = {}
    for file in FILES:
        _collect(json.loads((ROOT / file).read_text())["States"], found)
    return found


def _collect(states: dict[str, Any], found: dict[str, dict[str, Any]]) -> None:
    for name, state in states.items():
        if state["Type"] == "Task":
            found[name] = state
        for inner in ("ItemProcessor", "Iterator"):
            if inner in state:
                _collect(state[inner]["States"], found)
        for branch in state.get("Branches", []):
            _collect(branch["States"], found)


def after(name: str, error: str) -> str:
    """Where a state goes on after an error: AGAIN, or the state that a Catch names."""
    state = tasks()[name]
    for rule in state.get("Retry", []):
        if {error, "States.ALL"} & {*rule["ErrorEquals"]}:
            return AGAIN
    for rule in state.get("Catch", []):
        if {error, "States.ALL"} & {*rule["ErrorEquals"]}:
            return str(rule["Next"])
    return "the execution fails"
