"""The configuration that is live: read back for the API, and compared with what was deployed."""

import hashlib
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import ConfigInvalid, InvalidRequest, ServiceBusy
from control_plane.events import LiveConfig, LiveConfigQuestion
from control_plane.manifest import ConfigTable
from control_plane.models import Deployment, JsonObject, Tenant
from control_plane.rules import config
from control_plane.rules.config_decisions import config_findings, uploader
from control_plane.settings import ConfigSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.overrides import Overrides
from control_plane.store.sources import SourceArchive
from control_plane.use_cases.config_checking import schema_of
from workers.step import Outcome

_READ_LIMIT = 1024 * 1024
"""Bytes of a document that is read: an answer of Lambda may have 6 MB (Lambda quotas)."""


def answer(question: Mapping[str, Any]) -> JsonObject:
    """What lies in a tenant's configuration bucket, or {"missing": True}.

    Raises InvalidRequest for any place that is not where the application's manifest puts this
    tenant's configuration: the function may read more buckets than the one it is asked about.
    """
    asked = LiveConfigQuestion.model_validate(question)
    known = settings(ConfigSettings)
    archive = SourceArchive.fetch(known.artifact_bucket, asked.tenant, asked.source)
    manifest = archive.manifest()
    place = manifest.config and (
        naming.filled(manifest.config.bucket, asked.tenant, known.account_id),
        manifest.config.key,
    )
    if manifest.name != asked.tenant.application or place != (asked.bucket, asked.key):
        raise InvalidRequest.of(
            "bucket", f"s3://{asked.bucket}/{asked.key} is not {asked.tenant.stack_name}'s"
        )
    try:
        found = read(asked.tenant, asked.bucket, asked.key)
    except ClientError as error:
        if aws.is_busy(error):
            raise ServiceBusy(f"AWS is busy: {error}") from error
        raise
    if found is None:
        return {"missing": True}
    invalid = _misfits(archive, manifest.config, found)
    return found.model_copy(update={"invalid": invalid}).model_dump(mode="json")


def _misfits(
    archive: SourceArchive, table: ConfigTable | None, live: LiveConfig
) -> tuple[str, ...]:
    """What of a live configuration does not fit the schema of a source, without any value of it."""
    schema = schema_of(archive, table)
    if schema is None or live.content is None:
        return ()
    return tuple(f"{problem} (by {schema.name})" for problem in schema.problems(live.content))


def check_config(deployment: Deployment, event: JsonObject) -> Outcome:
    """What of the live configuration is not as it was last deployed."""
    if deployment.manifest.config is None:
        return Outcome({"drift": {"findings": []}}, "the application has no configuration")
    listing, tenant = Listing(settings(ConfigSettings).table_name), deployment.tenant
    current = listing.current(tenant) or {}
    deployed = current.get("config")
    if not deployed:
        note = f"{tenant.stack_name} has no deployed configuration to compare with"
        return Outcome({"drift": {"findings": []}}, note)
    uploaded_by = str(current.get("config_deployment") or current["last_good"])
    record = listing.get(tenant, uploaded_by) or {}
    live = read(tenant, deployed["bucket"], deployed["key"])
    invalid: tuple[str, ...] = ()
    if live is not None:
        bucket = settings(ConfigSettings).artifact_bucket
        code = SourceArchive.fetch(bucket, deployment.tenant, deployment.source)
        invalid = _misfits(code, deployment.manifest.config, live)
    findings = config_findings(
        tenant,
        deployed,
        record.get("config_content", {}),
        live,
        uploader(listing.deployments(tenant, limit=20), live),
        Overrides(settings(ConfigSettings).table_name).latest(tenant).version,
        invalid,
    )
    note = "; ".join(item["detail"] for item in findings) or "as it was deployed"
    return Outcome({"drift": {"findings": findings}}, note)


def read(tenant: Tenant, bucket: str, key: str) -> LiveConfig | None:
    """The document as it lies there, or None when there is none."""
    try:
        found = (
            aws.of_tenant(tenant)
            .s3()
            .get_object(
                Bucket=bucket, Key=key, ExpectedBucketOwner=settings(ConfigSettings).account_id
            )
        )
    except ClientError as error:
        if aws.error_code(error) not in ("NoSuchKey", "NoSuchBucket", "404"):
            raise
        return None
    size = found["ContentLength"]
    known: JsonObject = {
        "bucket": bucket,
        "key": key,
        "version_id": found.get("VersionId", ""),
        "size": size,
        "last_modified": found["LastModified"],
    }
    if size > _READ_LIMIT:
        problem = f"has {size} bytes: more than {_READ_LIMIT} are not read"
        return LiveConfig(**known, problem=problem)
    body = found["Body"].read()
    known["sha256"] = hashlib.sha256(body).hexdigest()
    try:
        return LiveConfig(**known, content=config.parse_layer(key, body.decode()))
    except ConfigInvalid as error:
        return LiveConfig(**known, problem=str(error))
    except UnicodeDecodeError:
        return LiveConfig(**known, problem=f"{key} is no text")
