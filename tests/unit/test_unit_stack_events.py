"""What the events of an operation on a stack say: how it ended, and what really failed."""

import pytest

from control_plane.rules.decisions import StackEvent, first_failure, settled_status


def event(status: str, name: str = "Function", reason: str = "") -> StackEvent:
    return StackEvent(name, "AWS::Lambda::Function", status, reason, is_stack=False)


def stack(status: str, reason: str = "") -> StackEvent:
    return StackEvent("stage", "AWS::CloudFormation::Stack", status, reason, is_stack=True)


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], None),
        ([event("CREATE_COMPLETE")], None),
        ([stack("UPDATE_IN_PROGRESS"), event("UPDATE_COMPLETE")], None),
        ([stack("UPDATE_IN_PROGRESS"), stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")], None),
        ([stack("UPDATE_IN_PROGRESS"), stack("UPDATE_COMPLETE")], "UPDATE_COMPLETE"),
        ([stack("CREATE_IN_PROGRESS"), stack("ROLLBACK_IN_PROGRESS")], None),
        ([stack("ROLLBACK_IN_PROGRESS"), stack("ROLLBACK_COMPLETE")], "ROLLBACK_COMPLETE"),
        ([stack("UPDATE_IN_PROGRESS"), stack("UPDATE_FAILED")], "UPDATE_FAILED"),
        (
            [stack("UPDATE_FAILED"), stack("UPDATE_ROLLBACK_IN_PROGRESS")],
            None,  # the failure is not the end: it is being undone
        ),
        (
            [stack("UPDATE_ROLLBACK_IN_PROGRESS"), stack("UPDATE_ROLLBACK_FAILED")],
            "UPDATE_ROLLBACK_FAILED",
        ),
    ],
)
def test_an_operation_has_settled_when_its_stacks_own_last_event_says_so(
    events: list[StackEvent], status: str | None
) -> None:
    assert settled_status(events) == status


def test_a_resource_that_is_complete_does_not_settle_the_operation() -> None:
    assert settled_status([stack("CREATE_IN_PROGRESS"), event("CREATE_COMPLETE")]) is None
    assert settled_status([event("CREATE_FAILED", reason="no")]) is None


def test_the_first_resource_that_failed_is_the_reason() -> None:
    told = first_failure(
        [
            stack("CREATE_IN_PROGRESS"),
            event("CREATE_FAILED", "Bucket", "it already\n  exists"),
            event("CREATE_FAILED", "Later", "also wrong"),
            stack("CREATE_FAILED", "The following resource(s) failed to create: [Bucket, Later]"),
        ]
    )
    assert told == "Bucket (AWS::Lambda::Function): it already exists"


@pytest.mark.parametrize("noise", ["Resource creation cancelled", "Resource update cancelled"])
def test_a_cancelled_resource_is_not_the_reason(noise: str) -> None:
    told = first_failure(
        [
            event("CREATE_FAILED", "Cancelled", noise),
            event("CREATE_FAILED", "Culprit", "not authorized"),
        ]
    )
    assert told == "Culprit (AWS::Lambda::Function): not authorized"


def test_the_stacks_own_failure_is_told_when_no_resource_failed() -> None:
    told = first_failure([stack("UPDATE_ROLLBACK_IN_PROGRESS"), stack("UPDATE_FAILED", "why")])
    assert told == "stage (AWS::CloudFormation::Stack): why"


def test_cancelled_resources_are_told_when_nothing_else_failed() -> None:
    told = first_failure([event("UPDATE_FAILED", "Only", "Resource update cancelled")])
    assert told == "Only (AWS::Lambda::Function): Resource update cancelled"


def test_no_failure_is_no_reason() -> None:
    assert first_failure([stack("UPDATE_COMPLETE"), event("UPDATE_COMPLETE")]) is None
