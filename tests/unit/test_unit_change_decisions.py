"""What a change set may do, and what an operation's events say."""

import pytest

from control_plane.decisions import (
    Change,
    StackEvent,
    first_failure,
    is_without_changes,
    refuse_changes,
    settled_status,
    summarize,
)

STATEFUL = ("AWS::Cognito::UserPool", "AWS::S3::Bucket", "AWS::DynamoDB::Table")


def change(action: str, kind: str, replacement: str = "False", name: str = "It") -> Change:
    return Change(action, name, kind, replacement)


@pytest.mark.parametrize("kind", STATEFUL)
@pytest.mark.parametrize(
    ("action", "replacement", "told"),
    [
        ("Remove", "False", "removed"),
        ("Modify", "True", "replaced"),
        ("Modify", "Conditional", "replaced"),
    ],
)
def test_what_holds_data_is_neither_removed_nor_replaced(
    kind: str, action: str, replacement: str, told: str
) -> None:
    changes = [change("Modify", "AWS::Lambda::Function"), change(action, kind, replacement, "Pool")]
    refusal = refuse_changes(changes, stateful_types=STATEFUL, allow_replacement=())
    assert refusal is not None
    assert f"Pool ({kind}) would be {told}" in refusal
    assert "allow_replacement" in refusal
    assert refuse_changes(changes, stateful_types=STATEFUL, allow_replacement=("Pool",)) is None


@pytest.mark.parametrize(
    "harmless",
    [
        change("Add", "AWS::S3::Bucket"),
        change("Modify", "AWS::S3::Bucket", "False"),
        change("Remove", "AWS::Lambda::Function"),
        change("Modify", "AWS::Lambda::Permission", "True"),
    ],
)
def test_what_loses_no_data_is_let_through(harmless: Change) -> None:
    assert refuse_changes([harmless], stateful_types=STATEFUL, allow_replacement=()) is None


def test_a_refusal_names_every_resource_that_would_lose_data() -> None:
    refusal = refuse_changes(
        [
            change("Remove", "AWS::S3::Bucket", name="Forms"),
            change("Modify", "AWS::Cognito::UserPool", "True", name="Users"),
        ],
        stateful_types=STATEFUL,
        allow_replacement=(),
    )
    assert refusal is not None
    assert "Forms" in refusal
    assert "Users" in refusal


def test_a_summary_sorts_resources_by_what_happens_to_them() -> None:
    kind = "AWS::Lambda::Function"
    assert summarize(
        [
            change("Add", kind, name="Zeta"),
            change("Add", kind, name="Alpha"),
            change("Modify", kind, name="Changed"),
            change("Modify", kind, "True", name="Replaced"),
            change("Modify", kind, "Conditional", name="Perhaps"),
            change("Remove", kind, name="Removed"),
            change("Import", kind, name="Adopted"),
        ]
    ) == {
        "added": ["Adopted", "Alpha", "Zeta"],
        "modified": ["Changed"],
        "replaced": ["Replaced"],
        "maybe_replaced": ["Perhaps"],
        "removed": ["Removed"],
    }


def test_a_summary_names_no_kind_that_did_not_happen() -> None:
    assert summarize([]) == {}
    assert summarize([change("Remove", "AWS::S3::Bucket", name="Gone")]) == {"removed": ["Gone"]}


@pytest.mark.parametrize(
    ("reason", "without"),
    [
        (
            "The submitted information didn't contain changes. Submit different information to "
            "create a change set.",
            True,
        ),
        ("No updates are to be performed.", True),
        ("", False),
        ("Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless template.", False),
        ("Rate exceeded", False),
        ("Resource handler returned: the bucket didn't allow it", False),
    ],
)
def test_only_cloudformations_own_sentences_mean_that_nothing_changes(
    reason: str, without: bool
) -> None:
    assert is_without_changes(reason) is without


# Events -------------------------------------------------------------------------------------------


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
