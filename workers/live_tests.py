"""Tests of a live tenant that say what an answer means: after a deployment, and during a shift."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from control_plane.errors import TenantNotReady
from control_plane.manifest import TestsTable
from control_plane.models import Deployment, JsonObject
from control_plane.rules.proof import FAILED, PASSED, SKIPPED
from control_plane.rules.tenant_health import health_verdict
from control_plane.services.live import Answer, at
from control_plane.services.ownership import Resource

__all__ = ["FAILED", "PASSED", "SKIPPED"]  # as a result has them

DETAIL = 400
"""Characters of a result's detail: an answer of the tenant may be megabytes, a record may not."""


class TenantRefused(Exception):
    """The tenant's pool, API or code did not do what a test needs: a failed test, with its reason.

    Never raised for what the control plane itself lacks (a permission, its own pool).
    """


@dataclass(frozen=True)
class Subject:
    """The live tenant that a check looks at.

    `endpoint`: its address, without a slash at the end. `outputs` and `parameters`: the stack's.
    `owned`: its resources, with those of nested stacks. `config_sha256`: the SHA-256 of the
    configuration that was uploaded; empty without one.
    """

    deployment: Deployment
    endpoint: str
    fingerprint: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    owned: tuple[Resource, ...]
    config_sha256: str = ""

    @property
    def tests(self) -> TestsTable:
        """The manifest's `[tests]`."""
        return self.deployment.manifest.tests


Check = Callable[[Subject], list[JsonObject]]
"""A part of RunTests: looks at a tenant and gives the results of its tests. A refusal by the tenant
is a result (`attempt`); TenantNotReady has the whole step tried again."""


def result(name: str, status: str, detail: str) -> JsonObject:
    """One test's result, as it stands in the record."""
    readable = detail.encode("utf-8", "backslashreplace").decode()  # JSON may hold half a surrogate
    if len(readable) > DETAIL:
        readable = readable[: DETAIL - 1] + "…"
    return {"name": name, "status": status, "detail": readable}


def attempt(name: str, test: Callable[[], JsonObject]) -> JsonObject:
    """The test's result; a refusal by the tenant is a failure of this test."""
    try:
        return test()
    except TenantRefused as error:
        return result(name, FAILED, str(error))


def health(answer: Answer, table: TestsTable, fingerprint: str) -> JsonObject:
    """The result of asking for the tenant's health.

    FAILED when the manifest does not fit the answer. Raises TenantNotReady when the answer is not
    green, or of another build than `fingerprint`: both may pass.
    """
    verdict = health_verdict(answer.status, answer.body, table)
    if answer.status != 200:
        raise TenantNotReady(f"{table.health}: expected 200, got {got(answer)}")
    if answer.problem:
        raise TenantNotReady(f"{table.health}: {answer.problem}")
    reported = at(answer.body, table.fingerprint)
    if reported != fingerprint:
        seen = reported[:12] if isinstance(reported, str) else reported
        raise TenantNotReady(
            f"{table.health}: expected build {fingerprint[:12]} at {table.fingerprint}, "
            f"got {shown(seen)}"
        )
    if verdict.is_final:
        return result("health", FAILED, verdict.problem)
    if verdict.problem:
        raise TenantNotReady(verdict.problem)
    return result("health", PASSED, f"reports {fingerprint[:12]}")


def config_in_use(answer: Answer, table: TestsTable, sha256: str) -> list[JsonObject]:
    """The result of comparing the configuration that the tenant says it uses with the one that was
    uploaded; none where the application does not say.

    Raises TenantNotReady while it uses another: a warm function may not have read it yet.
    """
    if table.config is None or not sha256:
        return []
    used = at(answer.body, table.config)
    if used != sha256:
        seen = used[:12] if isinstance(used, str) else used
        raise TenantNotReady(
            f"{table.health}: expected the configuration {sha256[:12]} at {table.config}, "
            f"got {shown(seen)}"
        )
    return [result("config", PASSED, f"uses {sha256[:12]}")]


def refusal(name: str, answer: Answer, expected: tuple[int, ...]) -> JsonObject:
    """The result of a request that must be refused."""
    wanted = " or ".join(map(str, expected))
    if answer.status in expected:
        return result(name, PASSED, f"refused with {answer.status}")
    return result(name, FAILED, f"expected {wanted}, got {got(answer)}")


def got(answer: Answer) -> str:
    """An answer's status, and where a redirect leads to."""
    return f"{answer.status} to {answer.location!r}" if answer.location else str(answer.status)


def shown(value: object) -> str:
    """A value from the tenant's answer as it may stand in a message: bounded, and printable."""
    try:
        text = value if isinstance(value, str) and value.isprintable() else repr(value)
    except RecursionError:  # nested deeper than Python can print
        text = f"a {type(value).__name__} nested too deeply"
    return text if len(text) <= 60 else text[:59] + "…"


def quoted(value: object) -> str:
    """The same, texts in quotation marks."""
    return shown(repr(value) if isinstance(value, str) else value)
