"""shift.asl.json: what every state machine must be like, and that traffic comes back."""

from collections.abc import Callable
from typing import Any

import asl_busy
import asl_dataflow
import asl_rules
import jsonata_process
import pytest
from asl_graph import (
    SHIFT,
    Json,
    all_ways,
    asks_again,
    deadline_rule,
    definition,
    expressions,
    inside,
    reachable_from,
    task_states,
)

Break = Callable[[dict[str, Any]], object]

NOTHING_TO_RESTORE = {("PrepareShift", "*"), ("RestoreWeights", "*"), ("CheckShift", "RouteTaken"),
                      ("SetWeights", "RouteTaken")}  # fmt: skip
"""Failures after which the weights are nobody's of this shift, or were not changed yet."""
LOOKS = ("CheckShift", "SetWeights")
MOVES = {("PrepareShift", "Next"), ("CheckShift", "Next"), ("SetWeights", "Next")}
LASTS = ("RestoreWeights", "RecordShift")
"""What has to be done although AWS is busy; their retries pause for 2 to 512 s."""
CAUSE = "{% $exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : '' %}"


def traffic_comes_back(machine: Json) -> list[str]:
    """Every failure is recorded, and before that the weights are restored where they changed."""
    wrong = []
    for name, state in task_states(machine).items():
        rules = state["Catch"]
        if rules[-1]["ErrorEquals"] != ["States.ALL"]:
            wrong.append(f"{name}: the last Catch is not States.ALL alone")
        for rule in rules:
            if asks_again(rule):  # no failure: a_busy_aws_moves_nothing
                continue
            target = "RestoreWeights"
            if any((name, error) in NOTHING_TO_RESTORE for error in (*rule["ErrorEquals"], "*")):
                target = "RecordShift"
            target = "ShiftFailed" if name == "RecordShift" else target
            if rule["Next"] != target:
                wrong.append(f"{name} {rule['ErrorEquals']} goes to {rule['Next']}")
            variable = "notRestored" if name == "RestoreWeights" else "failure"
            said = {"state": name, "error": "{% $states.errorOutput.Error %}", "cause": CAUSE}
            if name != "RecordShift" and rule["Assign"].get(variable) != said:
                wrong.append(f"{name} {rule['ErrorEquals']} does not say what failed")
    return wrong


def a_busy_aws_moves_nothing(machine: Json) -> list[str]:
    """What looks and what sets is asked again, after another look, until a deadline; then the
    traffic comes back. The deadline moves only with a move: after it nothing is due for as long as
    the step bakes, and no step is set without a look."""
    wrong = asl_busy.busy_is_not_yet(machine, LOOKS)
    late = machine["States"]["IsLookOverdue"]
    rule = deadline_rule(late) or {}
    if rule.get("Next") != "RestoreWeights" or "failure" not in rule.get("Assign", {}):
        wrong.append("IsLookOverdue: the deadline is no failure")
    for way in all_ways(machine):
        if "waiting" in way.assign and (way.source, way.by) not in MOVES:
            wrong.append(f"{way.source}.{way.by} moves the deadline")
    look = machine["States"]["CheckShift"]["Assign"]["waiting"]
    if "move = 'bake' ?" not in look or not inside(look).endswith(": $waiting"):
        wrong.append("CheckShift moves the deadline of the step that is to be set")
    for name in LASTS:
        if machine["States"][name]["Retry"][0]["MaxAttempts"] < 9:
            wrong.append(f"{name} gives up before a quarter of an hour")
    return wrong


def only_what_was_recorded_succeeds(machine: Json) -> list[str]:
    """Only the Choice behind RecordShift leads to the Succeed, and not by default."""
    ways = [way for way in all_ways(machine) if way.target == "ShiftSucceeded"]
    wrong = [f"{way.source}.{way.by}" for way in ways if way.source != "IsShifted"]
    wrong += [way.by for way in ways if way.by == "Default"]
    before = [way.source for way in all_ways(machine) if way.target == "IsShifted"]
    return wrong if before == ["RecordShift"] else [*wrong, f"to IsShifted: {before}"]


def every_round_is_looked_at(machine: Json) -> list[str]:
    """Weights are set only after a look, and each round of the loop waits: its end is the worker's,
    who counts the steps (`shifting.next_move`)."""
    wrong = [
        f"{way.source} sets weights"
        for way in all_ways(machine)
        if way.target == "SetWeights" and way.source != "ChooseMove"
    ]
    without = {name: s for name, s in machine["States"].items() if name != "CheckShift"}
    shortened = {**machine, "States": without}
    wrong += [
        f"{name} goes round without a look"
        for name in without
        if any(
            name in reachable_from(shortened, way.target)
            for way in all_ways(shortened)
            if way.source == name
        )
    ]
    return wrong


RULES = (
    asl_rules.targets_exist,
    asl_rules.all_reachable,
    asl_rules.no_dead_ends,
    asl_rules.known_fields_only,
    asl_rules.jsonata_only,
    asl_rules.comments_are_sentences,
    asl_rules.crashes_are_retried,
    asl_rules.tasks_are_bounded_and_retried,
    traffic_comes_back,
    a_busy_aws_moves_nothing,
    only_what_was_recorded_succeeds,
    every_round_is_looked_at,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_definition_obeys(rule: Callable[[Json], list[str]]) -> None:
    assert rule(definition(SHIFT)) == [], rule.__doc__


def _failure(states: Json) -> Any:
    return states["SetWeights"]["Catch"][1]["Assign"]


BREAKAGES: list[tuple[str, Callable[[Json], list[str]], Break]] = [
    ("a failed look that leaves the weights", traffic_comes_back,
     lambda s: s["CheckShift"]["Catch"][2].update(Next="RecordShift")),
    ("a failed step that leaves the weights", traffic_comes_back,
     lambda s: s["SetWeights"]["Catch"][-1].update(Next="RecordShift")),
    ("a route that another one has, overwritten", traffic_comes_back,
     lambda s: s["SetWeights"]["Catch"][1].update(Next="RestoreWeights")),
    ("a failure that is not caught", traffic_comes_back,
     lambda s: s["SetWeights"]["Catch"].pop()),
    ("a failure of the way back that hides the first", traffic_comes_back,
     lambda s: s["RestoreWeights"]["Catch"][0].update(Assign=_failure(s))),
    ("a failure that is not recorded", traffic_comes_back,
     lambda s: s["PrepareShift"]["Catch"][0].update(Next="ShiftFailed")),
    ("a busy AWS that takes the traffic back", a_busy_aws_moves_nothing,
     lambda s: s["CheckShift"]["Catch"].pop(0)),
    ("a busy AWS that takes a set step back", a_busy_aws_moves_nothing,
     lambda s: s["SetWeights"]["Catch"][0].update(Next="RestoreWeights")),
    ("a busy AWS that moves on", a_busy_aws_moves_nothing,
     lambda s: s["CheckShift"]["Catch"][0].update(Next="SetWeights")),
    ("a busy AWS that counts as a step", a_busy_aws_moves_nothing,
     lambda s: s["SetWeights"]["Catch"][0].update(Assign={"reached": 1})),
    ("what is retried and fails in the end", a_busy_aws_moves_nothing,
     lambda s: s["CheckShift"]["Catch"][0]["ErrorEquals"].pop()),
    ("no deadline", a_busy_aws_moves_nothing,
     lambda s: s["IsLookOverdue"]["Choices"][0].update(Condition="{% false %}")),
    ("a deadline that goes on", a_busy_aws_moves_nothing,
     lambda s: s["IsLookOverdue"]["Choices"][0].update(Next="WaitForBake")),
    ("a deadline that every look moves", a_busy_aws_moves_nothing,
     lambda s: s["CheckShift"]["Assign"].update(waiting={"until": "{% $millis() + 900000 %}"})),
    ("a deadline that a busy AWS moves", a_busy_aws_moves_nothing,
     lambda s: s["CheckShift"]["Catch"][0].update(Assign={"waiting": {"until": 0}})),
    ("a way back that gives up soon", a_busy_aws_moves_nothing,
     lambda s: s["RestoreWeights"]["Retry"][0].update(MaxAttempts=5)),
    ("a success that is not recorded", only_what_was_recorded_succeeds,
     lambda s: s["ChooseMove"].update(Default="ShiftSucceeded")),
    ("a success by default", only_what_was_recorded_succeeds,
     lambda s: s["IsShifted"].update(Default="ShiftSucceeded")),
    ("weights without a look", every_round_is_looked_at,
     lambda s: s["PrepareShift"].update(Next="SetWeights")),
    ("a step after a step", every_round_is_looked_at,
     lambda s: s["WaitForBake"].update(Next="ChooseMove")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "spoil"), [case[1:] for case in BREAKAGES], ids=[case[0] for case in BREAKAGES]
)
def test_the_rule_finds(rule: Callable[[Json], list[str]], spoil: Break) -> None:
    broken = definition(SHIFT)
    spoil(broken["States"])
    assert rule(broken) != []


def test_every_expression_parses() -> None:
    answers = jsonata_process.parse([text for _, text in expressions(definition(SHIFT))])
    assert [answer["error"] for answer in answers if "error" in answer] == []


def test_every_variable_is_assigned_on_every_way_and_for_somebody() -> None:
    machine = definition(SHIFT)
    assert asl_dataflow.unassigned_reads(machine, jsonata_process.parse) == []
    assert asl_dataflow.never_read(machine, jsonata_process.parse) == set()
