"""What is green: a tenant that says that it is degraded must not pass for one that works."""

from typing import Any

import pytest

from cli import checking
from control_plane import manifest
from control_plane.errors import InvalidRequest
from control_plane.manifest import TestsTable
from control_plane.rules.tenant_health import health_verdict
from control_plane.services.live import Answer


def table(**more: Any) -> TestsTable:
    return TestsTable(endpoint="Url", health="/health", fingerprint="build", **more)


@pytest.mark.parametrize(
    "word",
    ["degraded", "DEGRADED", " Degraded ", "unhealthy", "error", "fail", "failed", "down", "DOWN",
     "OUT_OF_SERVICE", "unavailable", "critical", False],
)  # fmt: skip
def test_a_known_bad_word_is_not_green_though_the_manifest_says_nothing(word: Any) -> None:
    verdict = health_verdict(200, {"status": word, "build": "f"}, table())
    assert "status is" in verdict.problem
    assert not verdict.is_final  # a dependency may come up: it is tried again


@pytest.mark.parametrize(
    "body",
    [{"status": "ok"}, {"status": "pass"}, {"status": "warn"}, {"status": "UP"}, {"status": 200},
     {"status": {"deep": "degraded"}}, {"detail": {"status": "degraded"}}, {}, None, [],
     "degraded"],
)  # fmt: skip
def test_what_says_nothing_bad_is_green(body: Any) -> None:
    assert health_verdict(200, body, table()).problem == ""


@pytest.mark.parametrize("status", [500, 503, 404, 302, 204, 0])
def test_any_other_http_status_is_not_green(status: int) -> None:
    assert health_verdict(status, {"status": "ok"}, table(healthy=["ok"])).problem


@pytest.mark.parametrize(
    ("tests", "body", "green"),
    [
        ({"healthy": ["ok"]}, {"status": "ok"}, True),
        ({"healthy": ["ok", "warn"]}, {"status": "warn"}, True),
        ({"healthy": ["ok"]}, {"status": "OK"}, False),
        ({"healthy": ["ok"]}, {"status": "degraded"}, False),
        ({"healthy": ["ok"]}, {"status": "starting"}, False),
        ({"healthy": ["ok"]}, {"status": None}, False),
        ({"healthy": ["ok"]}, {"status": ["ok"]}, False),
        ({"status": "checks.db", "healthy": [True]}, {"checks": {"db": True}}, True),
        ({"status": "checks.db", "healthy": [True]}, {"checks": {"db": 1}}, False),
        ({"status": "checks.db", "healthy": [1]}, {"checks": {"db": True}}, False),
        # The manifest looks elsewhere: the top-level word is its own business.
        ({"status": "state", "healthy": [0]}, {"state": 0, "status": "error"}, True),
    ],
)
def test_only_what_the_manifest_lists_is_green(
    tests: dict[str, Any], body: Any, green: bool
) -> None:
    verdict = health_verdict(200, body, table(**tests))
    assert (verdict.problem == "") is green
    assert not verdict.is_final


@pytest.mark.parametrize("body", [{"build": "f"}, {"checks": "ok"}, {"checks": {}}, None, ["ok"]])
def test_a_path_that_the_answer_does_not_have_is_the_manifests_mistake(body: Any) -> None:
    verdict = health_verdict(200, body, table(status="checks.db", healthy=["ok"]))
    assert verdict.is_final
    assert "has no checks.db, which must be 'ok'" in verdict.problem
    assert "application.toml" in verdict.problem


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('status = "status"', "status needs healthy"),
        ("healthy = []", "healthy"),
        ('healthy = "ok"', "healthy"),
        ("healthy = [1.5]", "healthy"),
        ('status = "a..b"\nhealthy = ["ok"]', "status"),
        ('status = ""\nhealthy = ["ok"]', "status"),
    ],
)
def test_the_manifest_is_refused_where_nothing_could_ever_be_green(line: str, field: str) -> None:
    text = f"""
schema = 1
name = "notes"
[build]
stamp = "build.json"
[stack]
function = "Function"
[tests]
endpoint = "Url"
health = "/health"
fingerprint = "build"
{line}
"""
    with pytest.raises(InvalidRequest, match=field):
        manifest.parse(text)


def test_check_fails_a_degraded_tenant_that_answers_200(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(200, {"status": "degraded", "build": "f"})
    monkeypatch.setattr(checking, "get", lambda url: answer)
    tests = {"endpoint": "Url", "health": "/health", "fingerprint": "build", "from_later": 1}
    tenant = {"endpoint": "https://x", "running": "f"}
    found = {item["name"]: item for item in checking.check_tenant(tenant, {"tests": tests}, None)}
    assert found["health"]["status"] == "FAILED"
    assert found["health"]["detail"] == "/health: status is 'degraded'"
    assert found["build"]["status"] == "PASSED"
