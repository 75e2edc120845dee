"""The control plane installed, removed, and installed again over what the removal kept."""

from collections.abc import Iterator

import pytest
from conftest import started
from releases import STACK, running, updates
from sources import ALMANAC, APPLICATION
from syndi_command import Syndi

TENANT = ("dev", "brief", *APPLICATION)


@pytest.fixture(scope="module")
def syndi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syndi]:
    """A laptop of its own: its control plane is removed here."""
    with started(tmp_path_factory.mktemp("installing")) as command:
        yield command


def test_installing_again_changes_nothing_and_says_so_nowhere_else(syndi: Syndi) -> None:
    before = running(syndi)
    syndi.ok("--local", "up")
    assert running(syndi) == before
    assert [item["trigger"] for item in updates(syndi)] == ["install"]


def test_it_is_not_removed_by_a_slip_nor_from_under_its_tenants(syndi: Syndi) -> None:
    for arguments, says in (
        ((), f"--confirm {STACK}"),
        (("--confirm", "control-plane-prod-main"), f"must be the name of the stack: {STACK}"),
    ):
        refused = syndi.run("--local", "uninstall", *arguments, "--json")
        assert refused.exit_code == 2
        assert says in refused.json["error"]["message"]
    syndi.ok("--local", "source", "push", str(ALMANAC), "--env", "dev")
    syndi.deploy(*TENANT)
    refused = syndi.run("--local", "uninstall", "--confirm", STACK, "--json")
    assert refused.exit_code == 2
    assert "almanac-dev-brief" in refused.json["error"]["message"]
    assert syndi.stack(STACK)["status"] == "CREATE_COMPLETE" or running(syndi)
    syndi.ok("--local", "offboard", *TENANT, "--confirm", "almanac-dev-brief", "--purge")


def test_it_goes_but_for_history_and_artifacts_and_comes_back_with_them(syndi: Syndi) -> None:
    history = syndi.history(*TENANT)
    outputs = syndi.outputs()
    answer = syndi.ok("--local", "uninstall", "--confirm", STACK, "--json").json
    kept = [item["resource"] for item in answer["kept"]]
    assert kept == [f"table {outputs['TableName']}", f"bucket {outputs['ArtifactBucketName']}"]
    assert all(item["why"] and item["remove"] for item in answer["kept"])
    stacks = syndi.client("cloudformation").describe_stacks()["Stacks"]
    assert STACK not in [stack["StackName"] for stack in stacks]
    roles = syndi.client("iam").list_roles()["Roles"]
    assert [role["RoleName"] for role in roles if role["RoleName"].startswith(STACK)] == []
    tables = syndi.client("dynamodb").list_tables()["TableNames"]
    assert outputs["TableName"] in tables
    syndi.ok("--local", "up")
    assert syndi.outputs()["TableName"] == outputs["TableName"]
    assert syndi.history(*TENANT) == history
    assert [item["trigger"] for item in updates(syndi)] == ["install", "install"]
    assert syndi.deploy(*TENANT)["status"] == "SUCCEEDED"
