"""The rollout's state machine: the rules of every machine, and what is its own."""

from collections.abc import Callable
from typing import Any

import asl_busy
import asl_dataflow
import asl_rules
import jsonata_process
import pytest
from asl_graph import ROLLOUT, Json, definition, expressions, invoking, reachable_from, task_states

RULES = (
    asl_rules.targets_exist,
    asl_rules.all_reachable,
    asl_rules.no_dead_ends,
    asl_rules.jsonata_only,
    asl_rules.comments_are_sentences,
    asl_rules.crashes_are_retried,
)
"""Those of the deployment's rules that are about any machine. A rollout has no deadline: it may
wait for a person, or be paused, for days; and its failures are StopRollout's."""


def inner() -> Json:
    """What is done with each of the deployments to be started."""
    return dict(definition(ROLLOUT)["States"]["StartDeployments"]["ItemProcessor"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_definition_obeys(rule: Callable[[Json], list[str]]) -> None:
    assert rule(definition(ROLLOUT)) == [], rule.__doc__


def test_a_deployment_that_cannot_be_started_ends_no_rollout() -> None:
    states = inner()["States"]
    assert states["StartDeployment"]["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
    assert states["IsStarted"]["End"] is True
    caught = definition(ROLLOUT)["States"]["StartDeployments"]["Catch"]
    assert [(rule["ErrorEquals"], rule["Next"]) for rule in caught] == [
        (["States.ALL"], "WaitForDeployments")
    ]


@pytest.mark.parametrize("name", task_states(definition(ROLLOUT)))
def test_whatever_fails_is_recorded_and_red(name: str) -> None:
    state = definition(ROLLOUT)["States"][name]
    last = state["Catch"][-1]
    assert last["ErrorEquals"] == ["States.ALL"]
    assert last["Next"] == ("RolloutFailed" if name == "StopRollout" else "StopRollout")
    assert type(state["TimeoutSeconds"]) is int


@pytest.mark.parametrize("name", invoking(definition(ROLLOUT)))
def test_a_busy_aws_is_asked_again(name: str) -> None:
    state = definition(ROLLOUT)["States"][name]
    assert "ServiceBusy" in state["Retry"][0]["ErrorEquals"]


LOOKS = ("AdvanceRollout", "ContinueRollout")
"""Both come back at the next look; there is no deadline, since nothing moves without one."""


def test_a_busy_aws_never_ends_a_rollout_that_is_on_its_way() -> None:
    machine = definition(ROLLOUT)
    assert asl_busy.busy_is_not_yet(machine, LOOKS) == []
    for name in LOOKS:
        rule = machine["States"][name]["Catch"][0]
        assert rule["Next"] == "WaitForDeployments"
        assert rule["Assign"] == {"spent": "{% $spent + 25 %}"}, "its history grows all the same"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s["AdvanceRollout"]["Catch"].pop(0),
        lambda s: s["AdvanceRollout"]["Catch"][0]["ErrorEquals"].pop(),
        lambda s: s["AdvanceRollout"]["Catch"][0].update(Next="StopRollout"),
        lambda s: s["ContinueRollout"]["Catch"].pop(0),
        lambda s: s["ContinueRollout"]["Catch"][0].update(Next="RolloutHandedOver"),
        lambda s: s["PrepareRollout"]["Catch"].insert(0, s["AdvanceRollout"]["Catch"][0]),
    ],
)
def test_a_busy_aws_that_ends_it_is_found(spoil: Callable[[Any], object]) -> None:
    broken = definition(ROLLOUT)
    spoil(broken["States"])
    assert asl_busy.busy_is_not_yet(broken, LOOKS)


def test_whoever_takes_a_rollout_over_is_retried_for_a_quarter_of_an_hour() -> None:
    retry = definition(ROLLOUT)["States"]["PrepareRollout"]["Retry"][0]
    assert retry["MaxAttempts"] >= 9, "its failure would end a rollout that is on its way"


def test_nothing_leads_from_a_failure_to_a_success() -> None:
    machine = definition(ROLLOUT)
    after = reachable_from(machine, "StopRollout")
    assert {name for name in after if machine["States"][name]["Type"] == "Succeed"} == set()


def test_every_expression_parses_and_reads_only_what_is_there() -> None:
    machine = definition(ROLLOUT)
    texts = [text for _, text in expressions(machine)]
    assert [a for a in jsonata_process.parse(texts) if "error" in a] == []
    assert asl_dataflow.unassigned_reads(machine, jsonata_process.parse) == []
    assert asl_dataflow.never_read(machine, jsonata_process.parse) == set()


def test_a_variable_that_nobody_assigned_is_found() -> None:
    broken: Any = definition(ROLLOUT)
    del broken["States"]["PrepareRollout"]["Assign"]["pause"]
    del broken["States"]["AdvanceRollout"]["Assign"]["pause"]
    assert asl_dataflow.unassigned_reads(broken, jsonata_process.parse)
