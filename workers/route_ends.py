"""How a shift ends in the histories of its tenants: well, not well, or with nobody to say so."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control_plane import naming
from control_plane.errors import InvalidRequest
from control_plane.models import JsonObject, Tenant, utc_now
from control_plane.observability import logger
from control_plane.reasons import one_line, plain, shortened
from control_plane.rules.fleet_hints import of_shift
from control_plane.services import executions
from control_plane.services.executions import ExecutionEnd
from control_plane.settings import RouteSettings, settings
from control_plane.store.route_store import FAILED, SUCCEEDED, Routes
from workers.route_changes import change_of, zone
from workers.route_shift import parsed, restored, shift_of
from workers.route_telling import tell_end


def record_shift(event: Mapping[str, Any]) -> JsonObject:
    """Record how a shift ended, and free its route. Gives {status, reason}; repeated, the same.

    `failure` is {state, error, cause}, its error empty after a success; `restored` says what became
    of the weights, and `not_restored` is the failure of that.
    """
    execution, failure, again = event["execution"], event["failure"], event["not_restored"]
    control_plane = settings(RouteSettings).control_plane_stack
    reason = one_line(failure, control_plane) if failure["error"] else ""
    if again["error"]:
        reason += f"; the weights could not be brought back: {one_line(again, control_plane)}"
    elif event["restored"]:
        reason += f"; {event['restored']}"
    reason = shortened(reason)
    try:
        of, _ = parsed(execution["Input"])
    except InvalidRequest:
        # Not swallowed: the execution itself is red and carries the reason.
        logger().warning("shift without a route", execution_arn=execution["Id"], reason=reason)
        return {"status": FAILED, "reason": reason}
    return _ended(of, execution["Id"], execution["StartTime"], reason, failure["error"])


def finalize(detail: Mapping[str, Any]) -> JsonObject:
    """End a shift whose execution was stopped, timed out, or failed without recording it: the
    weights go back, as after any failure.

    `detail` is EventBridge's `Step Functions Execution Status Change`.
    """
    try:
        of, _ = parsed(json.loads(detail.get("input") or "{}"))
    except InvalidRequest:
        return {"status": FAILED, "reason": "it had no route"}
    started = datetime.fromtimestamp(detail["startDate"] / 1000, utc_now().tzinfo).isoformat()
    return _over(of, detail["executionArn"], started, ExecutionEnd.of(detail))


def sweep() -> JsonObject:
    """End the shifts whose executions are over: the events of their ends were lost.

    Gives {closed: [id, …]}.
    """
    closed = []
    for of in list(_routes().held()):
        item = _routes().get(of) or {}
        if "holder" not in item:
            continue
        began = datetime.fromisoformat(item["shift"]["started_at"])
        end = executions.end_of(item["holder"], began)
        if end is not None:
            _over(of, item["holder"], began.isoformat(), end)
            closed.append(item["shift"]["id"])
    return {"closed": closed}


def _over(of: Tenant, arn: str, started: str, end: ExecutionEnd) -> JsonObject:
    """End the shift of an execution that is over and did not record it."""
    item = _routes().get(of) or {}
    why = plain(str(end.cause or end.error or "it was stopped"))
    reason = shortened(f"the execution ended {end.status}: {why}")
    if item.get("holder") == arn and item["shift"].get("through"):
        reason = ""  # every step was well, and only the end could not be recorded
    elif item.get("holder") == arn:
        reason = f"{reason}; {restored(shift_of(of, item), reason)}"
    error = "ABORTED" if end.status == "ABORTED" else str(end.error or end.status)
    return _ended(of, arn, started, reason, error)


def abandon(of: Tenant, execution_arn: str, reason: str) -> None:
    """End a shift whose execution could not be started."""
    _ended(of, execution_arn, utc_now().isoformat(), reason, "ShiftNotStarted")


def _ended(of: Tenant, execution_arn: str, started: str, reason: str, error: str) -> JsonObject:
    """End the shift of an execution, unless it has ended; why and of what it failed, or empty."""
    shift_id = naming.deployment_id_of(of, execution_arn, datetime.fromisoformat(started))
    item = _routes().get(of) or {}
    status = FAILED if reason else SUCCEEDED
    if item.get("holder") == execution_arn:
        shift = shift_of(of, item)
        change = change_of(
            zone(of), "end", shift.before, item["weights"], shift.by,
            id=f"{shift.id}-{len(shift.steps) + 2:02}", shift=shift.id, status=status,
            reason=reason or None,
        )  # fmt: skip
        ending: JsonObject = {"status": status, "reason": reason or "every step was well"}
        if reason:
            default = settings(RouteSettings).default_application
            ending["hint"] = of_shift(of, shift.to, error, reason, default)
        orgs = {*shift.before, shift.to}
        if _routes().end(of, execution_arn, ending, change, orgs):
            logger().info("shift ended", shift_id=shift.id, status=status, reason=reason)
        item = _routes().get(of) or {}
    tell_end(of, item)
    last = item.get("shift", {})
    if last.get("id") == shift_id:  # also by an earlier attempt, or by whoever reversed it
        return {"status": last["status"], "reason": last.get("reason", reason)}
    return {"status": FAILED, "reason": reason or "another shift has the route now"}


def _routes() -> Routes:
    return Routes(settings(RouteSettings).table_name)
