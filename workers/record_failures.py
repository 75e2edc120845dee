"""How a deployment ends without success: failed, cancelled, or with nobody there to say so."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control_plane import naming
from control_plane.models import DeploymentStatus, JsonObject, StepStatus, Tenant, utc_now
from control_plane.observability import count_unexpected, logger
from control_plane.reasons import one_line, plain, shortened
from control_plane.rules import comebacks, endings
from control_plane.rules.hints import addressed, hint
from control_plane.settings import RecordSettings, settings
from control_plane.store.history import History
from control_plane.store.listing import Listing
from workers import record_slots
from workers.record_ends import forget_given_password, measure_end
from workers.record_telling import tell_end

_STATUS = {
    "Superseded": DeploymentStatus.SUPERSEDED,
    "Cancelled": DeploymentStatus.CANCELLED,
}


def record_failure(
    execution: Mapping[str, Any], failure: Mapping[str, str], rollback: Mapping[str, Any]
) -> JsonObject:
    """Record why an execution failed and release its lock.

    `failure` is {state, error, cause}; the cause is Lambda's JSON or a plain text. `rollback` is
    {outcome: none, impossible, running or done, failure, why, restored}: what became of the way
    back after the tests had failed, why there was none, what it left. Answers the record's id and,
    for the Fail state, the reason with its hint.
    """
    reason = one_line(failure)
    if failure["error"] == "Cancelled":
        reason = _cancelled(execution, failure)
    status = _STATUS.get(failure["error"], DeploymentStatus.FAILED)
    first = failure
    restored: JsonObject = {}
    match rollback["outcome"]:
        case "impossible":
            reason += f"; {rollback['why']}"
        case "running":
            first = rollback["failure"]
            reason = f"{one_line(first)}; and rolling back failed in {reason}"
            status = DeploymentStatus.FAILED
        case "done":
            reason += "; the previous good build was put back and works"
            status = DeploymentStatus.ROLLED_BACK
            restored = comebacks.restored(rollback["restored"])
    facts = {
        "reason": reason,
        "hint": hint(first["state"], first["error"], reason),
        "failed_step": first["state"],
        "error": first["error"],
    }
    ended = _end(
        execution["Input"], execution["Id"], execution["StartTime"], status, facts, restored
    )
    return {
        "id": ended.get("id", ""),
        "reason": _told(ended if "reason" in ended else facts),
        "error": first["error"],
    }


def _told(facts: Mapping[str, Any]) -> str:
    """A reason and its hint, as one line."""
    return str(facts["reason"]) + (f". Hint: {facts['hint']}" if facts.get("hint") else "")


def finalize(detail: Mapping[str, Any]) -> JsonObject:
    """End the record of an execution that was stopped or timed out, and never did so itself.

    `detail` is EventBridge's `Step Functions Execution Status Change`. Harmless after a
    RecordFailure.
    """
    status = {
        "ABORTED": DeploymentStatus.CANCELLED,
        "TIMED_OUT": DeploymentStatus.TIMED_OUT,
        # One whose RecordFailure was not heard: its error says what it was, as there.
    }.get(detail["status"]) or _STATUS.get(str(detail.get("error")), DeploymentStatus.FAILED)
    started = datetime.fromtimestamp(detail["startDate"] / 1000, utc_now().tzinfo).isoformat()
    raw, arn, error = (
        json.loads(detail.get("input") or "{}"),
        detail["executionArn"],
        detail.get("error"),
    )
    told = plain(str(detail.get("cause") or error or "it was stopped"))
    reason = shortened(f"the execution ended {detail['status']}: {told}")
    left = endings.left_behind(_record(raw, arn, started))
    stopped = status == DeploymentStatus.CANCELLED
    facts = {
        "reason": reason + (f"; {left}" if left else ""),
        "hint": None if stopped else hint("", error or detail["status"], reason),
        "error": error,
    }
    ended = _end(raw, arn, started, status, facts)
    return {"id": ended.get("id", ""), "status": status}


def _cancelled(execution: Mapping[str, Any], failure: Mapping[str, str]) -> str:
    """Who cancelled, where that was noticed, and what had been done by then."""
    record = _record(execution["Input"], execution["Id"], execution["StartTime"])
    by = record.get("cancel", {}).get("by", "somebody unknown")
    left = endings.left_behind(record)
    return f"cancelled by {by} at {one_line(failure)}" + (f"; {left}" if left else "")


def _end(
    raw: Any,
    execution_arn: str,
    execution_started: str,
    status: DeploymentStatus,
    facts: JsonObject,
    restored: JsonObject | None = None,
) -> JsonObject:
    """End the record that an execution belongs to, and answer it; empty when there is no tenant.

    `restored` is what a way back made of the tenant: its function has the stack's code again.
    """
    found = _deployment_of(raw, execution_arn, execution_started)
    if found is None:
        # Not swallowed: the execution itself is red and carries the reason.
        logger().warning("execution without a tenant", execution_arn=execution_arn, **facts)
        return {}
    tenant, deployment_id = found
    before = _record(raw, execution_arn, execution_started)
    facts = {**facts, "created_at": before.get("created_at", execution_started)}
    application = _settings().default_application
    facts["hint"] = addressed(
        facts["hint"],
        tenant,
        deployment_id,
        application,
        mode=before.get("mode", ""),
        reason=facts["reason"],
    )
    facts.setdefault("failed_step", _running_step(before))
    current = Listing(_settings().table_name).current(tenant) or {}
    now = utc_now().isoformat(timespec="milliseconds")
    left, forget = endings.of_tenant(before, current, restored or {}, now)
    record = History(_settings().table_name).fail(
        tenant, deployment_id, execution_arn, status, facts, left, forget
    )
    asked_at = datetime.fromisoformat(execution_started)
    record_slots.leave(deployment_id, execution_arn, asked_at)
    forget_given_password(tenant, deployment_id)
    if not DeploymentStatus(before.get("status", "QUEUED")).is_final:
        measure_end(tenant, record)
        if status != DeploymentStatus.TIMED_OUT and endings.is_unexpected(
            str(facts["failed_step"]), facts["error"]
        ):
            count_unexpected()
    tell_end(tenant, {**record, "id": deployment_id})
    return {**record, "id": deployment_id}


def _running_step(record: Mapping[str, Any]) -> str | None:
    """The step that nobody will end any more, or None."""
    running = [n for n, s in record.get("steps", {}).items() if s["status"] == StepStatus.RUNNING]
    return running[-1] if running else None


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


def _settings() -> RecordSettings:
    return settings(RecordSettings)
