"""Starting a deployment through the API: what starts, what does not, and what stays secret."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import Reply, call
from botocore.exceptions import ConnectionClosedError
from worker_builders import ALPHA, TABLE

from control_plane import aws
from control_plane.api.app import BODY_LIMIT
from control_plane.models import Deployment
from control_plane.store.listing import Listing
from control_plane.use_cases.admission import parse_input
from workers import record

pytestmark = pytest.mark.usefixtures("source")
PATH = "/envs/stage/orgs/alpha/deployments"
PASSWORD = "Correct-Horse-1"
ADMIN = {"admin_username": "admin@example.com", "admin_password": PASSWORD}


def executions() -> list[str]:
    found = aws.stepfunctions().list_executions(stateMachineArn=build.MACHINE)["executions"]
    return [item["executionArn"] for item in found]


def input_of(arn: str) -> dict[str, Any]:
    return dict(json.loads(aws.stepfunctions().describe_execution(executionArn=arn)["input"]))


def nothing_started() -> bool:
    tenants = [item for item in build.everything() if item["PK"]["S"].startswith("TENANT#")]
    secrets = aws.secretsmanager().list_secrets()["SecretList"]
    return (executions(), tenants, secrets) == ([], [], [])


def test_a_deployment_is_started_and_its_page_told(source: str) -> None:
    reply = call("POST", PATH, {})
    assert reply.status == 202
    (arn,) = executions()
    assert reply.body["execution_arn"] == arn
    assert arn.endswith(f":stage-alpha-{reply.body['id']}")
    assert reply.body["console_url"].endswith(f"/executions/details/{arn}")
    assert (reply.body["status"], reply.body["source"]) == ("QUEUED", source)
    assert reply.body["steps"] == {}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", PATH, {"mode": "full"}),
        ("POST", PATH, {"mode": "deploy-only"}),
        ("POST", "/envs/stage/orgs/alpha/rollback", {}),
        ("POST", "/envs/stage/orgs/alpha/drift", {}),
        ("DELETE", "/envs/stage/orgs/alpha", {"confirm": "notes-stage-alpha"}),
    ],
)
def test_what_the_door_admits_the_first_step_admits(method: str, path: str, body: Any) -> None:
    reply = call(method, path, body)
    assert reply.status == 202, reply.body
    (arn,) = executions()
    execution = {"Id": arn, "StartTime": build.start_of(arn), "Input": input_of(arn)}
    record.handler({"step": "PrepareDeployment", "execution": execution}, None)


def test_no_body_is_an_empty_request() -> None:
    assert call("POST", PATH).status == 202


def test_the_execution_that_was_started_is_the_deployment_that_was_recorded() -> None:
    asked = {"enable_auth": False, "on_conflict": "supersede"}
    reply = call("POST", PATH, asked)
    (arn,) = executions()
    execution = {"Id": arn, "StartTime": build.start_of(arn), "Input": input_of(arn)}
    answer = record.handler({"step": "PrepareDeployment", "execution": execution}, None)
    made = Deployment.model_validate(answer)
    assert (made.id, made.tenant) == (reply.body["id"], ALPHA)
    assert (made.options.enable_auth, made.options.on_conflict) == (False, "supersede")
    assert build.record(made)["trigger"] == "api"


def test_the_source_is_fixed_when_the_deployment_is_started(source: str) -> None:
    call("POST", PATH)
    build.push_source({**build.FILES, "README.md": "newer"})
    assert input_of(executions()[0])["source"] == source


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (PATH, {"enable_authh": True}, "enable_authh"),
        (PATH, {"env": "prod"}, "env"),
        (PATH, {"admin_secret_arn": "arn:aws:x"}, "admin_secret_arn"),
        (PATH, {"on_conflict": "queue"}, "on_conflict"),
        (PATH, {"source": "latest"}, "source"),
        (PATH, {"source": "a" * 64}, "source"),
        (PATH, {"application": "unknown"}, "application"),
        (PATH, {"application": "other-stage"}, "application"),
        (PATH, {"application": "other"}, "source"),
        (PATH, {"admin_username": "nobody"}, "admin_username"),
        (PATH, {"admin_password": PASSWORD}, "admin_password"),
        (PATH, {"enable_auth": False, "admin_username": "a@b.cd"}, "admin_username"),
        ("/envs/stage/orgs/MyOrg/deployments", {}, "org"),
        ("/envs/stage/orgs/my_org/deployments", {}, "org"),
        ("/envs/stage/orgs/a--b/deployments", {}, "org"),
        (f"/envs/stage/orgs/{'o' * 41}/deployments", {}, "org"),
        (f"/envs/stage/orgs/{'o' * 32}/deployments", {}, "org"),
        ("/envs/production/orgs/alpha/deployments", {}, "env"),
        ("/envs/prod/orgs/alpha/deployments", {}, "source"),
    ],
)
def test_a_wrong_request_is_refused_with_field_and_reason_and_nothing_is_started(
    path: str, body: dict[str, Any], field: str
) -> None:
    reply = call("POST", path, body)
    assert (reply.status, reply.error["code"]) == (400, "InvalidRequest")
    assert reply.fields == [field]
    assert all(item["reason"] for item in reply.error["details"])
    assert field in reply.error["message"]
    assert nothing_started()


def test_an_organization_may_be_as_long_as_its_buckets_name_allows() -> None:
    room = 63 - len(f"notes-config-stage--{build.ACCOUNT}")
    assert call("POST", f"/envs/stage/orgs/{'o' * room}/deployments").status == 202
    reply = call("POST", f"/envs/stage/orgs/{'o' * (room + 1)}/deployments")
    assert reply.fields == ["org"]
    assert f"room for {room}" in reply.error["message"]


@pytest.mark.parametrize("body", ["{", "[]", '"text"', "null", "1", "not json"])
def test_a_body_that_is_no_object_is_refused(body: str) -> None:
    reply = call("POST", PATH, body)
    assert (reply.status, reply.error["code"]) == (400, "InvalidRequest")
    assert nothing_started()


@pytest.mark.parametrize(("size", "status"), [(BODY_LIMIT + 1, 400), (BODY_LIMIT, 202)])
def test_a_body_over_the_limit_is_refused(size: int, status: int) -> None:
    body = "{}" + " " * (size - 2)
    reply = call("POST", PATH, body)
    assert reply.status == status
    if status == 400:
        assert reply.fields == ["body"]
        assert nothing_started()


def test_the_limit_counts_bytes_and_not_characters() -> None:
    assert call("POST", PATH, "ä" * (BODY_LIMIT // 2 + 1)).fields == ["body"]


def test_a_failed_start_ends_the_record_and_tells_nobody_why(script: scripted.Scripted) -> None:
    wrong = scripted.failure("AccessDeniedException", "role secret-role may not")
    script.on(aws.stepfunctions(), "StartExecution", wrong)
    reply = call("POST", PATH)
    assert (reply.status, reply.error["code"]) == (500, "InternalError")
    assert "secret-role" not in json.dumps(reply.body)
    (found,) = Listing(TABLE).deployments(ALPHA, 10)
    assert found["status"] == "FAILED"
    assert "could not be started" in found["reason"]


# Idempotency --------------------------------------------------------------------------------------


def keyed(key: str, body: dict[str, Any]) -> Reply:
    return call("POST", PATH, body, {"Idempotency-Key": key})


def test_the_same_key_and_request_is_the_same_deployment() -> None:
    first, second = keyed("k", {"enable_auth": True}), keyed("k", {"enable_auth": True})
    assert (first.status, second.status) == (202, 202)
    assert second.body["id"] == first.body["id"]
    assert len(executions()) == 1


def test_the_same_key_for_another_request_is_a_conflict() -> None:
    keyed("k", {"enable_auth": True})
    reply = keyed("k", {"enable_auth": False})
    assert (reply.status, reply.error["code"]) == (409, "IdempotencyConflict")
    assert len(executions()) == 1


def test_without_a_key_or_with_another_one_every_request_is_a_deployment() -> None:
    ids = {reply.body["id"] for reply in (keyed("a", {}), keyed("b", {}), call("POST", PATH))}
    assert len(ids) == len(executions()) == 3


def test_the_same_key_starts_what_was_recorded_but_never_started(script: scripted.Scripted) -> None:
    def lost(asked: dict[str, Any]) -> dict[str, Any]:
        raise ConnectionAbortedError("the function died here")

    script.on(aws.stepfunctions(), "StartExecution", lost)
    assert keyed("k", {}).status == 500
    script.forget()
    reply = keyed("k", {})
    assert reply.status == 202
    assert [arn.endswith(reply.body["id"]) for arn in executions()] == [True]


def no_answer(asked: dict[str, Any]) -> dict[str, Any]:
    raise ConnectionClosedError(endpoint_url="https://states.us-east-1.amazonaws.com")


def test_a_start_whose_answer_was_lost_is_looked_up_by_its_name(script: scripted.Scripted) -> None:
    script.on(aws.stepfunctions(), "StartExecution", no_answer)
    script.on(aws.stepfunctions(), "DescribeExecution", {"status": "RUNNING"})
    reply = call("POST", PATH)
    assert (reply.status, reply.body["status"]) == (202, "QUEUED")


@pytest.mark.parametrize(
    "look", [scripted.failure("ExecutionDoesNotExist"), no_answer], ids=["unknown", "no-answer"]
)
def test_a_start_of_which_nobody_knows_is_said_to_be_one_and_goes_on_with_its_key(
    script: scripted.Scripted, look: Any
) -> None:
    script.on(aws.stepfunctions(), "StartExecution", no_answer)
    script.on(aws.stepfunctions(), "DescribeExecution", look)
    reply = keyed("k", {})
    (found,) = Listing(TABLE).deployments(ALPHA, 10)
    assert (reply.status, reply.error["code"]) == (503, "ServiceBusy")
    assert f"whether {found['id']} was started is not known" in reply.error["message"]
    assert found["status"] == "QUEUED"
    script.forget()
    assert keyed("k", {}).body["id"] == found["id"]
    assert [arn.endswith(found["id"]) for arn in executions()] == [True]


def test_an_execution_that_was_started_before_is_no_failure(script: scripted.Scripted) -> None:
    # While it runs Step Functions answers the same; afterwards, or with another input, it refuses.
    script.on(aws.stepfunctions(), "StartExecution", scripted.failure("ExecutionAlreadyExists"))
    reply = keyed("k", {})
    assert (reply.status, reply.body["status"]) == (202, "QUEUED")
    (found,) = Listing(TABLE).deployments(ALPHA, 10)
    assert found["status"] == "QUEUED"


def test_the_same_key_answers_a_deployment_that_ended_as_it_ended() -> None:
    first = keyed("k", {})
    execution = {
        "Id": first.body["execution_arn"],
        "StartTime": build.start_of(first.body["execution_arn"]),
        "Input": {"env": "stage", "org": "alpha"},
    }
    failure = {"state": "CheckStack", "error": "StackRefused", "cause": "why"}
    event = {"execution": execution, "failure": failure, "rollback": {"outcome": "none"}}
    record.handler({"step": "RecordFailure", **event}, None)
    assert keyed("k", {}).body["status"] == "FAILED"
    assert len(executions()) == 1


# Secrets ------------------------------------------------------------------------------------------


def test_a_password_is_in_the_secret_and_nowhere_else(capsys: pytest.CaptureFixture[str]) -> None:
    reply = keyed("k", ADMIN)
    assert reply.status == 202
    (arn,) = executions()
    shown = capsys.readouterr()
    for place in (reply.body, input_of(arn), build.everything(), shown.out, shown.err):
        assert PASSWORD not in json.dumps(place)
    secret = parse_input(input_of(arn)).admin_secret_arn  # the execution can begin with it
    assert secret is not None
    kept = aws.secretsmanager().get_secret_value(SecretId=secret)
    assert json.loads(kept["SecretString"])["password"] == PASSWORD
    assert kept["Name"] == f"syndi/notes-stage-alpha/given/{reply.body['id']}"


def test_the_same_key_with_another_password_changes_nothing() -> None:
    first = keyed("k", ADMIN)
    assert keyed("k", {**ADMIN, "admin_password": "Another-Horse-2"}).body["id"] == first.body["id"]
    kept = aws.secretsmanager().get_secret_value(
        SecretId=f"syndi/notes-stage-alpha/given/{first.body['id']}"
    )
    assert json.loads(kept["SecretString"])["password"] == PASSWORD


def test_a_password_is_not_repeated_by_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    for body in (
        {"admin_password": [PASSWORD]},
        {"admin_password": PASSWORD, "admin_passwordd": PASSWORD, "admin_username": "a@b.cd"},
        {"admin_password": PASSWORD * 20, "admin_username": "a@b.cd"},
    ):
        reply = call("POST", PATH, body)
        assert reply.status == 400
        shown = capsys.readouterr()
        assert PASSWORD not in json.dumps([reply.body, shown.out, shown.err])


def test_no_digest_of_a_password_is_kept_with_the_key() -> None:
    keyed("k", ADMIN)
    assert keyed("k", {**ADMIN, "admin_password": "Another-Horse-2"}).status == 202
