"""What the API answers when it is asked, its sources and schedules, and its own description."""

import hashlib
import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import call
from worker_builders import ALPHA, ARTIFACTS, TABLE

from control_plane import aws, naming, own
from control_plane.models import Deployment
from control_plane.store.history import History
from control_plane.store.progress import Progress
from control_plane.use_cases.admission import parse_input

pytestmark = pytest.mark.usefixtures("source")
HERE = "/envs/stage/orgs/alpha"


def succeeded(number: int = 1) -> Deployment:
    made = build.opened(build.deployment(number=number))
    build.take_lock(made)
    receipt = {"config": {"bucket": "b"}, "outputs": {"Url": "u"}}
    current = {**receipt, "last_good": made.id}
    History(TABLE).succeed(ALPHA, made.id, made.execution_arn, receipt, current)
    return made


def test_the_api_answers_and_says_which_release_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    release = own.Release(version="1.2.3", source="5" * 64, build="f" * 64)
    monkeypatch.setattr(own, "running", lambda: release)
    assert call("GET", "/health").body == {
        "status": "ok", "version": "1.2.3", "source": "5" * 64, "build": "f" * 64,
    }  # fmt: skip


def test_a_deployment_is_shown_with_the_steps_that_were_entered() -> None:
    made = build.opened(build.deployment())
    Progress(TABLE).begin_step(made, "CheckStack")
    for path in (f"{HERE}/deployments/{made.id}", f"/deployments/{made.id}"):
        found = call("GET", path).body
        assert (found["id"], list(found["steps"])) == (made.id, ["CheckStack"])
        assert found["console_url"] == naming.console_url(made.execution_arn)


def test_deployments_are_listed_newest_first() -> None:
    made = [build.opened(build.deployment(number=number)) for number in (1, 2, 3)]
    listed = call("GET", f"{HERE}/deployments", limit="2").body["deployments"]
    assert [item["id"] for item in listed] == [made[2].id, made[1].id]
    assert call("GET", "/envs/stage/orgs/beta/deployments").body["deployments"] == []


@pytest.mark.parametrize("limit", ["0", "101", "many"])
def test_a_wrong_limit_is_refused(limit: str) -> None:
    reply = call("GET", f"{HERE}/deployments", limit=limit)
    assert (reply.status, reply.fields) == (400, ["limit"])


def test_a_tenant_is_shown_as_it_was_last_good() -> None:
    made = succeeded()
    found = call("GET", HERE).body
    assert (found["last_good"], found["outputs"]) == (made.id, {"Url": "u"})
    assert [item["stack_name"] for item in call("GET", "/tenants").body["tenants"]] == [
        "notes-stage-alpha"
    ]


def test_a_tenant_of_another_application_is_another_tenant() -> None:
    succeeded()
    assert call("GET", HERE, application="plain").status == 404


@pytest.mark.parametrize(
    "path",
    [
        HERE,
        f"{HERE}/config",
        f"{HERE}/schedule",
        f"{HERE}/deployments/20261122-120000-000aaaaa",
        "/deployments/20261122-120000-000aaaaa",
        "/nowhere",
        "/envs/stage",
    ],
)
def test_what_is_not_there_is_404(path: str) -> None:
    reply = call("GET", path)
    assert (reply.status, reply.error["code"]) == (404, "NotFound")
    assert reply.error["message"]


def test_a_method_that_a_route_does_not_have_is_404() -> None:
    assert call("PATCH", HERE).status == 404


# Description --------------------------------------------------------------------------------------

ROUTES = {
    ("get", "/health"),
    ("get", "/openapi.json"),
    ("post", "/envs/{env}/orgs/{org}/deployments"),
    ("get", "/envs/{env}/orgs/{org}/deployments"),
    ("get", "/envs/{env}/orgs/{org}/deployments/{deployment_id}"),
    ("get", "/deployments/{deployment_id}"),
    ("get", "/tenants"),
    ("get", "/envs/{env}/orgs/{org}"),
    ("get", "/envs/{env}/orgs/{org}/config"),
    ("put", "/envs/{env}/orgs/{org}/config"),
    ("get", "/envs/{env}/orgs/{org}/config/history"),
    ("get", "/envs/{env}/orgs/{org}/schedule"),
    ("put", "/envs/{env}/orgs/{org}/schedule"),
    ("delete", "/envs/{env}/orgs/{org}/schedule"),
    ("get", "/sources"),
    ("put", "/sources/{sha256}"),
    ("get", "/envs/{env}/sources"),
    ("put", "/envs/{env}/sources/{sha256}"),
}


def test_the_description_lists_every_route() -> None:
    described = call("GET", "/openapi.json").body
    listed = {
        (method, path.replace("<", "{").replace(">", "}"))
        for path, methods in described["paths"].items()
        for method in methods
    }
    assert listed >= ROUTES
    assert described["info"]["title"] == "syndi"


# Sources ------------------------------------------------------------------------------------------


def put_source(content: bytes, env: str = "dev", **changes: Any) -> Any:
    body = {"application": "notes", "size": len(content), **changes}
    return call("PUT", f"/envs/{env}/sources/{hashlib.sha256(content).hexdigest()}", body)


def upload(content: bytes, env: str = "dev") -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    aws.s3().put_object(Bucket=ARTIFACTS, Key=f"sources/{env}/{sha256}.zip", Body=content)
    return sha256


NEW = build.zipped({**build.FILES, "README.md": "new"})


def test_a_source_is_uploaded_first_and_then_registered() -> None:
    first = put_source(NEW)
    assert (first.status, first.body["state"]) == (200, "UPLOAD")
    sha256 = hashlib.sha256(NEW).hexdigest()
    assert f"sources/dev/{sha256}.zip" in first.body["upload"]["url"]
    assert first.body["upload"]["headers"]["content-length"] == str(len(NEW))
    assert "dev" not in call("GET", "/sources").body["environments"]
    upload(NEW)
    second = put_source(NEW)
    assert (second.body["state"], second.body["environments"]) == ("REGISTERED", ["dev"])
    assert call("GET", "/sources").body["environments"]["dev"] == sha256
    found = call("GET", "/envs/dev/sources").body
    assert (found["current"], [one["sha256"] for one in found["sources"]]) == (sha256, [sha256])
    assert call("POST", "/envs/dev/orgs/alpha/deployments").body["source"] == sha256


def test_a_source_that_was_pushed_for_dev_is_not_deployed_to_prod_by_its_digest() -> None:
    """Who may push for dev would decide what runs in prod."""
    sha256 = upload(NEW)
    put_source(NEW)
    reply = call("POST", "/envs/prod/orgs/alpha/deployments", {"source": sha256})
    assert (reply.status, reply.fields) == (400, ["source"])
    assert (
        "was not pushed for prod, only for others: push it with 'syndi source push"
        in reply.error["message"]
    )
    assert put_source(NEW, "prod").body["state"] == "UPLOAD", "who pushes it shows that he has it"
    upload(NEW, "prod")
    put_source(NEW, "prod")
    reply = call("POST", "/envs/prod/orgs/alpha/deployments", {"source": sha256})
    assert reply.status == 202


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"application": "plain"}, "application"),
        ({"env": "production"}, "env"),
        ({"environments": ["prod"]}, "environments"),
        ({"size": 0}, "size"),
        ({"else": 1}, "else"),
    ],
)
def test_a_wrong_push_is_refused(changes: dict[str, Any], field: str) -> None:
    upload(NEW)
    reply = put_source(NEW, **changes)
    assert (reply.status, reply.fields) == (400, [field])
    assert "dev" not in call("GET", "/sources").body["environments"]


def test_the_route_of_an_earlier_release_takes_its_trial_only() -> None:
    body = {"application": "notes", "environments": ["dev"], "size": 1}
    reply = call("PUT", f"/sources/{'5' * 64}", body)
    assert (reply.status, reply.fields) == (400, ["application"])
    assert "PUT /envs/{env}/sources/{sha256}" in reply.error["message"]


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({}, "application.toml build.commands: echo $TENANT_ORG > x"),
        ({"Makefile": "generated:\n\techo $(STACK_NAME) > x\n"}, "Makefile line 2: echo $(STACK"),
    ],
)
def test_a_build_that_would_ask_whose_it_is_is_refused(files: dict[str, str], where: str) -> None:
    """It would give every other tenant what was made for the first."""
    if not files:
        command = '"echo $TENANT_ORG > x"'
        files = {"application.toml": build.MANIFEST.replace('"make generated"', command)}
    content = build.zipped({**build.FILES, **files})
    upload(content)
    reply = put_source(content)
    assert (reply.status, reply.fields) == (400, ["build.per_tenant"])
    assert where in reply.error["message"]
    assert "dev" not in call("GET", "/sources").body["environments"]
    described = {**build.FILES, **files}
    described["application.toml"] = described["application.toml"].replace(
        "[build]", "[build]\nper_tenant = true"
    )
    content = build.zipped(described)
    upload(content)
    assert put_source(content).body["state"] == "REGISTERED"


def test_a_stateful_type_that_does_not_exist_is_refused_with_what_was_meant() -> None:
    """It would protect nothing."""
    wrong = build.MANIFEST.replace("AWS::Cognito::UserPool", "AWS::Cognito::UserPools")
    content = build.zipped({**build.FILES, "application.toml": wrong})
    upload(content)
    reply = put_source(content)
    assert (reply.status, reply.fields) == (400, ["stack.stateful_types[1]"])
    assert "did you mean AWS::Cognito::UserPool?" in json.dumps(reply.body)
    assert "dev" not in call("GET", "/sources").body["environments"]


@pytest.mark.parametrize("less", ["notes-config-{env}-{account}", "notes-config-{org}", "notes"])
def test_a_bucket_that_tenants_would_share_is_refused_by_its_field(less: str) -> None:
    wrong = build.MANIFEST.replace("notes-config-{env}-{org}-{account}", less)
    content = build.zipped({**build.FILES, "application.toml": wrong})
    upload(content)
    reply = put_source(content)
    assert (reply.status, reply.fields) == (400, ["stack.buckets[0]", "config.bucket"])
    assert "dev" not in call("GET", "/sources").body["environments"]


def test_a_source_with_a_broken_manifest_is_refused_with_its_keys() -> None:
    broken = build.zipped({"application.toml": build.MANIFEST.replace("stamp", "stempel")})
    upload(broken)
    reply = put_source(broken)
    assert (reply.status, set(reply.fields)) == (400, {"build.stamp", "build.stempel"})


def test_a_name_that_is_no_digest_is_refused() -> None:
    body = {"application": "notes", "size": 1}
    assert call("PUT", "/envs/dev/sources/latest", body).fields == ["sha256"]


# Schedules ----------------------------------------------------------------------------------------


@pytest.fixture
def _group(source: str) -> None:
    aws.scheduler().create_schedule_group(Name="syndi")


def schedule() -> dict[str, Any]:
    return dict(aws.scheduler().get_schedule(Name="notes-stage-alpha", GroupName="syndi"))


@pytest.mark.usefixtures("_group")
def test_a_schedule_starts_the_state_machine_as_a_deployment_by_hand_would() -> None:
    body = {"expression": "rate(1 day)", "timezone": "Europe/Berlin", "enable_auth": True}
    reply = call("PUT", f"{HERE}/schedule", body)
    assert (reply.status, reply.body["expression"]) == (200, "rate(1 day)")
    found = schedule()
    assert (found["State"], found["ScheduleExpressionTimezone"]) == ("ENABLED", "Europe/Berlin")
    recorder = build.ENVIRONMENT["RECORD_FUNCTION"]
    assert (found["Target"]["Arn"], found["Target"]["RoleArn"]) == (recorder, build.ROLE)
    request = parse_input(json.loads(found["Target"]["Input"])["start"]["input"])
    assert (request.env, request.org) == ("stage", "alpha")
    assert (request.enable_auth, request.source) == (True, None)


@pytest.mark.usefixtures("_group")
def test_a_schedule_is_replaced_shown_and_removed() -> None:
    call("PUT", f"{HERE}/schedule", {"expression": "rate(1 day)"})
    body = {"expression": "cron(0 3 * * ? *)", "enabled": False}
    assert call("PUT", f"{HERE}/schedule", body).status == 200
    assert schedule()["State"] == "DISABLED"
    shown = call("GET", f"{HERE}/schedule").body
    assert (shown["expression"], shown["enabled"]) == ("cron(0 3 * * ? *)", False)
    assert call("DELETE", f"{HERE}/schedule").body == {"deleted": True}
    assert call("GET", f"{HERE}/schedule").status == 404
    assert call("DELETE", f"{HERE}/schedule").status == 404


@pytest.mark.usefixtures("_group")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expression": "daily"}, "expression"),
        ({}, "expression"),
        ({"expression": "rate(1 day)", "source": "a" * 64}, "source"),
        ({"expression": "rate(1 day)", "admin_password": "x"}, "admin_password"),
        ({"expression": "rate(1 day)", "application": "unknown"}, "application"),
    ],
)
def test_a_wrong_schedule_is_refused_and_none_is_made(body: dict[str, Any], field: str) -> None:
    reply = call("PUT", f"{HERE}/schedule", body)
    assert (reply.status, reply.fields) == (400, [field])
    assert aws.scheduler().list_schedules()["Schedules"] == []


@pytest.mark.usefixtures("_group")
def test_an_expression_that_the_scheduler_refuses_is_a_wrong_request(
    script: scripted.Scripted,
) -> None:
    wrong = scripted.failure(
        "ValidationException", "Invalid Schedule Expression cron(0 99 * * ? *)."
    )
    script.on(aws.scheduler(), "CreateSchedule", wrong)
    reply = call("PUT", f"{HERE}/schedule", {"expression": "cron(0 99 * * ? *)"})
    assert (reply.status, reply.fields) == (400, ["expression"])
    assert "cron(0 99 * * ? *)" in reply.error["message"]


def test_a_throttled_scheduler_is_not_a_missing_schedule(script: scripted.Scripted) -> None:
    script.on(aws.scheduler(), "GetSchedule", scripted.failure("ThrottlingException"))
    assert call("GET", f"{HERE}/schedule").status == 503
