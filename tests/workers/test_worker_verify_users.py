"""The temporary users of the verify worker: always removed."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError
from fake_tenant import SILENCE, FakeTenant
from verify_calls import Pools, run, statuses

from control_plane import aws
from control_plane.errors import ServiceBusy, TenantNotReady, TestsFailed
from control_plane.models import Deployment
from control_plane.settings import forget_settings
from workers import verify as worker


@pytest.fixture
def pools(script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Pools:
    found = Pools(script)
    monkeypatch.setenv("STRANGER_POOL_ID", found.stranger)
    monkeypatch.setenv("STRANGER_CLIENT_ID", found.stranger_client)
    forget_settings()
    return found


@pytest.fixture
def live(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> FakeTenant:
    found = FakeTenant(pools.pool)
    monkeypatch.setattr("workers.verify.get", found.get)
    monkeypatch.setattr("workers.verify.CHECKS", (worker.health, worker.authentication))
    return found


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment())


@pytest.mark.parametrize("kind", ["stranger-token", "sign-in"])
def test_temporary_users_are_removed_when_the_tenant_falls_silent(
    made: Deployment, pools: Pools, live: FakeTenant, kind: str
) -> None:
    live.wrong[kind] = SILENCE
    with pytest.raises(TenantNotReady):
        run(made, pools)
    assert pools.users() == []


@pytest.mark.parametrize("operation", ["AdminSetUserPassword", "AdminInitiateAuth"])
def test_temporary_users_are_removed_when_they_cannot_sign_in(
    made: Deployment, pools: Pools, live: FakeTenant, script: scripted.Scripted, operation: str
) -> None:
    script.on(aws.cognito(), operation, scripted.failure("TooManyRequestsException"))
    with pytest.raises(ServiceBusy):
        run(made, pools)
    assert pools.users() == []


def test_a_user_whom_an_earlier_attempt_left_behind_is_no_obstacle(
    made: Deployment, pools: Pools, live: FakeTenant
) -> None:
    aws.cognito().admin_create_user(
        UserPoolId=pools.pool, Username=f"syndi-test-{made.id}@tests.invalid"
    )
    run(made, pools)
    assert pools.users() == []


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ({"ChallengeName": "SOFTWARE_TOKEN_MFA", "Session": "s"}, "SOFTWARE_TOKEN_MFA"),
        (
            scripted.failure("InvalidParameterException", "Auth flow not enabled for this client"),
            "Auth flow not enabled",
        ),
        (scripted.failure("NotAuthorizedException", "Password attempts exceeded"), "attempts"),
    ],
)
def test_a_pool_that_does_not_sign_its_own_user_in_fails_the_sign_in_on_record(
    made: Deployment,
    pools: Pools,
    live: FakeTenant,
    script: scripted.Scripted,
    refusal: dict[str, Any],
    told: str,
) -> None:
    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        return scripted.MOTO if asked["UserPoolId"] == pools.stranger else refusal

    script.on(aws.cognito(), "AdminInitiateAuth", answer)
    with pytest.raises(TestsFailed, match=told):
        run(made, pools)
    assert pools.users() == []
    assert statuses(made)["sign-in"] == "FAILED"


# Refusals ----------------------------------------------------------------------------------------

POOL_CALLS = (
    "AdminCreateUser", "AdminSetUserPassword", "AdminAddUserToGroup", "AdminInitiateAuth",
    "AdminDeleteUser",
)  # fmt: skip


@pytest.mark.parametrize("operation", POOL_CALLS)
@pytest.mark.parametrize(
    "code",
    ["ResourceNotFoundException", "InvalidParameterException", "UserLambdaValidationException"],
)
def test_a_refusal_by_the_tenants_pool_is_a_failed_test(
    made: Deployment,
    pools: Pools,
    live: FakeTenant,
    script: scripted.Scripted,
    operation: str,
    code: str,
) -> None:
    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        of_tenant = asked["UserPoolId"] == pools.pool
        return scripted.failure(code, "said no") if of_tenant else scripted.MOTO

    script.on(aws.cognito(), operation, answer)
    with pytest.raises(TestsFailed, match=f"sign-in: the pool {pools.pool} does not .*said no"):
        run(made, pools)
    assert statuses(made)["sign-in"] == "FAILED"
    assert statuses(made)["stranger-token"] == "PASSED"


def test_a_group_that_a_build_dropped_is_a_failed_test(
    made: Deployment, pools: Pools, live: FakeTenant
) -> None:
    aws.cognito().delete_group(UserPoolId=pools.pool, GroupName="ADMINS")
    with pytest.raises(TestsFailed, match=r"sign-in: .* into the group ADMINS"):
        run(made, pools)
    assert pools.users() == []


@pytest.mark.parametrize("operation", POOL_CALLS)
def test_a_permission_that_the_worker_lacks_is_not_the_tenants_failure(
    made: Deployment,
    pools: Pools,
    live: FakeTenant,
    script: scripted.Scripted,
    operation: str,
) -> None:
    script.on(aws.cognito(), operation, scripted.failure("AccessDeniedException"))
    with pytest.raises(ClientError, match="AccessDenied"):
        run(made, pools)


def test_a_failure_of_the_control_planes_own_pool_is_not_the_tenants(
    made: Deployment, pools: Pools, live: FakeTenant, script: scripted.Scripted
) -> None:
    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        ours = asked["UserPoolId"] == pools.stranger
        return scripted.failure("ResourceNotFoundException") if ours else scripted.MOTO

    script.on(aws.cognito(), "AdminCreateUser", answer)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        run(made, pools)
