"""Sessions of a tenant role: tagged as one tenant's, kept while they last, and never another's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import Env, JsonObject, Tenant

of_tenant = aws.of_tenant  # the fixtures put one without sessions in its place
DEMO = Tenant(application="notes", env=Env.STAGE, org="demo")
OTHER = Tenant(application="notes", env=Env.STAGE, org="other")


@pytest.fixture(autouse=True)
def _fresh(world: None) -> Iterator[None]:
    aws._tenant_clients.cache_clear()
    yield
    aws._tenant_clients.cache_clear()


def credentials(key: str, minutes: float) -> JsonObject:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    return {
        "Credentials": {
            "AccessKeyId": key, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": until
        }
    }  # fmt: skip


def signed_with(script: scripted.Scripted, tenant: Tenant) -> str:
    """The access key with which a call in a tenant's session is signed."""
    keys: list[str] = []
    client = of_tenant(tenant).s3()

    def remember(request: object, **_: object) -> None:
        keys.append(str(getattr(request, "headers", {}).get("Authorization", "")))

    client.meta.events.register("before-send.s3", remember)
    try:
        client.list_buckets()
    finally:
        client.meta.events.unregister("before-send.s3", remember)
    return keys[-1].partition("Credential=")[2].partition("/")[0].removeprefix("b'")


def test_a_session_has_the_tags_of_its_tenant_and_lasts(script: scripted.Scripted) -> None:
    script.on(aws.sts(), "AssumeRole", credentials("ASIADEMO", 60))
    assert signed_with(script, DEMO) == "ASIADEMO"
    of_tenant(DEMO).lambda_().list_functions()
    (asked,) = script.of("AssumeRole")  # one for all its clients
    assert asked["RoleArn"] == f"{build.ROLE}-tenant"
    assert asked["RoleSessionName"] == "notes-stage-demo"
    assert {tag["Key"]: tag["Value"] for tag in asked["Tags"]} == {
        "syndi:stack": "notes-stage-demo",
        "syndi:application": "notes",
        "syndi:tenant": "stage-demo",
    }


def test_each_tenant_has_its_own(script: scripted.Scripted) -> None:
    """A process works for one tenant after the other: none gets what the one before could do."""
    script.on(
        aws.sts(), "AssumeRole",
        credentials("ASIADEMO", 60), credentials("ASIAOTHER", 60),
    )  # fmt: skip
    assert signed_with(script, DEMO) == "ASIADEMO"
    assert signed_with(script, OTHER) == "ASIAOTHER"
    assert signed_with(script, DEMO) == "ASIADEMO"
    assert len(script.of("AssumeRole")) == 2


def test_a_session_is_renewed_before_it_expires(script: scripted.Scripted) -> None:
    """A warm function lives for hours, a session for one: a step must not be cut off by its end."""
    script.on(
        aws.sts(), "AssumeRole",
        credentials("ASIAOLD", 5), credentials("ASIANEW", 60),
    )  # fmt: skip
    signed_with(script, DEMO)
    assert signed_with(script, DEMO) == "ASIANEW"


def test_a_session_that_is_refused_is_no_answer_about_the_tenant(script: scripted.Scripted) -> None:
    script.on(aws.sts(), "AssumeRole", scripted.failure("AccessDenied"))
    with pytest.raises(ClientError) as refused:
        of_tenant(DEMO).cognito().admin_get_user(UserPoolId="us-east-1_x", Username="u")
    assert refused.value.operation_name == "AssumeRole"
    assert aws.is_denied(refused.value)


def test_a_busy_sts_is_busy(script: scripted.Scripted) -> None:
    script.on(aws.sts(), "AssumeRole", scripted.failure("Throttling"))
    with pytest.raises(ClientError) as refused:
        of_tenant(DEMO).cognito().admin_get_user(UserPoolId="us-east-1_x", Username="u")
    assert aws.is_busy(refused.value)


def test_a_process_keeps_clients_of_few_tenants(script: scripted.Scripted) -> None:
    """A fleet's worker sees hundreds of tenants: their clients would fill its memory."""
    first = of_tenant(DEMO)
    for number in range(4):
        of_tenant(Tenant(application="notes", env=Env.STAGE, org=f"o{number}"))
    assert of_tenant(DEMO) is not first
