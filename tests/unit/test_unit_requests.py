"""Requests: unknown fields, wrong names, and options that an application does not have."""

from typing import Any

import pytest
from pydantic import ValidationError

from control_plane.errors import InvalidRequest
from control_plane.events import DeploymentRequest, ScheduleRequest, SourceRequest, Target, invalid
from control_plane.manifest import Manifest
from control_plane.models import Deployment, Env, Mode, OnConflict, Options
from control_plane.rules.rollout_plan import RolloutRequest
from control_plane.use_cases.admission import check_conflict, check_options, parse_input, tenant_of

SMALLEST: dict[str, Any] = {
    "schema": 1,
    "name": "notes",
    "build": {"stamp": "build.json"},
    "stack": {"function": "Function"},
    "tests": {"endpoint": "Url", "health": "/health", "fingerprint": "build"},
}
WITH_USERS = {
    **SMALLEST,
    "stack": {
        "function": "Function",
        "parameters": {"enable_auth": "EnableAuth", "create_buckets": "CreateBuckets"},
    },
    "admin": {"user_pool": "PoolId", "client": "ClientId", "group": "ADMINS"},
}


def test_an_environment_and_an_organization_are_enough() -> None:
    found = parse_input({"env": "stage", "org": "myorg"})
    assert (found.env, found.org) == (Env.STAGE, "myorg")
    assert (found.source, found.application, found.trigger) == (None, None, "manual")
    assert (found.enable_auth, found.create_buckets) == (None, None)
    assert (found.on_conflict, found.allow_replacement) == (OnConflict.WAIT, ())


BAD_ORGS = ["MyOrg", "my_org", "-org", "org-", "a--b", "9lives", "", "o" * 41, "a b", "a\n", "lab*"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"orgg": "x"}, "orgg"),
        ({"admin_password": "secret-password"}, "admin_password"),
        ({"env": "production"}, "env"),
        ({"env": None}, "env"),
        ({"on_conflict": "queue"}, "on_conflict"),
        ({"enable_auth": "perhaps"}, "enable_auth"),
        ({"source": "latest"}, "source"),
        ({"source": "A" * 64}, "source"),
        ({"application": "Rawscribe"}, "application"),
        ({"admin_username": "no-address"}, "admin_username"),
        ({"trigger": "magic"}, "trigger"),
        *(({"org": org}, "org") for org in BAD_ORGS),
    ],
)
def test_a_wrong_field_is_refused_by_name(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_input({"env": "stage", "org": "myorg", **given})
    assert [item["field"] for item in refused.value.details] == [field]
    assert field in str(refused.value)
    assert "secret-password" not in str(refused.value)


@pytest.mark.parametrize("org", ["a", "lab2", "org-blue", "a-1-b", "o" * 40])
def test_an_organization_may_have_hyphens_between_words(org: str) -> None:
    assert parse_input({"env": "dev", "org": org}).org == org


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_input({"env": "x", "org": "Y", "what": 1})
    assert {item["field"] for item in refused.value.details} == {"env", "org", "what"}


@pytest.mark.parametrize("raw", [[], "stage", None, 1])
def test_an_input_that_is_no_object_is_refused(raw: Any) -> None:
    with pytest.raises(InvalidRequest, match="execution input"):
        parse_input(raw)


def test_a_tenant_is_of_the_default_application_unless_told_otherwise() -> None:
    assert tenant_of(Env.DEV, "lab", Target(), "rawscribe").stack_name == "rawscribe-dev-lab"
    other = tenant_of(Env.DEV, "lab", Target(application="almanac"), "rawscribe")
    assert other.stack_name == "almanac-dev-lab"


# Options ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["enable_auth", "create_buckets"])
@pytest.mark.parametrize("value", [True, False])
def test_an_option_that_the_application_does_not_have_is_refused(option: str, value: bool) -> None:
    options = Target.model_validate({option: value})
    with pytest.raises(InvalidRequest) as refused:
        check_options(options, Manifest.model_validate(SMALLEST))
    assert refused.value.details[0]["field"] == option
    check_options(options, Manifest.model_validate(WITH_USERS))


def test_an_administrator_of_an_application_without_users_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="notes has no administrators"):
        check_options(Target(admin_username="a@b.cd"), Manifest.model_validate(SMALLEST))


def test_an_administrator_without_authentication_is_refused() -> None:
    manifest = Manifest.model_validate(WITH_USERS)
    with pytest.raises(InvalidRequest, match="needs authentication"):
        check_options(Target(admin_username="a@b.cd", enable_auth=False), manifest)
    check_options(Target(admin_username="a@b.cd", enable_auth=True), manifest)
    check_options(Target(admin_username="a@b.cd"), manifest)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("given", "without"),
    [
        ({"approval": True}, {Mode.DRIFT}),
        ({"rollback_on_failure": False}, {Mode.DRIFT, Mode.OFFBOARD}),
    ],
)
def test_an_option_that_a_mode_would_ignore_is_refused(
    mode: Mode, given: dict[str, bool], without: set[Mode]
) -> None:
    package = {"code": "app", "into": "app"}
    build = {"stamp": "app/build.json"}
    manifest = Manifest.model_validate({**SMALLEST, "build": build, "package": package})
    target = Target.model_validate({"mode": mode, **given})
    if mode not in without:
        check_options(target, manifest)
        return
    with pytest.raises(InvalidRequest, match="has no meaning in mode") as refused:
        check_options(target, manifest)
    assert [item["field"] for item in refused.value.details] == list(given)


def test_nothing_is_asked_of_an_application_that_has_nothing() -> None:
    assert check_options(Target(), Manifest.model_validate(SMALLEST)) is None


# Wire models --------------------------------------------------------------------------------------


def test_a_password_is_never_shown() -> None:
    request = DeploymentRequest.model_validate({"admin_password": "Geheim-4711"})
    assert "Geheim-4711" not in repr(request)
    assert "Geheim-4711" not in request.model_dump_json()


@pytest.mark.parametrize(
    "expression",
    ["rate(1 day)", "rate(90 minutes)", "cron(0 3 * * ? *)", "cron(0 6 ? * MON-FRI *)"],
)
def test_a_schedule_has_a_rate_or_a_cron_expression(expression: str) -> None:
    assert ScheduleRequest(expression=expression).timezone == "UTC"


@pytest.mark.parametrize(
    "expression",
    ["daily", "at(2026-01-01T00:00:00)", "rate()", "rate(1", "rate(0 minutes)", "rate(-1 days)",
     "rate(1 week)", "cron(0 6 * * *)"],
)  # fmt: skip
def test_any_other_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValidationError, match="expression"):
        ScheduleRequest(expression=expression)


@pytest.mark.parametrize("size", [0, -1, 50 * 1024 * 1024 + 1])
def test_an_impossible_size_of_a_source_is_refused(size: int) -> None:
    with pytest.raises(ValidationError, match="size"):
        SourceRequest(application="notes", size=size)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"max_failures": "a few"}, "must be a number or a whole percentage: 3 or 5%"),
        ({"labels": {"ring": "no spaces"}}, "must be a label's value"),
        ({"labels": {"Ring": "one"}}, "must be a label's key"),
        ({"build": "xyz"}, "must be how a build begins"),
        ({"waves": [{"count": 0}]}, "must be 1 or more"),
        ({"waves": [{"count": 10_001}]}, "must be 10000 or less"),
        ({"waves": [{"percent": 0}]}, "must be more than 0"),
        ({"waves": [{"count": "many"}]}, "must be a whole number"),
        ({"waves": [{}]}, "must say exactly one of tenants, count, percent, rest"),
        ({"waves": [{"rest": True}] * 51}, "may have 50 entries"),
        ({"alarms": ["a" * 256]}, "may have 255 characters"),
        ({"priority": "now"}, "must be 'urgent', 'normal' or 'low'"),
        ({"mode": "function"}, "must be 'full' or 'deploy-only'"),
        ({"approval": "perhaps"}, "must be true or false"),
        ({"surprise": 1}, "there is no such field"),
    ],
)
def test_what_is_wrong_is_said_in_words(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        RolloutRequest.model_validate(given)
    (found,) = invalid(wrong.value, "rollout").details
    assert found["reason"].startswith(told)


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(ValidationError) as wrong:
        DeploymentRequest.model_validate({"admin_password": ["Geheim-4711"], "source": "hunter2"})
    refusal = invalid(wrong.value, "request")
    assert {item["field"] for item in refusal.details} == {"admin_password", "source"}
    assert "Geheim-4711" not in f"{refusal} {refusal.details}"
    assert "hunter2" not in f"{refusal} {refusal.details}"


def test_values_cannot_be_changed() -> None:
    options = Options()
    with pytest.raises(ValidationError, match="frozen"):
        options.allow_replacement = ()  # type: ignore[misc]
    assert Deployment.model_config["frozen"] is True


@pytest.mark.parametrize("asked", [{"dry_run": True}, {"mode": "drift"}])
def test_what_deploys_nothing_takes_nobodys_place(asked: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match="supersede"):
        check_conflict(Target.model_validate({**asked, "on_conflict": "supersede"}))
    check_conflict(Target.model_validate({**asked, "on_conflict": "wait"}))
    check_conflict(Target(on_conflict=OnConflict.SUPERSEDE))
