"""CloudFormation behind a proxy: reads throttled to five a second, answers lost. Nothing fails for
it, and nothing is false."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import free_port, started
from fleets import Json, deploy_by_api, most_at_once, orgs
from sources import ALMANAC, APPLICATION, add_resources, copied, never_completes, push
from syndi_command import Syndi, eventually
from throttle import PER_SECOND, Proxy, answer_lost, throttling

from cli.connection import Api
from control_plane.models import DeploymentStatus

TENANTS = orgs("rapids", 12)


@pytest.fixture(scope="module")
def port() -> int:
    """Where the proxy is."""
    return free_port()


@pytest.fixture(scope="module")
def syndi(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Syndi]:
    """A laptop of its own, whose functions find CloudFormation behind the proxy."""
    endpoint = {"SYNDI_LOCAL_CLOUDFORMATION_ENDPOINT": f"http://127.0.0.1:{port}"}
    with started(tmp_path_factory.mktemp("throttled"), **endpoint) as command:
        push(command, ALMANAC, "dev")
        yield command


@pytest.fixture(scope="module")
def proxy(syndi: Syndi, port: int) -> Iterator[Proxy]:
    """The proxy, in front of that laptop."""
    upstream = f"http://127.0.0.1:{syndi.variables['SYNDI_LOCAL_PORT']}"
    with throttling(port, upstream, syndi.state) as found:
        yield found


def at_once(api: Api, proxy: Proxy, key: str) -> list[Json]:
    """Deploy all the tenants at once, and see that their reads were throttled; the records."""
    before = proxy.refused()
    with proxy.with_neighbour(per_second=5) as neighbours:
        with ThreadPoolExecutor(len(TENANTS)) as starts:
            begun = list(starts.map(lambda org: deploy_by_api(api, org, key), TENANTS))
        records = [ended(api, started["id"]) for started in begun]
    reasons = [record["reason"] for record in records if record["status"] != "SUCCEEDED"]
    assert not reasons
    assert most_at_once(records, "CheckStack") > len(TENANTS) / 2, "they worked at the same time"
    assert proxy.busiest_second() <= PER_SECOND
    refused = proxy.refused() - before - neighbours
    assert refused.total() >= len(TENANTS), "the deployments met the limit"
    return records


def ended(api: Api, id_: str) -> Json:
    """A deployment's record, once it has ended, in whatever way."""

    def end() -> Json | None:
        record: Json = api.call("GET", f"/deployments/{id_}")
        return record if DeploymentStatus(record["status"]).is_final else None

    return eventually(end, 300, f"the end of {id_}")


def test_twelve_tenants_at_once_are_created_then_updated_and_none_is_taken_for_missing(
    syndi: Syndi, api: Api, proxy: Proxy, tmp_path: Path
) -> None:
    for record in at_once(api, proxy, "create"):
        assert record["steps"]["CheckStack"]["note"].startswith("no stack: create")
        assert record["steps"]["AwaitStack"]["note"] == "CREATE_COMPLETE"
        assert syndi.stack(record["stack_name"])["status"] == "CREATE_COMPLETE"
    changed = copied(ALMANAC, tmp_path)
    add_resources(changed, "  More: {Type: AWS::CloudFormation::WaitConditionHandle}\n")
    push(syndi, changed, "dev")
    for record in at_once(api, proxy, "update"):
        assert record["steps"]["CheckStack"]["note"].startswith("CREATE_COMPLETE: update")
        assert "More" in [item["id"] for item in record["change_set"]["summary"]["added"]]
        assert record["steps"]["AwaitStack"]["note"] == "UPDATE_COMPLETE"
        assert "More" in syndi.stack(record["stack_name"])["resources"]


def test_what_really_fails_fails_for_its_own_reason(
    syndi: Syndi, proxy: Proxy, tmp_path: Path
) -> None:
    broken = copied(ALMANAC, tmp_path)
    never_completes(broken)
    push(syndi, broken, "dev")
    before = proxy.refused()
    with proxy.with_neighbour(per_second=10) as neighbours:
        record = syndi.fail("dev", "shoal", *APPLICATION)
    assert (proxy.refused() - before - neighbours).total(), "the deployment met the limit"
    assert record["failed_step"] == "AwaitStack"
    assert "NeverSignalled" in record["reason"]
    assert "ROLLBACK_COMPLETE" in record["reason"]
    assert "Rate exceeded" not in record["reason"]


def test_operations_whose_answers_are_lost_are_this_deployments_own(
    syndi: Syndi, proxy: Proxy, tmp_path: Path
) -> None:
    """They worked, and the client asks again: CloudFormation refuses what is done already."""
    changed = copied(ALMANAC, tmp_path)
    add_resources(changed, "  Lost: {Type: AWS::CloudFormation::WaitConditionHandle}\n")
    lost = ("CreateChangeSet", "ExecuteChangeSet", "DeleteStack")
    with proxy.with_rules(*map(answer_lost, lost)):
        push(syndi, changed, "dev")
        record = syndi.deploy("dev", "strait", *APPLICATION)
        assert record["status"] == "SUCCEEDED"
        assert "Lost" in syndi.stack(record["stack_name"])["resources"]
        gone = syndi.ok(
            "--local", "offboard", "dev", "strait", *APPLICATION, "--confirm",
            record["stack_name"], "--json",
        ).json  # fmt: skip
        assert gone["status"] == "SUCCEEDED"
        assert sorted(proxy.lost()) == sorted(lost)
