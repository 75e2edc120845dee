"""Starting a deployment from a request: admit, record, keep the password, start the execution."""

import hashlib
import json
from dataclasses import dataclass

from botocore.exceptions import ClientError
from pydantic import SecretStr

from control_plane import aws, naming
from control_plane.errors import InvalidRequest, ServiceBusy
from control_plane.events import ExecutionInput, Target, Trigger, facts_of
from control_plane.manifest import Manifest
from control_plane.models import DeploymentStatus, Env, JsonObject, Tenant, utc_now
from control_plane.reasons import plain
from control_plane.services import secrets, starting
from control_plane.settings import ApiSettings
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.sources import Sources
from control_plane.store.starts import Starts
from control_plane.use_cases import config_checking
from control_plane.use_cases.admission import admit, check_prefix, has_meaning, tenant_of
from control_plane.use_cases.creation import check_creation


@dataclass(frozen=True)
class Front:
    """What a front door works with."""

    settings: ApiSettings
    history: History
    listing: Listing
    sources: Sources

    def admit(self, tenant: Tenant, target: Target) -> tuple[str, Manifest]:
        """The source that will be deployed, and its manifest. Raises InvalidRequest."""
        known = self.settings
        return admit(tenant, target, known.table_name, known.account_id, known.control_plane_stack)


@dataclass(frozen=True)
class Asked:
    """A request and what came with it. `by`: the caller's ARN. `key`: the idempotency key."""

    target: Target
    by: str | None = None
    key: str | None = None
    password: SecretStr | None = None
    retry_of: str | None = None


def start(front: Front, env: Env, org: str, asked: Asked) -> JsonObject:
    """Start a deployment, or answer the one that this idempotency key already started.

    Gives the record. Raises InvalidRequest or IdempotencyConflict, with nothing started.
    """
    target = asked.target
    tenant = tenant_of(env, org, target, front.settings.default_application)
    if asked.password and not target.admin_username:
        raise InvalidRequest.of("admin_password", "needs admin_username: whose password is it?")
    check_prefix(tenant.application, front.settings.application_prefixes)
    source, manifest = front.admit(tenant, target)
    current = front.listing.current(tenant) or {}
    check_creation(tenant, target, current, front.settings.explicit_creation_environments)
    config_checking.check_start(tenant, target.mode, source, manifest, front.settings)
    deployment_id = naming.new_deployment_id(utc_now())
    arn = naming.execution_arn(
        front.settings.state_machine_arn, naming.execution_name(tenant, deployment_id)
    )
    given = ExecutionInput(
        **{
            **target.model_dump(exclude_none=True),
            "application": tenant.application,
            "env": env,
            "org": org,
            "source": source if has_meaning("source", target.mode) else None,
            "trigger": Trigger.API,
            "requested_by": asked.by,
            "retry_of": asked.retry_of,
        }
    )
    request = target.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    # `registered`: its execution counts as its own only if it is registered too, before its start.
    facts = {**facts_of(given, source), "request": request, "registered": True}
    idempotency = (asked.key, _digest(request)) if asked.key else None
    record = front.history.open(tenant, deployment_id, arn, facts, idempotency)
    if not DeploymentStatus(record["status"]).is_final:
        _ensure_started(front, tenant, record, given, asked.password)
    return record


def _ensure_started(
    front: Front,
    tenant: Tenant,
    record: JsonObject,
    given: ExecutionInput,
    password: SecretStr | None,
) -> None:
    """Start the record's execution unless it runs already; a start that fails ends the record."""
    try:
        execution_input = given.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        execution_input |= {"trigger": Trigger.API}
        if has_meaning("source", given.mode):  # resolved once, at the door
            execution_input["source"] = record["source"]
        if password:
            execution_input["admin_secret_arn"] = _carry_password(
                tenant, record["id"], str(given.admin_username), password.get_secret_value()
            )
        starts = Starts(front.settings.table_name)
        execution_input = starts.register(record["execution_arn"], execution_input)
        starting.start(
            front.settings.state_machine_arn,
            naming.execution_name(tenant, record["id"]),
            execution_input,
        )
    except aws.FAILURES as error:
        # The record stays, and the same idempotency key goes on with it.
        if starting.may_have_started(error):
            raise ServiceBusy(
                f"AWS is busy, and whether {record['id']} was started is not known: {error}"
            ) from error
        front.history.fail(
            tenant,
            record["id"],
            record["execution_arn"],
            DeploymentStatus.FAILED,
            {"reason": plain(f"the execution could not be started: {error}")},
        )
        raise


def _carry_password(tenant: Tenant, deployment_id: str, username: str, password: str) -> str:
    """Store a given password in a secret of its deployment; gives the secret's ARN.

    The first one stays: a request that is repeated with another password changes nothing.
    """
    name = naming.given_secret(tenant, deployment_id)
    try:
        asked = secrets.of_user(tenant, name, username, password)
        return aws.secretsmanager().create_secret(**asked)["ARN"]
    except ClientError as error:
        if aws.error_code(error) != "ResourceExistsException":
            raise
    return aws.secretsmanager().describe_secret(SecretId=name)["ARN"]


def _digest(asked: JsonObject) -> str:
    """What a request asks for, as a digest: without the password, whose hash could be guessed."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
