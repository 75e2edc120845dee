"""Table A of the field notes, written out a second time, and the parameters of a change set."""

import pytest

from control_plane.decisions import StackAction, decide_stack, stack_parameters
from control_plane.models import StackStatus

TABLE_A = {
    None: "create",
    "REVIEW_IN_PROGRESS": "create",
    "DELETE_COMPLETE": "create",
    "CREATE_COMPLETE": "update",
    "UPDATE_COMPLETE": "update",
    "IMPORT_COMPLETE": "update",
    "UPDATE_ROLLBACK_COMPLETE": "update",
    "IMPORT_ROLLBACK_COMPLETE": "update",
    "ROLLBACK_COMPLETE": "delete-first",
    "CREATE_FAILED": "delete-first",
    "ROLLBACK_FAILED": "delete-first",
    "DELETE_FAILED": "refuse",
    "UPDATE_FAILED": "refuse",
    "IMPORT_ROLLBACK_FAILED": "refuse",
    "UPDATE_ROLLBACK_FAILED": "continue-rollback",
    "CREATE_IN_PROGRESS": "wait",
    "ROLLBACK_IN_PROGRESS": "wait",
    "DELETE_IN_PROGRESS": "wait",
    "UPDATE_IN_PROGRESS": "wait",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "wait",
    "UPDATE_ROLLBACK_IN_PROGRESS": "wait",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "wait",
    "IMPORT_IN_PROGRESS": "wait",
    "IMPORT_ROLLBACK_IN_PROGRESS": "wait",
}


def status_of(name: str | None) -> StackStatus | None:
    return None if name is None else StackStatus(name)


def test_the_table_has_every_status_that_cloudformation_knows() -> None:
    assert set(TABLE_A) - {None} == {status.value for status in StackStatus}
    assert len(StackStatus) == 23


@pytest.mark.parametrize(("status", "action"), TABLE_A.items())
def test_each_status_leads_to_the_action_of_table_a(status: str | None, action: str) -> None:
    assert decide_stack(status_of(status)).action == action


@pytest.mark.parametrize("status", TABLE_A)
def test_each_decision_says_why(status: str | None) -> None:
    assert len(decide_stack(status_of(status)).reason.split()) >= 4


@pytest.mark.parametrize("continued", [False, True])
def test_only_stacks_whose_first_creation_failed_are_ever_deleted(continued: bool) -> None:
    deleted = {
        status
        for status in (None, *StackStatus)
        if decide_stack(status, rollback_continued=continued).action == StackAction.DELETE_FIRST
    }
    assert deleted == {"ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"}


def test_a_failed_update_that_was_undone_is_a_live_tenant() -> None:
    decision = decide_stack(StackStatus.UPDATE_ROLLBACK_COMPLETE)
    assert decision.action == "update"
    assert "has data" in decision.reason


def test_a_rollback_is_continued_once_and_then_refused() -> None:
    stuck = StackStatus.UPDATE_ROLLBACK_FAILED
    assert decide_stack(stuck, rollback_continued=False).action == "continue-rollback"
    refused = decide_stack(stuck, rollback_continued=True)
    assert refused.action == "refuse"
    assert "deploy again" in refused.reason


@pytest.mark.parametrize("status", [status for status in TABLE_A if status])
def test_a_continued_rollback_changes_no_other_decision(status: str) -> None:
    if status != "UPDATE_ROLLBACK_FAILED":
        assert decide_stack(StackStatus(status), rollback_continued=True).action == TABLE_A[status]


# Parameters ---------------------------------------------------------------------------------------

DECLARED = ("Environment", "EnableAuth", "CreateBuckets", "LogLevel")
FIRST = {"EnableAuth": "true", "CreateBuckets": "true"}


def parameters(
    requested: dict[str, str] | None = None, previous: dict[str, str] | None = None
) -> dict[str, str]:
    """name -> value, `<previous>` where CloudFormation keeps it."""
    answer = stack_parameters(
        DECLARED,
        computed={"Environment": "stage", "NotDeclared": "x"},
        requested=requested or {},
        first_deployment=FIRST,
        previous=previous,
    )
    found = {}
    for item in answer:
        assert ("ParameterValue" in item) != (item.get("UsePreviousValue") is True)
        found[str(item["ParameterKey"])] = str(item.get("ParameterValue", "<previous>"))
    return found


STACK = {"Environment": "stage", "EnableAuth": "true", "CreateBuckets": "true", "LogLevel": "INFO"}


def test_create_buckets_left_out_keeps_its_previous_value() -> None:
    assert parameters({}, {**STACK, "CreateBuckets": "false"})["CreateBuckets"] == "<previous>"


def test_enable_auth_left_out_keeps_its_previous_value() -> None:
    assert parameters({"CreateBuckets": "true"}, STACK)["EnableAuth"] == "<previous>"


def test_an_explicit_false_is_passed_on_a_first_and_on_a_later_deployment() -> None:
    asked = {"EnableAuth": "false"}
    assert parameters(asked, None)["EnableAuth"] == "false"
    assert parameters(asked, STACK)["EnableAuth"] == "false"


def test_a_first_deployment_takes_the_manifests_values_and_the_templates_defaults() -> None:
    assert parameters({}, None) == {
        "Environment": "stage",
        "EnableAuth": "true",
        "CreateBuckets": "true",
    }


def test_a_first_deployments_values_never_reach_a_stack_that_is_there() -> None:
    # The stack is older than the parameter: the template's default, not the first deployment's.
    assert parameters({}, {"Environment": "stage"}) == {"Environment": "stage"}


def test_computed_values_win_over_the_request_and_the_previous_value() -> None:
    assert parameters({"Environment": "prod"}, STACK)["Environment"] == "stage"


def test_what_the_template_does_not_declare_is_not_sent() -> None:
    assert "NotDeclared" not in parameters({"Else": "1"}, {**STACK, "Gone": "1"})
    assert set(parameters({"Else": "1"}, {**STACK, "Gone": "1"})) == set(DECLARED)
