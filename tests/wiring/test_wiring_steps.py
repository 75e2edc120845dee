"""A step's name leads from the state to the function, to the worker, to the history, to errors."""

import json
import re

import pytest
from asl_graph import MACHINES, ROOT, Json, definition, happy_path, invoking
from sam_template import (
    function_defaults,
    functions,
    handler_module,
    properties,
    substituted,
    worker_functions,
)
from source_code import (
    function_named,
    path_of,
    raised,
    strings_matched_or_keyed,
    with_imports,
)

import control_plane.errors
from control_plane import crashes
from control_plane.errors import RETRIED, ControlPlaneError
from control_plane.models import STEPS

TASKS = {
    name: state for file in MACHINES.values() for name, state in invoking(definition(file)).items()
}
RECORDS_THE_END = (
    "RecordSuccess", "RecordDryRun", "RecordOffboarding", "RecordDrift", "RecordFailure"
)  # fmt: skip
BY_THE_API = {"ApprovalRejected"}
"""Errors that no worker raises: the API sends them with the task token."""
AWS_ERRORS = ("States.", "Lambda.", "Runtime.", "Sandbox.")


def _function_of(state: Json) -> str:
    """The logical id of the function that a Task invokes."""
    match = re.fullmatch(r"\$\{(\w+)\}", state["Arguments"]["FunctionName"])
    assert match, state["Arguments"]["FunctionName"]
    return match[1]


def _steps_of(function: str) -> set[str]:
    """The steps that the worker behind a function knows."""
    module = handler_module(function)
    known = set(getattr(module, "STEPS", ()))
    path = path_of(module.__name__)
    assert path is not None
    return known or strings_matched_or_keyed(function_named(path, "handler"))


def _error_classes() -> dict[str, type]:
    return {
        name: found
        for name, found in vars(control_plane.errors).items()
        if isinstance(found, type) and issubclass(found, ControlPlaneError)
    }


def _named_errors(state: Json, *members: str) -> set[str]:
    return {e for member in members for rule in state[member] for e in rule["ErrorEquals"]}


@pytest.mark.parametrize("name", TASKS)
def test_a_state_asks_for_the_step_of_its_own_name(name: str) -> None:
    assert TASKS[name]["Arguments"]["Payload"]["step"] == name


@pytest.mark.parametrize("name", TASKS)
def test_the_function_that_a_state_invokes_knows_the_step(name: str) -> None:
    function = _function_of(TASKS[name])
    assert function in functions(), f"template.yaml has no function {function}"
    assert name in _steps_of(function)


@pytest.mark.parametrize("function", worker_functions())
def test_a_worker_knows_no_step_that_is_not_a_state_of_its_own(function: str) -> None:
    asked = {name for name, state in TASKS.items() if _function_of(state) == function}
    assert _steps_of(function) == asked


@pytest.mark.parametrize("name", TASKS)
def test_the_worker_of_a_step_that_crashes_is_the_one_whose_log_is_named(name: str) -> None:
    worker = next(worker for worker, states in crashes.WORKERS.items() if name in states)
    described = properties(_function_of(TASKS[name]))
    assert described["FunctionName"] == {"Sub": f"${{AWS::StackName}}-{worker}"}


def test_the_steps_of_the_history_are_the_tasks_in_their_order() -> None:
    path = [name for name in happy_path(definition()) if name not in RECORDS_THE_END]
    assert list(STEPS) == path


def test_no_two_state_machines_have_a_task_of_the_same_name() -> None:
    assert len(TASKS) == sum(len(invoking(definition(file))) for file in MACHINES.values())


@pytest.mark.parametrize("machine", MACHINES)
def test_every_substitution_is_a_published_version_of_the_function_of_that_name(
    machine: str,
) -> None:
    used = set(re.findall(r"\$\{(\w+)\}", json.dumps(definition(MACHINES[machine]))))
    given = substituted(machine)
    assert set(given) == used
    machines = {"DeploymentMachine": {"Ref": "DeploymentStateMachine"}}
    for name in used:
        assert given[name] == machines.get(name, {"Ref": f"{name}.Version"})


@pytest.mark.parametrize("function", functions())
def test_every_handler_can_be_called(function: str) -> None:
    name = functions()[function]["Handler"].rpartition(".")[2]
    assert callable(getattr(handler_module(function), name))


# Errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_every_error_that_a_state_names_is_a_class(name: str) -> None:
    named = _named_errors(TASKS[name], "Retry", "Catch")
    own = {error for error in named if not error.startswith(AWS_ERRORS)}
    assert own <= set(_error_classes())


@pytest.mark.parametrize("function", worker_functions())
def test_every_error_that_a_worker_raises_is_named_by_a_state_of_its_own(function: str) -> None:
    states = [state for state in TASKS.values() if _function_of(state) == function]
    named = {e for state in states for e in _named_errors(state, "Retry", "Catch")}
    modules = with_imports(handler_module(function).__name__, "workers")
    raises = {error for path in modules for error in raised(path)} & set(_error_classes())
    assert raises, "a worker that raises nothing is not read right"
    assert raises <= named


@pytest.mark.parametrize("function", worker_functions())
def test_every_error_that_a_state_catches_by_name_can_be_raised_there(function: str) -> None:
    states = [state for state in TASKS.values() if _function_of(state) == function]
    caught = {e for state in states for e in _named_errors(state, "Catch")}
    caught = {e for e in caught if not e.startswith(AWS_ERRORS)} - BY_THE_API
    module = handler_module(function).__name__
    modules = with_imports(module, "workers")
    # What a worker calls raises too: `naming`, `sources`, `config`, …
    for path in list(modules):
        modules |= with_imports(".".join(("workers", path.stem)), "control_plane")
    assert caught <= {error for path in modules for error in raised(path)}


def test_what_is_retried_by_name_is_what_errors_calls_retried() -> None:
    named = {e for state in TASKS.values() for e in _named_errors(state, "Retry")}
    own = {error for error in named if not error.startswith(AWS_ERRORS)}
    assert own == {error.__name__ for error in RETRIED}


# Time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_a_state_waits_at_least_as_long_as_its_function_may_run(name: str) -> None:
    """A shorter limit fails the deployment while its worker is still at work."""
    limit = properties(_function_of(TASKS[name])).get("Timeout", function_defaults()["Timeout"])
    assert TASKS[name]["TimeoutSeconds"] >= limit


# Docs -------------------------------------------------------------------------------------------


def test_every_task_is_told_in_the_architecture() -> None:
    told = (ROOT / "docs" / "architecture.md").read_text()
    assert [name for name in TASKS if name not in told] == []


def test_every_patch_of_the_emulator_is_told_and_none_that_is_gone() -> None:
    applied = re.findall(r'^        "(\w+)": ', (ROOT / "local" / "emulator.py").read_text(), re.M)
    told = (ROOT / "docs" / "emulator.md").read_text()
    table = re.findall(r"^\| `(\w+)` \|", told, re.M)
    assert len(applied) >= 12
    assert set(applied) == set(table) & set(applied)
