"""Ends in the middle: who may ask for one, who may try again, and what one leaves."""

from typing import Any

import pytest

from control_plane.models import DeploymentStatus, StackStatus
from control_plane.rules.endings import (
    GOOD,
    UNTOUCHED,
    left_behind,
    of_operation,
    of_tenant,
    refuse_cancel,
    refuse_retry,
)


def record(status: str = "RUNNING", **more: Any) -> dict[str, Any]:
    return {"id": "d-1", "status": status, "request": {}, **more}


def steps(**statuses: str) -> dict[str, Any]:
    """Steps that were entered once."""
    return {name: {"status": status, "attempts": 1} for name, status in statuses.items()}


@pytest.mark.parametrize("status", ["QUEUED", "RUNNING", "AWAITING_APPROVAL"])
def test_what_has_not_ended_is_cancelled_and_not_tried_again(status: str) -> None:
    assert refuse_cancel(record(status)) is None
    assert f"d-1 is {status}" in str(refuse_retry(record(status)))


@pytest.mark.parametrize("status", [s for s in DeploymentStatus if s.is_final])
def test_what_has_ended_is_not_cancelled_and_its_end_told(status: DeploymentStatus) -> None:
    told = refuse_cancel(record(status, reason="because"))
    assert told == f"d-1 ended {status} already (because)"


@pytest.mark.parametrize("status", [s for s in DeploymentStatus if s.is_final])
def test_what_ended_without_success_is_tried_again(status: DeploymentStatus) -> None:
    assert bool(refuse_retry(record(status))) is (status == DeploymentStatus.SUCCEEDED)


def test_a_request_that_was_never_recorded_is_not_tried_again() -> None:
    wrong = {"id": "d-1", "status": "FAILED", "reason": "org: is too long"}
    assert "org: is too long" in str(refuse_retry(wrong))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"rollback_steps": {}}, "is rolling back: let it end"),
        ({"steps": steps(DeleteStack="RUNNING")}, "is deleting its stack"),
    ],
)
def test_what_must_not_be_cut_off_is_not(more: dict[str, Any], told: str) -> None:
    assert told in str(refuse_cancel(record(**more)))


@pytest.mark.parametrize("status", StackStatus)
def test_what_became_of_the_stack_is_told_for_every_status(status: StackStatus) -> None:
    assert f"the stack is {status}" in of_operation(status)


NEW_BUILD = "the stack has the new build, which is not tested"
GOES_ON = "the stack's operation goes on, and the next deployment waits for it"
CONFIG = "its configuration was uploaded and is live"
LEFT = [
    ("nothing was begun", {}, ""),
    ("it had been built", {"steps": steps(AwaitBuild="SUCCEEDED")}, ""),
    ("the configuration is up", {"config_content": {}}, CONFIG),
    ("the operation was begun", {"steps": steps(ExecuteChangeSet="SUCCEEDED")}, GOES_ON),
    (
        "the operation was looked at",
        {"steps": steps(ExecuteChangeSet="SUCCEEDED", AwaitStack="RUNNING")},
        GOES_ON,
    ),
    (
        "the operation has settled",
        {"steps": steps(ExecuteChangeSet="SUCCEEDED", AwaitStack="FAILED")},
        "",
    ),
    (
        "the operation was not begun",
        {"steps": {"ExecuteChangeSet": {"status": "FAILED", "attempts": 1, "note": UNTOUCHED}}},
        "",
    ),
    (
        "the operation was begun by an earlier attempt",
        {"steps": {"ExecuteChangeSet": {"status": "FAILED", "attempts": 2, "note": UNTOUCHED}}},
        GOES_ON,
    ),
    ("the stack is through", {"steps": steps(AwaitStack="SUCCEEDED")}, NEW_BUILD),
    (
        "the tests are through",
        {"steps": steps(AwaitStack="SUCCEEDED", RunTests="SUCCEEDED")},
        "the stack has the new build",
    ),
    (
        "the function was patched",
        {"steps": steps(PatchFunction="RUNNING")},
        "the function may have the new code, which is not tested",
    ),
    (
        "the stack was being deleted",
        {"steps": steps(DeleteStack="SUCCEEDED", AwaitRemoval="RUNNING")},
        "the deletion of the stack goes on, unless it is through",
    ),
    ("it was on its way back", {"rollback_steps": {}}, "it was rolling back: the tenant may have"),
]


@pytest.mark.parametrize(("found", "told"), [row[1:] for row in LEFT], ids=[row[0] for row in LEFT])
def test_what_an_end_in_the_middle_left_is_told(found: dict[str, Any], told: str) -> None:
    left = left_behind(found)
    assert left.startswith(told)
    assert bool(left) is bool(told)


# What becomes of the tenant -----------------------------------------------------------------------

BUILD = {"fingerprint": "b1"}
PATCH = {"fingerprint": "p1"}
PATCHED = ({"patch": PATCH, "build": {**BUILD, "patched": "p1"}, "running": "p1"}, [])


@pytest.mark.parametrize(
    ("found", "restored", "expected"),
    [
        ({}, {}, ({}, [])),
        ({}, {"build": BUILD}, ({"build": BUILD}, ["patch"])),
        ({"steps": steps(AwaitRemoval="SUCCEEDED")}, {}, ({"offboarded_at": "now"}, GOOD)),
        ({"steps": steps(AwaitRemoval="FAILED")}, {}, ({}, [])),
        ({"patch": PATCH, "steps": steps(PatchFunction="SUCCEEDED")}, {}, PATCHED),
        ({"patch": PATCH, "steps": steps(PatchFunction="FAILED")}, {}, PATCHED),
        (
            {
                "patch": PATCH,
                "steps": steps(PatchFunction="SUCCEEDED"),
                "rollback_steps": steps(ReconcileFunction="SUCCEEDED"),
            },
            {},
            ({}, []),
        ),
    ],
)
def test_an_end_without_success_says_what_it_made_of_the_tenant(
    found: dict[str, Any], restored: dict[str, Any], expected: Any
) -> None:
    assert of_tenant(record(**found), {"build": BUILD}, restored, "now") == expected


def test_a_configuration_that_was_put_back_is_not_called_live() -> None:
    uploaded = {"config_content": {"a": 1}}
    assert "is live" in left_behind(record(**uploaded))
    back = steps(RestoreConfig="SUCCEEDED")
    assert left_behind(record(**uploaded, steps=back)) == ""
