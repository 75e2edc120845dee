"""How a deployment ends in its record: success, failure, and the end nobody was there for."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, endings, naming
from control_plane.history import History
from control_plane.listing import Listing
from control_plane.models import (
    Deployment,
    DeploymentStatus,
    JsonObject,
    Tenant,
    utc_now,
)
from control_plane.observability import count_end, logger
from control_plane.settings import RecordSettings, settings

_GOOD = (
    "build", "change_set", "stack", "config", "tests", "source", "outputs", "admin", "endpoint",
    "running", "patch", "last_good", "deployed_at", "drift",
)  # fmt: skip
"""What a tenant's current state says of its last good deployment."""


def record_success(deployment: Deployment, event: Mapping[str, Any]) -> JsonObject:
    """Record what this execution proved, make it the tenant's current state, release the lock.

    `running` is what the tenant reports: the stack's build, or the patch that was put over it.
    """
    stack = event["stack"]
    receipt = {name: event[name] for name in ("build", "change_set", "stack", "config", "tests")}
    receipt |= {
        "source": deployment.source,
        "outputs": stack["outputs"],
        "admin": event.get("admin") or None,
        "endpoint": stack["outputs"].get(deployment.manifest.tests.endpoint),
        "patch": event.get("patch") or None,
        "running": event["build"]["fingerprint"],
    }
    current = {**receipt, **_last(deployment), "last_good": deployment.id, "deployed_at": _now()}
    forget = ["last_reason", "drift"]
    if receipt["patch"]:
        for name in ("build", "change_set", "stack", "config", "admin"):  # the stack's own are kept
            del current[name]
    else:
        forget.append("patch")
    return _succeed(deployment, receipt, current, forget)


def record_dry_run(deployment: Deployment, event: Mapping[str, Any]) -> JsonObject:
    """Record what would have changed. The tenant is what it was."""
    receipt = {"build": event["build"], "change_set": event["change_set"]}
    return _succeed(deployment, receipt, {})


def record_offboarding(deployment: Deployment, event: Mapping[str, Any]) -> JsonObject:
    """Record that the tenant is gone, and what is left of it."""
    receipt = {"leftovers": event["leftovers"], "exported": event["exported"] or None}
    current = {**_last(deployment), "offboarded_at": _now(), "leftovers": event["leftovers"]}
    return _succeed(deployment, receipt, current, [*_GOOD, "last_reason"])


def record_drift(deployment: Deployment, event: Mapping[str, Any]) -> JsonObject:
    """Record what differs from what was deployed."""
    kinds = event["drift"]
    findings = [item for kind in kinds.values() for item in kind["findings"]]
    drift = {"checked_at": _now(), "deployment": deployment.id, "findings": findings}
    return _succeed(deployment, {"drift": drift}, {"drift": drift})


def _last(deployment: Deployment) -> JsonObject:
    return {"last_deployment": deployment.id, "last_status": DeploymentStatus.SUCCEEDED}


def _succeed(
    deployment: Deployment, receipt: JsonObject, current: JsonObject, forget: Sequence[str] = ()
) -> JsonObject:
    tenant = deployment.tenant
    record = History(_settings().table_name).succeed(
        tenant, deployment.id, deployment.execution_arn, receipt, current, forget
    )
    _forget_given_password(tenant, deployment.id)
    count_end(tenant.application, str(record["status"]))
    return {"id": deployment.id, "status": record["status"]}


def _now() -> str:
    return utc_now().isoformat(timespec="milliseconds")


_STATUS = {
    "Superseded": DeploymentStatus.SUPERSEDED,
    "Cancelled": DeploymentStatus.CANCELLED,
}


def record_failure(
    execution: Mapping[str, Any], failure: Mapping[str, str], rollback: Mapping[str, Any]
) -> JsonObject:
    """Record why an execution failed and release its lock.

    `failure` is {state, error, cause}; the cause is Lambda's JSON or a plain text. `rollback` is
    {outcome: none, impossible, running or done, failure}: what became of the way back after the
    tests had failed. Answers the record's id and the one-line reason, for the Fail state.
    """
    reason = one_line(failure)
    if failure["error"] == "Cancelled":
        reason = _cancelled(execution, failure)
    status = _STATUS.get(failure["error"], DeploymentStatus.FAILED)
    first = failure
    match rollback["outcome"]:
        case "impossible":
            reason += "; there is no previous good build to roll back to"
        case "running":
            first = rollback["failure"]
            reason = f"{one_line(first)}; and rolling back failed in {reason}"
            status = DeploymentStatus.FAILED
        case "done":
            reason += "; the previous good build was put back and works"
            status = DeploymentStatus.ROLLED_BACK
    facts = {"reason": reason, "failed_step": first["state"], "error": first["error"]}
    deployment_id = _end(execution["Input"], execution["Id"], execution["StartTime"], status, facts)
    return {"id": deployment_id or "", "reason": reason, "error": first["error"]}


def finalize(detail: Mapping[str, Any]) -> JsonObject:
    """End the record of an execution that was stopped or timed out, and never did so itself.

    `detail` is EventBridge's `Step Functions Execution Status Change`. Harmless after a
    RecordFailure.
    """
    error = str(detail.get("error") or detail["status"])
    status = {
        "ABORTED": DeploymentStatus.CANCELLED,
        "TIMED_OUT": DeploymentStatus.TIMED_OUT,
        # One whose RecordFailure was not heard: its error says what it was, as there.
    }.get(detail["status"]) or _STATUS.get(error, DeploymentStatus.FAILED)
    started = datetime.fromtimestamp(detail["startDate"] / 1000, utc_now().tzinfo)
    told = detail.get("cause") or detail.get("error") or "it was stopped"
    reason = f"the execution ended {detail['status']}: {' '.join(str(told).split())}"
    raw, arn = json.loads(detail.get("input") or "{}"), detail["executionArn"]
    left = endings.left_behind(_record(raw, arn, started.isoformat()))
    reason += f"; {left}" if left else ""
    deployment_id = _end(raw, arn, started.isoformat(), status, {"reason": reason, "error": error})
    return {"id": deployment_id or "", "status": status}


def _cancelled(execution: Mapping[str, Any], failure: Mapping[str, str]) -> str:
    """Who cancelled, where that was noticed, and what had been done by then."""
    record = _record(execution["Input"], execution["Id"], execution["StartTime"])
    by = record.get("cancel", {}).get("by", "somebody unknown")
    left = endings.left_behind(record)
    return f"cancelled by {by} at {one_line(failure)}" + (f"; {left}" if left else "")


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
    found = _deployment_of(raw, execution_arn, execution_started)
    if found is None:
        # Not swallowed: the execution itself is red and carries the reason.
        logger().warning("execution without a tenant", execution_arn=execution_arn, **facts)
        return None
    tenant, deployment_id = found
    history = History(_settings().table_name)
    before = _record(raw, execution_arn, execution_started)
    facts = {**facts, "created_at": before.get("created_at", execution_started)}
    record = history.fail(tenant, deployment_id, execution_arn, status, facts)
    _forget_given_password(tenant, deployment_id)
    if not DeploymentStatus(before.get("status", "QUEUED")).is_final:
        count_end(tenant.application, str(record["status"]))
    return deployment_id


def _deployment_of(
    raw: object, execution_arn: str, execution_started: str
) -> tuple[Tenant, str] | None:
    """The tenant and the deployment of an execution; None when its input names no tenant."""
    raw = raw if isinstance(raw, Mapping) else {}  # by hand, an input may be any JSON
    try:
        tenant = Tenant(
            application=raw.get("application") or _settings().default_application,
            env=raw.get("env"),
            org=raw.get("org"),
        )
    except ValueError:
        return None
    started = datetime.fromisoformat(execution_started)
    return tenant, naming.deployment_id_of(tenant, execution_arn, started)


def _record(raw: object, execution_arn: str, execution_started: str) -> JsonObject:
    """The record of an execution as it is now; empty when there is none."""
    found = _deployment_of(raw, execution_arn, execution_started)
    return (Listing(_settings().table_name).get(*found) or {}) if found else {}


def _forget_given_password(tenant: Tenant, deployment_id: str) -> None:
    """Remove the secret that carried a password to a deployment; most never had one."""
    try:
        aws.secretsmanager().delete_secret(
            SecretId=naming.given_secret(tenant, deployment_id), ForceDeleteWithoutRecovery=True
        )
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise


def _settings() -> RecordSettings:
    return settings(RecordSettings)
