"""The state machine obeys the rules, and every rule finds what breaks it."""

from collections.abc import Callable
from typing import Any

import asl_rules
import pytest
from asl_graph import Json, definition

Break = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("rule", asl_rules.RULES, ids=lambda rule: rule.__name__)
def test_the_definition_obeys(rule: Callable[[Json], list[str]]) -> None:
    assert rule(definition()) == [], rule.__doc__


def _catch(states: Json, name: str) -> Any:
    return states[name]["Catch"]


BREAKAGES: list[tuple[str, Callable[[Json], list[str]], Break]] = [
    ("a Next that leads nowhere", asl_rules.targets_exist,
     lambda s: s["StartBuild"].update(Next="AwaitBuidl")),
    ("a Catch that leads nowhere", asl_rules.targets_exist,
     lambda s: _catch(s, "StartBuild")[-1].update(Next="RecordFailures")),
    ("a Default that leads nowhere", asl_rules.targets_exist,
     lambda s: s["IsBuilt"].update(Default="Wait")),
    ("a state nobody goes to", asl_rules.all_reachable,
     lambda s: s["IsAdminWanted"].update(Choices=[])),
    ("a Task without a Next", asl_rules.no_dead_ends, lambda s: s["RunTests"].pop("Next")),
    ("a Choice without a Default", asl_rules.no_dead_ends, lambda s: s["IsBuilt"].pop("Default")),
    ("a Task that ends by itself", asl_rules.no_dead_ends,
     lambda s: s["RunTests"].update(End=True)),
    ("an unknown type", asl_rules.known_fields_only, lambda s: s["RunTests"].update(Type="Tusk")),
    ("an Output of Succeed", asl_rules.known_fields_only,
     lambda s: s["DeploymentSucceeded"].update(Output="{% 1 %}")),
    ("a heartbeat", asl_rules.known_fields_only,
     lambda s: s["RunTests"].update(HeartbeatSeconds=9)),
    ("a MaxDelaySeconds", asl_rules.known_fields_only,
     lambda s: s["RunTests"]["Retry"][0].update(MaxDelaySeconds=9)),
    ("a JSONPath parameter", asl_rules.jsonata_only,
     lambda s: s["RunTests"]["Arguments"]["Payload"].update({"id.$": "$.id"})),
    ("an expression with text around it", asl_rules.jsonata_only,
     lambda s: s["DeploymentFailed"].update(Cause="why: {% $reason %}")),
    ("no comment", asl_rules.comments_are_sentences, lambda s: s["RunTests"].pop("Comment")),
    ("a computed limit", asl_rules.tasks_are_bounded_and_retried,
     lambda s: s["RunTests"].update(TimeoutSeconds="{% 60 %}")),
    ("no limit", asl_rules.tasks_are_bounded_and_retried,
     lambda s: s["RunTests"].pop("TimeoutSeconds")),
    ("no Retry", asl_rules.tasks_are_bounded_and_retried, lambda s: s["RunTests"].pop("Retry")),
    ("a Retry of everything", asl_rules.tasks_are_bounded_and_retried,
     lambda s: s["RunTests"]["Retry"][0]["ErrorEquals"].append("States.ALL")),
    ("no Catch of everything", asl_rules.failures_are_recorded,
     lambda s: _catch(s, "SyncConfig").pop()),
    ("a Catch of everything first", asl_rules.failures_are_recorded,
     lambda s: _catch(s, "SyncConfig").reverse()),
    ("a failure that is not recorded", asl_rules.failures_are_recorded,
     lambda s: _catch(s, "SyncConfig")[-1].update(Next="DeploymentFailed")),
    ("a failure under another state's name", asl_rules.failures_are_recorded,
     lambda s: _catch(s, "SyncConfig")[0]["Assign"]["failure"].update(state="UploadConfig")),
    ("a look that a busy AWS fails", asl_rules.busy_asks_again,
     lambda s: _catch(s, "AwaitStack").pop(0)),
    ("a busy AWS that is taken for the end", asl_rules.busy_asks_again,
     lambda s: _catch(s, "AwaitStack")[0].update(Output={"done": True})),
    ("a busy AWS that skips the deadline", asl_rules.busy_asks_again,
     lambda s: _catch(s, "AwaitStack")[0].update(Next="WaitForOperation")),
    ("a failure that succeeds", asl_rules.only_success_succeeds,
     lambda s: s["RecordFailure"].update(Next="DeploymentSucceeded")),
    ("a Catch that succeeds", asl_rules.only_success_succeeds,
     lambda s: _catch(s, "RunTests")[0].update(Next="DeploymentSucceeded")),
    ("a success that is not recorded", asl_rules.only_success_succeeds,
     lambda s: s["RunTests"].update(Next="DeploymentSucceeded")),
    ("a loop without a deadline", asl_rules.loops_have_a_deadline,
     lambda s: s["IsBuilt"]["Choices"].pop()),
    ("a deadline that goes on", asl_rules.loops_have_a_deadline,
     lambda s: s["IsBuilt"]["Choices"][-1].update(Next="WaitForBuild")),
    ("a deadline that moves", asl_rules.loops_have_a_deadline,
     lambda s: s["AwaitBuild"]["Assign"].update(waiting={"since": 0, "until": 0})),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "spoil"), [case[1:] for case in BREAKAGES], ids=[case[0] for case in BREAKAGES]
)
def test_the_rule_finds(rule: Callable[[Json], list[str]], spoil: Break) -> None:
    broken = definition()
    spoil(broken["States"])
    assert rule(broken) != []
