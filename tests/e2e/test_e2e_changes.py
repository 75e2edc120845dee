"""What a deployment would change is shown, guarded, and taken back; what exists is adopted."""

from typing import Any

import pytest
import vault
from live import bucket_names, change_sets, entered, listed
from sources import ALMANAC, APPLICATION, push
from stacks import Stacks, stack_name
from syndi_command import Syndi

VAULT = {"id": "Vault", "type": "AWS::S3::Bucket"}
CONFIG = {"Bucket": "rawscribe-lambda-stage-alpha-000000000000", "Key": "config.json"}


@pytest.fixture(scope="session")
def renamed(
    syndi: Syndi, almanac: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, ...]:
    """The options that deploy it with another name for its vault."""
    directory = tmp_path_factory.mktemp("renamed")
    pushed = vault.push(syndi, directory, ("almanac-vault-", "almanac-v2-"))
    return (*APPLICATION, "--source", pushed)


@pytest.fixture(scope="module")
def live(syndi: Syndi, vaulted: tuple[str, ...]) -> str:
    """A tenant with something to lose."""
    record = syndi.deploy("dev", "keeper", *vaulted)
    assert VAULT in record["change_set"]["summary"]["added"]
    vault.put(syndi, "keeper")
    return "keeper"


def replaced(record: dict[str, Any]) -> list[dict[str, str]]:
    """What a change set replaces; the emulator often only says that it may."""
    summary = record["change_set"]["summary"]
    return [*summary.get("replaced", []), *summary.get("maybe_replaced", [])]


# A dry run ----------------------------------------------------------------------------------------


def test_a_dry_run_of_a_first_deployment_shows_it_and_leaves_nothing(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...]
) -> None:
    shown = syndi.ok("--local", "deploy", "dev", "never", *vaulted, "--dry-run")
    assert "dry run    nothing was changed" in shown.stdout
    assert "+ added Vault (AWS::S3::Bucket)" in shown.stdout
    assert stacks.status("never") is None
    assert change_sets(syndi, stack_name("never")) == []
    assert vault.bucket("never") not in bucket_names(syndi)
    assert listed(syndi, stack_name("never")) is None
    (record,) = syndi.history("dev", "never", *APPLICATION)
    assert record["status"] == "SUCCEEDED"
    shown_record = syndi.show(record["id"])
    assert VAULT in shown_record["change_set"]["summary"]["added"]
    for step in ("UploadConfig", "ExecuteChangeSet", "AwaitStack"):
        assert step not in entered(shown_record)


def test_a_dry_run_of_an_update_changes_nothing(
    syndi: Syndi, alpha: dict[str, Any], stacks: Stacks
) -> None:
    s3, name = syndi.client("s3"), "rawscribe-stage-alpha"

    def state() -> tuple[Any, ...]:
        return (syndi.stack(name), s3.head_object(**CONFIG)["VersionId"], listed(syndi, name))

    before = state()
    record = syndi.deploy(
        "stage", "alpha", "--no-enable-auth", "--allow-replacement", "CognitoUserPool", "--dry-run"
    )
    pool = {"id": "CognitoUserPool", "type": "AWS::Cognito::UserPool"}
    assert pool in record["change_set"]["summary"]["removed"]
    assert state() == before
    assert change_sets(syndi, name) == []


def test_a_dry_run_that_would_be_refused_fails_and_leaves_nothing(
    syndi: Syndi, stacks: Stacks, renamed: tuple[str, ...], live: str
) -> None:
    before = syndi.stack(stack_name(live))
    record = syndi.fail("dev", live, *renamed, "--dry-run")
    assert record["failed_step"] == "AwaitChangeSet"
    assert "Vault (AWS::S3::Bucket) would be replaced" in record["reason"]
    assert syndi.stack(stack_name(live)) == before
    assert change_sets(syndi, stack_name(live)) == []


# What holds data ----------------------------------------------------------------------------------


def test_parameters_that_are_not_given_keep_their_values_and_buckets_their_place(
    syndi: Syndi, vaulted: tuple[str, ...], live: str
) -> None:
    again = syndi.deploy("dev", live, *vaulted)
    assert again["change_set"]["has_changes"] is False
    assert syndi.stack(stack_name(live))["parameters"]["CreateBuckets"] == "true"
    refused = syndi.fail("dev", live, *vaulted, "--no-create-buckets")
    assert "Vault (AWS::S3::Bucket) would be removed" in refused["reason"]
    stack = syndi.stack(stack_name(live))
    assert stack["parameters"]["CreateBuckets"] == "true"
    assert stack["resources"]["Vault"] == vault.bucket(live)


def test_a_replacement_is_refused_and_then_allowed_by_name(
    syndi: Syndi, stacks: Stacks, renamed: tuple[str, ...], live: str
) -> None:
    before = syndi.stack(stack_name(live))
    refused = syndi.fail("dev", live, *renamed, "--allow-replacement", "SomethingElse")
    assert refused["failed_step"] == "AwaitChangeSet"
    assert "--allow-replacement Vault" in refused["reason"]
    assert VAULT in replaced(refused)
    assert syndi.stack(stack_name(live)) == before
    assert change_sets(syndi, stack_name(live)) == []
    shown = syndi.ok("--local", "show", refused["id"])
    assert "replaced Vault (AWS::S3::Bucket)" in shown.stdout
    allowed = syndi.deploy(
        "dev", live, *renamed, "--allow-replacement", "Vault", "--allow-replacement", "Typo"
    )
    assert VAULT in replaced(allowed)
    assert "allow_replacement names Typo" in allowed["steps"]["AwaitChangeSet"]["note"]
    new = syndi.stack(stack_name(live))["resources"]["Vault"]
    assert new == vault.bucket(live).replace("vault", "v2")
    assert vault.data(syndi, live) == b"do not lose me", "the old one is kept outside"


# What exists --------------------------------------------------------------------------------------


def test_a_bucket_that_exists_is_adopted_with_what_is_in_it(
    syndi: Syndi, vaulted: tuple[str, ...]
) -> None:
    org, name = "heir", vault.bucket("heir")
    syndi.client("s3").create_bucket(Bucket=name)
    vault.put(syndi, org)
    record = syndi.deploy("dev", org, *vaulted)
    assert record["change_set"]["summary"]["imported"] == [VAULT]
    assert "1 imported" in record["steps"]["AwaitChangeSet"]["note"]
    assert syndi.stack(stack_name(org))["resources"]["Vault"] == name
    assert vault.data(syndi, org) == b"do not lose me"
    again = syndi.deploy("dev", org, *vaulted)
    assert again["change_set"]["has_changes"] is False


def test_a_bucket_of_another_stack_is_not_taken_from_it(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...]
) -> None:
    org, name = "thief", vault.bucket("thief")
    owner = {"Box": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}}
    stacks.create("owner", owner)
    stacks.settled("owner", "CREATE_COMPLETE")
    record = syndi.fail("dev", org, *vaulted)
    assert record["failed_step"] == "AwaitChangeSet"
    assert name in record["reason"]
    assert stack_name("owner") in record["reason"]
    assert syndi.stack(stack_name("owner"))["resources"]["Box"] == name


# Termination protection ---------------------------------------------------------------------------


def test_a_stack_of_prod_cannot_be_deleted_by_a_slip_of_the_hand(
    syndi: Syndi, stacks: Stacks, live: str
) -> None:
    push(syndi, ALMANAC, "prod")
    syndi.deploy("prod", "safe", *APPLICATION)
    with pytest.raises(stacks.client.exceptions.ClientError, match="TerminationProtection"):
        stacks.client.delete_stack(StackName="almanac-prod-safe")
    found = stacks.client.describe_stacks(StackName=stack_name(live))["Stacks"][0]
    assert found["EnableTerminationProtection"] is False
