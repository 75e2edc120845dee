"""The steps of a shift: traffic goes to another tenant bit by bit, and back when that fails."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from control_plane import naming, own
from control_plane.errors import (
    Conflict,
    InvalidRequest,
    RouteTaken,
    ShiftUnsafe,
    TenantNotReady,
)
from control_plane.events import Target, invalid
from control_plane.models import JsonObject, Tenant, utc_now
from control_plane.reasons import one_line
from control_plane.rules import origins
from control_plane.rules.shifting import (
    Move,
    check_start,
    look_seconds,
    next_move,
    same,
    told,
    unsafe,
    weights_at,
)
from control_plane.rules.shifting import (
    check_shift as check_request,
)
from control_plane.settings import RouteSettings, settings
from control_plane.store.route_store import RUNNING, Routes
from control_plane.traffic_requests import Shift, ShiftInput
from control_plane.use_cases.admission import tenant_of
from workers import route_checks as checks
from workers.alarms import described
from workers.live_tests import FAILED, result
from workers.route_changes import TRIES, change_of, no_route, unheld, zone
from workers.route_records import weights_of
from workers.route_tenants import member, records, records_back


def prepare_shift(event: Mapping[str, Any]) -> JsonObject:
    """Resolve an execution's input to a shift, and take the route for it.

    Raises InvalidRequest, RouteRefused, Conflict, NotFound, with nothing changed.
    """
    execution = event["execution"]
    of, request = parsed(execution["Input"])
    item = _routes().get(of) or {}
    if item.get("holder") == execution["Id"]:
        # The API took the route for it, or an earlier attempt: what was asked then is what counts,
        # whatever the input says now.
        return {"shift": shift_of(of, item).model_dump(mode="json")}
    accepted = settings(RouteSettings).manual_start_environments
    origins.check_by_hand(request.env, accepted, "shift", f"syndi route shift {of.env} {of.org}")
    started = datetime.fromisoformat(execution["StartTime"])
    by_hand = request.model_copy(update={"requested_by": None})
    return {"shift": take(of, by_hand, execution["Id"], started).model_dump(mode="json")}


def parsed(raw: object) -> tuple[Tenant, ShiftInput]:
    """Whose route an input is about, and what it asks for. Raises InvalidRequest."""
    try:
        request = ShiftInput.model_validate(raw)
    except ValidationError as error:
        raise invalid(error, "execution input") from error
    target = Target(application=request.application)
    of = tenant_of(request.env, request.org, target, settings(RouteSettings).default_application)
    if own.is_own(of):
        raise InvalidRequest.of("application", "the control plane itself has no routes")
    return of, request


def take(of: Tenant, request: ShiftInput, execution_arn: str, started: datetime) -> Shift:
    """The shift that is asked for, which has the route from now on; again: the same."""
    where, routes = zone(of), _routes()
    check_request(of, request)
    item = routes.get(of)
    if item is None:
        raise no_route(where)
    if item.get("holder") != execution_arn:
        item = unheld(of)
    before = item["weights"]
    if weights_of(where.read()) != before:
        raise Conflict(
            f"the records of {where.name} are not as they were recorded ({told(before)}): 'syndi "
            f"route show {of.env} {of.org}' has both, 'syndi route set' makes them one"
        )
    check_start(of, before, request)
    shift = Shift(
        id=naming.deployment_id_of(of, execution_arn, started),
        execution_arn=execution_arn,
        route=of,
        to=request.to,
        steps=request.steps,
        every_seconds=request.every_seconds,
        look_seconds=look_seconds(request.every_seconds),
        alarms=request.alarms,
        before=before,
        earlier=item["before"],
        by=request.requested_by,
    )
    for org in weights_at(shift, 1):
        member(of, org)  # refused now, not when half of the traffic is there
    missing = sorted(set(request.alarms) - set(described(request.alarms)))
    if missing:
        raise InvalidRequest.of("alarms", f"there is no alarm {', '.join(missing)}")
    if not routes.hold(shift):
        raise Conflict(f"another shift took the route of {of.org} in this moment: look at it first")
    return shift


def check_shift(event: Mapping[str, Any]) -> JsonObject:
    """Look at the tenant that gets the traffic and at the alarms, and decide what comes next.

    Raises ShiftUnsafe, TenantNotReady while it does not answer, RouteTaken.
    """
    shift, reached = _shift(event), int(event["reached"])
    _check_held(shift)
    try:
        tests = checks.tests(member(shift.route, shift.to))
    except TenantNotReady as error:
        _note(shift, {"checks": [result("health", FAILED, str(error))]})
        raise
    reason = unsafe(tests, shift.alarms, described(shift.alarms))
    if reason:
        _note(shift, {"checks": tests, "note": reason})
        raise ShiftUnsafe(f"{shift.to}: {reason}")
    until = datetime.fromisoformat(event["bakes_until"]) if event["bakes_until"] else None
    decision = next_move(shift, reached, until, utc_now())
    is_through = decision.move == Move.DONE
    _note(shift, {"checks": tests, "note": decision.reason, "through": is_through})
    return {"move": decision.move, "reason": decision.reason, "seconds": decision.seconds}


def set_weights(event: Mapping[str, Any]) -> JsonObject:
    """Set the weights of the next step. Raises RouteTaken, RouteRefused."""
    shift, step = _shift(event), int(event["reached"]) + 1
    where = zone(shift.route)
    _check_held(shift)
    before, after = weights_at(shift, step - 1), weights_at(shift, step)
    live, wanted = where.read(), records(shift.route, after)
    if live != wanted:
        if not same(weights_of(live), before):
            raise RouteTaken(f"somebody else set the weights of {where.name}: {_told(live)}")
        if not where.change(live, wanted, f"shift {shift.id}, step {step}"):
            raise RouteTaken(f"somebody else changed {where.name} in this moment")
    change = change_of(
        where, "shift", before, after, shift.by,
        id=f"{shift.id}-{step:02}", shift=shift.id, step=step, steps=list(shift.steps),
    )  # fmt: skip
    if not _routes().record(shift.route, change, after, shift.before, holder=shift.execution_arn):
        where.change(wanted, live, f"shift {shift.id} was ended: taken back")
        raise _taken(shift)
    until = utc_now() + timedelta(seconds=shift.every_seconds)
    note = f"{shift.to} has {after[shift.to]} % until it is looked at"
    bakes = until.isoformat(timespec="milliseconds")
    _note(shift, {"step": step, "bakes_until": bakes, "note": note})
    first_look = min(shift.look_seconds, shift.every_seconds)
    return {"reached": step, "bakes_until": until.isoformat(), "seconds": first_look}


def restore_weights(event: Mapping[str, Any]) -> JsonObject:
    """Bring the weights from before the shift back. Raises RouteTaken, RouteRefused."""
    reason = one_line(event["failure"], settings(RouteSettings).control_plane_stack)
    return {"restored": restored(_shift(event), reason)}


def restored(shift: Shift, reason: str) -> str:
    """Bring the weights from before a shift back, for that reason; what became of them, in words.

    Nothing, when the shift has the route no more: whoever ended it saw to that. Raises RouteTaken
    when others keep changing the records.
    """
    where, routes = zone(shift.route), _routes()
    change_id = f"{shift.id}-{len(shift.steps) + 1:02}"
    for _ in range(TRIES):
        item = routes.get(shift.route) or {}
        if item.get("holder") != shift.execution_arn:
            return "the route was not its any more"
        live = where.read()
        wanted = records_back(shift.route, shift.before, live)
        if weights_of(live) == weights_of(wanted) == item["weights"]:
            last = routes.changes(shift.route, 1)
            if last and last[0]["id"] == change_id:  # by an earlier attempt of this step
                return f"the weights are back: {told(shift.before)}"
            return f"nothing was changed ({told(shift.before)})"
        if live != wanted and not where.change(live, wanted, f"shift {shift.id} failed"):
            continue
        # An earlier attempt may have changed the records and not have come to say so.
        left = item["weights"] if live == wanted else weights_of(live)
        change = change_of(
            where, "restore", left, weights_of(wanted), shift.by,
            id=change_id, shift=shift.id, reason=reason,
        )  # fmt: skip
        orgs = {*shift.before, shift.to}
        if routes.record(shift.route, change, orgs, shift.earlier, holder=shift.execution_arn):
            return f"the weights are back: {told(shift.before)}"
    raise RouteTaken(f"others keep changing {where.name}")


def shift_of(of: Tenant, item: Mapping[str, Any]) -> Shift:
    """The shift that has a route, as it was taken."""
    facts = {name: item["shift"][name] for name in Shift.model_fields if name in item["shift"]}
    return Shift(**facts, route=of, execution_arn=item["holder"])


def _shift(event: Mapping[str, Any]) -> Shift:
    return Shift.model_validate(event["shift"])


def _check_held(shift: Shift) -> None:
    item = _routes().get(shift.route) or {}
    if item.get("holder") != shift.execution_arn:
        raise _taken(shift)


def _note(shift: Shift, values: JsonObject) -> None:
    if not _routes().note(shift, values):
        raise _taken(shift)


def _taken(shift: Shift) -> RouteTaken:
    """Why a shift is over that did not end by itself, as it was recorded."""
    last = (_routes().get(shift.route) or {}).get("shift", {})
    ended = last.get("id") == shift.id and last.get("status") != RUNNING
    return RouteTaken(str(last["reason"]) if ended else "another shift has the route now")


def _told(live: Mapping[str, Any]) -> str:
    return told(weights_of(live))


def _routes() -> Routes:
    return Routes(settings(RouteSettings).table_name)
