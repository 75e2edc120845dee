"""The budget of requests knows every step that makes them, and how its state takes a busy AWS."""

import pytest
from asl_graph import asks_again, definition, task_states
from aws_calls import actions
from sam_template import handler_module, mentions, statements, worker_functions
from source_code import with_imports

from control_plane.rules.request_limits import CALLS, LOOKS
from workers import admin, code, config, release, stack, verify

STATES = task_states(definition())
COUNTED = ("cloudformation:", "lambda:")
NO_STEPS_OF_DEPLOYMENTS = {"workers.offboard", "workers.route"}
"""A few requests for a person who changes a route or removes a tenant; no fleet does."""


def test_these_workers_make_such_requests() -> None:
    making = set()
    for function in worker_functions():
        module = handler_module(function).__name__
        paths = with_imports(module, "workers") if module.startswith("workers.") else set()
        if any(action.startswith(COUNTED) for path in paths for action in actions(path)):
            making.add(module)
    # Admin and config do too, by a service of the control plane (control_plane/services/ownership).
    assert making - NO_STEPS_OF_DEPLOYMENTS == {
        "workers.stack", "workers.code", "workers.release", "workers.verify",
    }  # fmt: skip


def test_every_step_that_makes_requests_is_counted() -> None:
    trials = {"StartTrial", "AwaitTrial"}  # they start and ask executions
    comparing = {*admin.STEPS, *verify.STEPS, "SyncConfig"}  # what outputs name, with the stack
    assert set(config.STEPS) >= {"SyncConfig"}
    assert set(CALLS) == {*stack.STEPS, *code.STEPS, *comparing, *(set(release.STEPS) - trials)}


def test_a_step_that_does_not_wait_is_asked_again_and_the_others_are_retried() -> None:
    again = {
        name for name in CALLS if any(asks_again(rule) for rule in STATES[name].get("Catch", []))
    }
    assert again > LOOKS
    assert {name for name in again if name.startswith("Await")} == LOOKS
    for name in CALLS:
        assert any("ServiceBusy" in retry["ErrorEquals"] for retry in STATES[name]["Retry"]), name


@pytest.mark.parametrize("function", worker_functions())
def test_whoever_is_counted_may_count_and_nobody_else(function: str) -> None:
    steps = set(getattr(handler_module(function), "STEPS", ()))
    may = [s for s in statements(function) if mentions(s, "BUDGET#*")]
    assert [s["Action"] for s in may] == ["dynamodb:UpdateItem"] * bool(steps & set(CALLS))
