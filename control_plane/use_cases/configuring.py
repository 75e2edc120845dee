"""A tenant's configuration for its operator: what is live, where each value is from, overrides."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from control_plane import aws
from control_plane.errors import ConfigInvalid, InvalidRequest, LiveConfigUnreadable, NotFound
from control_plane.events import ConfigRequest, LiveConfig, LiveConfigQuestion, Target
from control_plane.manifest import ConfigTable
from control_plane.models import Env, JsonObject, Tenant
from control_plane.naming import check_length
from control_plane.rules import config
from control_plane.rules.config_decisions import is_as_deployed, uploader
from control_plane.rules.config_paths import differing, explain
from control_plane.rules.config_rules import check_overrides
from control_plane.store.listing import why_not
from control_plane.store.overrides import NONE_YET, Overrides, StoredOverrides
from control_plane.store.sources import SourceArchive
from control_plane.use_cases import config_checking
from control_plane.use_cases.admission import check_prefix, tenant_of
from control_plane.use_cases.deployments import Front


def show(front: Front, tenant: Tenant, *, explained: bool) -> JsonObject:
    """What is live, read back from the bucket; what was deployed; what is stored and waits.

    `explained`: also the layers of the source that was last deployed, and the winner of each path
    when the newest overrides are applied. Raises NotFound for a tenant that has no configuration.
    """
    current = front.listing.current(tenant) or {}
    deployed = current.get("config") or {}
    source = deployed.get("config_source") or current.get("source")
    source, table = _described(front, tenant, source)
    stored = _store(front).latest(tenant)
    answer: JsonObject = {"overrides": _presented(stored)}
    if explained:
        archive = SourceArchive.fetch(front.settings.artifact_bucket, tenant, source)
        layers = config.all_layers(
            config.file_layers(table, tenant, archive.read),
            table,
            stored.content,
            current.get("outputs", {}),
        )
        answer["source"] = source
        answer["layers"] = [layer.name for layer in layers]
        answer["explain"] = [winner.as_json() for winner in explain(layers)]
    if not deployed:
        if not explained:
            raise NotFound(
                why_not(tenant, current, "has no live configuration: it is not deployed")
            )
        return answer | {"live": False, "deployed": None}
    uploaded_by = str(current.get("config_deployment") or current["last_good"])
    record = front.listing.get(tenant, uploaded_by) or {}
    return answer | {
        **_live(front, tenant, source, deployed, record.get("config_content", {})),
        "deployed": {**deployed, "deployment": uploaded_by},
        "waiting": stored.version != deployed.get("overrides_version", 0),
    }


def put(front: Front, env: Env, org: str, request: ConfigRequest, by: str | None) -> JsonObject:
    """Store overrides as a new version; a deployment applies it. Gives the version.

    Checked against the files of the environment's current source and against its schema. Raises
    InvalidRequest, NotFound or Conflict, with nothing stored. Overrides that are stored already
    stay the version they are.
    """
    target = Target(application=request.application)
    tenant = tenant_of(env, org, target, front.settings.default_application)
    check_prefix(tenant.application, front.settings.application_prefixes)
    source, table = _described(front, tenant, None)
    archive = SourceArchive.fetch(front.settings.artifact_bucket, tenant, source)
    try:
        below = config.merged(config.file_layers(table, tenant, archive.read))
    except ConfigInvalid as error:
        raise InvalidRequest.of("source", str(error)) from error
    check_overrides(request.overrides, below, table)
    config_checking.check_deployable(archive, table, tenant, request.overrides)
    store = _store(front)
    latest = store.latest(tenant)
    if latest.version == request.base_version and latest.content == request.overrides:
        return _presented(latest)
    stored = store.put(tenant, request.overrides, request.base_version, by, request.comment)
    return _presented(stored)


def history(front: Front, tenant: Tenant, limit: int) -> JsonObject:
    """The newest `limit` versions of the overrides, newest first, with the paths each changed.

    `deployed` is the version that the last good deployment applied. Raises NotFound for an
    application without configuration.
    """
    _described(front, tenant, None)
    found = _store(front).newest(tenant, limit + 1)
    before = [*found[1:], NONE_YET]
    current = front.listing.current(tenant) or {}
    return {
        "versions": [
            {**_presented(one), "changed": differing(earlier.content, one.content)}
            for one, earlier in zip(found[:limit], before, strict=False)
        ],
        "deployed": (current.get("config") or {}).get("overrides_version", 0),
    }


def _described(front: Front, tenant: Tenant, source: str | None) -> tuple[str, ConfigTable]:
    """A source (None: the environment's current one), and where its configuration lies."""
    described = front.sources.described(tenant.application, source) if source else None
    if source is None or described is None:
        source, manifest = front.sources.resolve(tenant.application, tenant.env, source)
    else:  # what is deployed is, whatever the environment's sources are now
        manifest = described
    check_length(tenant, manifest, front.settings.account_id)
    if manifest.config is None:
        raise NotFound(f"{tenant.application} has no configuration: its manifest has no [config]")
    return source, manifest.config


def _store(front: Front) -> Overrides:
    return Overrides(front.settings.table_name)


def _presented(stored: StoredOverrides) -> JsonObject:
    return stored.model_dump(mode="json", exclude_none=True)


# What is live -------------------------------------------------------------------------------------


def _live(
    front: Front,
    tenant: Tenant,
    source: str,
    deployed: Mapping[str, Any],
    deployed_content: JsonObject,
) -> JsonObject:
    """The document that lies in the bucket, and how it differs from what was deployed."""
    place = {"bucket": deployed["bucket"], "key": deployed["key"]}
    question = LiveConfigQuestion(tenant=tenant, source=source, **place)
    answer = _asked(front.settings.config_function, question)
    if answer.get("missing"):
        return {**place, "live": False, "as_deployed": False}
    live = LiveConfig.model_validate(answer)
    found = {**live.model_dump(mode="json", exclude_none=True), "live": True}
    found["as_deployed"] = is_as_deployed(deployed, live)
    if live.content is not None and not found["as_deployed"]:
        found["differs"] = differing(deployed_content, live.content)
    if not found["as_deployed"]:
        found["uploaded_by"] = uploader(front.listing.deployments(tenant, limit=20), live)
    return found


def _asked(function: str, question: LiveConfigQuestion) -> JsonObject:
    """What the config worker, which may read the tenants' buckets, answers.

    Raises LiveConfigUnreadable with its reason.
    """
    payload = json.dumps({"read": question.model_dump(mode="json")}).encode()
    try:
        answer = aws.lambda_().invoke(FunctionName=function, Payload=payload)
    except (ClientError, BotoCoreError) as error:
        raise LiveConfigUnreadable(f"the config worker cannot be asked: {error}") from error
    told = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        reason = told.get("errorMessage") or answer["FunctionError"]
        raise LiveConfigUnreadable(f"s3://{question.bucket}/{question.key}: {reason}")
    return dict(told)
