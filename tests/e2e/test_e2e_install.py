"""A control plane is installed, found unchanged, removed around what must stay, and installed anew.

On a laptop of its own: the others' must not lose theirs.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import sources
from conftest import started
from releases import STACK, running, updated, updates
from sources import ALMANAC, APPLICATION
from syndi_command import ROOT, Syndi

TENANT = "almanac-dev-lodger"
CONFIRM = ("--confirm", STACK)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syndi]:
    """An installed control plane that nobody else uses."""
    with started(tmp_path_factory.mktemp("house")) as command:
        yield command


@pytest.fixture(scope="module")
def lodger(house: Syndi) -> dict[str, Any]:
    """A tenant in it."""
    sources.push(house, ALMANAC, "dev")
    return house.deploy("dev", "lodger", *APPLICATION)


def test_an_installation_is_in_the_history_and_runs(house: Syndi) -> None:
    (record,) = updates(house)
    assert (record["status"], record["trigger"], record["mode"]) == ("SUCCEEDED", "install", "full")
    assert record["build"]["fingerprint"] == running(house)["build"]
    assert house.stack(STACK)["parameters"]["Build"] == record["build"]["fingerprint"][:12]
    assert house.lock("dev", "local", "control-plane") is None


def test_installing_again_changes_and_records_nothing(house: Syndi) -> None:
    before = house.stack(STACK)["resources"], updates(house)
    (house.state / "installed").unlink()  # the laptop's own shortcut
    told = house.ok("--local", "up").stderr
    assert "deploying build" in told
    assert (house.stack(STACK)["resources"], updates(house)) == before


def test_installing_again_brings_back_what_was_lost_of_the_build(house: Syndi) -> None:
    s3, bucket = house.client("s3"), house.outputs()["ArtifactBucketName"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{STACK}/", Delimiter="/")["Contents"]
    lost = {item["Key"] for item in listed}
    for key in lost:
        s3.delete_object(Bucket=bucket, Key=key)
    (house.state / "installed").unlink()
    house.ok("--local", "up")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{STACK}/", Delimiter="/")["Contents"]
    assert {item["Key"] for item in listed} == lost
    assert len(updates(house)) == 1


def test_an_update_with_the_same_source_reuses_the_build_and_changes_nothing(house: Syndi) -> None:
    record = updated(house, ROOT)
    assert record["build"]["reused"]
    assert record["build"]["fingerprint"] == updates(house)[-1]["build"]["fingerprint"]
    assert not record["change_set"]["has_changes"], record["change_set"]


def test_a_control_plane_with_a_tenant_stays(house: Syndi, lodger: dict[str, Any]) -> None:
    refused = house.run("--local", "uninstall", *CONFIRM, "--json")
    assert refused.exit_code == 2
    told = refused.json["error"]["message"]
    assert "syndi --local offboard dev lodger --application almanac" in told
    assert house.stack(STACK)["status"].endswith("_COMPLETE")


def test_without_the_stacks_name_nothing_is_removed(house: Syndi, lodger: dict[str, Any]) -> None:
    asked = ("--local", "uninstall", "--leave-tenants", "--json")
    for name in ((), ("--confirm", TENANT)):
        assert house.run(*asked, *name).exit_code == 2
    assert house.stack(STACK)["status"].endswith("_COMPLETE")


def test_what_a_tenant_needs_stays_with_it_and_what_it_has_works(
    house: Syndi, lodger: dict[str, Any]
) -> None:
    made_for_tenants = {
        name: house.stack(STACK)["resources"][name]
        for name in ("CloudFormationRole", "TenantBoundary")
    }
    answer = house.ok("--local", "uninstall", *CONFIRM, "--leave-tenants", "--json").json
    assert any("TenantBoundary" in one["resource"] for one in answer["kept"])
    assert _roles(house) >= {made_for_tenants["CloudFormationRole"]}
    assert made_for_tenants["TenantBoundary"] in _policies(house)
    assert house.stack(TENANT)["status"].endswith("_COMPLETE")
    house.ok("--local", "up")  # adopts table and bucket, and knows the tenant again
    assert house.history("dev", "lodger", *APPLICATION)[0]["id"] == lodger["id"]
    house.deploy("dev", "lodger", *APPLICATION, "--mode", "deploy-only")


def test_what_is_removed_and_what_is_kept(house: Syndi, lodger: dict[str, Any]) -> None:
    house.ok(
        "--local", "offboard", "dev", "lodger", *APPLICATION, "--confirm", TENANT, "--purge"
    )  # fmt: skip
    outputs, known = house.outputs(), {record["id"] for record in updates(house)}
    answer = house.ok("--local", "uninstall", *CONFIRM, "--json").json
    kept = {one["resource"] for one in answer["kept"]}
    assert kept == {f"table {outputs['TableName']}", f"bucket {outputs['ArtifactBucketName']}"}
    assert all(one["why"] and one["remove"] for one in answer["kept"])
    assert not [name for name in _roles(house) if name.startswith(STACK)]
    assert not [arn for arn in _policies(house) if STACK in arn]
    layers = house.client("lambda").list_layer_versions(LayerName=f"{STACK}-dependencies")
    assert layers["LayerVersions"] == []
    house.client("dynamodb").describe_table(TableName=outputs["TableName"])
    house.client("s3").head_bucket(Bucket=outputs["ArtifactBucketName"])
    again = house.run("--local", "history", "dev", "local", "--application", "control-plane")
    assert again.exit_code == 2
    assert "run 'syndi --local up'" in again.stderr

    house.ok("--local", "up")
    after = updates(house)
    assert known < {record["id"] for record in after}
    assert [record["mode"] for record in after[:2]] == ["full", "offboard"]
    imported = {item["id"] for item in after[0]["change_set"]["summary"]["imported"]}
    assert "Table" in imported
    assert house.outputs()["TableName"] == outputs["TableName"]


def _roles(house: Syndi) -> set[str]:
    pages = house.client("iam").get_paginator("list_roles").paginate()
    return {role["RoleName"] for page in pages for role in page["Roles"]}


def _policies(house: Syndi) -> set[str]:
    pages = house.client("iam").get_paginator("list_policies").paginate(Scope="Local")
    return {policy["Arn"] for page in pages for policy in page["Policies"]}
