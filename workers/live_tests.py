"""Tests of a live tenant that say what an answer means: after a deployment, and during a shift."""

from control_plane.errors import TenantNotReady
from control_plane.manifest import StackTable, TestsTable
from control_plane.models import JsonObject
from control_plane.services.live import Answer, at

PASSED, FAILED, SKIPPED = "PASSED", "FAILED", "SKIPPED"


def result(name: str, status: str, detail: str) -> JsonObject:
    """One test's result, as it stands in the record."""
    return {"name": name, "status": status, "detail": detail}


def health(answer: Answer, table: TestsTable, fingerprint: str) -> JsonObject:
    """The result of asking for the tenant's health.

    Raises TenantNotReady when it is not well, or another build than `fingerprint`.
    """
    if answer.status != 200:
        raise TenantNotReady(f"{table.health}: expected 200, got {answer.status}")
    reported = at(answer.body, table.fingerprint)
    if reported != fingerprint:
        raise TenantNotReady(
            f"{table.health}: expected build {fingerprint[:12]} at {table.fingerprint}, "
            f"got {str(reported)[:12]}"
        )
    return result("health", PASSED, f"reports {fingerprint[:12]}")


def refusal(name: str, answer: Answer, expected: tuple[int, ...]) -> JsonObject:
    """The result of a request that must be refused."""
    wanted = " or ".join(map(str, expected))
    if answer.status in expected:
        return result(name, PASSED, f"refused with {answer.status}")
    return result(name, FAILED, f"expected {wanted}, got {answer.status}")


def asks_for_a_token(stack: StackTable, tests: TestsTable, parameters: dict[str, str]) -> bool:
    """Whether the tenant must ask for a token.

    By the stack's own parameter, not by whether a pool happens to be there: a pool that is missing
    has to fail the tests, not to skip them.
    """
    if tests.protected is None:
        return False
    switch = stack.parameters.get("enable_auth")
    return switch is None or parameters.get(switch) != "false"
