"""A build's artifacts: whose prefix they lie below, and the copy for another tenant."""

import base64
import hashlib
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import JsonObject
from control_plane.naming import build_prefix

_GONE = ("404", "NoSuchKey", "NoSuchVersion", "NotFound")
_AT_ONCE = 4  # artifacts that are read at the same time


class ArtifactsMissing(Exception):
    """What a build should have and has not, by key."""

    def __init__(self, keys: list[str]) -> None:
        super().__init__(f"{', '.join(keys)} is gone")
        self.keys = keys


def exists(bucket: str, key: str) -> bool:
    """Whether the bucket has an object of that key."""
    try:
        aws.s3().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if aws.error_code(error) not in _GONE:
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


def digests(bucket: str, template_key: str, prefix: str) -> dict[str, JsonObject]:
    """What a build has made, by key: each object's SHA-256 (base64) and the version that has it.

    The packaged template and every artifact below `prefix` that it refers to, read byte by byte: a
    function of 250 MB (Lambda's limit) takes some seconds. Whoever asks when the build has just
    ended knows later whether something was changed. Raises ArtifactsMissing.
    """
    content, template = _read(bucket, template_key)
    keys = [f"{prefix}/{name}" for name in artifact_names(content.decode(), bucket, prefix)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = dict(zip(keys, pool.map(lambda key: _digest(bucket, key), keys), strict=True))
    if lost := [key for key, one in found.items() if one is None]:
        raise ArtifactsMissing(lost)
    return {template_key: template, **{key: one for key, one in found.items() if one is not None}}


def code_digests(artifacts: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The SHA-256 (base64) of each package among a build's artifacts, as Lambda's CodeSha256.

    Packages are what is no template: of functions, of layers, and of whatever else is uploaded.
    """
    return {
        key: one["sha256"]
        for key, one in artifacts.items()
        if not key.endswith((".template", "/template.yaml"))
    }


def _digest(bucket: str, key: str) -> JsonObject | None:
    try:
        answer = aws.s3().get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if aws.error_code(error) not in _GONE:
            raise
        return None
    digest = hashlib.sha256()
    for chunk in answer["Body"].iter_chunks(1024 * 1024):
        digest.update(chunk)
    return _artifact(digest.digest(), answer.get("VersionId"))


def _read(bucket: str, key: str) -> tuple[bytes, JsonObject]:
    try:
        answer = aws.s3().get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if aws.error_code(error) not in _GONE:
            raise
        raise ArtifactsMissing([key]) from error
    content = answer["Body"].read()
    return content, _artifact(hashlib.sha256(content).digest(), answer.get("VersionId"))


def _artifact(digest: bytes, version: str | None) -> JsonObject:
    return {"sha256": base64.b64encode(digest).decode(), "version": version or ""}


def artifact_names(template: str, bucket: str, owner: str) -> list[str]:
    """The artifacts that a packaged template refers to, without their prefix."""
    return sorted({found[1] for found in _reference(bucket, owner).findall(template)})


def _reference(bucket: str, owner: str) -> re.Pattern[str]:
    """A reference to an artifact, as a URI or as a key: what leads to the prefix, and the rest."""
    return re.compile(
        rf"(s3://{re.escape(bucket)}/|\b(?:S3|S3Object)?Key: ['\"]?){re.escape(owner)}/"
        r"([A-Za-z0-9._/-]+)"
    )
