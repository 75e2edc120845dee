"""A build's artifacts in the artifact bucket: their digests, and a tenant's own copy of them.

CodeBuild puts a build where only the builds of its environment can write. When it has ended, what
it made is recorded with digests and versions. From there each tenant gets a copy below its own
prefix, where no build can write; what was recorded of the copy is what later deployments compare.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import JsonObject
from control_plane.naming import build_prefix

Artifacts = Mapping[str, Mapping[str, str]]
"""Objects by key: {sha256 (base64), version}. `version` is empty in a bucket that has none."""

TEMPLATE = "template.yaml"
"""The packaged template's name below a build's output."""

_NESTED = ".template"  # what `sam package` names a nested stack's template
_GONE = ("404", "NoSuchKey", "NoSuchVersion", "NotFound")
_AT_ONCE = 4  # objects that are read or looked at at the same time


class ArtifactsMissing(Exception):
    """Objects that a build should have: by key, and whether each is gone or was changed."""

    def __init__(self, found: Mapping[str, str]) -> None:
        super().__init__(", ".join(f"{key} {what}" for key, what in found.items()))
        self.found = dict(found)


def exists(bucket: str, key: str) -> bool:
    """Whether the bucket has an object of that key."""
    return _current_version(bucket, key) is not None


# A build that has just ended ----------------------------------------------------------------------


def digests(bucket: str, template_key: str, prefix: str) -> dict[str, JsonObject]:
    """What a build has made, by key: each object's SHA-256 (base64) and the version that has it.

    The packaged template and every object below `prefix` that it or a nested template refers to,
    read byte by byte: 250 MB (Lambda's limit of a function) take some seconds. Asked when the build
    has just ended: a later read may see what somebody changed. Raises ArtifactsMissing.
    """
    found: dict[str, JsonObject] = {}
    packages: set[str] = set()
    templates = [template_key]
    while templates:
        key = templates.pop()
        content, found[key] = _read(bucket, key)
        keys = {f"{prefix}/{name}" for name in artifact_names(content.decode(), bucket, prefix)}
        templates += [key for key in keys - found.keys() if key.endswith(_NESTED)]
        packages |= {key for key in keys if not key.endswith(_NESTED)}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        read = dict(
            zip(packages, pool.map(lambda key: _digest(bucket, key), packages), strict=True)
        )
    if lost := {key: "is gone" for key, one in read.items() if one is None}:
        raise ArtifactsMissing(lost)
    return found | {key: one for key, one in read.items() if one is not None}


def code_digests(artifacts: Artifacts) -> dict[str, str]:
    """The SHA-256 (base64) of each package among a build's artifacts, as Lambda's CodeSha256.

    Packages are what is no template: of functions, of layers, and of whatever else is uploaded.
    """
    return {key: one["sha256"] for key, one in artifacts.items() if not _is_template(key)}


def artifact_names(template: str, bucket: str, prefix: str) -> list[str]:
    """The artifacts that a packaged template refers to, without their prefix."""
    return sorted({found[1] for found in _reference(bucket, prefix).findall(template)})


# A tenant's copy ----------------------------------------------------------------------------------


def problems(bucket: str, artifacts: Artifacts) -> dict[str, str]:
    """Which recorded objects are not there as they were recorded, by key: "is gone" or "was
    changed". One request for each; where there are no versions each is read."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda item: _problem(bucket, *item), artifacts.items())
    return {key: what for key, what in zip(artifacts, found, strict=True) if what}


def adopt(
    bucket: str, fingerprint: str, output: str, artifacts: Artifacts, stack_name: str
) -> dict[str, JsonObject]:
    """Copy a build below the tenant's own prefix; gives what is recorded of the copy.

    `output`, `artifacts`: the build as CodeBuild left it and as it was recorded then. Copied is the
    recorded version of each object, so that what somebody put there since is never used. An object
    that is there already with the same contents, such as a layer of the build before, stays. Raises
    ArtifactsMissing.
    """
    copied: dict[str, JsonObject] = {}
    packages = {key: one for key, one in artifacts.items() if not _is_template(key)}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        targets = [f"{stack_name}/{key.removeprefix(f'{output}/')}" for key in packages]
        made = pool.map(
            lambda pair: _copied(bucket, *pair), zip(packages.items(), targets, strict=True)
        )
        copied = dict(zip(targets, made, strict=True))
    # Templates last, the first one at the very end: its being there says that all is there.
    for key in sorted(artifacts.keys() - packages.keys(), key=lambda key: key.endswith(TEMPLATE)):
        name = key.removeprefix(f"{output}/")
        target = f"{build_prefix(stack_name, fingerprint)}/{name}"
        if name != TEMPLATE:
            target = f"{stack_name}/{name}"
        content, now = _read(bucket, key, artifacts[key]["version"])
        if now["sha256"] != artifacts[key]["sha256"]:
            raise ArtifactsMissing({key: "was changed"})
        if key != target:
            reference = _reference(bucket, output)
            content = reference.sub(rf"\g<1>{stack_name}/\g<2>", content.decode()).encode()
            answer = aws.s3().put_object(
                Bucket=bucket, Key=target, Body=content, ContentType="application/yaml"
            )
            now = _artifact(hashlib.sha256(content).digest(), answer.get("VersionId"))
        copied[target] = now
    return copied


def missing(bucket: str, template_key: str, stack_name: str) -> list[str]:
    """What is gone, by key, of a build that an earlier release made and recorded no digests of."""
    if not exists(bucket, template_key):
        return [template_key]
    body = aws.s3().get_object(Bucket=bucket, Key=template_key)["Body"].read().decode()
    keys = [f"{stack_name}/{name}" for name in artifact_names(body, bucket, stack_name)]
    return [key for key in keys if not exists(bucket, key)]


def keep_source(bucket: str, places: Iterable[str], kept: str) -> bool:
    """Copy a source to where it stays with a tenant's builds; False when it is nowhere.

    Nothing is compared here: the reader of a source compares it with its name.
    """
    if exists(bucket, kept):
        return True
    for place in places:
        if exists(bucket, place):
            source = {"Bucket": bucket, "Key": place}
            aws.s3().copy_object(Bucket=bucket, Key=kept, CopySource=source)  # type: ignore[arg-type]
            return True
    return False


def _copied(bucket: str, made: tuple[str, Mapping[str, str]], target: str) -> JsonObject:
    key, recorded = made
    there = _digest(bucket, target)
    if there and there["sha256"] == recorded["sha256"]:
        return there
    if key == target:
        raise ArtifactsMissing({key: "was changed" if there else "is gone"})
    source = {"Bucket": bucket, "Key": key}
    if recorded["version"]:
        source["VersionId"] = recorded["version"]
    elif problem := _problem(bucket, key, recorded):
        raise ArtifactsMissing({key: problem})
    try:
        answer = aws.s3().copy_object(Bucket=bucket, Key=target, CopySource=source)  # type: ignore[arg-type]
    except ClientError as error:
        if aws.error_code(error) not in _GONE:
            raise
        raise ArtifactsMissing({key: "is gone"}) from error
    return {"sha256": recorded["sha256"], "version": answer.get("VersionId", "")}


def _problem(bucket: str, key: str, recorded: Mapping[str, str]) -> str:
    """What is wrong with an object; a version that was recorded cannot be changed."""
    if recorded["version"]:
        version = _current_version(bucket, key)
        if version == recorded["version"]:
            return ""
        if version is None:
            return "is gone"
    there = _digest(bucket, key)
    if there is None:
        return "is gone"
    return "" if there["sha256"] == recorded["sha256"] else "was changed"


def _current_version(bucket: str, key: str) -> str | None:
    """The version that an object has now, empty in a bucket without; None when it is not there."""
    try:
        answer = aws.s3().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if aws.error_code(error) not in _GONE:
            raise
        return None
    return answer.get("VersionId", "")


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


def _read(bucket: str, key: str, version: str = "") -> tuple[bytes, JsonObject]:
    which: Any = {"VersionId": version} if version else {}
    try:
        answer = aws.s3().get_object(Bucket=bucket, Key=key, **which)
    except ClientError as error:
        if aws.error_code(error) not in _GONE:
            raise
        raise ArtifactsMissing({key: "is gone"}) from error
    content = answer["Body"].read()
    return content, _artifact(hashlib.sha256(content).digest(), answer.get("VersionId"))


def _artifact(digest: bytes, version: str | None) -> JsonObject:
    return {"sha256": base64.b64encode(digest).decode(), "version": version or ""}


def _is_template(key: str) -> bool:
    return key.endswith((f"/{TEMPLATE}", _NESTED))


def _reference(bucket: str, prefix: str) -> re.Pattern[str]:
    """A reference to an artifact, as an address (s3://, https://) or as a key: what leads to the
    prefix, and the rest."""
    own = re.escape(bucket)
    before = rf"[/.]{own}/|//{own}\.s3[^/\s]*/|\b(?:S3|S3Object)?Key: ['\"]?"
    return re.compile(rf"({before}){re.escape(prefix)}/([A-Za-z0-9._/-]+)")
