"""The verify worker: each of its tests fails when the tenant is wrong in exactly that."""

import re
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from fake_tenant import PRINT, SILENCE, URL, FakeTenant
from verify_calls import OFF, ON, Pools, run, statuses

from control_plane.errors import TenantNotReady, TestsFailed
from control_plane.models import Deployment
from control_plane.services.live import Answer
from control_plane.settings import forget_settings
from workers import verify as worker

AUTHENTICATED = ("no-token", "bad-token", "stranger-token", "sign-in", "runtime-config")


@pytest.fixture
def pools(script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Pools:
    found = Pools(script)
    monkeypatch.setenv("STRANGER_POOL_ID", found.stranger)
    monkeypatch.setenv("STRANGER_CLIENT_ID", found.stranger_client)
    forget_settings()
    return found


@pytest.fixture
def live(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> FakeTenant:
    """What the other checks look at is in the tests of their modules."""
    found = FakeTenant(pools.pool)
    monkeypatch.setattr("workers.verify.get", found.get)
    monkeypatch.setattr("workers.verify.CHECKS", (worker.health, worker.authentication))
    return found


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment())


def test_a_tenant_that_is_right_passes_every_test(
    made: Deployment, pools: Pools, live: FakeTenant
) -> None:
    answer = run(made, pools)
    assert statuses(made) == dict.fromkeys(("health", *AUTHENTICATED), "PASSED")
    assert answer["tests"] == build.record(made)["tests"]
    assert build.record(made)["steps"]["RunTests"]["note"] == "6 passed, 0 skipped"
    assert sorted(live.asked) == sorted(("health", *AUTHENTICATED))


HARD_CODED = {"email": "admin@example.com", "groups": ["ADMINS"]}


@pytest.mark.parametrize(
    ("wrong", "answer", "told"),
    [
        ("no-token", Answer(200, HARD_CODED), "expected 401, got 200"),
        ("no-token", Answer(403, None), "expected 401, got 403"),
        ("no-token", Answer(500, None), "expected 401, got 500"),
        ("bad-token", Answer(200, HARD_CODED), "expected 401, got 200"),
        ("bad-token", Answer(502, None), "expected 401, got 502"),
        ("stranger-token", Answer(200, HARD_CODED), "expected 401 or 403, got 200"),
        ("stranger-token", Answer(500, None), "expected 401 or 403, got 500"),
        ("sign-in", Answer(401, None), "expected 200, got 401"),
        ("sign-in", Answer(200, HARD_CODED), "got 'admin@example.com'"),
        ("sign-in", Answer(200, None), "expected user '.*', got None"),
        ("runtime-config", Answer(200, {"pool": "us-east-1_other"}), "us-east-1_other"),
        ("runtime-config", Answer(200, {}), "got 200 and None"),
        ("runtime-config", Answer(500, None), "expected 200 and pool .*, got 500"),
    ],
)
def test_a_tenant_that_is_wrong_in_one_thing_fails_exactly_that_test(
    made: Deployment, pools: Pools, live: FakeTenant, wrong: str, answer: Answer, told: str
) -> None:
    live.wrong[wrong] = answer
    with pytest.raises(TestsFailed, match=told) as failed:
        run(made, pools)
    assert str(failed.value).startswith(f"{wrong}: ")
    expected = dict.fromkeys(("health", *AUTHENTICATED), "PASSED") | {wrong: "FAILED"}
    assert statuses(made) == expected
    assert pools.users() == []


def test_the_runtime_config_must_answer_200_though_it_names_the_pool(
    made: Deployment, pools: Pools, live: FakeTenant
) -> None:
    live.wrong["runtime-config"] = Answer(500, {"pool": pools.pool})
    with pytest.raises(TestsFailed, match="runtime-config"):
        run(made, pools)


@pytest.mark.parametrize("seen", [[], "ADMINS", None, ["READERS"]])
def test_a_user_whose_group_the_tenant_does_not_see_is_a_failure(
    made: Deployment, pools: Pools, live: FakeTenant, seen: Any
) -> None:
    email = f"syndi-test-{made.id}@tests.invalid"
    live.wrong["sign-in"] = Answer(200, {"email": email, "groups": seen})
    with pytest.raises(TestsFailed, match=f"expected group ADMINS, got {re.escape(repr(seen))}"):
        run(made, pools)


def test_a_stranger_may_be_refused_with_403_too(
    made: Deployment, pools: Pools, live: FakeTenant
) -> None:
    live.wrong["stranger-token"] = Answer(403, None)
    run(made, pools)
    assert statuses(made)["stranger-token"] == "PASSED"


def test_every_failure_is_told_at_once(made: Deployment, pools: Pools, live: FakeTenant) -> None:
    live.wrong = {"no-token": Answer(200, None), "sign-in": Answer(500, None)}
    with pytest.raises(TestsFailed, match=r"no-token: .*; sign-in: "):
        run(made, pools)


# Without authentication ---------------------------------------------------------------------------


def test_without_authentication_its_tests_are_skipped_and_never_passed(
    made: Deployment, pools: Pools, live: FakeTenant
) -> None:
    run(made, pools, OFF, outputs={"Url": URL})
    assert statuses(made) == {"health": "PASSED"} | dict.fromkeys(AUTHENTICATED, "SKIPPED")
    assert build.record(made)["steps"]["RunTests"]["note"] == "1 passed, 5 skipped"
    assert live.asked == ["health"]


@pytest.mark.parametrize("missing", ["PoolId", "ClientId"])
@pytest.mark.parametrize("parameters", [ON, {"Else": "x"}])
def test_a_pool_that_is_missing_though_expected_fails_the_tests(
    made: Deployment,
    pools: Pools,
    live: FakeTenant,
    missing: str,
    parameters: dict[str, str],
) -> None:
    outputs = {name: value for name, value in pools.outputs().items() if name != missing}
    with pytest.raises(TestsFailed, match="has no outputs PoolId and ClientId"):
        run(made, pools, parameters, outputs=outputs)
    assert statuses(made) == {"health": "PASSED"} | dict.fromkeys(AUTHENTICATED, "FAILED")


def test_an_application_without_users_is_asked_for_its_health_only(
    world: None, pools: Pools, live: FakeTenant
) -> None:
    plain = build.manifest.parse(build.PLAIN_MANIFEST)
    made = build.opened(build.deployment(manifest=plain))
    run(made, pools, {"Else": "x"})
    assert statuses(made) == {"health": "PASSED"}


def test_an_application_without_runtime_configuration_skips_that_test(
    world: None, pools: Pools, live: FakeTenant
) -> None:
    text = build.MANIFEST.replace('runtime_config = "/config"', "")
    made = build.opened(build.deployment(manifest=build.manifest.parse(text)))
    run(made, pools)
    assert statuses(made)["runtime-config"] == "SKIPPED"


def test_a_tenant_that_uses_another_configuration_than_was_uploaded_is_not_ready(
    world: None, pools: Pools, live: FakeTenant
) -> None:
    text = build.MANIFEST.replace('fingerprint = "build"', 'fingerprint = "build"\nconfig = "used"')
    made = build.opened(build.deployment(manifest=build.manifest.parse(text)))
    config = {"sha256": "c" * 64}
    live.wrong["health"] = Answer(200, {"build": "f" * 64, "used": "d" * 64})
    with pytest.raises(TenantNotReady, match=r"configuration c{12} at used, got d{12}"):
        run(made, pools, config=config)
    live.wrong["health"] = Answer(200, {"build": "f" * 64, "used": "c" * 64})
    run(made, pools, config=config)
    assert statuses(made)["config"] == "PASSED"


# Not yet ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(502, None), "/health: expected 200, got 502"),
        (Answer(200, {"build": PRINT, "status": "degraded"}), "/health: status is 'degraded'"),
        (Answer(200, {"build": "a" * 64}), "expected build .* at build, got aaaaaaaaaaaa"),
        (Answer(200, {}), "expected build .*, got None"),
        (Answer(200, None), "expected build .*, got None"),
        (SILENCE, "does not answer"),
    ],
)
def test_a_tenant_that_does_not_report_this_build_is_not_ready(
    made: Deployment, pools: Pools, live: FakeTenant, answer: Any, told: str
) -> None:
    live.wrong["health"] = answer
    with pytest.raises(TenantNotReady, match=told) as failed:
        run(made, pools)
    (found,) = build.record(made)["tests"]
    assert found == {"name": "health", "status": "FAILED", "detail": str(failed.value)}
    assert live.asked == ["health"]
    assert build.record(made)["steps"]["RunTests"]["status"] == "RUNNING"


def test_a_stack_without_an_endpoint_cannot_be_tested(
    made: Deployment, pools: Pools, live: FakeTenant
) -> None:
    with pytest.raises(TestsFailed, match="no output Url"):
        run(made, pools, outputs={"PoolId": pools.pool})


def test_a_health_path_that_the_answer_does_not_have_is_a_failed_test(
    pools: Pools, live: FakeTenant
) -> None:
    """Not a tenant that is not ready: trying again for half a minute would change nothing."""
    text = build.MANIFEST.replace("[tests]", '[tests]\nstatus = "state"\nhealthy = ["ok"]')
    made = build.opened(build.deployment(manifest=build.manifest.parse(text)))
    with pytest.raises(TestsFailed, match=r"^health: /health: the answer has no state"):
        run(made, pools)
    assert statuses(made)["health"] == "FAILED"
