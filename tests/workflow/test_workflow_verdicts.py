"""The assertions of these tests say no to state machines that hide or forget a failure."""

from collections.abc import Callable
from typing import Any

import pytest
from rehearsal import Stage, definition, failing
from verdicts import HAPPY, assert_failed_and_recorded, assert_succeeded

SCRIPT = {"StartBuild": [failing("BuildFailed", "make: *** no rule")]}
VERDICT = ("StartBuild", "BuildFailed", "make: *** no rule")
RECEIPT = ("build", "changeSet", "stack", "config", "admin", "tests")


def _without_catch(states: Any) -> None:
    del states["StartBuild"]["Catch"]


def _catch_succeeds(states: Any) -> None:
    for rule in states["StartBuild"]["Catch"]:
        rule["Next"] = "DeploymentSucceeded"


def _catch_records_a_success(states: Any) -> None:
    for rule in states["StartBuild"]["Catch"]:
        rule |= {"Next": "RecordSuccess", "Assign": {name: {} for name in RECEIPT}}


def _catch_records_nothing(states: Any) -> None:
    for rule in states["StartBuild"]["Catch"]:
        rule["Assign"]["reason"] = "it failed"
        rule["Next"] = "DeploymentFailed"


def _catch_blames_another(states: Any) -> None:
    for rule in states["StartBuild"]["Catch"]:
        rule["Assign"]["failure"]["state"] = "AwaitBuild"


def _recorded_failure_succeeds(states: Any) -> None:
    states["RecordFailure"]["Next"] = "DeploymentSucceeded"


def _fails_under_another_name(states: Any) -> None:
    states["DeploymentFailed"]["Error"] = "DeploymentFailed"


@pytest.mark.parametrize(
    "spoil",
    [
        _without_catch,
        _catch_succeeds,
        _catch_records_a_success,
        _catch_records_nothing,
        _catch_blames_another,
        _recorded_failure_succeeds,
        _fails_under_another_name,
    ],
)
def test_a_state_machine_that_mistreats_a_failure_is_found(
    stage: Stage, spoil: Callable[[Any], None]
) -> None:
    spoiled = definition()
    spoil(spoiled["States"])
    told = stage.run(SCRIPT, machine=stage.machine_of(spoiled))
    with pytest.raises(AssertionError):
        assert_failed_and_recorded(told, *VERDICT)


def test_the_state_machine_as_it_is_passes_the_same_verdict(stage: Stage) -> None:
    assert_failed_and_recorded(stage.run(SCRIPT), *VERDICT)


def test_a_state_machine_that_leaves_out_the_tests_is_found(stage: Stage) -> None:
    spoiled = definition()
    spoiled["States"]["IsAdminWanted"]["Default"] = "RecordSuccess"
    spoiled["States"]["IsAdminWanted"]["Assign"] = {"tests": []}
    told = stage.run({}, machine=stage.machine_of(spoiled))
    assert told.status == "SUCCEEDED"
    with pytest.raises(AssertionError):
        assert_succeeded(told, HAPPY)
