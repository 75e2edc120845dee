"""How a deployment ends without success: failed, cancelled, or with nobody there to say so."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from control_plane import naming
from control_plane.events import Trigger
from control_plane.models import DeploymentStatus, JsonObject, StepStatus, Tenant, utc_now
from control_plane.observability import count_unexpected, logger
from control_plane.reasons import one_line, plain, shortened
from control_plane.rules import comebacks, endings
from control_plane.rules.hints import addressed, hint
from control_plane.rules.tenant_health import last_health
from control_plane.services import executions
from control_plane.services.executions import UNKNOWN, ExecutionEnd
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
    control_plane = _settings().control_plane_stack
    reason = one_line(failure, control_plane)
    if failure["error"] == "Cancelled":
        reason = _cancelled(execution, failure)
    if failure["error"] == "LockTimedOut":
        reason = _waited_for(execution, reason)
    status = _STATUS.get(failure["error"], DeploymentStatus.FAILED)
    first = failure
    restored: JsonObject = {}
    match rollback["outcome"]:
        case "impossible":
            reason += f"; {rollback['why']}"
        case "running":
            first = rollback["failure"]
            reason = f"{one_line(first, control_plane)}; and rolling back failed in {reason}"
            status = DeploymentStatus.FAILED
        case "done" if not _is_proven(execution):
            reason += "; and rolling back is not proven: ProveDeployment left no proof of it"
        case "done":
            reason += "; the previous good build was put back and works"
            status = DeploymentStatus.ROLLED_BACK
            restored = comebacks.restored(rollback["restored"])
    facts: JsonObject = {
        "reason": reason,
        "hint": hint(first["state"], first["error"], reason),
        "failed_step": first["state"],
        "error": first["error"],
    }
    found = _deployment_of(execution["Input"], execution["Id"], execution["StartTime"])
    if found is None:
        # Not swallowed: the execution itself is red and carries the reason.
        logger().warning("execution without a tenant", execution_arn=execution["Id"], **facts)
        ended: JsonObject = {}
    else:
        ended = _end(*found, execution["Id"], execution["StartTime"], status, facts, restored)
    return {
        "id": ended.get("id", ""),
        "reason": _told(ended if "reason" in ended else facts),
        "error": first["error"],
    }


def _is_proven(execution: Mapping[str, Any]) -> bool:
    """Whether the way back left its proof in the record."""
    record = _record(execution["Input"], execution["Id"], execution["StartTime"])
    return isinstance(record.get("rollback_proof"), Mapping) or _has_ended(record)


def _has_ended(record: Mapping[str, Any]) -> bool:
    """Whether a record has ended: an earlier attempt of this step saw to everything."""
    return DeploymentStatus(record.get("status", "QUEUED")).is_final


def _told(facts: Mapping[str, Any]) -> str:
    """A reason and its hint, as one line."""
    return str(facts["reason"]) + (f". Hint: {facts['hint']}" if facts.get("hint") else "")


def finalize(detail: Mapping[str, Any]) -> JsonObject:
    """End the record of an execution that was stopped or timed out, and never did so itself.

    `detail` is EventBridge's `Step Functions Execution Status Change`. Harmless after a
    RecordFailure.
    """
    started = datetime.fromtimestamp(detail["startDate"] / 1000, utc_now().tzinfo)
    arn = detail["executionArn"]
    end = ExecutionEnd.of(detail)
    found = _deployment_of(json.loads(detail.get("input") or "{}"), arn, started.isoformat())
    if found is None:
        # Not swallowed: the execution itself is red and carries the reason.
        logger().warning("execution without a tenant", execution_arn=arn, status=end.status)
        return {"id": "", "status": _status_of(end, {})}
    ended = end_with(*found, arn, started, end)
    return {"id": ended["id"], "status": ended["status"]}


def end_with(
    tenant: Tenant, deployment_id: str, execution_arn: str, started: datetime, end: ExecutionEnd
) -> JsonObject:
    """End the record of an execution that is over, as it ended; gives the record.

    The one way in which a record is closed by somebody else than its execution. A record that has
    ended stays as it is; lock, slot, place in the queue and given password are released in either
    case. `started`: when the execution was.
    """
    record = Listing(_settings().table_name).get(tenant, deployment_id) or {}
    status = _status_of(end, record)
    error = None if end.status == UNKNOWN else end.error
    facts: JsonObject = {
        "reason": _reason_of(end, record),
        "hint": None,
        "error": error,
    }
    left = endings.left_behind(record)
    if left:
        facts["reason"] += f"; {left}"
    if status != DeploymentStatus.CANCELLED:
        facts["hint"] = hint("", error or end.status, facts["reason"])
    if end.stopped_at:
        facts["finished_at"] = end.stopped_at.astimezone(UTC).isoformat(timespec="milliseconds")
    return _end(tenant, deployment_id, execution_arn, started.isoformat(), status, facts)


def _status_of(end: ExecutionEnd, record: Mapping[str, Any]) -> DeploymentStatus:
    """What a deployment is whose execution ended like that without recording it."""
    match end.status:
        case "ABORTED":
            return DeploymentStatus.CANCELLED
        case "TIMED_OUT":
            return DeploymentStatus.TIMED_OUT
        case executions.UNKNOWN if "cancel" in record:
            return DeploymentStatus.CANCELLED
        case _:
            # One whose RecordFailure was not heard: its error says what it was, as there. One
            # that SUCCEEDED without recording its success has proved nothing.
            return _STATUS.get(str(end.error), DeploymentStatus.FAILED)


def _reason_of(end: ExecutionEnd, record: Mapping[str, Any]) -> str:
    match end.status:
        case executions.UNKNOWN:
            begun = any(step.get("attempts") for step in record.get("steps", {}).values())
            gone = "Step Functions does not know its execution any more"
            reason = gone if begun else "its execution was never started"
            by = record.get("cancel", {}).get("by")
            return f"cancelled by {by}: {reason}" if by else reason
        case "SUCCEEDED":
            return "the execution ended SUCCEEDED, but its success was never recorded"
        case status:
            told = plain(str(end.cause or end.error or "it was stopped"))
            return shortened(f"the execution ended {status}: {told}")


def _cancelled(execution: Mapping[str, Any], failure: Mapping[str, str]) -> str:
    """Who cancelled, where that was noticed, and what had been done by then."""
    record = _record(execution["Input"], execution["Id"], execution["StartTime"])
    where = one_line(failure, _settings().control_plane_stack)
    by = record.get("cancel", {}).get("by", "somebody unknown")
    left = endings.left_behind(record)
    return f"cancelled by {by} at {where}" + (f"; {left}" if left else "")


def _waited_for(execution: Mapping[str, Any], reason: str) -> str:
    """What a deployment waited for that did not get its tenant: the last note of its AcquireLock
    (`turns.waits_for`), which names the other deployment, or the approval and its commands."""
    record = _record(execution["Input"], execution["Id"], execution["StartTime"])
    note = record.get("steps", {}).get("AcquireLock", {}).get("note")
    return shortened(f"{reason}; at the end it {note}") if note else reason


def _end(
    tenant: Tenant,
    deployment_id: str,
    execution_arn: str,
    execution_started: str,
    status: DeploymentStatus,
    facts: JsonObject,
    restored: JsonObject | None = None,
) -> JsonObject:
    """End a record, release what its execution holds, tell people, and answer the record.

    `restored` is what a way back made of the tenant: its function has the stack's code again.
    """
    before = Listing(_settings().table_name).get(tenant, deployment_id) or {}
    facts = {**facts, "created_at": before.get("created_at", execution_started)}
    # Without a record, nobody proved who started it (`record_origin`).
    facts["trigger"] = before.get("trigger", Trigger.MANUAL)
    application = _settings().default_application
    facts["hint"] = addressed(
        facts["hint"],
        tenant,
        deployment_id,
        application,
        mode=before.get("mode", ""),
        reason=facts["reason"],
        to=before.get("request", {}).get("to") or "",
    )
    facts.setdefault("failed_step", _running_step(before))
    current = Listing(_settings().table_name).current(tenant) or {}
    now = utc_now().isoformat(timespec="milliseconds")
    left, forget = endings.of_tenant(before, current, restored or {}, now)
    tests = before.get("rollback_tests") or before.get("tests") or []
    health = last_health(tests, deployment_id, now)
    if health and "health" not in forget:
        left = {**left, "health": health}
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
