"""The record of a deployment: prepare, lock, success, failure, and the end nobody was there for."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.admission import admit, parse_input, tenant_of
from control_plane.errors import DeploymentInProgress, InvalidRequest, ServiceBusy, Superseded
from control_plane.history import History
from control_plane.listing import Listing
from control_plane.locks import Locks
from control_plane.models import (
    Deployment,
    DeploymentStatus,
    JsonObject,
    OnBusy,
    Options,
    StepStatus,
    Tenant,
    utc_now,
)
from control_plane.observability import count_end, logger
from control_plane.settings import RecordSettings, settings
from control_plane.sources import Sources
from workers.step import Outcome, run


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry: a step of the state machine, or EventBridge's word that one ended."""
    try:
        match event.get("step"):
            case "PrepareDeployment":
                return prepare_deployment(event["execution"])
            case "RecordSuccess":
                return record_success(Deployment.model_validate(event["deployment"]), event)
            case "RecordFailure":
                return record_failure(event["execution"], event["failure"])
            case None:
                return finalize(event["detail"])
            case _:
                return run(event, {"AcquireLock": acquire_lock}, _settings().table_name)
    except Exception as error:
        if aws.is_busy(error):
            raise ServiceBusy(f"AWS is busy: {error}") from error
        raise


def prepare_deployment(execution: Mapping[str, Any]) -> JsonObject:
    """Resolve an execution's input to a deployment and open its record. Raises InvalidRequest."""
    known = _settings()
    request = parse_input(execution["Input"])
    tenant = tenant_of(request.env, request.org, request, known.default_application)
    arn = execution["Id"]
    started = datetime.fromisoformat(execution["StartTime"])
    deployment_id = naming.deployment_id_of(tenant, arn, started)
    source, manifest = admit(tenant, request, Sources(known.table_name), known.account_id)
    asked = request.model_dump(
        mode="json", exclude={"env", "org", "trigger", "admin_secret_arn"}, exclude_none=True
    )
    history = History(known.table_name)
    record = history.open(
        tenant,
        deployment_id,
        arn,
        {"request": asked, "source": source, "trigger": request.trigger},
    )
    if record["execution_arn"] != arn:
        raise InvalidRequest(f"deployment {deployment_id} belongs to {record['execution_arn']}")
    deployment = Deployment(
        id=deployment_id,
        execution_arn=arn,
        tenant=tenant,
        source=source,
        manifest=manifest,
        options=Options(**{name: getattr(request, name) for name in Options.model_fields}),
        admin_secret_arn=request.admin_secret_arn,
        started_at=started,
    )
    history.begin_step(tenant, deployment_id, "PrepareDeployment")
    note = f"{tenant.stack_name} from source {source[:12]}"
    history.end_step(tenant, deployment_id, "PrepareDeployment", StepStatus.SUCCEEDED, note)
    return deployment.model_dump(mode="json", by_alias=True, exclude_none=True)


def acquire_lock(deployment: Deployment, event: JsonObject) -> Outcome:
    """Take the tenant, or say who has it.

    Raises DeploymentInProgress or Superseded when this deployment shall not wait.
    """
    locks, listing = Locks(_settings().table_name), Listing(_settings().table_name)
    tenant, me = deployment.tenant, deployment.execution_arn
    newer = listing.superseded_by(tenant, deployment.id)
    if newer and (locks.holder(tenant) or {}).get("execution_arn") != me:
        raise Superseded(f"deployment {newer} of {tenant.stack_name} took its place")
    if locks.acquire(tenant, deployment.id, me, instead_of=me):
        return Outcome(note="the tenant is free")
    holder = locks.holder(tenant)
    if holder is None:
        return Outcome(done=False)  # it was released in this moment: the next attempt gets it
    if not _is_running(holder["execution_arn"]):
        taken = locks.acquire(tenant, deployment.id, me, instead_of=holder["execution_arn"])
        return Outcome(note=f"taken over from {holder['deployment_id']}, which ended", done=taken)
    if deployment.options.on_busy == OnBusy.REJECT:
        raise DeploymentInProgress(
            f"deployment {holder['deployment_id']} of {tenant.stack_name} is running: wait for it, "
            "or start with on_busy=wait"
        )
    return Outcome({"holder": holder["deployment_id"]}, done=False)


def record_success(deployment: Deployment, event: Mapping[str, Any]) -> JsonObject:
    """Record what this execution proved, make it the tenant's current state, release the lock."""
    receipt = {name: event[name] for name in ("build", "change_set", "stack", "config", "tests")}
    stack = receipt["stack"]
    facts = {
        **receipt,
        "source": deployment.source,
        "outputs": stack["outputs"],
        "admin": event.get("admin") or None,
        "endpoint": stack["outputs"].get(deployment.manifest.tests.endpoint),
    }
    tenant = deployment.tenant
    record = History(_settings().table_name).succeed(
        tenant, deployment.id, deployment.execution_arn, facts
    )
    _forget_given_password(tenant, deployment.id)
    count_end(tenant.application, str(record["status"]))
    return {"id": deployment.id, "status": record["status"]}


_STATUS = {"Superseded": DeploymentStatus.SUPERSEDED}


def record_failure(execution: Mapping[str, Any], failure: Mapping[str, str]) -> JsonObject:
    """Record why an execution failed and release its lock.

    `failure` is {state, error, cause}; the cause is Lambda's JSON or a plain text. Answers the
    record's id and the one-line reason, for the Fail state.
    """
    reason = one_line(failure)
    status = _STATUS.get(failure["error"], DeploymentStatus.FAILED)
    facts = {"reason": reason, "failed_step": failure["state"], "error": failure["error"]}
    deployment_id = _end(execution["Input"], execution["Id"], execution["StartTime"], status, facts)
    return {"id": deployment_id or "", "reason": reason, "error": failure["error"]}


def finalize(detail: Mapping[str, Any]) -> JsonObject:
    """End the record of an execution that was stopped or timed out, and never did so itself.

    `detail` is EventBridge's `Step Functions Execution Status Change`. Harmless after a
    RecordFailure.
    """
    status = {
        "ABORTED": DeploymentStatus.ABORTED,
        "TIMED_OUT": DeploymentStatus.TIMED_OUT,
    }.get(detail["status"], DeploymentStatus.FAILED)
    started = datetime.fromtimestamp(detail["startDate"] / 1000, utc_now().tzinfo)
    told = detail.get("cause") or detail.get("error") or "it was stopped"
    reason = f"the execution ended {detail['status']}: {' '.join(str(told).split())}"
    deployment_id = _end(
        json.loads(detail.get("input") or "{}"),
        detail["executionArn"],
        started.isoformat(),
        status,
        {"reason": reason},
    )
    return {"id": deployment_id or "", "status": status}


def one_line(failure: Mapping[str, str]) -> str:
    """A failure as a line that says what went wrong and where."""
    cause = failure["cause"]
    try:
        parsed = json.loads(cause)
    except json.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict) and "errorMessage" in parsed:
        cause = str(parsed["errorMessage"])
    told = " ".join(cause.split())
    return f"{failure['state']}: {told or failure['error']}"


def _end(
    raw: object,
    execution_arn: str,
    execution_started: str,
    status: DeploymentStatus,
    facts: JsonObject,
) -> str | None:
    """End the record that an execution belongs to; None when its input names no tenant."""
    known = _settings()
    raw = raw if isinstance(raw, Mapping) else {}  # by hand, an input may be any JSON
    try:
        tenant = Tenant(
            application=raw.get("application") or known.default_application,
            env=raw.get("env"),
            org=raw.get("org"),
        )
    except ValueError:
        # Not swallowed: the execution itself is red and carries the reason.
        logger().warning("execution without a tenant", execution_arn=execution_arn, **facts)
        return None
    started = datetime.fromisoformat(execution_started)
    deployment_id = naming.deployment_id_of(tenant, execution_arn, started)
    facts = {"created_at": execution_started, **facts}
    history = History(known.table_name)
    before = Listing(known.table_name).get(tenant, deployment_id) or {}
    facts["created_at"] = before.get("created_at", facts["created_at"])
    record = history.fail(tenant, deployment_id, execution_arn, status, facts)
    _forget_given_password(tenant, deployment_id)
    if not DeploymentStatus(before.get("status", "QUEUED")).is_final:
        count_end(tenant.application, str(record["status"]))
    return deployment_id


def _forget_given_password(tenant: Tenant, deployment_id: str) -> None:
    """Remove the secret that carried a password to a deployment; most never had one."""
    try:
        aws.secretsmanager().delete_secret(
            SecretId=naming.given_secret(tenant, deployment_id), ForceDeleteWithoutRecovery=True
        )
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise


def _is_running(execution_arn: str) -> bool:
    try:
        answer = aws.stepfunctions().describe_execution(executionArn=execution_arn)
    except ClientError as error:
        if aws.error_code(error) != "ExecutionDoesNotExist":
            raise
        return False
    return answer["status"] in ("RUNNING", "PENDING_REDRIVE")


def _settings() -> RecordSettings:
    return settings(RecordSettings)
