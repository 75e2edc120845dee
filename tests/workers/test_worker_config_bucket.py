"""The tenant's config bucket: made as the template would, and nobody else's."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError
from config_calls import (
    BUCKET,
    POLICIES,
    accept_policies,
    content,
    succeed,
    sync,
    upload,
)

from control_plane import aws, manifest
from control_plane.errors import ConfigInvalid, ServiceBusy
from control_plane.models import Deployment
from control_plane.rules import config
from control_plane.settings import forget_settings
from control_plane.store.overrides import Overrides
from control_plane.store.progress import Progress


@pytest.fixture(autouse=True)
def _policies(script: scripted.Scripted) -> None:
    POLICIES.clear()
    accept_policies(script)


@pytest.fixture
def made(source: str) -> Deployment:
    return build.opened(build.deployment(source=source))


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


def test_a_bucket_whose_making_failed_is_completed_by_the_next_deployment(
    made: Deployment, script: scripted.Scripted
) -> None:
    # The role lacked a permission; somebody gave it, and deploys again.
    script.on(aws.s3(), "PutBucketPolicy", scripted.failure("AccessDenied"))
    with pytest.raises(ClientError, match="AccessDenied"):
        upload(made)
    accept_policies(script)
    upload(build.opened(build.deployment(number=2, source=made.source)))
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
    told = f"{tag}, not notes-stage-alpha" if tag else "not tagged syndi:stack=notes-stage-alpha"
    with pytest.raises(ConfigInvalid, match=told):
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


@pytest.mark.parametrize("create_buckets", [True, False])
def test_no_option_opens_another_tenants_bucket(source: str, create_buckets: bool) -> None:
    aws.s3().create_bucket(Bucket=BUCKET)
    tags = {"TagSet": [{"Key": "syndi:stack", "Value": "notes-stage-beta"}]}
    aws.s3().put_bucket_tagging(Bucket=BUCKET, Tagging=tags)
    made = build.opened(build.deployment(source=source, create_buckets=create_buckets))
    with pytest.raises(ConfigInvalid, match="another tenant's"):
        upload(made)
    assert "Contents" not in aws.s3().list_objects_v2(Bucket=BUCKET)


@pytest.mark.parametrize("create_buckets", [True, False])
def test_no_option_opens_the_artifact_bucket(source: str, create_buckets: bool) -> None:
    pattern = 'bucket = "notes-config-{env}-{org}-{account}"'
    changed = build.MANIFEST.replace(pattern, f'bucket = "{build.ARTIFACTS}"')
    made = build.deployment(
        source=source, manifest=manifest.parse(changed), create_buckets=create_buckets
    )
    with pytest.raises(ConfigInvalid, match="the control plane's"):
        upload(build.opened(made))
    found = aws.s3().list_objects_v2(Bucket=build.ARTIFACTS)
    assert all(item["Key"].startswith("sources/") for item in found["Contents"])


def test_a_bucket_that_no_session_reaches_is_refused_with_the_name_that_would_do(
    source: str,
) -> None:
    """IAM would deny it with words about a role; what is to be corrected is in application.toml."""
    pattern = 'bucket = "notes-config-{env}-{org}-{account}"'
    changed = build.MANIFEST.replace(pattern, 'bucket = "notes-config-{org}"')
    made = build.deployment(source=source, manifest=manifest.parse(changed))
    with pytest.raises(ConfigInvalid, match=r"notes-…-\{env\}-\{org\}-\{account\}"):
        upload(build.opened(made))
    assert [b["Name"] for b in aws.s3().list_buckets()["Buckets"]] == [build.ARTIFACTS]


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


# A bucket that the stack makes --------------------------------------------------------------------


def changing(made: Deployment, **summary: Any) -> None:
    """The deployment's template makes the bucket as `Config`, and that is what its change set does.

    CreateChangeSet and AwaitChangeSet put it into the record.
    """
    facts = {"config_bucket_resource": "Config", "change_set": {"summary": summary}}
    Progress(build.TABLE).add_facts(made, facts)


CONFIG = [{"id": "Config", "type": "AWS::S3::Bucket"}]


def test_a_bucket_that_the_stack_is_about_to_make_is_left_to_it(made: Deployment) -> None:
    """Made here, it would be in the stack's way: the first deployment failed, "already exists"."""
    changing(made, added=CONFIG)
    answer = upload(made)
    assert answer["config"] == {"overrides_version": 0}
    assert BUCKET not in [item["Name"] for item in aws.s3().list_buckets()["Buckets"]]
    assert "config" not in build.record(made)
    aws.s3().create_bucket(Bucket=BUCKET)  # as the stack does
    assert sync(made, PoolId="p")["changed"] is True
    assert content()["auth"]["pool"] == "p"
    assert build.record(made)["config"]["bucket"] == BUCKET


def test_a_bucket_that_the_stack_adopts_is_filled_before(made: Deployment) -> None:
    upload(made)
    changing(made, imported=CONFIG)
    assert upload(made)["config"]["bucket"] == BUCKET
    assert content()["title"] == "Alpha"


def test_a_configuration_that_is_wrong_fails_before_the_stack_is_changed(source: str) -> None:
    Overrides(build.TABLE).put(build.ALPHA, {"title": "x" * config.SIZE_LIMIT}, 0, "me", "")
    made = build.opened(build.deployment(source=source))
    changing(made, added=CONFIG)
    with pytest.raises(ConfigInvalid):
        upload(made)
