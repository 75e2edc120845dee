"""Old versions of the control plane: only what nothing can use any more goes."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from new_version import step, told, updating
from old_versions import (
    LAMBDA,
    MIDDLE,
    NEW,
    OLD,
    STACK,
    Plane,
    definition,
    make_role,
    role_of,
)  # fmt: skip

from control_plane import aws
from control_plane.errors import ServiceBusy
from control_plane.models import Deployment, JsonObject
from control_plane.services import roles
from control_plane.settings import forget_settings


@pytest.fixture
def made(world: None) -> Deployment:
    return updating()


@pytest.fixture
def plane(made: Deployment, script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Plane:
    monkeypatch.setattr("workers.release_pruning.utc_now", lambda: build.NOON)
    return Plane(script, build.NOON)


def prune(made: Deployment) -> str:
    """The step; what it says of itself in the history."""
    assert step(made, "PruneVersions") == {"done": True}
    return str(told(made, "PruneVersions")["note"])


def all_of(*numbers: str, functions: tuple[str, ...] = ("api", "record", "stack")) -> set[Any]:
    return {(f"{STACK}-{name}", number) for name in functions for number in numbers}


def left() -> set[str]:
    return set(roles.below("/"))


def roles_of(*builds: str, names: tuple[str, ...] = ("stack", "record", "api", "machine")) -> Any:
    return {role_of(made, name) for made in builds for name in names}


def test_what_was_replaced_long_ago_goes_with_its_roles(made: Deployment, plane: Plane) -> None:
    note = prune(made)
    # 2 was published 40 days ago and replaced 5 days ago: kept for 14 days from then.
    assert set(plane.deleted) == all_of("1")
    assert left() == roles_of(NEW) | roles_of(MIDDLE), "a build's roles stay together"
    assert note == "removed 3 versions and 4 roles; kept 6 versions, with 0 running executions"


@pytest.mark.parametrize(("days", "numbers"), [("0", "12"), ("6", "1"), ("100", "")])
def test_how_long_a_replaced_version_is_kept_is_a_setting(
    made: Deployment, plane: Plane, monkeypatch: pytest.MonkeyPatch, days: str, numbers: str
) -> None:
    monkeypatch.setenv("VERSION_RETENTION_DAYS", days)
    forget_settings()
    prune(made)
    assert set(plane.deleted) == all_of(*numbers)


def test_what_a_running_execution_calls_stays_with_its_roles(
    made: Deployment, plane: Plane
) -> None:
    """Two run, each on another page: one since the first build, one since the last."""
    plane.running = {
        "new": (plane.current, role_of(NEW, "machine")),
        "old": (definition("stack:1"), role_of(OLD, "machine")),
    }
    note = prune(made)
    assert set(plane.deleted) == all_of("1", functions=("api", "record"))
    assert roles_of(OLD) <= left(), "a version names more roles of its build than its own"
    assert note.endswith("kept 7 versions, with 2 running executions")


def test_one_execution_is_told_as_one(made: Deployment, plane: Plane) -> None:
    plane.running = {"new": (plane.current, role_of(NEW, "machine"))}
    assert prune(made).endswith("with 1 running execution")


def test_a_worker_that_only_a_running_execution_calls_is_looked_at_too(
    made: Deployment, plane: Plane
) -> None:
    """The new build has it no more; its versions are old, but one is called."""
    plane.running = {"old": (definition("dropped:2"), role_of(NEW, "machine"))}
    prune(made)
    assert set(plane.deleted) == all_of("1", functions=("api", "dropped", "record", "stack"))


def test_what_another_state_machine_calls_stays_too(made: Deployment, plane: Plane) -> None:
    plane.rollouts = definition("record:1")
    prune(made)
    assert set(plane.deleted) == all_of("1", functions=("api", "stack"))


def test_functions_of_others_are_not_looked_at(made: Deployment, plane: Plane) -> None:
    neighbour = f'"{LAMBDA}:control-plane-prod-main2-stack:1", "{LAMBDA}:other:1"'
    plane.current = plane.current.replace("]", f", {neighbour}]")
    prune(made)
    asked = {call["FunctionName"] for call in plane.script.of("ListVersionsByFunction")}
    assert asked == {f"{STACK}-{name}" for name in ("api", "record", "stack")}


def test_a_version_that_an_alias_names_stays_with_its_role(made: Deployment, plane: Plane) -> None:
    plane.aliased = {(f"{STACK}-api", "1")}
    note = prune(made)
    assert set(plane.deleted) == all_of("1", functions=("record", "stack"))
    assert roles_of(OLD) <= left()
    assert note.startswith("removed 2 versions and 0 roles; kept 7 versions")


def test_a_version_that_is_gone_meanwhile_is_no_failure(
    made: Deployment, plane: Plane, script: scripted.Scripted
) -> None:
    script.on(
        aws.lambda_(), "DeleteFunction", lambda _: scripted.failure("ResourceNotFoundException")
    )
    assert prune(made).startswith("removed 3 versions and 4 roles")


def test_the_step_may_run_twice(made: Deployment, plane: Plane) -> None:
    prune(made)
    plane.gone, before = set(plane.deleted), left()
    assert prune(made).startswith("removed 0 versions and 0 roles; kept 6 versions")
    assert left() == before


def test_the_role_of_the_state_machine_stays(made: Deployment, plane: Plane) -> None:
    """It is the new build's, unless somebody gave it another one."""
    plane.machine_role = role_of(OLD, "machine")
    prune(made)
    assert roles_of(OLD) <= left()


def test_the_role_that_cloudformation_worked_in_stays(made: Deployment, plane: Plane) -> None:
    plane.stack_role = role_of(OLD, "record")
    prune(made)
    assert roles_of(OLD) <= left()


def test_the_roles_of_the_running_build_stay_and_so_do_those_of_neighbours(
    made: Deployment, plane: Plane
) -> None:
    """Those that no version has, too: the stack owns them, and the next build may."""
    own = role_of(NEW, "scheduler")
    neighbour = role_of(OLD, stack=f"{STACK}-two").replace("/stack-", "/theirs-")
    for arn in (own, neighbour):
        make_role(arn)
    prune(made)
    assert {own, neighbour} <= left()


def test_the_role_that_a_function_has_now_stays_though_no_version_has_it(
    made: Deployment, plane: Plane, script: scripted.Scripted
) -> None:
    """Its newest version is of an earlier build: Lambda publishes no version without a change."""
    by_hand = role_of(OLD, "byhand")
    make_role(by_hand)

    def versions(asked: JsonObject) -> JsonObject:
        found = plane._versions(asked)
        for item in found["Versions"]:
            if item["Version"] == "$LATEST":
                item["Role"] = by_hand
        return found

    script.on(aws.lambda_(), "ListVersionsByFunction", versions)
    prune(made)
    assert by_hand in left()


@pytest.mark.parametrize(
    ("code", "error"), [("TooManyRequestsException", ServiceBusy), ("AccessDenied", Exception)]
)
def test_another_error_of_a_deletion_is_told(
    made: Deployment, plane: Plane, script: scripted.Scripted, code: str, error: type[Exception]
) -> None:
    script.on(aws.lambda_(), "DeleteFunction", scripted.failure(code, "because"))
    before = left()
    with pytest.raises(error, match="because"):
        prune(made)
    assert left() == before, "roles are removed after the versions that have them"
    status = "RUNNING" if error is ServiceBusy else "FAILED"
    assert told(made, "PruneVersions")["status"] == status
