"""An application with tables and a config bucket of its own: no removal destroys its data unasked,
no other tenant gets it, and a purge leaves nothing of it."""

from typing import Any

import pytest
import sources
from live import bucket_names
from sources import ALMANAC, APPLICATION, add_resources, copied, replace
from syndi_command import Syndi

STACK = "almanac-dev-ketch"
ORDERS, LEDGER, SCRATCH = "almanac-orders-dev-ketch", "almanac-ledger", "almanac-scratch-dev-ketch"
CONFIG = "almanac-settings-dev-ketch-000000000000"


def _table(logical_id: str, name: str, policy: str) -> str:
    return (
        f"  {logical_id}:\n    Type: AWS::DynamoDB::Table\n{policy}"
        f"    Properties:\n      TableName: !Sub '{name}'\n      BillingMode: PAY_PER_REQUEST\n"
        "      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]\n"
        "      KeySchema: [{AttributeName: id, KeyType: HASH}]\n"
    )


RETAINED = "    DeletionPolicy: RetainExceptOnCreate\n"
RESOURCES = (
    _table("Orders", "almanac-orders-${Environment}-${Organization}", RETAINED)
    + _table("Ledger", LEDGER, RETAINED)
    + _table("Scratch", "almanac-scratch-${Environment}-${Organization}", "")
    + f"  Settings:\n    Type: AWS::S3::Bucket\n{RETAINED}"
    "    Properties:\n      BucketName: "
    "!Sub 'almanac-settings-${Environment}-${Organization}-${AWS::AccountId}'\n"
    "  Deps:\n    Type: AWS::Serverless::LayerVersion\n"
    "    Properties: {LayerName: almanac-notes, ContentUri: notes/, RetentionPolicy: Retain}\n"
)


@pytest.fixture(scope="module")
def options(
    syndi: Syndi, almanac: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, ...]:
    """What deploys an almanac with tables, a config bucket and a layer in its stack."""
    copy = copied(ALMANAC, tmp_path_factory.mktemp("ketch"))
    add_resources(copy, RESOURCES)
    replace(
        copy / "application.toml",
        'function = "AlmanacFunction"\n',
        'function = "AlmanacFunction"\n'
        'stateful_types = ["AWS::DynamoDB::Table", "AWS::S3::Bucket"]\n\n'
        '[config]\ndirectory = "config"\nkey = "config.json"\n'
        'bucket = "almanac-settings-{env}-{org}-{account}"\n',
    )
    for directory, name, text in (("config", "base.json", "{}"), ("notes", "note.txt", "x")):
        (copy / directory).mkdir()
        (copy / directory / name).write_text(text)
    # A source is for the environments that it was pushed for; the almanac stays the current one.
    pushed = sources.push(syndi, copy, "dev")
    sources.push(syndi, ALMANAC, "dev")
    return (*APPLICATION, "--source", pushed)


def tag(syndi: Syndi, stack: str) -> None:
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{LEDGER}"
    tags = [{"Key": "syndi:stack", "Value": stack}]
    syndi.client("dynamodb").tag_resource(ResourceArn=arn, Tags=tags)


@pytest.fixture(scope="module")
def ledger(syndi: Syndi) -> None:
    """A table of a fixed name, with an item, which the stack of `dev/brig` left behind."""
    syndi.client("dynamodb").create_table(
        TableName=LEDGER, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )  # fmt: skip
    tag(syndi, "almanac-dev-brig")
    syndi.client("dynamodb").put_item(TableName=LEDGER, Item={"id": {"S": "brig"}})


def items(syndi: Syndi, table: str) -> int:
    return int(syndi.client("dynamodb").scan(TableName=table)["Count"])


def test_a_tenant_does_not_get_a_table_of_a_fixed_name_that_is_another_tenants(
    syndi: Syndi, options: tuple[str, ...], ledger: None
) -> None:
    failed = syndi.fail("dev", "ketch", *options)
    assert failed["failed_step"] == "AwaitChangeSet"
    assert f"{LEDGER}) is another tenant's: it is tagged" in failed["reason"]
    assert "${Environment}-${Organization}" in failed["hint"]
    assert items(syndi, LEDGER) == 1
    assert CONFIG not in bucket_names(syndi)


@pytest.fixture(scope="module")
def ketch(syndi: Syndi, options: tuple[str, ...], ledger: None) -> dict[str, Any]:
    """`dev/ketch`, to which somebody gave the ledger, with an item in its other tables."""
    tag(syndi, STACK)
    record = syndi.deploy("dev", "ketch", *options)
    for table in (ORDERS, SCRATCH):
        syndi.client("dynamodb").put_item(TableName=table, Item={"id": {"S": "1"}})
    return record


def test_the_stack_makes_its_config_bucket_and_adopts_what_is_its_own(
    syndi: Syndi, ketch: dict[str, Any]
) -> None:
    """The first deployment: the control plane does not make the bucket before the stack does."""
    assert [item["id"] for item in ketch["change_set"]["summary"]["imported"]] == ["Ledger"]
    assert "made its bucket" in ketch["steps"]["UploadConfig"]["note"]
    body = syndi.client("s3").get_object(Bucket=CONFIG, Key="config.json")["Body"].read()
    assert body.strip() == b"{}"
    assert "Settings" in syndi.stack(STACK)["resources"]


def offboard(syndi: Syndi, *more: str) -> Any:
    return syndi.run(
        "--local", "offboard", "dev", "ketch", *APPLICATION, "--confirm", STACK, *more, "--json"
    )


def test_a_removal_that_would_destroy_a_table_is_refused_before_anything_is_done(
    syndi: Syndi, ketch: Any
) -> None:
    result = offboard(syndi, "--export", "config")
    assert result.exit_code == 1
    record = result.json
    assert record["failed_step"] == "CheckStack"
    assert f"Scratch (AWS::DynamoDB::Table {SCRATCH})" in record["reason"]
    assert "Orders" not in record["reason"]
    assert "--purge" in record["hint"]
    assert "ExportData" not in record["steps"]
    assert syndi.stack(STACK)["status"] == "CREATE_COMPLETE"
    assert [items(syndi, table) for table in (ORDERS, LEDGER, SCRATCH)] == [1, 1, 1]


def test_a_purge_leaves_nothing_of_what_the_stack_left(syndi: Syndi, ketch: Any) -> None:
    assert syndi.ok("--local", "url", "dev", "ketch", *APPLICATION)
    result = offboard(syndi, "--purge")
    assert result.exit_code == 0, result.stderr
    note = result.json["steps"]["PurgeLeftovers"]["note"]
    for removed in (f"table {ORDERS}", f"table {LEDGER}", f"bucket {CONFIG}", "layer version"):
        assert removed in note
    assert result.json["leftovers"] == {"items": []}
    there = set(syndi.client("dynamodb").list_tables()["TableNames"])
    assert not there & {ORDERS, LEDGER, SCRATCH}
    assert CONFIG not in bucket_names(syndi)
    layers = syndi.client("lambda").list_layers()["Layers"]
    assert "almanac-notes" not in [layer["LayerName"] for layer in layers]
    groups = syndi.client("logs").describe_log_groups(
        logGroupNamePrefix="/aws/lambda/almanac-dev-k"
    )
    assert groups["logGroups"] == []
