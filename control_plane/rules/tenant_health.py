"""Whether a tenant's answer to its health path is green. Pure; the one place that decides it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control_plane.manifest import TestsTable

STATUS = "status"
"""Where an answer says how it is, unless the manifest says otherwise (`tests.status`)."""

NOT_GREEN = frozenset(
    {
        "bad", "broken", "critical", "crit", "degraded", "down", "err", "error", "errors", "fail",
        "failed", "failing", "failure", "fatal", "ko", "nok", "not ok", "not_ok", "not ready",
        "not_ready", "offline", "out of service", "out_of_service", "outage", "unavailable",
        "unhealthy", "unknown",
    }
)  # fmt: skip
"""Words of a top-level `status` that are not green when the manifest has no `tests.healthy`: those
of the IETF draft "Health Check Response Format for HTTP APIs" (fail, error, down), of Spring Boot
(DOWN, OUT_OF_SERVICE, UNKNOWN), of Kubernetes and ELB (unhealthy, unavailable), and their synonyms.
Its `warn` is green there, and so here."""

_MISSING = object()


@dataclass(frozen=True)
class HealthVerdict:
    """`problem`: why the answer is not green, empty when it is. `is_final`: waiting will not help,
    because the manifest does not fit the application."""

    problem: str = ""
    is_final: bool = False


def health_verdict(status: int, body: Any, tests: TestsTable) -> HealthVerdict:
    """The verdict on an answer with HTTP status `status` and JSON `body` (None: it was no JSON).

    With `tests.healthy`, the value at `tests.status` must be one of those, of the same type.
    Without it, a top-level `status` must be neither false nor one of NOT_GREEN, in any case.
    """
    if status != 200:
        return HealthVerdict(f"{tests.health}: expected 200, got {status}")
    if tests.healthy is None:
        found = _at(body, STATUS)
        if found is False or (isinstance(found, str) and found.strip().lower() in NOT_GREEN):
            return HealthVerdict(f"{tests.health}: {STATUS} is {_shown(found)}")
        return HealthVerdict()
    path = tests.status or STATUS
    allowed = " or ".join(_shown(value) for value in tests.healthy)
    found = _at(body, path)
    if found is _MISSING:
        return HealthVerdict(
            f"{tests.health}: the answer has no {path}, which must be {allowed}: correct "
            "tests.status and tests.healthy in application.toml, or the answer",
            is_final=True,
        )
    # By type too: to Python, true equals 1.
    if not any(type(found) is type(value) and found == value for value in tests.healthy):
        return HealthVerdict(f"{tests.health}: {path} is {_shown(found)}, expected {allowed}")
    return HealthVerdict()


def last_health(
    tests: Sequence[Mapping[str, Any]], deployment: str, checked_at: str
) -> dict[str, Any] | None:
    """How a tenant is, by the results of the last tests that ran: {status, detail, checked_at,
    deployment}, `status` being healthy or unhealthy. None: no test ran."""
    if not tests:
        return None
    failed = [f"{one['name']}: {one['detail']}" for one in tests if one["status"] == "FAILED"]
    passed = sum(one["status"] == "PASSED" for one in tests)
    return {
        "status": "unhealthy" if failed else "healthy",
        "detail": "; ".join(failed) or f"{passed} tests passed",
        "checked_at": checked_at,
        "deployment": deployment,
    }


def _at(body: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(body, dict) or part not in body:
            return _MISSING
        body = body[part]
    return body


def _shown(value: Any) -> str:
    """A value of an answer, for a message: not more of it than fits a line."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
