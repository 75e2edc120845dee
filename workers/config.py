"""The tenant's configuration: merged from the source, uploaded, and later given the outputs."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, config, naming
from control_plane.errors import ConfigInvalid
from control_plane.listing import Listing
from control_plane.manifest import ConfigTable
from control_plane.models import Deployment, JsonObject
from control_plane.settings import ConfigSettings, settings
from control_plane.sources import SourceArchive
from workers.step import Outcome, Step, run


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry."""
    return run(event, STEPS, settings(ConfigSettings).table_name)


def upload_config(deployment: Deployment, event: JsonObject) -> Outcome:
    """Upload the configuration before the stack changes, with the outputs that are known so far.

    Creates the bucket when the stack has not yet. Raises ConfigInvalid.
    """
    table = deployment.manifest.config
    if table is None:
        return Outcome({"config": {}}, "the application has no configuration")
    current = Listing(settings(ConfigSettings).table_name).current(deployment.tenant) or {}
    created = _ensure_bucket(deployment, _bucket(deployment, table))
    return _upload(deployment, table, current.get("outputs", {}), created)


def sync_config(deployment: Deployment, event: JsonObject) -> Outcome:
    """Merge the stack's outputs in, and upload again when that changed anything."""
    table = deployment.manifest.config
    if table is None:
        return Outcome({"config": {}}, "the application has no configuration")
    return _upload(deployment, table, event["outputs"], created=False)


def _upload(
    deployment: Deployment, table: ConfigTable, outputs: Mapping[str, str], created: bool
) -> Outcome:
    source = SourceArchive.fetch(settings(ConfigSettings).artifact_bucket, deployment.source)
    content = config.effective(table, deployment.tenant, source.read, outputs)
    body = config.rendered(content)
    bucket = _bucket(deployment, table)
    version = None if created else _same(bucket, table.key, body)
    changed = version is None
    if version is None:
        answer = aws.s3().put_object(
            Bucket=bucket,
            Key=table.key,
            ExpectedBucketOwner=settings(ConfigSettings).account_id,
            Body=body,
            ContentType="application/json",
        )
        version = answer.get("VersionId", "")
    receipt = {
        "bucket": bucket,
        "key": table.key,
        "version_id": version,
        "sha256": hashlib.sha256(body).hexdigest(),
        "content": content,
    }
    note = f"version {version} {'uploaded' if changed else 'is unchanged'}"
    return Outcome({"config": receipt, "changed": changed}, note)


def _same(bucket: str, key: str, body: bytes) -> str | None:
    """The version that holds exactly `body` already, or None."""
    try:
        answer = aws.s3().get_object(
            Bucket=bucket, Key=key, ExpectedBucketOwner=settings(ConfigSettings).account_id
        )
    except ClientError as error:
        if aws.error_code(error) not in ("NoSuchKey", "404"):
            raise
        return None
    return answer.get("VersionId", "") if answer["Body"].read() == body else None


def _ensure_bucket(deployment: Deployment, bucket: str) -> bool:
    """Create the tenant's config bucket as its template would; True when it was not there.

    Raises ConfigInvalid when a bucket of that name is there and is not this tenant's.
    """
    known, owner = settings(ConfigSettings), deployment.tenant.stack_name
    client = aws.s3()
    try:
        client.head_bucket(Bucket=bucket, ExpectedBucketOwner=known.account_id)
    except ClientError as error:
        match aws.error_code(error):
            case "404" | "NoSuchBucket":
                pass
            case "403":
                raise ConfigInvalid(f"bucket {bucket} belongs to another AWS account") from error
            case _:
                raise
    else:
        # With create_buckets=false the operator brings the buckets, without our tag.
        if deployment.options.create_buckets is not False and _owner(bucket) != owner:
            raise ConfigInvalid(
                f"bucket {bucket} exists already and is not tagged {naming.OWNER_TAG}={owner}: "
                "remove it, tag it, or deploy without creating buckets to use it as it is"
            )
        return False
    if known.aws_region == "us-east-1":  # the one region that must not be named (S3 API)
        client.create_bucket(Bucket=bucket)
    else:
        client.create_bucket(
            Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": known.aws_region},  # type: ignore[typeddict-item]
        )
    client.put_bucket_tagging(
        Bucket=bucket, Tagging={"TagSet": [{"Key": naming.OWNER_TAG, "Value": owner}]}
    )
    client.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_only_over_tls(bucket)))
    return True


def _only_over_tls(bucket: str) -> JsonObject:
    """A bucket policy. Loopback is excepted for an emulated AWS; no request reaches AWS from it."""
    arn = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DenyWithoutTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {
                    "Bool": {"aws:SecureTransport": "false"},
                    "NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"},
                },
            }
        ],
    }


def _owner(bucket: str) -> str | None:
    """The stack that a bucket's tag names, or None."""
    try:
        tags = aws.s3().get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError as error:
        if aws.error_code(error) != "NoSuchTagSet":
            raise
        return None
    return next((tag["Value"] for tag in tags if tag["Key"] == naming.OWNER_TAG), None)


def _bucket(deployment: Deployment, table: ConfigTable) -> str:
    account = settings(ConfigSettings).account_id
    return naming.filled(table.bucket, deployment.tenant, account)


STEPS: dict[str, Step] = {"UploadConfig": upload_config, "SyncConfig": sync_config}
