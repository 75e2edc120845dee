"""The config worker: the tenant's bucket, and its configuration in it."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError
from worker_builders import TABLE

from control_plane import aws
from control_plane.errors import ConfigInvalid, ServiceBusy
from control_plane.history import History
from control_plane.models import Deployment
from control_plane.settings import forget_settings
from workers import config as worker

BUCKET = f"notes-config-stage-alpha-{build.ACCOUNT}"


POLICIES: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _policies(script: scripted.Scripted) -> None:
    """Bucket policies are kept here: moto would apply them without their conditions."""
    POLICIES.clear()
    accept_policies(script)


def accept_policies(script: scripted.Scripted) -> None:
    def accept(asked: dict[str, Any]) -> dict[str, Any]:
        POLICIES[asked["Bucket"]] = asked["Policy"]
        return {}

    script.on(aws.s3(), "PutBucketPolicy", accept)


@pytest.fixture
def made(source: str) -> Deployment:
    return build.opened(build.deployment(source=source))


def upload(made: Deployment) -> dict[str, Any]:
    return worker.handler(build.event(made, "UploadConfig"), None)


def sync(made: Deployment, **outputs: str) -> dict[str, Any]:
    return worker.handler(build.event(made, "SyncConfig", outputs=outputs), None)


def content() -> dict[str, Any]:
    body = aws.s3().get_object(Bucket=BUCKET, Key="config.json")["Body"].read()
    return dict(json.loads(body))


def versions() -> int:
    return len(aws.s3().list_object_versions(Bucket=BUCKET).get("Versions", []))


def succeed(made: Deployment, **receipt: Any) -> None:
    build.take_lock(made)
    History(TABLE).succeed(made.tenant, made.id, made.execution_arn, receipt)


# The bucket ---------------------------------------------------------------------------------------


def check_bucket() -> None:
    """The tenant's bucket is tagged, versioned, encrypted, private, and reached over TLS only."""
    s3 = aws.s3()
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == [
        {"Key": "syndi:stack", "Value": "notes-stage-alpha"}
    ]
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    blocked = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4
    assert all(blocked.values())
    (statement,) = json.loads(POLICIES[BUCKET])["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"]["Bool"] == {"aws:SecureTransport": "false"}
    assert statement["Resource"] == [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]


def test_the_bucket_is_made_before_the_stack_is(made: Deployment) -> None:
    upload(made)
    check_bucket()


@pytest.mark.parametrize(
    "operation",
    [
        "PutBucketTagging",
        "PutPublicAccessBlock",
        "PutBucketVersioning",
        "PutBucketEncryption",
        "PutBucketPolicy",
        "PutObject",
    ],
)
def test_a_bucket_whose_making_was_cut_off_is_completed_by_the_next_attempt(
    made: Deployment, script: scripted.Scripted, operation: str
) -> None:
    script.on(aws.s3(), operation, scripted.failure("SlowDown"))
    with pytest.raises(ServiceBusy):
        upload(made)
    script.forget()
    accept_policies(script)
    upload(made)
    check_bucket()


def test_the_bucket_is_made_in_the_control_planes_region(
    made: Deployment, monkeypatch: pytest.MonkeyPatch, script: scripted.Scripted
) -> None:
    script.on(aws.s3(), "CreateBucket", scripted.failure("Seen"))
    with pytest.raises(ClientError, match="Seen"):
        upload(made)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    forget_settings()
    with pytest.raises(ClientError, match="Seen"):
        upload(made)
    first, second = (
        (asked.get("CreateBucketConfiguration") or {}).get("LocationConstraint")
        for asked in script.of("CreateBucket")
    )
    assert (first, second) == (None, "eu-central-1")


@pytest.mark.parametrize("tag", [None, "notes-stage-beta", "notes-stage-alpha2"])
def test_somebody_elses_bucket_is_refused_and_left_alone(made: Deployment, tag: str | None) -> None:
    aws.s3().create_bucket(Bucket=BUCKET)
    # A neighbour's object: the bucket is in use, not one whose making was cut off.
    aws.s3().put_object(Bucket=BUCKET, Key="theirs.json", Body=b"{}")
    if tag:
        tags = {"TagSet": [{"Key": "syndi:stack", "Value": tag}]}
        aws.s3().put_bucket_tagging(Bucket=BUCKET, Tagging=tags)
    with pytest.raises(ConfigInvalid, match="syndi:stack=notes-stage-alpha"):
        upload(made)
    found = aws.s3().list_objects_v2(Bucket=BUCKET)
    assert [item["Key"] for item in found["Contents"]] == ["theirs.json"]


def test_a_bucket_of_another_account_is_refused(
    made: Deployment, script: scripted.Scripted
) -> None:
    script.on(aws.s3(), "HeadBucket", scripted.failure("403"))
    with pytest.raises(ConfigInvalid, match="belongs to another AWS account"):
        upload(made)
    assert script.of("HeadBucket")[0]["ExpectedBucketOwner"] == build.ACCOUNT


def test_an_operators_own_bucket_is_used_when_none_shall_be_created(source: str) -> None:
    aws.s3().create_bucket(Bucket=BUCKET)
    made = build.opened(build.deployment(source=source, create_buckets=False))
    upload(made)
    assert content()["title"] == "Alpha"


def test_an_operators_own_bucket_is_used_by_later_deployments_that_leave_the_option_out(
    source: str,
) -> None:
    # As the stack's parameter: left out keeps the previous value.
    aws.s3().create_bucket(Bucket=BUCKET)
    first = build.opened(build.deployment(number=1, source=source, create_buckets=False))
    upload(first)
    parameters = {"EnableAuth": "true", "CreateBuckets": "false"}
    succeed(first, stack={"parameters": parameters}, outputs={})
    second = build.opened(build.deployment(number=2, source=source))
    assert upload(second)["changed"] is False


# The configuration --------------------------------------------------------------------------------


def test_the_layers_of_the_source_are_merged_and_the_version_remembered(made: Deployment) -> None:
    answer = upload(made)
    assert content() == {"title": "Alpha", "auth": {"on": True}, "api": {}}
    receipt = answer["config"]
    assert (receipt["bucket"], receipt["key"]) == (BUCKET, "config.json")
    assert receipt["content"] == content()
    listed = aws.s3().list_object_versions(Bucket=BUCKET)["Versions"]
    assert receipt["version_id"] == listed[0]["VersionId"]
    assert answer["changed"] is True


def test_a_configuration_that_did_not_change_is_not_uploaded_again(made: Deployment) -> None:
    first = upload(made)
    second = upload(made)
    assert second["config"] == first["config"]
    assert second["changed"] is False
    assert versions() == 1


def test_the_stacks_outputs_reach_the_configuration_in_the_same_deployment(
    made: Deployment,
) -> None:
    upload(made)
    answer = sync(made, PoolId="pool-1", Url="https://x", Else="e")
    assert content()["auth"] == {"on": True, "pool": "pool-1"}
    assert content()["api"] == {"url": "https://x"}
    assert (answer["changed"], versions()) == (True, 2)
    assert sync(made, PoolId="pool-1", Url="https://x")["changed"] is False
    assert versions() == 2


def test_a_later_deployment_does_not_forget_the_outputs_before_its_stack_is_there(
    source: str,
) -> None:
    first = build.opened(build.deployment(number=1, source=source))
    upload(first)
    sync(first, PoolId="pool-1", Url="https://x")
    succeed(first, outputs={"PoolId": "pool-1", "Url": "https://x"})
    second = build.opened(build.deployment(number=2, source=source))
    assert upload(second)["changed"] is False
    assert content()["auth"]["pool"] == "pool-1"


def test_an_output_that_is_gone_is_deleted_from_the_configuration(made: Deployment) -> None:
    upload(made)
    sync(made, PoolId="pool-1", Url="https://x")
    sync(made, Url="https://x")
    assert content()["auth"] == {"on": True}


def test_a_broken_layer_is_refused_by_name_before_anything_is_uploaded(world: None) -> None:
    sha256 = build.push_source({**build.FILES, "config/stage.json": '{\n "a": 1,\n}'})
    made = build.opened(build.deployment(source=sha256))
    with pytest.raises(ConfigInvalid, match=r"config/stage\.json is not JSON \(line 3"):
        upload(made)
    with pytest.raises(ClientError, match="NoSuchKey"):
        content()


def test_an_application_without_configuration_has_nothing_to_upload(world: None) -> None:
    made = build.deployment(manifest=build.manifest.parse(build.PLAIN_MANIFEST))
    build.opened(made)
    assert upload(made) == {"config": {}, "done": True}
    assert sync(made) == {"config": {}, "done": True}
    assert [item["Name"] for item in aws.s3().list_buckets()["Buckets"]] == [build.ARTIFACTS]


def test_a_tenant_never_sees_its_neighbours_configuration(made: Deployment) -> None:
    upload(made)
    beta = build.opened(build.deployment(build.BETA, 2, source=made.source))
    assert upload(beta)["config"]["content"]["title"] == "Notes"
    assert content()["title"] == "Alpha"
