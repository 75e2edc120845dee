"""Pushing a source: an upload straight to the bucket, then its registration."""

import base64
from collections.abc import Sequence

from botocore.exceptions import ClientError

from control_plane import aws, templates
from control_plane.errors import InvalidRequest
from control_plane.events import SourceRequest
from control_plane.manifest import FILE_NAME, Manifest
from control_plane.models import Env, JsonObject
from control_plane.naming import source_key
from control_plane.rules import build_variables, data
from control_plane.store.sources import SourceArchive
from control_plane.use_cases import config_checking
from control_plane.use_cases.admission import check_prefix
from control_plane.use_cases.deployments import Front

_UPLOAD_SECONDS = 900


def put(
    front: Front,
    environments: Sequence[Env],
    sha256: str,
    request: SourceRequest,
    *,
    current: bool = True,
) -> JsonObject:
    """Register a source for environments, or say where to upload it first. `current`: it becomes
    what they deploy when no source is named.

    The upload is bound to the content: S3 takes only what has the SHA-256 in the name. Each
    environment gets its own: that another one has it does not show that the caller has it too.
    Raises InvalidRequest when the source is not the application that it is said to be, its build
    would not know what it reads, or its configuration files do not fit its own schema.
    """
    check_prefix(request.application, front.settings.application_prefixes)
    bucket = front.settings.artifact_bucket
    if not environments:
        raise InvalidRequest.of("environments", "name at least one: a source is pushed for it")
    for env in environments:
        if not _uploaded(bucket, source_key(env, sha256)):
            return {"state": "UPLOAD", "upload": _upload(bucket, env, sha256, request.size)}
    for env in environments:
        archive = SourceArchive.pushed(bucket, env, sha256)
        _check(archive, request.application)
    manifest = archive.manifest()
    config_checking.check_source(archive, manifest, environments)
    registered = front.sources.register(sha256, manifest, list(environments), current=current)
    return {"state": "REGISTERED", **registered}


def _upload(bucket: str, env: Env, sha256: str, size: int) -> JsonObject:
    checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
    url = aws.s3().generate_presigned_url(
        "put_object",
        Params={
            "Bucket": bucket,
            "Key": source_key(env, sha256),
            "ContentLength": size,
            "ChecksumSHA256": checksum,
        },
        ExpiresIn=_UPLOAD_SECONDS,
    )
    headers = {"x-amz-checksum-sha256": checksum, "content-length": str(size)}
    return {"url": url, "headers": headers}


def _check(archive: SourceArchive, application: str) -> None:
    manifest = archive.manifest()
    if manifest.name != application:
        raise InvalidRequest.of(
            "application", f"the source is the application {manifest.name}, by its manifest"
        )
    check_types(manifest)
    check_buckets(manifest)
    try:
        template = templates.parse(archive.read(manifest.build.template) or "{}")
    except ValueError:  # the build says what is wrong with it
        template = {}
    found = build_variables.uses(manifest, template, archive.text)
    if found:
        raise InvalidRequest.of(
            "build.per_tenant",
            f"a build serves all tenants of an environment and does not know whose it is, so that "
            f"{', '.join(build_variables.TENANT_VARIABLES)} are not set in it; {'; '.join(found)}. "
            "Take it out, or set 'per_tenant = true' below [build] for a build of each tenant",
        )


def check_types(manifest: Manifest) -> None:
    """Raise InvalidRequest, naming each, for stateful types that are no resource types: they would
    protect nothing. At the push only: what was registered before is deployed as it is."""
    problems = [
        {"field": f"stack.stateful_types[{number}]", "reason": problem}
        for number, kind in enumerate(manifest.stack.stateful_types)
        if (problem := data.type_problem(kind))
    ]
    if problems:
        message = "; ".join(f"{item['field']}: {item['reason']}" for item in problems)
        raise InvalidRequest(f"{FILE_NAME}: {message}", problems)


def check_buckets(manifest: Manifest) -> None:
    """Raise InvalidRequest, naming each, for names of buckets that several tenants would share. At
    the push only: what was registered before is deployed as it is."""
    names = {f"stack.buckets[{n}]": name for n, name in enumerate(manifest.stack.buckets)}
    if manifest.config:
        names["config.bucket"] = manifest.config.bucket
    reason = (
        "must have {{env}} and {{org}} in it: every tenant has its own, and {} names one for all"
    )
    problems = [
        {"field": field, "reason": reason.format(name)}
        for field, name in names.items()
        if "{env}" not in name or "{org}" not in name
    ]
    if problems:
        message = "; ".join(f"{item['field']}: {item['reason']}" for item in problems)
        raise InvalidRequest(f"{FILE_NAME}: {message}", problems)


def _uploaded(bucket: str, key: str) -> bool:
    try:
        aws.s3().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if aws.error_code(error) not in ("404", "NoSuchKey", "NotFound"):
            raise
        return False
    return True
