"""Pushing a source: an upload straight to the bucket, then its registration."""

import base64

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import InvalidRequest
from control_plane.events import SourceRequest
from control_plane.models import JsonObject
from control_plane.naming import source_key
from control_plane.store.sources import SourceArchive
from control_plane.use_cases.admission import check_prefix
from control_plane.use_cases.deployments import Front

_UPLOAD_SECONDS = 900


def put(front: Front, sha256: str, request: SourceRequest) -> JsonObject:
    """Register a source for the environments, or say where to upload it first.

    The upload is bound to the content: S3 takes only what has the SHA-256 in the name.
    Raises InvalidRequest when the source is not the application that it is said to be.
    """
    check_prefix(request.application, front.settings.application_prefixes)
    bucket = front.settings.artifact_bucket
    if not _uploaded(bucket, sha256):
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        url = aws.s3().generate_presigned_url(
            "put_object",
            Params={
                "Bucket": bucket,
                "Key": source_key(sha256),
                "ContentLength": request.size,
                "ChecksumSHA256": checksum,
            },
            ExpiresIn=_UPLOAD_SECONDS,
        )
        headers = {"x-amz-checksum-sha256": checksum, "content-length": str(request.size)}
        return {"state": "UPLOAD", "upload": {"url": url, "headers": headers}}
    manifest = SourceArchive.fetch(bucket, sha256).manifest()
    if manifest.name != request.application:
        raise InvalidRequest.of(
            "application", f"the source is the application {manifest.name}, by its manifest"
        )
    registered = front.sources.register(sha256, manifest, list(request.environments))
    return {"state": "REGISTERED", **registered}


def _uploaded(bucket: str, sha256: str) -> bool:
    try:
        aws.s3().head_object(Bucket=bucket, Key=source_key(sha256))
    except ClientError as error:
        if aws.error_code(error) not in ("404", "NoSuchKey", "NotFound"):
            raise
        return False
    return True
