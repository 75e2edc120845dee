"""The control plane's own deployments, sources and schedule: routes of their own."""

import hashlib
import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import CALLER, Reply, call
from record_calls import prepare, registered
from test_worker_api_starts import executions, input_of, nothing_started
from test_worker_approvals import TOKEN, ask
from worker_builders import ARTIFACTS, TABLE

from control_plane import aws
from control_plane.models import Deployment, DeploymentStatus, Env, Tenant
from control_plane.store.history import History
from control_plane.use_cases.admission import parse_input
from workers import record

APPLICATION = "control-plane"
OWN = Tenant(application=APPLICATION, env=Env.PROD, org="main")
WITHOUT_TRIAL = build.PLAIN_MANIFEST.replace('"plain"', f'"{APPLICATION}"')
FILES = {"application.toml": f'{WITHOUT_TRIAL}[trial]\ndirectory = "trial"\n'}
HERE = "/control-plane"
AS_A_TENANT = "/envs/prod/orgs/main"
RATE = {"expression": "rate(1 day)"}
NO_ID = "20261122-120000-000aaaaa"


@pytest.fixture
def release(source: str) -> str:
    """A source of the control plane, current where this one runs and in its neighbour."""
    return build.push_source(FILES, (Env.PROD, Env.DEV))


def start(body: dict[str, Any] | None = None, verb: str = "deployments", **headers: str) -> Reply:
    return call("POST", f"{HERE}/{verb}", body or {}, headers)


def of_own(number: int = 1) -> Deployment:
    return build.opened(build.deployment(OWN, number))


def end(found: dict[str, Any], status: str = "FAILED") -> None:
    why = {"reason": "why"}
    History(TABLE).fail(
        OWN, found["id"], found["execution_arn"], DeploymentStatus(status), why
    )  # fmt: skip


# Starting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "body", "mode"),
    [
        ("deployments", {}, "full"),
        ("deployments", {"mode": "deploy-only", "approval": True}, "deploy-only"),
        ("deployments", {"dry_run": True, "on_conflict": "reject"}, "full"),
        ("rollback", {}, "rollback"),
        ("rollback", {"application": APPLICATION, "to": NO_ID}, "rollback"),
    ],
)
def test_what_is_started_is_a_deployment_of_its_own_stack_that_the_first_step_admits(
    release: str, verb: str, body: dict[str, Any], mode: str
) -> None:
    reply = start(body, verb)
    assert reply.status == 202, reply.body
    assert (reply.body["stack_name"], reply.body["mode"]) == ("control-plane-prod-main", mode)
    assert (reply.body["trigger"], reply.body["requested_by"]) == ("api", CALLER)
    (arn,) = executions()
    execution = {"Id": arn, "StartTime": build.start_of(arn), "Input": input_of(arn)}
    event = {"step": "PrepareDeployment", "execution": execution}
    made = Deployment.model_validate(record.handler(event, None))
    assert (made.tenant, made.options.mode, made.source) == (OWN, mode, release)
    asked = {name: value for name, value in body.items() if name != "application"}
    assert made.options.model_dump(include=set(asked), exclude={"mode"}) == {
        name: value for name, value in asked.items() if name != "mode"
    }


def test_a_source_is_deployed_although_another_one_is_current(release: str) -> None:
    newer = build.push_source({**FILES, "README.md": "newer"}, (Env.PROD,))
    assert start().body["source"] == newer
    assert start({"source": release}).body["source"] == release


def test_the_same_key_starts_one_update(release: str) -> None:
    keyed = {"Idempotency-Key": "k"}
    first, second = start(**keyed), start(**keyed)
    assert (first.status, second.body["id"]) == (202, first.body["id"])
    assert len(executions()) == 1
    assert start({"dry_run": True}, **keyed).status == 409


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("deployments", {"mode": "function"}, "mode"),
        ("deployments", {"mode": "offboard"}, "mode"),
        ("deployments", {"mode": "drift"}, "mode"),
        ("deployments", {"mode": "rollback"}, "mode"),
        ("deployments", {"application": "notes"}, "application"),
        ("deployments", {"admin_username": "a@b.cd"}, "admin_username"),
        ("deployments", {"rollback_on_failure": False}, "rollback_on_failure"),
        ("deployments", {"source": "a" * 64}, "source"),
        ("deployments", {"mode": "deploy-only", "source": "a" * 64}, "source"),
        ("deployments", {"dry_run": True, "on_conflict": "supersede"}, "on_conflict"),
        ("rollback", {"application": "notes"}, "application"),
        ("rollback", {"source": "a" * 64}, "source"),
        ("rollback", {"to": "yesterday"}, "to"),
    ],
)
def test_a_wrong_request_is_refused_and_nothing_is_started(
    release: str, verb: str, body: dict[str, Any], field: str
) -> None:
    reply = start(body, verb)
    assert (reply.status, reply.fields) == (400, [field])
    assert nothing_started()


def test_without_a_source_there_is_nothing_to_start(source: str) -> None:
    assert start().fields == ["source"]


# Reading, and what may be asked of one ------------------------------------------------------------


def test_its_deployments_are_read_by_its_own_routes_and_by_everybodys(release: str) -> None:
    made = [start().body["id"], start().body["id"]]
    build.opened(build.deployment())  # of a tenant
    for path in (f"{HERE}/deployments", f"{AS_A_TENANT}/deployments"):
        found = call("GET", path, application=APPLICATION).body["deployments"]
        assert [item["id"] for item in found] == sorted(made, reverse=True)
    assert len(call("GET", f"{HERE}/deployments", limit="1").body["deployments"]) == 1
    for path in (f"{HERE}/deployments/{made[0]}", f"/deployments/{made[0]}"):
        assert call("GET", path).body["stack_name"] == OWN.stack_name


def test_a_tenants_deployment_is_none_of_its_own(release: str) -> None:
    tenants = build.opened(build.deployment())
    path = f"{HERE}/deployments/{tenants.id}"
    assert call("GET", path).status == 404
    for verb in ("cancel", "approve", "reject", "retry"):
        assert call("POST", f"{path}/{verb}").status == 404


def test_one_is_cancelled(release: str) -> None:
    found = start().body
    reply = call("POST", f"{HERE}/deployments/{found['id']}/cancel")
    assert (reply.status, reply.body["id"]) == (202, found["id"])
    assert reply.body["cancel"]["by"] == CALLER


@pytest.mark.parametrize(
    ("verb", "call_of_aws", "decision"),
    [
        ("approve", "SendTaskSuccess", "APPROVED"),
        ("reject", "SendTaskFailure", "REJECTED"),
    ],
)
def test_one_that_waits_is_decided_about(
    script: scripted.Scripted, release: str, verb: str, call_of_aws: str, decision: str
) -> None:
    script.on(aws.stepfunctions(), call_of_aws, {})
    made = of_own()
    ask(made)
    reply = call("POST", f"{HERE}/deployments/{made.id}/{verb}", {"comment": "so it is"})
    assert (reply.status, reply.body["approval"]["decision"]) == (200, decision)
    assert reply.body["approval"]["comment"] == "so it is"
    assert [sent["taskToken"] for sent in script.of(call_of_aws)] == [TOKEN]


def test_one_that_failed_is_tried_again_with_its_source(release: str) -> None:
    old = start({"approval": True}).body
    end(old)
    build.push_source({**FILES, "README.md": "newer"}, (Env.PROD,))
    reply = call("POST", f"{HERE}/deployments/{old['id']}/retry", {})
    assert reply.status == 202, reply.body
    assert (reply.body["retry_of"], reply.body["source"]) == (old["id"], release)
    assert reply.body["stack_name"] == OWN.stack_name
    assert parse_input(input_of(reply.body["execution_arn"])).approval is True


@pytest.mark.parametrize("verb", ["cancel", "approve", "reject", "retry"])
def test_an_id_that_is_none_is_refused(release: str, verb: str) -> None:
    assert call("POST", f"{HERE}/deployments/latest/{verb}").fields == ["deployment_id"]


# Sources ------------------------------------------------------------------------------------------


def put_source(content: bytes, below: str, **changes: Any) -> Reply:
    body = {"application": APPLICATION, "environments": ["prod"], "size": len(content), **changes}
    return call("PUT", f"{below}/sources/{hashlib.sha256(content).hexdigest()}", body)


def test_a_source_is_uploaded_first_and_then_registered(release: str) -> None:
    newer = build.zipped({**FILES, "README.md": "newer"})
    sha256 = hashlib.sha256(newer).hexdigest()
    assert put_source(newer, HERE).body["state"] == "UPLOAD"
    aws.s3().put_object(Bucket=ARTIFACTS, Key=f"sources/prod/{sha256}.zip", Body=newer)
    assert put_source(newer, HERE, environments=[]).body["state"] == "REGISTERED"
    assert call("GET", f"{HERE}/sources").body["environments"]["prod"] == release
    assert put_source(newer, HERE).body["environments"] == ["prod"]
    listed = call("GET", f"{HERE}/sources").body
    assert listed["environments"]["prod"] == sha256
    assert {item["sha256"] for item in listed["sources"]} == {release, sha256}
    assert call("GET", "/sources", application=APPLICATION).body == listed


def test_a_source_of_another_application_is_refused(release: str) -> None:
    content = build.zipped(build.FILES)
    build.upload_source(build.FILES, (Env.PROD,))
    assert put_source(content, HERE, application="notes").fields == ["application"]
    sent = put_source(content, HERE)  # what it is by its manifest counts
    assert (sent.status, sent.fields) == (400, ["application"])


# Schedules ----------------------------------------------------------------------------------------


def schedule(body: dict[str, Any]) -> Reply:
    return call("PUT", f"{HERE}/schedule", {**RATE, **body})


@pytest.fixture
def _group(release: str) -> None:
    aws.scheduler().create_schedule_group(Name="syndi")


@pytest.mark.usefixtures("_group")
@pytest.mark.parametrize("given", [{}, {"application": APPLICATION}])
def test_an_update_by_schedule_is_one_that_the_first_step_admits(given: dict[str, Any]) -> None:
    assert call("GET", f"{HERE}/schedule").status == 404
    assert schedule({"mode": "deploy-only", **given}).status == 200
    assert call("GET", f"{HERE}/schedule").body["expression"] == "rate(1 day)"
    found = aws.scheduler().get_schedule(Name=OWN.stack_name, GroupName="syndi")
    made = prepare(registered(json.loads(found["Target"]["Input"])["start"]["input"]))
    assert (made.tenant, made.options.mode) == (OWN, "deploy-only")
    assert call("DELETE", f"{HERE}/schedule", mode="drift").status == 404
    assert call("DELETE", f"{HERE}/schedule").body == {"deleted": True}
    assert call("GET", f"{HERE}/schedule").status == 404


@pytest.mark.usefixtures("_group")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"application": "notes"}, "application"),
        ({"mode": "drift"}, "mode"),
        ({"mode": "function"}, "mode"),
        ({"rollback_on_failure": False}, "rollback_on_failure"),
    ],
)
def test_a_wrong_schedule_is_refused_and_none_is_made(body: dict[str, Any], field: str) -> None:
    assert schedule(body).fields == [field]
    assert aws.scheduler().list_schedules()["Schedules"] == []
