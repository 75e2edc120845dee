"""The workers' world around every mutation, and the table of what refused each one."""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workers"))

import pytest
import scripted_aws as scripted
from healthy_tenant import Tenant
from joserfc import jwk
from tenant_server import TenantServer
from worker_fixtures import _requests as _requests
from worker_fixtures import environment as environment
from worker_fixtures import own_clients as own_clients
from worker_fixtures import script as script
from worker_fixtures import signing_key as signing_key
from worker_fixtures import world as world


@pytest.fixture(scope="session")
def server() -> Iterator[TenantServer]:
    """The HTTP side of the tenant: a real server, for real answers."""
    with TenantServer() as found:
        yield found


@pytest.fixture
def tenant(
    script: scripted.Scripted,
    monkeypatch: pytest.MonkeyPatch,
    server: TenantServer,
    signing_key: jwk.RSAKey,
) -> Tenant:
    """The healthy tenant, for one mutation."""
    return Tenant(script, monkeypatch, server, signing_key)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each mutation: its kind, the step that refused it, and the reason."""
    told = [
        dict(report.user_properties) | {"passed": report.passed}
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        and "mutation" in dict(getattr(report, "user_properties", ()))
    ]
    if not told:
        return
    terminalreporter.section("mutation -> step: reason")
    for item in sorted(told, key=lambda one: (one["kind"], one["mutation"])):
        step, reason = item.get("step", "WRONG"), str(item.get("reason", ""))[:160]
        terminalreporter.write_line(f"[{item['kind']}] {item['mutation']} -> {step}: {reason}")
    wrong = sum(not item["passed"] for item in told)
    terminalreporter.write_line(f"{len(told)} mutations, {wrong} not as they should end")
