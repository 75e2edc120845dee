"""Today's workers and API on a table that the first release wrote."""

import hashlib
import json

import config_calls
import pytest
import release_one as one
import scripted_aws as scripted
import worker_builders as build
from api_calls import call
from record_calls import NO_ROLLBACK, succeed
from release_one import FIRST, NEWER, OLDER, SECOND, raw, running
from test_worker_api_starts import input_of
from worker_builders import ALPHA, TABLE, arn

from cli import summaries
from cli.output import deployments_table, tenants_table
from control_plane import aws
from control_plane.errors import PatchRefused
from control_plane.models import STEPS, Deployment, JsonObject
from control_plane.rules.config import rendered
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from workers import build as builder
from workers import code, config, record

HERE = "/envs/stage/orgs/alpha"
RUNS = "2" * 64


@pytest.fixture(autouse=True)
def _release_one(world: None) -> None:
    one.load()


# What is read -------------------------------------------------------------------------------------


def test_the_history_is_told_as_todays() -> None:
    found = call("GET", f"{HERE}/deployments").body["deployments"]
    assert [(item["id"], item["status"], item["mode"]) for item in found] == [
        (one.STOPPED, "CANCELLED", "full"),
        (one.REFUSED, "FAILED", "full"),
        (SECOND, "SUCCEEDED", "full"),
        (FIRST, "SUCCEEDED", "full"),
    ]
    assert "schema" not in found[0]
    deployments_table(found)
    for item in found:
        summaries.summary(item)
    summary = found[2]["change_set"]["summary"]
    assert summary["replaced"] == [{"id": "Pool", "type": "type not recorded"}]


def test_a_deployment_is_found_by_its_id() -> None:
    found = call("GET", f"/deployments/{SECOND}").body
    assert (found["build"]["source"], found["running"]) == (NEWER, RUNS)
    assert found["config"]["config_source"] == NEWER
    never = call("GET", f"/deployments/{one.NEVER_RECORDED}").body
    assert (never["status"], "mode" in never) == ("FAILED", False)


def test_a_tenant_is_told_as_todays() -> None:
    found = call("GET", HERE).body
    assert (found["running"], found["last_good"], found["last_status"]) == (
        RUNS, SECOND, "CANCELLED",
    )  # fmt: skip
    assert (found["config_source"], found["config_deployment"]) == (NEWER, SECOND)
    assert found["config"]["overrides_version"] == 0


def test_tenants_are_listed_with_what_the_index_has_and_nothing_is_made_up() -> None:
    listed = call("GET", "/tenants").body["tenants"]
    assert [(item["stack_name"], item["last_status"]) for item in listed] == [
        ("notes-stage-alpha", "CANCELLED"),
        ("notes-stage-beta", "FAILED"),
    ]
    assert listed[0]["build"]["fingerprint"] == RUNS
    # What the index does not have may be something else in the item.
    assert not {"config_source", "config_deployment", "running"} & set(listed[0])
    tenants_table(listed)


# Going on, and back -------------------------------------------------------------------------------


def find(**options: object) -> tuple[Deployment, JsonObject]:
    answer = builder.handler(build.event(running(**options), "FindBuild"), None)
    return Deployment.model_validate(answer["deployment"]), answer["build"]


def test_the_last_build_is_deployed_again() -> None:
    chosen, found = find(mode="deploy-only")
    assert (found["fingerprint"], found["source"], chosen.source) == (RUNS, NEWER, NEWER)


@pytest.mark.parametrize("to", [None, FIRST])
def test_an_earlier_build_comes_back_with_its_configuration(to: str | None) -> None:
    chosen, found = find(mode="rollback", to=to)
    assert (found["fingerprint"], found["source"]) == ("1" * 64, OLDER)
    assert (chosen.source, chosen.config_source, chosen.config_version) == (OLDER, OLDER, 0)


def test_the_way_back_leads_to_the_old_build() -> None:
    made = running()
    facts = {"build": {"fingerprint": "3" * 64, "source": NEWER}, "config_content": {"bad": True}}
    Progress(TABLE).add_facts(made, facts)
    answer = builder.handler(build.event(made, "RollBack"), None)
    assert answer["available"], answer["why"]
    assert (answer["build"]["fingerprint"], answer["build"]["source"]) == (RUNS, NEWER)
    assert answer["deployment"]["config_source"] == NEWER


def proof(fingerprint: str, **more: object) -> JsonObject:
    """What the state machine gives to RecordSuccess."""
    made: JsonObject = {
        "build": {
            "fingerprint": fingerprint, "source": NEWER, "build_id": "b:1",
            "template_key": "notes-stage-alpha/t", "reused": False,
        },
        "change_set": {"id": "c", "stack_id": "s", "has_changes": False, "summary": {}},
        "stack": {"outputs": {"Url": "https://x"}, "parameters": {}},
        "config": {"sha256": "c3", "overrides_version": 0, "config_source": NEWER},
        "tests": [],
        "admin": {},
        "patch": {},
    }  # fmt: skip
    return made | more


def test_a_success_makes_the_tenants_state_one_of_this_release() -> None:
    made = running()
    succeed(made, **proof("3" * 64))
    assert raw(ALPHA, "CURRENT")["schema"] == {"N": "2"}
    now = build.current()
    assert (now["running"], now["config_deployment"]) == ("3" * 64, made.id)


def test_a_patch_keeps_what_the_old_stack_came_with() -> None:
    made = running(mode="function")
    patch = {"fingerprint": "9" * 64, "code_sha256": "x", "at": "2026", "deployment": made.id}
    given = proof("9" * 64, patch=patch)
    succeed(made, **given)
    now, stored = build.current(), raw(ALPHA, "CURRENT")
    assert stored["schema"] == {"N": "2"}
    assert (now["build"]["fingerprint"], now["build"]["patched"]) == (RUNS, "9" * 64)
    assert (now["build"]["source"], now["running"]) == (NEWER, "9" * 64)
    # Not the patch's, which brought no configuration.
    assert (stored["config_deployment"], stored["config_source"]) == ({"S": SECOND}, {"S": NEWER})
    assert now["config"]["config_source"] == NEWER


def test_a_patch_over_the_old_build_is_refused_with_a_reason() -> None:
    made = running(mode="function")
    with pytest.raises(PatchRefused, match=r"no \[package\] in its manifest"):
        code.handler(build.event(made, "PatchFunction"), None)


# Failing ------------------------------------------------------------------------------------------


def test_a_failure_leaves_the_old_state_to_be_read_as_before() -> None:
    made, before = running(), build.current()
    execution = {
        "Id": made.execution_arn, "StartTime": made.started_at.isoformat(),
        "Input": {"env": "stage", "org": "alpha"},
    }  # fmt: skip
    failure = {"state": "AwaitStack", "error": "StackFailed", "cause": "no"}
    event = {"execution": execution, "failure": failure, "rollback": NO_ROLLBACK}
    record.handler({"step": "RecordFailure", **event}, None)
    now = build.current()
    assert (now["last_status"], now["last_deployment"]) == ("FAILED", made.id)
    last = {"last_status", "last_deployment", "last_reason"}
    assert {k: v for k, v in now.items() if k not in last} == {
        k: v for k, v in before.items() if k not in last
    }
    assert "schema" not in raw(ALPHA, "CURRENT"), "the rest of it is still of the first release"


def ended_detail() -> JsonObject:
    """What EventBridge says of `gamma`'s execution when it was stopped."""
    return {
        "status": "ABORTED", "startDate": 1795187401000, "executionArn": WAITING_ARN,
        "input": json.dumps({"env": "stage", "org": "gamma"}), "cause": "by hand",
    }  # fmt: skip


WAITING_ARN = arn(f"stage-gamma-{one.WAITING}")


def test_a_record_that_the_first_release_opened_is_ended_by_this_one() -> None:
    record.handler({"detail": ended_detail()}, None)
    found = Listing(TABLE).get(one.GAMMA, one.WAITING) or {}
    assert (found["status"], found["mode"]) == ("CANCELLED", "full")
    assert found["request"]["on_conflict"] == "supersede"


def test_one_that_the_first_release_opened_can_be_cancelled() -> None:
    path = f"/envs/stage/orgs/gamma/deployments/{one.WAITING}/cancel"
    reply = call("POST", path)
    assert (reply.status, reply.body["status"]) == (202, "CANCELLED"), reply.body


def test_one_that_the_first_release_opened_goes_through_all_steps() -> None:
    given = {"env": "stage", "org": "gamma", "on_busy": "supersede", "allow_replacement": False}
    execution = {"Id": WAITING_ARN, "StartTime": "2026-11-20T15:00:01Z", "Input": given}
    answer = record.handler({"step": "PrepareDeployment", "execution": execution}, None)
    made = Deployment.model_validate(answer)
    assert (made.id, made.options.on_conflict) == (one.WAITING, "supersede")
    assert sorted(build.record(made)["steps"]) == sorted(STEPS)
    Progress(TABLE).begin_step(made, "ReconcileFunction")


@pytest.mark.parametrize("status", ["QUEUED", "RUNNING"])
def test_one_that_the_first_release_opened_takes_the_place_of_those_that_wait(status: str) -> None:
    aws.dynamodb().update_item(
        TableName=TABLE,
        Key={k: raw(one.GAMMA, f"DEPLOYMENT#{one.WAITING}")[k] for k in ("PK", "SK")},
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": status}},
    )
    (rival,) = Listing(TABLE).rivals(one.GAMMA, "2026", "2027")
    assert (rival.id, rival.supersedes, rival.queued) == (one.WAITING, True, status == "QUEUED")


# Asking again -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "asked"), [(one.REFUSED, {"on_conflict": "supersede"}), (one.STOPPED, {})]
)
def test_an_old_deployment_is_tried_again(of: str, asked: JsonObject) -> None:
    reply = call("POST", f"{HERE}/deployments/{of}/retry", {})
    assert reply.status == 202, reply.body
    assert (reply.body["retry_of"], reply.body["source"]) == (of, NEWER)
    started = input_of(reply.body["execution_arn"])
    # Any loss was allowed; now it must be named, so none is.
    assert "allow_replacement" not in started
    assert {k: v for k, v in started.items() if k == "on_conflict"} == asked


def test_a_key_that_the_first_release_knows_answers_its_deployment() -> None:
    found = next(i for i in build.everything() if i["SK"]["S"].startswith("IDEMPOTENCY#"))
    aws.dynamodb().put_item(TableName=TABLE, Item={**found, "expires_at": {"N": "4000000000"}})
    path = "/envs/stage/orgs/gamma/deployments"
    reply = call("POST", path, {"on_conflict": "supersede"}, {"Idempotency-Key": one.KEY})
    assert (reply.status, reply.body["id"]) == (202, one.WAITING), reply.body


def test_a_schedule_that_the_first_release_made_is_shown_as_todays() -> None:
    kept = {"env": "stage", "org": "alpha", "on_busy": "reject", "allow_replacement": False}
    aws.scheduler().create_schedule_group(Name="syndi")
    aws.scheduler().create_schedule(
        Name="notes-stage-alpha",
        GroupName="syndi",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": build.MACHINE, "RoleArn": build.ROLE, "Input": json.dumps(kept)},
    )
    asked = call("GET", f"{HERE}/schedule").body["request"]
    assert (asked["on_conflict"], "on_busy" in asked) == ("reject", False)


# Configuration, and drift -------------------------------------------------------------------------


def test_the_old_configuration_is_put_back(script: scripted.Scripted) -> None:
    config_calls.accept_policies(script)
    made = running()
    config.handler(
        build.event(made.model_copy(update={"config_source": OLDER}), "UploadConfig"), None
    )
    config.handler(build.event(made, "RestoreConfig"), None)
    body = aws.s3().get_object(Bucket=config_calls.BUCKET, Key="config.json")["Body"].read()
    assert hashlib.sha256(body).hexdigest() == build.current()["config"]["sha256"]


@pytest.mark.parametrize("edited", [False, True])
def test_drift_is_looked_for(edited: bool) -> None:
    aws.s3().create_bucket(Bucket=config_calls.BUCKET)
    content = (Listing(TABLE).get(ALPHA, SECOND) or {})["config_content"]
    if edited:
        content = {**content, "title": "By hand"}
    body = rendered(content)
    aws.s3().put_object(Bucket=config_calls.BUCKET, Key="config.json", Body=body)
    made = running(mode="drift")
    answer = config.handler(build.event(made, "CheckConfig"), None)
    findings = answer["drift"]["findings"]
    assert [item["detail"] for item in findings] == (["1 path differs: title"] if edited else [])
    event = build.event(made, "RecordDrift", drift={"config": {"findings": findings}})
    record.handler(event, None)
    now = build.current()
    assert (now["drift"]["findings"], now["running"]) == (findings, RUNS)
