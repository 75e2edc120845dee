"""The bucket of a tenant's configuration, which has to be there before the stack."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import ConfigInvalid
from control_plane.models import Deployment, JsonObject, Tenant
from control_plane.settings import ConfigSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CreateBucketRequestTypeDef


def ensure(deployment: Deployment, bucket: str, *, brought: bool) -> bool:
    """Create the bucket as the application's template would; False when it was there.

    `brought`: the operator brings the tenant's buckets, which then have no tag of ours. Raises
    ConfigInvalid when a bucket of that name is there and is not this tenant's. Its name is the
    manifest's, so that it may be anybody's: another tenant's, or the control plane's own.
    """
    known, tenant = settings(ConfigSettings), deployment.tenant
    if _exists(tenant, bucket):
        owner = _owner(tenant, bucket)
        # The tag is the last thing that is set: it says that the bucket is complete.
        if owner == tenant.stack_name or (brought and owner is None):
            return False
        if owner is not None:
            raise ConfigInvalid(
                f"bucket {bucket} is another tenant's: it is tagged {naming.OWNER_TAG}={owner}, "
                f"not {tenant.stack_name}"
            )
        # An attempt that was cut off, of this deployment or of an earlier one, may be gone on with.
        recent = Listing(known.table_name).deployments(tenant, limit=50)
        if not any(record.get("creating_bucket") == bucket for record in recent):
            raise ConfigInvalid(
                f"bucket {bucket} exists already and is not tagged "
                f"{naming.OWNER_TAG}={tenant.stack_name}: remove it, tag it, or deploy without "
                "creating buckets to use it as it is"
            )
    else:
        # Said before it is done, so that an attempt that is cut off can go on.
        Progress(known.table_name).add_facts(deployment, {"creating_bucket": bucket})
        _create(tenant, bucket, known.aws_region)
    _secure(tenant, bucket)
    aws.of_tenant(tenant).s3().put_bucket_tagging(
        Bucket=bucket,
        Tagging={"TagSet": [{"Key": naming.OWNER_TAG, "Value": tenant.stack_name}]},
    )
    return True


def is_made_by_the_stack(deployment: Deployment, bucket: str) -> bool:
    """Whether the stack is about to make the bucket: it is a resource that the change set adds.

    What is there already is adopted by the stack, and filled before it like any other.
    """
    found = Listing(settings(ConfigSettings).table_name).get(deployment.tenant, deployment.id) or {}
    prefix = "rollback_" if deployment.rolling_back else ""
    resource = found.get(f"{prefix}config_bucket_resource")
    summary = found.get(f"{prefix}change_set", {}).get("summary", {})
    added = resource and any(item["id"] == resource for item in summary.get("added", []))
    return bool(added) and not _exists(deployment.tenant, bucket)


def _exists(tenant: Tenant, bucket: str) -> bool:
    account = settings(ConfigSettings).account_id
    try:
        aws.of_tenant(tenant).s3().head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        match aws.error_code(error):
            case "404" | "NoSuchBucket":
                return False
            case "403":
                raise ConfigInvalid(f"bucket {bucket} belongs to another AWS account") from error
            case _:
                raise
    return True


def _create(tenant: Tenant, bucket: str, region: str) -> None:
    asked: CreateBucketRequestTypeDef = {"Bucket": bucket}
    if region != "us-east-1":  # the one region that must not be named (S3 API, CreateBucket)
        asked["CreateBucketConfiguration"] = {"LocationConstraint": region}  # type: ignore[typeddict-item]
    try:
        aws.of_tenant(tenant).s3().create_bucket(**asked)
    except ClientError as error:
        # It was not there a moment ago: the first of two attempts made it, its answer was lost.
        if aws.error_code(error) != "BucketAlreadyOwnedByYou":
            raise


def _secure(tenant: Tenant, bucket: str) -> None:
    client = aws.of_tenant(tenant).s3()
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


def _owner(tenant: Tenant, bucket: str) -> str | None:
    """The stack that a bucket's tag names, or None."""
    try:
        tags = aws.of_tenant(tenant).s3().get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError as error:
        if aws.error_code(error) != "NoSuchTagSet":
            raise
        return None
    return next((tag["Value"] for tag in tags if tag["Key"] == naming.OWNER_TAG), None)
