"""The record worker after a failure, its way back, and the end that nobody was there for."""

import json
from typing import Any

import pytest
import worker_builders as build
from record_calls import BARE, BUILD, NO_ROLLBACK, end, execution, fail, good_tenant, prepare
from worker_builders import ALPHA, TABLE

from control_plane.reasons import one_line
from control_plane.rules.hints import addressed
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from workers import record

# RecordFailure ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (
            '{"errorMessage": "Bucket:\\n it exists", "errorType": "StackFailed"}',
            "Bucket: it exists",
        ),
        ("plain\n  text", "plain text"),
        ("", "StackFailed"),
        ('{"other": 1}', '{"other": 1}'),
        ("[1]", "[1]"),
    ],
)
def test_a_failures_reason_is_one_line(cause: str, reason: str) -> None:
    failure = {"state": "AwaitStack", "error": "StackFailed", "cause": cause}
    assert one_line(failure, "control-plane") == f"AwaitStack: {reason}"


@pytest.mark.parametrize(
    ("error", "status"), [("StackFailed", "FAILED"), ("Superseded", "SUPERSEDED")]
)
def test_a_failure_is_recorded_with_its_reason_and_frees_the_tenant(
    source: str, error: str, status: str
) -> None:
    made = prepare(BARE)
    build.take_lock(made)
    answer = fail(BARE, error)
    found = build.record(made)
    assert (found["status"], found["reason"]) == (status, "AwaitStack: why")
    hinted = f". Hint: {found['hint']}" if error == "StackFailed" else ""
    assert answer == {"id": made.id, "reason": f"AwaitStack: why{hinted}", "error": error}
    assert ("hint" in found) == bool(hinted)
    assert (found["failed_step"], found["error"]) == ("AwaitStack", error)
    assert found["created_at"] <= found["finished_at"]
    assert build.holder() is None


def test_the_hint_names_the_command_with_its_deployment_and_tenant(source: str) -> None:
    made = prepare(BARE)
    fail(BARE, "ServiceBusy")
    assert build.record(made)["hint"] == f"'syndi retry {made.id}' in a few minutes"
    of = build.tenant(application="other")
    todo = addressed("'syndi deploy ENV ORG'", of, made.id, "notes")
    assert todo == "'syndi deploy stage alpha --application other'"


def test_a_control_plane_is_repaired_past_itself(source: str) -> None:
    own = {"application": "control-plane", "env": "prod", "org": "main"}
    cause = "A (T): x; the stack is UPDATE_ROLLBACK_FAILED"
    assert "Hint: " in (told := fail(own, "StackFailed", cause)["reason"])
    assert "'syndi install'" in told


def test_a_missing_permission_is_said_in_the_record_and_in_the_execution(source: str) -> None:
    made = prepare(BARE)
    told = (
        "An error occurred (AccessDenied) when calling the DescribeStacks operation: User: "
        "arn:aws:sts::123456789012:assumed-role/syndi-stack/f is not authorized to perform: "
        "cloudformation:DescribeStacks on resource: arn:x because no identity-based policy allows "
        "the cloudformation:DescribeStacks action"
    )
    answer = fail(BARE, "ClientError", json.dumps({"errorMessage": told, "errorType": "x"}))
    found = build.record(made)
    wanted = "missing permission cloudformation:DescribeStacks on arn:x for role syndi-stack"
    assert found["reason"] == f"AwaitStack: {wanted}"
    assert answer["reason"] == f"{found['reason']}. Hint: {found['hint']}"
    assert "syndi install" in found["hint"]


def test_nobody_approved_in_time(source: str) -> None:
    made = prepare(BARE)
    failure = {"state": "AwaitApproval", "error": "States.Timeout", "cause": ""}
    event = {"execution": execution(BARE), "failure": failure, "rollback": NO_ROLLBACK}
    record.handler({"step": "RecordFailure", **event}, None)
    found = build.record(made)
    assert found["reason"] == "AwaitApproval: nobody approved within 24 hours"
    assert f"syndi retry {made.id}" in found["hint"]


def test_a_request_that_was_refused_has_a_record_too(source: str) -> None:
    answer = fail({**BARE, "source": "a" * 64}, "InvalidRequest")
    (found,) = Listing(TABLE).deployments(ALPHA, 10)
    assert (found["id"], found["status"]) == (answer["id"], "FAILED")


@pytest.mark.parametrize("given", [{}, {"env": "x", "org": "y"}, {"env": "stage"}, [], "x", None])
def test_a_failure_of_no_tenant_keeps_its_reason(world: None, given: Any) -> None:
    answer = fail(given)
    assert (answer["id"], answer["error"]) == ("", "StackFailed")
    assert answer["reason"].startswith("AwaitStack: why. Hint: ")
    assert build.everything() == []


def end_of_way_back(given: Any, rollback: dict[str, Any]) -> dict[str, Any]:
    failure = {"state": "RunTests", "error": "TestsFailed", "cause": "health: answers 500"}
    event = {"execution": execution(given), "failure": failure, "rollback": rollback}
    return record.handler({"step": "RecordFailure", **event}, None)


def test_a_way_back_that_worked_is_told_and_the_tenant_is_what_it_was(source: str) -> None:
    good_tenant()
    made = prepare(BARE)
    build.take_lock(made)
    back = made.model_copy(update={"rolling_back": True})
    restored = {
        "deployment": back.model_dump(mode="json", by_alias=True, exclude_none=True),
        "build": BUILD,
        "stack": {"outputs": {"Url": "https://again"}, "parameters": {}},
        "config": {"version_id": "v9"},
    }
    Progress(TABLE).add_facts(back, {"proof": {"code": {}}})
    answer = end_of_way_back(BARE, {"outcome": "done", "failure": {}, "restored": restored})
    told = "RunTests: health: answers 500; the previous good build was put back and works"
    assert answer["reason"].startswith(f"{told}. Hint: ")
    assert (answer["id"], answer["error"]) == (made.id, "TestsFailed")
    assert build.record(made)["status"] == "ROLLED_BACK"
    assert build.record(made)["reason"] == told
    now = build.current()
    assert (now["last_status"], now["last_reason"]) == ("ROLLED_BACK", told)
    assert (now["build"], now["running"]) == (BUILD, BUILD["fingerprint"])
    assert "patch" not in now, "the function has the stack's code again"
    assert (now["endpoint"], now["config"]) == ("https://again", {"version_id": "v9"})
    assert now["last_good"] != made.id
    assert build.holder() is None


def test_a_way_back_that_is_not_proven_does_not_count_as_one(source: str) -> None:
    good_tenant()
    made = prepare(BARE)
    end_of_way_back(BARE, {"outcome": "done", "failure": {}, "restored": {}})
    found = build.record(made)
    assert found["status"] == "FAILED"
    assert found["reason"].endswith("ProveDeployment left no proof of it")


def test_a_way_back_that_is_none_says_why(source: str) -> None:
    good_tenant()
    made = prepare(BARE)
    end_of_way_back(BARE, {"outcome": "impossible", "failure": {}, "why": "it is gone"})
    assert build.record(made)["reason"] == "RunTests: health: answers 500; it is gone"
    now = build.current()
    assert (now["last_status"], now["endpoint"]) == ("FAILED", "https://before")
    assert "patch" in now


def test_a_way_back_that_failed_names_both_reasons(source: str) -> None:
    made = prepare(BARE)
    first = {"state": "RunTests", "error": "TestsFailed", "cause": "sign-in: answered 500"}
    end_of_way_back(BARE, {"outcome": "running", "failure": first, "why": ""})
    assert build.record(made)["reason"] == (
        "RunTests: sign-in: answered 500; and rolling back failed in RunTests: health: answers 500"
    )
    assert build.record(made)["status"] == "FAILED"


# The end that nobody was there for ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "status"),
    [("ABORTED", "CANCELLED"), ("TIMED_OUT", "TIMED_OUT"), ("FAILED", "FAILED")],
)
def test_an_execution_that_was_stopped_ends_its_record_and_frees_the_tenant(
    source: str, ended: str, status: str
) -> None:
    made = prepare(BARE)
    build.take_lock(made)
    Progress(TABLE).begin_step(made, "CheckStack")
    assert end(ended, cause="by\n hand") == {"id": made.id, "status": status}
    found = build.record(made)
    assert found["status"] == status
    assert found["reason"] == f"the execution ended {ended}: by hand"
    assert ("hint" in found) == (ended != "ABORTED"), "who stopped it knows what they wanted"
    assert found["failed_step"] == "CheckStack"
    assert build.holder() is None
    assert end(ended, cause="again")["id"] == made.id
    assert build.record(made) == found


def test_the_end_of_an_execution_does_not_change_a_recorded_failure(source: str) -> None:
    made = prepare(BARE)
    fail(BARE)
    before = build.record(made)
    end("FAILED", error="StackFailed", cause="why")
    assert build.record(made) == before


@pytest.mark.parametrize("given", [{}, {"env": "stage"}, {"env": 1, "org": []}, [], "x", None])
def test_the_end_of_an_execution_of_no_tenant_is_no_error(world: None, given: Any) -> None:
    assert end("ABORTED", given) == {"id": "", "status": "CANCELLED"}
    assert build.everything() == []
