"""All tenants at a glance. Three things that are easily taken for one another are kept apart: how a
tenant is, how the last attempt to deploy it ended, and what is being done with it right now."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from control_plane import naming
from control_plane.models import DeploymentStatus, JsonObject, utc_now
from control_plane.store.listing import Listing

LOOK_BACK = timedelta(days=8)
"""How old a deployment may be that is still open: one that waits for an approval may for days."""


def tenants(listing: Listing) -> list[JsonObject]:
    """Every tenant, by stack name, with `health`, `last_attempt` and `in_progress`, each null where
    there is none. A tenant whose first deployment has not ended has only the last of them."""
    open_ones = in_progress(listing)
    found = [
        {**one, **_apart(one), "in_progress": open_ones.pop(one["stack_name"], None)}
        for one in listing.tenants()
    ]
    nothing = dict.fromkeys(("last_deployment", "last_status", "health", "last_attempt"))
    for stack_name, progress in open_ones.items():
        identity = {name: progress.pop(name) for name in ("application", "env", "org")}
        found.append({**identity, "stack_name": stack_name, **nothing, "in_progress": progress})
    for one in found:
        for name in ("application", "env", "org"):
            (one["in_progress"] or {}).pop(name, None)
    return sorted(found, key=lambda one: str(one["stack_name"]))


def in_progress(listing: Listing) -> dict[str, JsonObject]:
    """By stack name, the deployment that is at work, or else the first one that waits to be."""
    found: dict[str, JsonObject] = {}
    for part in listing.open_deployments(naming.earliest_id(utc_now() - LOOK_BACK)):
        if isinstance(part, str):
            continue
        known = found.get(part["stack_name"])
        if known and not (
            known["status"] == DeploymentStatus.QUEUED and part["status"] != DeploymentStatus.QUEUED
        ):
            continue
        found[part["stack_name"]] = {
            "application": part["application"],
            "env": part["env"],
            "org": part["org"],
            "deployment": part["id"],
            "status": part["status"],
            "started_at": part.get("created_at"),
        }
    return found


def _apart(one: Mapping[str, Any]) -> JsonObject:
    last = one.get("last_deployment")
    at = naming.time_of(last) if last else None
    attempt = last and {
        "deployment": last,
        "status": one.get("last_status"),
        "reason": one.get("last_reason"),
        "started_at": at and at.isoformat(timespec="milliseconds"),
    }
    return {"health": one.get("health"), "last_attempt": attempt or None}
