"""Names: the seed's patterns, ids that sort, and an organization's longest possible name."""

import tomllib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from control_plane import naming
from control_plane.errors import InvalidRequest
from control_plane.manifest import Manifest
from control_plane.models import Env, Tenant

ACCOUNT = "288761742376"
MACHINE = "arn:aws:states:eu-central-1:288761742376:stateMachine:syndi-deployment"
NOON = datetime(2026, 11, 22, 12, 0, 0, 123_000, tzinfo=UTC)


def tenant(org: str = "myorg", env: Env = Env.STAGE, application: str = "rawscribe") -> Tenant:
    return Tenant(application=application, env=env, org=org)


@pytest.fixture(scope="module")
def rawscribe() -> Manifest:
    text = (Path(__file__).parents[2] / "backend" / "application.toml").read_text()
    return Manifest.model_validate(tomllib.loads(text))


# The seed's patterns ------------------------------------------------------------------------------


def test_the_stack_has_the_seeds_name() -> None:
    assert tenant().stack_name == "rawscribe-stage-myorg"


def test_the_buckets_have_the_seeds_names(rawscribe: Manifest) -> None:
    names = {naming.filled(name, tenant(), ACCOUNT) for name in rawscribe.stack.buckets}
    assert names == {
        "rawscribe-lambda-stage-myorg-288761742376",
        "rawscribe-forms-stage-myorg-288761742376",
        "rawscribe-eln-stage-myorg-288761742376",
        "rawscribe-eln-drafts-stage-myorg-288761742376",
        "syndi-frontend-stage-myorg-288761742376",
    }


def test_the_configuration_lies_where_the_seed_puts_it(rawscribe: Manifest) -> None:
    assert rawscribe.config is not None
    bucket = naming.filled(rawscribe.config.bucket, tenant(), ACCOUNT)
    assert bucket == "rawscribe-lambda-stage-myorg-288761742376"
    assert rawscribe.config.key == "config.json"


def test_a_builds_template_lies_below_the_stacks_own_prefix() -> None:
    assert naming.build_prefix("rawscribe-stage-myorg", "f00") == "rawscribe-stage-myorg/builds/f00"


def test_neighbours_with_a_common_beginning_have_nothing_in_common() -> None:
    lab, lab2 = tenant("lab"), tenant("lab2")
    assert naming.admin_secret(lab, "a@b.c") != naming.admin_secret(lab2, "a@b.c")
    assert not naming.build_prefix(lab2.stack_name, "f").startswith(f"{lab.stack_name}/")


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("overrides/{env}-{org}.txt", "overrides/stage-myorg.txt"),
        ("{org}/{org}", "myorg/myorg"),
        ("{account}", ACCOUNT),
        ("nothing", "nothing"),
        ("{other}", "{other}"),
    ],
)
def test_a_pattern_is_filled_with_the_tenants_own_names(pattern: str, name: str) -> None:
    assert naming.filled(pattern, tenant(), ACCOUNT) == name


# Length -------------------------------------------------------------------------------------------


LONGEST = "rawscribe-eln-drafts-{env}-{org}-{account}"


@pytest.mark.parametrize("env", Env)
def test_an_organization_may_fill_the_longest_bucket_name_to_exactly_63_characters(
    rawscribe: Manifest, env: Env
) -> None:
    longest = "o" * (63 - len(f"rawscribe-eln-drafts-{env}--{ACCOUNT}"))
    assert len(naming.filled(LONGEST, tenant(longest, env), ACCOUNT)) == 63
    naming.check_length(tenant(longest, env), rawscribe, ACCOUNT)
    with pytest.raises(InvalidRequest, match=f"has room for {len(longest)}") as refused:
        naming.check_length(tenant(longest + "o", env), rawscribe, ACCOUNT)
    assert refused.value.details[0]["field"] == "org"


# Deployment ids -----------------------------------------------------------------------------------


def test_ids_sort_by_time() -> None:
    times = [NOON + timedelta(milliseconds=step) for step in (0, 1, 999, 60_000, 86_400_000)]
    ids = [naming.new_deployment_id(at) for at in times]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_ids_are_in_utc_wherever_the_clock_is() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=-8)))
    assert naming.new_deployment_id(there).startswith("20261122-120000-123")


def test_two_deployments_of_the_same_millisecond_have_two_ids() -> None:
    assert len({naming.new_deployment_id(NOON) for _ in range(50)}) == 50


def arn_of(name: str) -> str:
    return naming.execution_arn(MACHINE, name)


def test_an_execution_that_the_api_started_carries_its_deployments_id() -> None:
    made = naming.new_deployment_id(NOON)
    arn = arn_of(naming.execution_name(tenant(), made))
    later = NOON + timedelta(seconds=5)
    assert naming.deployment_id_of(tenant(), arn, NOON) == made
    assert naming.deployment_id_of(tenant(), arn, later) == made


@pytest.mark.parametrize("age", [timedelta(hours=25), timedelta(0), timedelta(minutes=-5)])
def test_an_id_made_up_to_25_hours_before_its_execution_stays_valid(
    age: timedelta,
) -> None:
    made = naming.new_deployment_id(NOON - age)
    arn = arn_of(naming.execution_name(tenant(), made))
    assert naming.deployment_id_of(tenant(), arn, NOON) == made


@pytest.mark.parametrize(
    "chosen",
    [
        "99991231-235959-999aaaaa",
        "20261340-250000-000aaaaa",
        "00000000-000000-000aaaaa",
        "20261122-120501-000aaaaa",
        "20261121-105959-000aaaaa",
    ],
)
def test_nobody_chooses_a_place_among_the_deployments_by_an_executions_name(chosen: str) -> None:
    """An id of the far future would go before all others of its tenant, for ever."""
    arn = arn_of(naming.execution_name(tenant(), chosen))
    found = naming.deployment_id_of(tenant(), arn, NOON)
    assert found != chosen
    assert found == naming.deployment_id_of(tenant(), arn, NOON.replace(microsecond=0))
    assert naming.time_of(found) == NOON.replace(microsecond=0)


@pytest.mark.parametrize(
    "name",
    [
        "6f0d1c9e-1111-2222-3333-444455556666",
        "my-own-name",
        "stage-myorg-tuesday",
        "stage-myorg2-20261122-120000-123abcde",
        "stage-myorg-x-20261122-120000-123abcde",
    ],
)
def test_an_execution_started_by_hand_has_one_id_however_often_it_is_computed(name: str) -> None:
    arn = arn_of(name)
    first = naming.deployment_id_of(tenant(), arn, NOON)
    assert naming.deployment_id_of(tenant(), arn, NOON) == first
    assert first.startswith("20261122-120000-000")
    assert naming.deployment_id_of(tenant(), arn_of(f"{name}2"), NOON) != first
    # and it is what the API would take for an id of its own
    again = arn_of(naming.execution_name(tenant(), first))
    assert naming.deployment_id_of(tenant(), again, NOON + timedelta(days=1)) == first


@pytest.mark.parametrize("millisecond", range(0, 1000, 37))
def test_the_id_is_the_same_from_the_context_object_and_from_eventbridge(millisecond: int) -> None:
    started = NOON.replace(microsecond=millisecond * 1000)
    context = datetime.fromisoformat(started.strftime("%Y-%m-%dT%H:%M:%S.") + f"{millisecond:03d}Z")
    event = datetime.fromtimestamp(round(started.timestamp() * 1000) / 1000, UTC)
    rounded = started.replace(microsecond=0)  # not everybody tells the milliseconds
    told = (context, event, rounded)
    ids = {naming.deployment_id_of(tenant(), arn_of("by-hand"), at) for at in told}
    assert len(ids) == 1


def test_an_execution_name_fits_into_80_characters() -> None:
    made = naming.execution_name(tenant("o" * 40), naming.new_deployment_id(NOON))
    assert len(made) <= 80


def test_the_console_page_is_the_executions_own() -> None:
    arn = arn_of("by-hand")
    assert naming.console_url(arn) == (
        "https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1"
        f"#/v2/executions/details/{arn}"
    )


@pytest.mark.parametrize("told", ["99999999-999999-999zzzzz", "20260231-000000-000aaaaa", ""])
def test_an_id_whose_digits_are_no_time_has_none(told: str) -> None:
    assert naming.time_of(told) is None


def test_an_id_of_the_future_sorts_behind_the_latest() -> None:
    assert naming.new_deployment_id(NOON) < naming.latest_id(NOON)
    assert naming.latest_id(NOON) < "99991231-235959-999zzzzz"
