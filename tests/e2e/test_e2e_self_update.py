"""The control plane updates itself: what runs goes on, what comes is proven, one at a time."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import started
from releases import OWN, STACK, release, running, update, updated, updates
from syndi_command import ROOT, Syndi, eventually

ALMANAC = ROOT / "tests" / "applications" / "almanac"


@pytest.fixture(scope="module")
def syndi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syndi]:
    """A laptop of its own: the other tests are not to run on what is installed here."""
    with started(tmp_path_factory.mktemp("updating")) as command:
        yield command


def push_almanac(syndi: Syndi, directory: Path, command: str) -> str:
    """The almanac with another command before its build; the source's SHA-256."""
    shutil.copytree(ALMANAC, directory)
    manifest = directory / "application.toml"
    text = manifest.read_text()
    manifest.write_text(text.replace('commands = ["', f'commands = ["{command}", "'))
    pushed = syndi.ok("--local", "source", "push", str(directory), "--env", "dev", "--json")
    return str(pushed.json["sha256"])


def versions(syndi: Syndi, worker: str) -> set[str]:
    """The published versions of a worker."""
    pages = syndi.client("lambda").get_paginator("list_versions_by_function")
    found = pages.paginate(FunctionName=f"{STACK}-{worker}")
    return {v["Version"] for page in found for v in page["Versions"]} - {"$LATEST"}


def called(syndi: Syndi, execution: str, worker: str) -> str:
    """The version of a worker that an execution calls."""
    told = syndi.client("stepfunctions").describe_state_machine_for_execution(
        executionArn=execution
    )
    return str(re.findall(rf"function:{STACK}-{worker}:(\d+)", told["definition"])[0])


def test_the_installation_is_the_first_deployment_and_the_same_source_changes_nothing(
    syndi: Syndi,
) -> None:
    (installed,) = updates(syndi)
    assert (installed["trigger"], installed["status"]) == ("install", "SUCCEEDED")
    before = running(syndi)
    assert installed["build"]["fingerprint"] == before["build"]
    record = updated(syndi, ROOT)
    assert record["build"]["reused"]
    assert record["change_set"]["has_changes"] is False
    assert running(syndi) == before


def test_an_update_is_seen_and_proven_by_the_version_that_it_brought(
    syndi: Syndi, tmp_path: Path
) -> None:
    before = running(syndi)
    record = updated(syndi, release(tmp_path, "7.0.0"))
    after = running(syndi)
    assert after["version"] == "7.0.0" != before["version"]
    assert record["build"]["fingerprint"] == after["build"]
    assert record["control_plane"] == before, "the old version did it"
    assert record["trial"]["ran_on"] == after, "the new version was tried"
    deployed, removed = (
        syndi.ok("--local", "show", record["trial"][name], "--json").json
        for name in ("deployed", "removed")
    )
    assert [item["status"] for item in (deployed, removed)] == ["SUCCEEDED"] * 2
    assert {item["name"]: item["status"] for item in deployed["tests"]}["sign-in"] == "PASSED"
    assert not [s for s in stacks(syndi) if "syndi-trial" in s], "nothing of the trial is left"


def stacks(syndi: Syndi) -> list[str]:
    pages = syndi.client("cloudformation").get_paginator("describe_stacks").paginate()
    return [stack["StackName"] for page in pages for stack in page["Stacks"]]


def test_a_deployment_in_flight_finishes_on_the_code_that_it_started_with(
    syndi: Syndi, tmp_path: Path
) -> None:
    """It waits in AwaitBuild while the control plane is replaced twice, and its versions pruned."""
    gate = tmp_path / "gate"
    push_almanac(syndi, tmp_path / "slow", f"until test -e {gate}; do sleep 0.2; done")
    old = running(syndi)
    tenant = ("dev", "slow", "--application", "almanac")
    flying = syndi.attempt(*tenant, "--no-wait").json

    def record(deployment: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = syndi.ok("--local", "show", deployment["id"], "--json").json
        return found

    def builds() -> bool:
        return bool(record(flying)["steps"].get("AwaitBuild", {}).get("attempts"))

    eventually(builds, 60, "the build of the deployment in flight")
    version = called(syndi, flying["execution_arn"], "build")
    updated(syndi, release(tmp_path / "one", "7.1.0"))
    second = updated(syndi, release(tmp_path / "two", "7.1.1"))
    assert running(syndi)["version"] == "7.1.1"
    assert "1 running execution" not in second["steps"]["PruneVersions"]["note"]
    assert version in versions(syndi, "build"), "still called"
    gate.touch()
    landed = eventually(lambda: ended(record(flying)), 120, "the end of the deployment in flight")
    assert landed["status"] == "SUCCEEDED", landed
    assert landed["control_plane"] == old
    push_almanac(syndi, tmp_path / "quick", "true")
    assert syndi.deploy(*tenant)["control_plane"]["version"] == "7.1.1"
    updated(syndi, ROOT)
    assert version not in versions(syndi, "build"), "nobody can call it any more"


def ended(record: dict[str, Any]) -> dict[str, Any] | None:
    return record if record["status"] not in ("QUEUED", "RUNNING") else None


def test_no_update_runs_beside_an_update(syndi: Syndi, tmp_path: Path) -> None:
    first = update(syndi, release(tmp_path / "one", "7.2.0"), "--no-wait").json
    refused = update(syndi, ROOT, "--on-conflict", "reject")
    assert refused.exit_code == 1
    assert refused.json["error"] == "DeploymentInProgress"
    second = updated(syndi, release(tmp_path / "two", "7.2.1"))
    before = syndi.ok("--local", "show", first["id"], "--json").json
    assert before["status"] == "SUCCEEDED"
    assert before["finished_at"] <= second["steps"]["CheckStack"]["started_at"]
    assert running(syndi)["version"] == "7.2.1"


def test_a_schedule_updates_it_too(syndi: Syndi, tmp_path: Path) -> None:
    newest = release(tmp_path, "7.3.0")
    pushed = update(syndi, newest, "--push-only")
    assert pushed.exit_code == 0
    assert running(syndi)["version"] != "7.3.0"
    schedule = ("--application", OWN)
    syndi.ok("--local", "schedule", "set", "dev", "local", "--rate", "1 minute", *schedule)
    try:
        done = eventually(
            lambda: [u for u in updates(syndi) if u["trigger"] == "schedule" and ended(u)],
            300,
            "an update by the schedule",
        )
    finally:
        syndi.ok("--local", "schedule", "delete", "dev", "local", *schedule)
    assert done[-1]["status"] == "SUCCEEDED", done[-1]
    assert running(syndi)["version"] == "7.3.0"


def test_an_earlier_release_is_brought_back(syndi: Syndi, tmp_path: Path) -> None:
    before = running(syndi)
    updated(syndi, release(tmp_path, "7.4.0"))
    back = syndi.ok("--local", "self-update", "--rollback", "--json").json
    assert back["status"] == "SUCCEEDED"
    assert back["trial"]["ran_on"] == before
    assert running(syndi) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("deploy", "dev", "local", "--application", OWN),
        ("offboard", "dev", "local", "--application", OWN, "--confirm", STACK),
        ("drift", "dev", "local", "--application", OWN),
        ("source", "push", str(ROOT)),
    ],
)
def test_a_tenants_verb_does_not_change_the_control_plane(
    syndi: Syndi, arguments: tuple[str, ...]
) -> None:
    count = len(updates(syndi))
    result = syndi.run("--local", *arguments, "--json")
    assert result.exit_code == 2, result.stdout
    assert "below /control-plane/" in result.json["error"]["message"]
    assert len(updates(syndi)) == count
