"""What a build leaves: lost or changed artifacts, and an environment whose sources are gone."""

from typing import Any

import pytest
from live import ask
from sources import ALMANAC, APPLICATION, push, unbuilt
from syndi_command import Syndi

TENANT = ("dev", "keeper", *APPLICATION)
STACK = "almanac-dev-keeper"


def artifacts(syndi: Syndi, prefix: str) -> list[str]:
    """The keys below a prefix of the artifact bucket."""
    bucket = syndi.outputs()["ArtifactBucketName"]
    found = syndi.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for item in found.get("Contents", [])]


def lose(syndi: Syndi, *prefixes: str) -> None:
    """Delete what lies below prefixes of the artifact bucket."""
    bucket = syndi.outputs()["ArtifactBucketName"]
    for key in [key for prefix in prefixes for key in artifacts(syndi, prefix)]:
        syndi.client("s3").delete_object(Bucket=bucket, Key=key)


@pytest.fixture(scope="module")
def kept(syndi: Syndi) -> list[dict[str, Any]]:
    """Two deployments of a tenant, of a build each."""
    records = []
    for note in ("kept-one", "kept-two"):
        unbuilt(syndi, "dev", note)
        records.append(syndi.deploy(*TENANT))
    return records


def test_what_was_lost_or_changed_of_a_build_is_made_again(
    syndi: Syndi, kept: list[dict[str, Any]]
) -> None:
    """Every deployment of that source would reuse it, and fail or run what somebody put there."""
    print_ = kept[-1]["build"]["fingerprint"]
    (package,) = [
        key
        for key in artifacts(syndi, f"builds/dev/almanac/{print_}/")
        if not key.endswith("template.yaml")
    ]
    bucket = syndi.outputs()["ArtifactBucketName"]
    syndi.client("s3").put_object(Bucket=bucket, Key=package, Body=b"something else")
    lose(syndi, f"{STACK}/{package.rpartition('/')[2]}")
    again = syndi.deploy(*TENANT)
    assert f"{package} was changed" in again["steps"]["StartBuild"]["note"]
    assert again["build"]["fingerprint"] == print_
    assert again["build"]["build_id"] != kept[-1]["build"]["build_id"]
    (digest,) = again["build"]["code_digests"].values()
    live = syndi.client("lambda").get_function_configuration(FunctionName=STACK)
    assert live["CodeSha256"] == digest


def test_a_tenant_is_brought_back_and_removed_where_no_source_is_left(
    syndi: Syndi, kept: list[dict[str, Any]]
) -> None:
    table, client = syndi.outputs()["TableName"], syndi.client("dynamodb")
    sources = client.query(
        TableName=table,
        KeyConditionExpression="PK = :pk",
        ExpressionAttributeValues={":pk": {"S": "APPLICATION#almanac"}},
    )["Items"]
    built = [one["source"] for one in kept]
    for item in sources:
        if item["SK"]["S"] == "ENVIRONMENT#dev" or item["SK"]["S"].endswith(tuple(built)):
            client.delete_item(TableName=table, Key={"PK": item["PK"], "SK": item["SK"]})
    lose(syndi, *(f"sources/dev/{sha256}" for sha256 in built))
    try:
        back = syndi.ok("--local", "rollback", *TENANT, "--to", kept[0]["id"], "--json").json
        assert back["status"] == "SUCCEEDED", back
        address = syndi.ok("--local", "url", *TENANT).stdout.strip()
        running = ask(f"{address}/status")[1]["version"]["build"]
        assert running == kept[0]["build"]["fingerprint"]
        refused = syndi.run("--local", "deploy", *TENANT, "--json")
        assert refused.exit_code != 0
        assert "almanac has no source for dev: push one with" in refused.stdout + refused.stderr
        gone = syndi.ok("--local", "offboard", *TENANT, "--confirm", STACK, "--json").json
        assert gone["status"] == "SUCCEEDED", gone
    finally:
        push(syndi, ALMANAC, "dev")  # what other tests deploy
