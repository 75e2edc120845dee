"""Table A of docs/lifecycle.md, written out a second time, for each thing that may be asked."""

import pytest

from control_plane.models import Env, Mode, StackStatus, Tenant
from control_plane.rules.decisions import (
    StackAction,
    StackDecision,
    StackEvent,
    StackRequest,
    decide_stack,
)

DEPLOY, FUNCTION, OFFBOARD, DRIFT = "deploy", "function", "offboard", "drift"
CREATE, UPDATE, WAIT, REFUSE = "create", "update", "wait", "refuse"

# status: what is done by (a deployment, function mode, offboarding, a look for drift)
TABLE_A = {
    None: (CREATE, REFUSE, "delete", REFUSE),
    "REVIEW_IN_PROGRESS": (CREATE, REFUSE, "delete", REFUSE),
    "DELETE_COMPLETE": (CREATE, REFUSE, "delete", REFUSE),
    "CREATE_COMPLETE": (UPDATE, UPDATE, "delete", "inspect"),
    "UPDATE_COMPLETE": (UPDATE, UPDATE, "delete", "inspect"),
    "IMPORT_COMPLETE": (UPDATE, UPDATE, "delete", "inspect"),
    "UPDATE_ROLLBACK_COMPLETE": (UPDATE, UPDATE, "delete", "inspect"),
    "IMPORT_ROLLBACK_COMPLETE": (UPDATE, UPDATE, "delete", "inspect"),
    "ROLLBACK_COMPLETE": ("delete-first", REFUSE, "delete", REFUSE),
    "CREATE_FAILED": ("delete-first", REFUSE, "delete", REFUSE),
    "ROLLBACK_FAILED": ("delete-first", REFUSE, "delete", REFUSE),
    "DELETE_FAILED": (REFUSE, REFUSE, "delete", REFUSE),
    "UPDATE_FAILED": (REFUSE, REFUSE, "delete", REFUSE),
    "IMPORT_ROLLBACK_FAILED": (REFUSE, REFUSE, "delete", REFUSE),
    "UPDATE_ROLLBACK_FAILED": ("continue-rollback", REFUSE, "delete", "inspect"),
    "CREATE_IN_PROGRESS": (WAIT, WAIT, WAIT, WAIT),
    "ROLLBACK_IN_PROGRESS": (WAIT, WAIT, WAIT, WAIT),
    "DELETE_IN_PROGRESS": (WAIT, WAIT, WAIT, WAIT),
    "UPDATE_IN_PROGRESS": (WAIT, WAIT, WAIT, WAIT),
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": (WAIT, WAIT, WAIT, WAIT),
    "UPDATE_ROLLBACK_IN_PROGRESS": (WAIT, WAIT, WAIT, WAIT),
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": (WAIT, WAIT, WAIT, WAIT),
    "IMPORT_IN_PROGRESS": (WAIT, WAIT, WAIT, WAIT),
    "IMPORT_ROLLBACK_IN_PROGRESS": (WAIT, WAIT, WAIT, WAIT),
}
COLUMNS = {
    Mode.FULL: 0, Mode.DEPLOY_ONLY: 0, Mode.ROLLBACK: 0, Mode.FUNCTION: 1, Mode.OFFBOARD: 2,
    Mode.DRIFT: 3,
}  # fmt: skip
TENANT = Tenant(application="notes", env=Env.STAGE, org="alpha")
ID = "20261122-120000-000aaaaa"


def decide(
    status: str | None,
    mode: Mode = Mode.FULL,
    event: StackEvent | None = None,
    dry_run: bool = False,
    continued: bool = False,
) -> StackDecision:
    return decide_stack(
        StackStatus(status) if status else None,
        event,
        StackRequest(TENANT, mode, dry_run, ID, rollback_continued=continued),
    )


def event(token: str = "", reason: str = "") -> StackEvent:
    return StackEvent("Forms", "AWS::S3::Bucket", "X", reason, is_stack=False, token=token)


def test_the_table_has_every_status_that_cloudformation_knows_and_every_mode() -> None:
    assert set(TABLE_A) - {None} == {status.value for status in StackStatus}
    assert len(StackStatus) == 23
    assert set(COLUMNS) == set(Mode)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("status", TABLE_A)
def test_each_status_leads_to_the_action_of_table_a(status: str | None, mode: Mode) -> None:
    decision = decide(status, mode)
    assert decision.action == TABLE_A[status][COLUMNS[mode]]
    assert len(decision.reason.split()) >= 4


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode != Mode.OFFBOARD])
@pytest.mark.parametrize("continued", [False, True])
def test_only_stacks_whose_first_creation_failed_are_deleted_unless_removal_was_asked_for(
    mode: Mode, continued: bool
) -> None:
    deleted = {
        status
        for status in (None, *StackStatus)
        if decide(status, mode, continued=continued).action
        in (StackAction.DELETE_FIRST, StackAction.DELETE)
    }
    assert deleted <= {"ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"}


def test_a_failed_update_that_was_undone_is_a_live_tenant() -> None:
    assert "has data" in decide("UPDATE_ROLLBACK_COMPLETE").reason


def test_a_rollback_is_continued_once_and_then_refused() -> None:
    refused = decide("UPDATE_ROLLBACK_FAILED", continued=True, event=event(reason="no such role"))
    assert refused.action == "refuse"
    assert "deploy again" in refused.reason
    assert "Forms: no such role" in refused.reason


@pytest.mark.parametrize("status", [status for status in TABLE_A if status])
def test_a_continued_rollback_changes_no_other_decision(status: str) -> None:
    if status != "UPDATE_ROLLBACK_FAILED":
        assert decide(status, continued=True).action == TABLE_A[status][0]


def test_a_half_deleted_stack_names_the_command_that_finishes_the_deletion() -> None:
    refused = decide("DELETE_FAILED", event=event(reason="The bucket\n is not empty"))
    assert "'syndi offboard stage alpha --application notes'" in refused.reason
    assert "Forms: The bucket is not empty" in refused.reason


def test_the_control_planes_own_half_deleted_stack_names_its_own_command() -> None:
    own = StackRequest(Tenant(application="control-plane", env=Env.PROD, org="main"))
    reason = decide_stack(StackStatus.DELETE_FAILED, None, own).reason
    assert "'syndi uninstall' finishes the deletion then 'syndi install'" in reason
    assert "offboard" not in reason


@pytest.mark.parametrize("status", [None, "ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"])
def test_function_mode_says_what_has_to_come_first(status: str | None) -> None:
    assert "deploy it in full first" in decide(status, Mode.FUNCTION).reason


@pytest.mark.parametrize("status", TABLE_A)
def test_a_dry_run_never_touches_a_stack(status: str | None) -> None:
    decision = decide(status, dry_run=True)
    if TABLE_A[status][0] in ("delete-first", "continue-rollback"):
        assert decision.action == "refuse"
        assert "deploy without --dry-run" in decision.reason
    else:
        assert decision.action == TABLE_A[status][0]


@pytest.mark.parametrize(
    ("token", "own"),
    [(ID, True), (f"{ID}-rollback", True), (f"{ID}-delete", True), ("another", False), ("", False)],
)
def test_an_operation_of_this_deployment_is_told_from_somebody_elses(token: str, own: bool) -> None:
    decision = decide("UPDATE_ROLLBACK_IN_PROGRESS", event=event(token))
    assert decision.action == "wait"
    assert ("this deployment" in decision.reason) is own
    assert ("somebody else" in decision.reason) is not own


def test_an_operation_that_outlived_its_deployment_is_named() -> None:
    """Whoever waits for it would not know that nobody drives it any more."""
    other = "20261122-120100-000abcde"
    request = StackRequest(tenant=TENANT, deployment_id="20261122-130100-000abcde")
    for token in (other, f"{other}-back", f"{other}-delete"):
        event = StackEvent("s", "AWS::CloudFormation::Stack", "UPDATE_IN_PROGRESS", "", True, token)
        decision = decide_stack(StackStatus.UPDATE_IN_PROGRESS, event, request)
        assert other in decision.reason
    event = StackEvent("s", "AWS::CloudFormation::Stack", "UPDATE_IN_PROGRESS", "", True, "cli-1")
    assert "somebody else" in decide_stack(StackStatus.UPDATE_IN_PROGRESS, event, request).reason
