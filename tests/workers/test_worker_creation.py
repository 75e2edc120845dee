"""A tenant is created on purpose: a misspelled organization would be a new one, with data."""

from typing import Any

import pytest
import worker_builders as build
from api_calls import Reply, call
from record_calls import execution, prepare
from worker_builders import TABLE

from control_plane import aws
from control_plane.api import routes
from control_plane.errors import InvalidRequest
from control_plane.events import Target, Trigger
from control_plane.models import Env, Tenant
from control_plane.settings import forget_settings
from control_plane.store.history import History
from control_plane.use_cases.creation import check_creation
from workers import record

PROD = "/envs/prod/orgs/alpha"


@pytest.fixture(autouse=True)
def _world(world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    build.push_source(envs=(Env.STAGE, Env.PROD))
    monkeypatch.setenv("EXPLICIT_CREATION_ENVIRONMENTS", "prod")
    monkeypatch.setenv("MANUAL_START_ENVIRONMENTS", "stage,prod")
    forget_settings()
    routes.front.cache_clear()


def in_prod(org: str) -> Tenant:
    return build.tenant(org, Env.PROD)


def deployed(of: Tenant, **more: Any) -> None:
    made = build.opened(build.deployment(of))
    build.take_lock(made)
    current = {"last_good": made.id, "last_deployment": made.id, "last_status": "SUCCEEDED", **more}
    History(TABLE).succeed(of, made.id, made.execution_arn, {}, current, is_whole=True)


def start(path: str = PROD, **body: Any) -> Reply:
    return call("POST", f"{path}/deployments", body)


def refused_by_hand(**given: Any) -> None:
    """An execution that is started by hand, through all of its way."""
    asked = {"env": "prod", "org": "alpha", **given}
    with pytest.raises(InvalidRequest, match="create") as refused:
        prepare(asked)
    failure = {"state": "PrepareDeployment", "error": "InvalidRequest", "cause": str(refused.value)}
    record.handler(
        {
            "step": "RecordFailure",
            "execution": execution(asked),
            "failure": failure,
            "rollback": {"outcome": "none", "failure": {}},
        },
        None,
    )


# Refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["full", "deploy-only"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_start_that_does_not_say_so_creates_no_tenant(mode: str, dry_run: bool) -> None:
    reply = start(mode=mode, dry_run=dry_run)
    assert (reply.status, reply.fields) == (400, ["create"])
    assert "notes-prod-alpha does not exist" in reply.error["message"]
    assert "--create" in reply.error["message"]
    assert call("GET", f"{PROD}/deployments").body["deployments"] == []
    assert call("GET", "/tenants").body["tenants"] == []


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"mode": "deploy-only"},
        {"trigger": "schedule"},
    ],
)
def test_an_execution_is_refused_as_well_and_leaves_no_tenant(given: dict[str, Any]) -> None:
    refused_by_hand(**given)
    (found,) = call("GET", f"{PROD}/deployments").body["deployments"]
    assert (found["status"], found["failed_step"]) == ("FAILED", "PrepareDeployment")
    assert call("GET", "/tenants").body["tenants"] == []


def test_a_tenant_that_was_offboarded_does_not_exist() -> None:
    deployed(in_prod("alpha"), offboarded_at="2026-11-22T12:00:00+00:00", last_reason="offboarded")
    reply = start()
    assert reply.status == 400
    assert "was offboarded at 2026-11-22" in reply.error["message"]
    refused_by_hand()
    (tenant,) = call("GET", "/tenants").body["tenants"]
    assert tenant["last_status"] == "SUCCEEDED"  # its removal, not the start that was refused


def test_one_that_never_succeeded_does_not_exist_yet() -> None:
    made = build.opened(build.deployment(in_prod("alpha")))
    facts = {"reason": "why", "failed_step": "AwaitStack", "error": "StackFailed"}
    History(TABLE).fail(made.tenant, made.id, made.execution_arn, "FAILED", facts)  # type: ignore[arg-type]
    assert start().status == 400
    assert start(create=True).status == 202


# Allowed ------------------------------------------------------------------------------------------


def test_create_creates_and_says_so() -> None:
    reply = start(create=True)
    assert reply.status == 202
    assert reply.body["request"] == {"create": True}
    prepare({"env": "prod", "org": "alpha", "create": True})
    notes = [one["steps"].get("PrepareDeployment", {}).get("note", "") for one in
             call("GET", f"{PROD}/deployments").body["deployments"]]  # fmt: skip
    assert any(note.endswith("; creates the tenant") for note in notes)


def test_an_existing_tenant_needs_no_create_and_takes_it_harmlessly() -> None:
    deployed(in_prod("alpha"))
    assert start().status == 202
    prepare({"env": "prod", "org": "alpha", "create": True})
    notes = [one["steps"].get("PrepareDeployment", {}).get("note", "") for one in
             call("GET", f"{PROD}/deployments").body["deployments"]]  # fmt: skip
    assert any("create was not needed" in note for note in notes)


def test_other_environments_create_as_before() -> None:
    assert start("/envs/stage/orgs/alpha").status == 202
    prepare({"env": "stage", "org": "alpha", "trigger": "schedule"})


def test_a_retry_says_what_its_deployment_said() -> None:
    made = start(create=True).body
    facts = {"reason": "why", "failed_step": "AwaitStack", "error": "StackFailed"}
    History(TABLE).fail(in_prod("alpha"), made["id"], made["execution_arn"], "FAILED", facts)  # type: ignore[arg-type]
    assert call("POST", f"{PROD}/deployments/{made['id']}/retry", {}).status == 202


@pytest.mark.parametrize("trigger", [Trigger.SCHEDULE, Trigger.ROLLOUT])
def test_what_starts_by_itself_creates_nothing_whatever_its_input_says(trigger: Trigger) -> None:
    with pytest.raises(InvalidRequest, match=f"no {trigger} creates a tenant in prod"):
        check_creation(in_prod("alpha"), Target(create=True), {}, "prod", trigger)
    check_creation(in_prod("alpha"), Target(create=True), {}, "dev", trigger)


@pytest.mark.parametrize("mode", ["rollback", "drift", "function"])
def test_create_has_no_meaning_for_what_creates_nothing(mode: str) -> None:
    with pytest.raises(InvalidRequest, match="create"):
        prepare({"env": "stage", "org": "alpha", "mode": mode, "create": True})


# By themselves ------------------------------------------------------------------------------------

EVERY_DAY = {"expression": "rate(1 day)"}


def test_a_schedule_creates_no_tenant() -> None:
    aws.scheduler().create_schedule_group(Name="syndi")
    reply = call("PUT", f"{PROD}/schedule", EVERY_DAY)
    assert (reply.status, reply.fields) == (400, ["create"])
    assert "no schedule creates a tenant in prod" in reply.error["message"]
    for path in (PROD, "/envs/stage/orgs/alpha"):
        reply = call("PUT", f"{path}/schedule", {**EVERY_DAY, "create": True})
        assert (reply.status, reply.fields) == (400, ["create"])
    deployed(in_prod("alpha"))
    assert call("PUT", f"{PROD}/schedule", EVERY_DAY).status == 200


def test_a_rollout_creates_no_tenant() -> None:
    deployed(in_prod("alpha"))
    reply = call("POST", "/envs/prod/rollouts", {"tenants": ["alpha", "alhpa"], "dry_run": True})
    assert (reply.status, reply.fields) == (400, ["tenants"])
    assert "alhpa: not deployed in prod" in reply.error["message"]
    for env, orgs in (("prod", ["alpha"]), ("stage", ["new"])):
        body = {"tenants": orgs, "dry_run": True}
        assert call("POST", f"/envs/{env}/rollouts", body).status == 202


# What the command line asks -----------------------------------------------------------------------


def test_whether_a_tenant_exists_and_who_may_be_meant() -> None:
    for org in ("acme", "acme-two", "zenith"):
        deployed(in_prod(org))
    deployed(build.tenant("acmee"))  # of another environment
    deployed(in_prod("acne"), offboarded_at="2026-11-22T12:00:00+00:00")
    found = call("GET", "/envs/prod/orgs/acmme/creation").body
    assert (found["exists"], found["explicit"]) == (False, True)
    assert found["similar"] == ["acme", "acme-two"]
    known = call("GET", "/envs/prod/orgs/acme/creation").body
    assert (known["exists"], known["similar"]) == (True, [])
    assert call("GET", "/envs/stage/orgs/acme/creation").body["explicit"] is False
    gone = call("GET", "/envs/prod/orgs/acne/creation").body
    assert (gone["exists"], gone["offboarded_at"][:10]) == (False, "2026-11-22")
