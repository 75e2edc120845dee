"""A route for whoever looks: as Route 53 has it, as it was recorded, and how it came to be."""

from collections.abc import Mapping
from typing import Any

from control_plane.errors import NotFound
from control_plane.models import JsonObject, Tenant
from control_plane.settings import RouteSettings, settings
from control_plane.store.route_store import FAILED, Routes
from workers.route_changes import DIED, is_alive, no_route, zone
from workers.route_records import Record, weights_of
from workers.route_tenants import records_back


def show(of: Tenant, limit: int) -> JsonObject:
    """A route as Route 53 has it, as it was recorded, its last shift, its newest changes.

    Raises NotFound when there is none.
    """
    where, routes = zone(of), Routes(settings(RouteSettings).table_name)
    item, live = routes.get(of), where.read()
    changes = routes.changes(of, limit)
    if item is None and not live:
        part_of = changes[0]["route"] if changes else None
        raise NotFound(
            f"{of.org} is part of the route of {part_of}: 'syndi route show {of.env} {part_of}'"
            if part_of
            else str(no_route(where))
        )
    item = item or {}
    return {
        "name": where.name,
        "application": of.application,
        "env": of.env,
        "org": of.org,
        "weights": weights_of(live),
        "records": [_described(of, org, record) for org, record in sorted(live.items())],
        "recorded": item.get("weights"),
        "before": item.get("before"),
        "shift": _shift(item),
        "changes": changes,
    }


def _described(of: Tenant, org: str, record: Record) -> JsonObject:
    """A record, and whether it still leads to where its tenant answers."""
    wanted = records_back(of, {org: 0}, {}).get(org)
    return {
        "tenant": of.model_copy(update={"org": org}).stack_name,
        "org": org,
        "weight": record.weight,
        "ttl": record.ttl,
        "target": record.target,
        "leads_astray": None
        if wanted and wanted.target == record.target
        else (f"that tenant answers at {wanted.target}" if wanted else "that tenant is gone"),
    }


def _shift(item: Mapping[str, Any]) -> JsonObject | None:
    """The route's last shift; one that runs on has its execution."""
    if "shift" not in item:
        return None
    shift = {name: value for name, value in item["shift"].items() if name != "untold"}
    if "holder" in item:
        shift["execution_arn"] = item["holder"]
        if not is_alive(item):
            shift |= {"status": FAILED, "reason": DIED}
    return shift
