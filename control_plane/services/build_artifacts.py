"""A build's artifacts: whose prefix they lie below, and the copy for another tenant."""

import re

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.naming import build_prefix


def exists(bucket: str, key: str) -> bool:
    """Whether the bucket has an object of that key."""
    try:
        aws.s3().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if aws.error_code(error) not in ("404", "NoSuchKey", "NotFound"):
            raise
        return False
    return True


def adopt(bucket: str, fingerprint: str, owner: str, stack_name: str) -> str:
    """The key of the build's packaged template below the tenant's own prefix.

    `owner` is the stack for which the build was made. For another one, template and artifacts are
    copied, so that no tenant depends on what lies in another's prefix.
    """
    key = f"{build_prefix(stack_name, fingerprint)}/template.yaml"
    if owner == stack_name or exists(bucket, key):
        return key
    client = aws.s3()
    made = f"{build_prefix(owner, fingerprint)}/template.yaml"
    template = client.get_object(Bucket=bucket, Key=made)["Body"].read().decode()
    for name in artifact_names(template, bucket, owner):
        target = f"{stack_name}/{name}"
        if not exists(bucket, target):
            client.copy_object(
                Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": f"{owner}/{name}"}
            )
    # Last, because its being there says that the copy is complete.
    readdressed = _reference(bucket, owner).sub(rf"\g<1>{stack_name}/\g<2>", template)
    client.put_object(
        Bucket=bucket, Key=key, Body=readdressed.encode(), ContentType="application/yaml"
    )
    return key


def missing(bucket: str, template_key: str, stack_name: str) -> list[str]:
    """What is gone of a build, by key: its packaged template, or artifacts that it refers to."""
    if not exists(bucket, template_key):
        return [template_key]
    body = aws.s3().get_object(Bucket=bucket, Key=template_key)["Body"].read().decode()
    keys = [f"{stack_name}/{name}" for name in artifact_names(body, bucket, stack_name)]
    return [key for key in keys if not exists(bucket, key)]


def artifact_names(template: str, bucket: str, owner: str) -> list[str]:
    """The artifacts that a packaged template refers to, without their prefix."""
    return sorted({found[1] for found in _reference(bucket, owner).findall(template)})


def _reference(bucket: str, owner: str) -> re.Pattern[str]:
    """A reference to an artifact, as a URI or as a key: what leads to the prefix, and the rest."""
    return re.compile(
        rf"(s3://{re.escape(bucket)}/|\b(?:S3|S3Object)?Key: ['\"]?){re.escape(owner)}/"
        r"([A-Za-z0-9._/-]+)"
    )
