"""A change of a route's weights: by a person, back by a person, and what both have in common.

Route 53 is changed first and only from what was read there; the table says then whether whoever
changed it still had the right to. Who had not, takes its change back.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from control_plane import aws, naming
from control_plane.errors import Conflict, NotFound
from control_plane.models import JsonObject, Tenant, utc_now
from control_plane.rules.fleet_hints import of_shift
from control_plane.rules.shifting import check_weights
from control_plane.services.executions import is_running
from control_plane.settings import RouteSettings, settings
from control_plane.store.route_store import FAILED, REVERSED, Routes
from control_plane.traffic_requests import Weights
from workers.route_records import Zone, weights_of
from workers.route_telling import tell_end
from workers.route_tenants import records, records_back

TRIES = 5
"""How often a way back is tried that meets other changes."""

STARTING = timedelta(seconds=60)
"""How long a shift may have the route before its execution is there."""

DIED = "its execution ended without a word"


def zone(of: Tenant) -> Zone:
    """Where the records of a route are. Raises Conflict where there is no hosted zone.

    By the parameters that the control plane's stack has now: a change of a parameter makes no new
    version of a function, so the variables of this one would still say what was before.
    """
    name = settings(RouteSettings).control_plane_stack
    stack = aws.cloudformation().describe_stacks(StackName=name)["Stacks"][0]
    known = {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}
    return Zone(known.get("HostedZoneId", ""), naming.route_name(of, known.get("Domain", "")), of)


def set_weights(of: Tenant, weights: Weights, by: str | None) -> None:
    """Set the weights of a route, or make it. Raises InvalidRequest, RouteRefused, Conflict."""
    check_weights(of, weights)
    where = zone(of)
    item = unheld(of)
    live, wanted = where.read(), records(of, weights)
    known = item.get("weights", {})
    if live == wanted and known == weights:
        return
    before = known if live == wanted else weights_of(live)
    if live != wanted and not where.change(live, wanted, f"set by {by}"):
        raise _meanwhile(where)
    change = change_of(where, "set", before, weights, by)
    orgs = {*before, *weights}
    if not _routes().record(of, change, orgs, before, revision=item.get("revision", 0)):
        where.change(wanted, live, "taken back: somebody else changed the route")
        raise _meanwhile(where)


def reverse(of: Tenant, by: str | None) -> None:
    """Go back to the weights before the last change; a shift that runs ends with that.

    Raises NotFound, Conflict, RouteRefused.
    """
    where, routes = zone(of), _routes()
    goal: Weights | None = None
    for _ in range(TRIES):
        item = routes.get(of)
        if item is None:
            raise no_route(where)
        if "holder" in item:
            # First: from here on the shift cannot record a change any more.
            ending = {"status": REVERSED, "reason": f"reversed by {by or 'somebody unknown'}"}
            if routes.let_go(of, item["holder"], ending):
                goal = item["shift"]["before"]
                _stop(item["holder"], ending["reason"])
            continue
        goal = item["before"] if goal is None else goal
        if not goal:
            raise Conflict(f"{where.name}: the last change made the route: there is nothing before")
        live = where.read()
        wanted = records_back(of, goal, live)
        if live != wanted and not where.change(live, wanted, f"reversed by {by}"):
            continue
        left = weights_of(live)
        change = change_of(where, "reverse", left, weights_of(wanted), by)
        # Nothing had changed yet: what was before that stays what is before.
        back_to = left if left != goal else item["before"]
        if routes.record(of, change, {*left, *goal}, back_to, revision=item["revision"]):
            return
    raise _meanwhile(where)


def unheld(of: Tenant) -> JsonObject:
    """The route's item, empty when there is none; a shift that died has lost it, and people were
    told of it.

    Raises Conflict while a shift has the route.
    """
    item = _routes().get(of) or {}
    holder = item.get("holder")
    if holder is not None:
        if is_alive(item):
            raise Conflict(
                f"shift {item['shift']['id']} to {item['shift']['to']} has the route: let it end, "
                f"or 'syndi route reverse {of.env} {of.org}' ends it"
            )
        default, to = settings(RouteSettings).default_application, item["shift"]["to"]
        hint = of_shift(of, to, "ShiftLost", DIED, default)
        _routes().let_go(of, holder, {"status": FAILED, "reason": DIED, "hint": hint})
        item = _routes().get(of) or {}
    tell_end(of, item)
    return item


def change_of(
    where: Zone, kind: str, before: Weights, after: Weights, by: str | None, **more: Any
) -> JsonObject:
    """A change as the histories have it. `more`: its id, when it is not now's."""
    return {
        "id": naming.new_deployment_id(utc_now()),
        "kind": kind,
        "name": where.name,
        "before": before,
        "after": after,
        "by": by,
        **more,
    }


def no_route(where: Zone) -> NotFound:
    """There is nothing to show, shift or reverse."""
    of = where.of
    return NotFound(
        f"{of.org} has no route in {of.env}: 'syndi route set {of.env} {of.org} --weights "
        f"{of.org}=100' makes {where.name}"
    )


def _meanwhile(where: Zone) -> Conflict:
    return Conflict(f"somebody else changed {where.name} in this moment: look, and ask again")


def _stop(execution_arn: str, why: str) -> None:
    """End an execution that waits; it would find out by itself, when it looks the next time."""
    client = aws.stepfunctions()
    with suppress(client.exceptions.ExecutionDoesNotExist):
        client.stop_execution(executionArn=execution_arn, error="RouteTaken", cause=why)


def is_alive(item: Mapping[str, Any]) -> bool:
    """Whether the shift that has a route still runs, or is being started."""
    began = datetime.fromisoformat(item["shift"]["started_at"])
    return is_running(item["holder"]) or utc_now() - began < STARTING


def _routes() -> Routes:
    return Routes(settings(RouteSettings).table_name)
