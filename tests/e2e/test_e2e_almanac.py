"""A second application, as unlike the first as the manifest allows, by the same control plane."""

from typing import Any

from live import ask
from sources import APPLICATION
from syndi_command import Syndi

TOKENS = ("no-token", "altered-token", "unsigned-token", "stranger-token")


def test_an_application_without_users_buckets_and_configuration_is_deployed(
    syndi: Syndi, almanac: dict[str, Any]
) -> None:
    assert almanac["stack_name"] == "almanac-dev-lighthouse"
    assert syndi.stack("almanac-dev-lighthouse")["status"] == "CREATE_COMPLETE"
    health, *isolation = almanac["tests"]
    assert health == {
        "name": "health",
        "status": "PASSED",
        "detail": f"reports {almanac['build']['fingerprint'][:12]}",
    }
    assert {(item["name"], item["status"], item["detail"]) for item in isolation} == {
        *((f"every-route-{token}", "SKIPPED", "no route has an authorizer") for token in TOKENS),
        ("buckets-anonymous", "SKIPPED", "the tenant has no bucket that is not declared public"),
    }
    assert almanac["proof"]["isolation"] == {"routes": 0, "buckets": 0}
    assert almanac["config"] == {}


def test_its_pre_build_command_was_run(syndi: Syndi, almanac: dict[str, Any]) -> None:
    address = syndi.ok("--local", "url", "dev", "lighthouse", *APPLICATION).stdout.strip()
    status, moons = ask(f"{address}/moons/2026")
    assert status == 200
    assert len(moons["moons"]) in (12, 13)
