"""The tenant's configuration: merged from its layers, uploaded, and later given the outputs."""

import hashlib
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import ConfigInvalid, InvalidRequest, NotFound
from control_plane.manifest import ConfigTable
from control_plane.models import Deployment, JsonObject, Tenant
from control_plane.rules import config, config_schema
from control_plane.rules.config_paths import changes
from control_plane.rules.config_rules import check_overrides
from control_plane.rules.ownership import Ownership
from control_plane.services import ownership
from control_plane.settings import ConfigSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.overrides import Overrides, StoredOverrides
from control_plane.store.progress import Progress
from control_plane.store.sources import SourceArchive
from control_plane.use_cases.config_checking import schema_of
from workers import config_bucket, config_live, self_check
from workers.step import Outcome, Step, run


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry: a step of the state machine, or the API's wish to see what is live."""
    if self_check.is_one(event):
        return self_check.loads(settings(ConfigSettings))
    if "read" in event:
        return config_live.answer(event["read"])
    return run(event, STEPS, settings(ConfigSettings).table_name)


def upload_config(deployment: Deployment, event: JsonObject) -> Outcome:
    """Upload the configuration before the stack changes, with the outputs that are known so far.

    Creates the bucket when nobody has yet. One that is a resource of the stack is left to it, and
    SyncConfig fills it. Raises ConfigInvalid.
    """
    table = deployment.manifest.config
    if table is None:
        return Outcome({"config": {}}, "the application has no configuration")
    current = Listing(settings(ConfigSettings).table_name).current(deployment.tenant) or {}
    stored = _overrides(deployment, deployment.config_version)
    _check_fits(deployment, table, stored, None)
    bucket = _bucket(deployment, table)
    if config_bucket.is_made_by_the_stack(deployment, bucket):
        _merged(deployment, table, stored, current.get("outputs", {}))  # wrong ones fail here
        later = {"overrides_version": stored.version}
        return Outcome(
            {"config": later, "changed": False}, "uploaded when the stack made its bucket"
        )
    created = config_bucket.ensure(
        deployment, bucket, brought=not _creates_buckets(deployment, current)
    )
    return _upload(deployment, table, stored, current.get("outputs", {}), created)


def sync_config(deployment: Deployment, event: JsonObject) -> Outcome:
    """Merge the stack's outputs in, and upload again when that changed anything.

    With the very overrides that UploadConfig used: newer ones belong to the next deployment. Raises
    OutputRefused when one names another stack's pool or API, and ConfigInvalid.
    """
    table = deployment.manifest.config
    if table is None:
        return Outcome({"config": {}}, "the application has no configuration")
    ownership.check_values(deployment.tenant, table.outputs.values(), event["outputs"])
    version = event["config"].get("overrides_version")
    if version is None:
        raise ConfigInvalid(
            "UploadConfig did not say which version of the stored overrides it used: deploy again"
        )
    stored = _overrides(deployment, version)
    _check_fits(deployment, table, stored, event["outputs"])
    return _upload(deployment, table, stored, event["outputs"], created=False)


def preview_config(deployment: Deployment, event: JsonObject) -> Outcome:
    """What a deployment would change in the live configuration; nothing is written.

    Keys, not values: a record is for more eyes than a configuration, which `config show` reads.
    Raises ConfigInvalid, as the deployment would.
    """
    table = deployment.manifest.config
    if table is None:
        return Outcome({"config_changes": {}}, "the application has no configuration")
    current = Listing(settings(ConfigSettings).table_name).current(deployment.tenant) or {}
    stored = _overrides(deployment, deployment.config_version)
    _check_fits(deployment, table, stored, None)
    outputs = current.get("outputs", {})
    content, _ = _merged(deployment, table, stored, outputs)
    bucket = _bucket(deployment, table)
    live = config_live.read(deployment.tenant, bucket, table.key)
    found = changes((live.content if live else None) or {}, content)
    found["live"] = live is not None
    if live and live.problem:
        found["problem"] = live.problem
    found["set_by_stack"] = sorted(
        path for path, output in table.outputs.items() if output not in outputs
    )
    counted = ", ".join(f"{len(found[kind])} {kind}" for kind in ("added", "changed", "removed"))
    return Outcome({"config_changes": found}, f"keys: {counted}")


def restore_config(deployment: Deployment, event: JsonObject) -> Outcome:
    """Put the last good configuration back: the stack that would have gone with the new one is
    not there. Harmless when it is there already, or when there never was one."""
    current = Listing(settings(ConfigSettings).table_name).current(deployment.tenant) or {}
    good = current.get("config") or {}
    if "config_source" not in good:
        return Outcome(note="there is none to go back to")
    bucket, source = settings(ConfigSettings).artifact_bucket, good["config_source"]
    # Where it lies is what the source says that it comes from, not this deployment's.
    table = SourceArchive.fetch(bucket, deployment.tenant, source).manifest().config
    if table is None:
        return Outcome(note="there is none to go back to")
    previous = deployment.model_copy(update={"config_source": source})
    stored = _overrides(previous, good["overrides_version"])
    return _upload(previous, table, stored, current.get("outputs", {}), created=False)


def _check_fits(
    deployment: Deployment,
    table: ConfigTable,
    stored: StoredOverrides,
    outputs: Mapping[str, str] | None,
) -> None:
    """Raise ConfigInvalid, with nothing written, for a configuration that does not fit its schema.

    `outputs`: None before the stack is there. The schema is that of the code that will read the
    configuration; where its source has none, that of the configuration's own source. What a way
    back brings was good, and is not held up by this.
    """
    if deployment.rolling_back:
        return
    bucket = settings(ConfigSettings).artifact_bucket
    source = SourceArchive.fetch(bucket, deployment.tenant, deployment.config_source)
    code = source
    if deployment.source != deployment.config_source:
        code = SourceArchive.fetch(bucket, deployment.tenant, deployment.source)
    try:
        schema = schema_of(code, table) or schema_of(source, source.manifest().config)
        if schema is None:
            return
        files = config.file_layers(table, deployment.tenant, source.read)
        layers = config.all_layers(files, table, stored.content, outputs or {})
        content = config.merged(layers)
        if outputs is None:
            content = config_schema.with_outputs_unknown(table, content)
        config_schema.check_fits(schema, content, layers)
    except InvalidRequest as error:
        message = f"{error}; correct the files of the source, or with 'syndi config edit'"
        raise ConfigInvalid(message) from error


def _overrides(deployment: Deployment, version: int | None) -> StoredOverrides:
    """The stored overrides of a version; None: the newest."""
    store = Overrides(settings(ConfigSettings).table_name)
    if version is None:
        return store.latest(deployment.tenant)
    try:
        return store.version(deployment.tenant, version)
    except NotFound as error:
        raise ConfigInvalid(str(error)) from error


def _upload(
    deployment: Deployment,
    table: ConfigTable,
    stored: StoredOverrides,
    outputs: Mapping[str, str],
    created: bool,
) -> Outcome:
    content, body = _merged(deployment, table, stored, outputs)
    bucket = _bucket(deployment, table)
    version = None if created else _same(deployment.tenant, bucket, table.key, body)
    changed = version is None
    if version is None:
        version = _put(deployment.tenant, bucket, table.key, body)
    receipt = {
        "bucket": bucket,
        "key": table.key,
        "version_id": version,
        "sha256": hashlib.sha256(body).hexdigest(),
        "overrides_version": stored.version,
        "config_source": deployment.config_source,
    }
    # The content into the record, not the answer: an execution's history is for more eyes than the
    # tenant's. The receipt too: a deployment that fails later has uploaded all the same.
    Progress(settings(ConfigSettings).table_name).add_facts(
        deployment, {"config": receipt, "config_content": content}
    )
    note = f"version {version} {'uploaded' if changed else 'is unchanged'}"
    if stored.version:
        note += f", with overrides version {stored.version}"
    return Outcome({"config": receipt, "changed": changed}, note)


def _merged(
    deployment: Deployment,
    table: ConfigTable,
    stored: StoredOverrides,
    outputs: Mapping[str, str],
) -> tuple[JsonObject, bytes]:
    """The configuration, and its bytes as they are uploaded. Raises ConfigInvalid."""
    source = SourceArchive.fetch(
        settings(ConfigSettings).artifact_bucket, deployment.tenant, deployment.config_source
    )
    files = config.file_layers(table, deployment.tenant, source.read)
    try:
        # Again: they were right for the source that was current when they were stored.
        check_overrides(stored.content, config.merged(files), table)
    except InvalidRequest as error:
        message = f"stored overrides version {stored.version} do not fit this source: {error}"
        raise ConfigInvalid(f"{message}; correct them with 'syndi config edit'") from error
    content = config.merged(config.all_layers(files, table, stored.content, outputs))
    body = config.rendered(content)
    if len(body) > config.SIZE_LIMIT:
        raise ConfigInvalid(
            f"the merged configuration has {len(body)} bytes; {config.SIZE_LIMIT} are allowed"
        )
    return content, body


def _put(tenant: Tenant, bucket: str, key: str, body: bytes) -> str:
    """Upload the configuration; gives its version. Raises ConfigInvalid without a bucket."""
    try:
        answer = (
            aws.of_tenant(tenant)
            .s3()
            .put_object(
                Bucket=bucket,
                Key=key,
                ExpectedBucketOwner=settings(ConfigSettings).account_id,
                Body=body,
                ContentType="application/json",
            )
        )
    except ClientError as error:
        if aws.error_code(error) != "NoSuchBucket":
            raise
        raise ConfigInvalid(
            f"bucket {bucket}, which application.toml names for the configuration, does not "
            "exist: neither the control plane nor the stack made it, or it was deleted"
        ) from error
    return answer.get("VersionId", "")


def _same(tenant: Tenant, bucket: str, key: str, body: bytes) -> str | None:
    """The version that holds exactly `body` already, or None."""
    try:
        answer = (
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
    return answer.get("VersionId", "") if answer["Body"].read() == body else None


def _creates_buckets(deployment: Deployment, current: JsonObject) -> bool:
    """Whether the tenant's buckets are created for it, or brought by the operator.

    As the stack's parameter: what is left out keeps its previous value.
    """
    if deployment.options.create_buckets is not None:
        return deployment.options.create_buckets
    parameter = deployment.manifest.stack.parameters.get("create_buckets", "")
    previous = current.get("stack", {}).get("parameters", {})
    return bool(previous.get(parameter) != "false")


def _bucket(deployment: Deployment, table: ConfigTable) -> str:
    """The bucket that the manifest names. Raises ConfigInvalid for one that is the control plane's,
    or whose name neither the permissions of a tenant's session nor those of its roles cover."""
    known, tenant = settings(ConfigSettings), deployment.tenant
    bucket = naming.filled(table.bucket, tenant, known.account_id)
    if bucket == known.artifact_bucket:
        raise ConfigInvalid(f"bucket {bucket} is the control plane's: it holds sources and builds")
    if not Ownership(tenant, known.account_id).is_within_boundary(f"arn:aws:s3:::{bucket}"):
        raise ConfigInvalid(
            f"bucket {bucket}, which application.toml names for the configuration, is none that "
            f"{tenant.stack_name} may use: config.bucket must be "
            f"{tenant.application}-…-{{env}}-{{org}}-{{account}}, or begin with "
            f"{tenant.application}-{{env}}-{{org}}-"
        )
    return bucket


STEPS: dict[str, Step] = {
    "UploadConfig": upload_config,
    "RestoreConfig": restore_config,
    "SyncConfig": sync_config,
    "PreviewConfig": preview_config,
    "CheckConfig": config_live.check_config,
}
