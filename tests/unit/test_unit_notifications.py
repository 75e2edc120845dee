"""What people are told of a deployment, and what a rule can rely on in the event."""

from typing import Any

import pytest

from control_plane.models import DeploymentStatus
from control_plane.rules.endings import is_unexpected
from control_plane.services.notifications import Notice, of_end, of_waiting

RECORD: dict[str, Any] = {
    "id": "20261122-120000-123abcde",
    "application": "notes",
    "env": "stage",
    "org": "alpha",
    "stack_name": "notes-stage-alpha",
    "mode": "full",
    "status": "FAILED",
    "reason": "AwaitStack: Bucket: it exists",
    "hint": "'syndi retry 20261122-120000-123abcde' in a few minutes",
    "execution_arn": "arn:aws:states:us-east-1:123456789012:execution:syndi-deployment:x",
}
TOLD = {
    "FAILED": ("Deployment Failed", "failed"),
    "ROLLED_BACK": ("Deployment Rolled Back", "rolled back"),
    "TIMED_OUT": ("Deployment Timed Out", "timed out"),
}


@pytest.mark.parametrize("status", DeploymentStatus)
def test_ends_that_nobody_wanted_are_told(status: DeploymentStatus) -> None:
    notice = of_end({**RECORD, "status": status})
    if status not in TOLD:
        assert notice is None
        return
    kind, worded = TOLD[status]
    assert notice is not None
    assert notice.kind == kind
    assert notice.subject == f"notes-stage-alpha: deployment {RECORD['id']} {worded}"
    assert notice.reason == RECORD["reason"]
    assert notice.todo == RECORD["hint"]


def test_an_end_without_reason_or_hint_has_no_empty_line() -> None:
    """EventBridge leaves a variable that is not there in the text as it is."""
    bare = {name: value for name, value in RECORD.items() if name not in ("reason", "hint")}
    notice = of_end(bare)
    assert notice is not None
    assert notice.reason == "no reason is known"
    assert notice.todo == f"'syndi show {RECORD['id']}' says more"


def test_the_event_says_all_that_a_rule_may_ask_for() -> None:
    notice = of_end(RECORD)
    assert notice is not None
    detail = notice.detail("control-plane-prod-main")
    assert detail == {
        "control_plane": "control-plane-prod-main",
        "application": "notes",
        "env": "stage",
        "org": "alpha",
        "mode": "full",
        "tenant": "notes-stage-alpha",
        "deployment": RECORD["id"],
        "status": "FAILED",
        "subject": notice.subject,
        "reason": notice.reason,
        "todo": notice.todo,
        "console_url": notice.console_url,
    }
    assert notice.console_url.endswith(RECORD["execution_arn"])
    assert all(isinstance(value, str) and value for value in detail.values())


def test_waiting_says_until_when_for_what_and_what_to_type() -> None:
    notice = of_waiting(
        {
            **RECORD,
            "status": "AWAITING_APPROVAL",
            "requested_by": "arn:aws:iam::123456789012:user/ann",
            "approval": {"expires_at": "2026-11-23T12:00:00+00:00", "token": "secret"},
            "steps": {"AwaitChangeSet": {"note": "2 added, 1 modified"}},
        }
    )
    assert notice.kind == "Deployment Waiting For Approval"
    assert notice.subject.endswith("waits for an approval")
    assert notice.reason == (
        "until 2026-11-23T12:00 UTC; asked by arn:aws:iam::123456789012:user/ann; mode full; "
        "changes: 2 added, 1 modified"
    )
    assert notice.todo == f"syndi approve {RECORD['id']}, or syndi reject {RECORD['id']}"
    assert "secret" not in str(notice.detail("x"))


def test_texts_fit_between_the_quotes_of_the_rules_template() -> None:
    """EventBridge escapes nothing there."""
    notice = Notice("k", 'a "b"', "c\n\\d", "e" * 3000, "https://x")
    detail = notice.detail("x")
    assert (detail["subject"], detail["reason"]) == ("a 'b'", "c /d")
    assert len(detail["todo"]) <= 1500


# Whose failure it is ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "error", "unexpected"),
    [
        ("AwaitStack", "StackFailed", False),
        ("RunTests", "TestsFailed", False),
        ("CheckStack", "ServiceBusy", False),
        ("AwaitBuild", "BuildTimedOut", False),
        ("AwaitApproval", "States.Timeout", False),
        ("AwaitApproval", "ApprovalRejected", False),
        ("CheckStack", None, False),
        ("CheckStack", "", False),
        ("CheckStack", "ClientError", True),
        ("CheckStack", "KeyError", True),
        ("CheckStack", "States.Timeout", True),
        ("CheckStack", "Sandbox.Timedout", True),
        ("CheckStack", "Runtime.ImportModuleError", True),
        ("CheckStack", "Lambda.Unknown", True),
    ],
)
def test_what_is_none_of_the_known_kinds_is_unexpected(
    state: str, error: str | None, unexpected: bool
) -> None:
    assert is_unexpected(state, error) is unexpected
