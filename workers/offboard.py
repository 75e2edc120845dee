"""The end of a tenant: what is exported, what is removed, and what is left."""

import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import OffboardFailed
from control_plane.models import Deployment, JsonObject, Tenant
from control_plane.settings import OffboardSettings, settings
from workers import offboard_export as exporting
from workers import offboard_purge as purging
from workers import offboard_reading as reading
from workers import self_check
from workers.step import Outcome, Step, run

PART_SECONDS = 60.0
"""A step ends after about this time and is called again: half of the function's own timeout, so
that what it has in hand by then can end too."""


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry."""
    if self_check.is_one(event):
        return self_check.loads(settings(OffboardSettings))
    return run(event, STEPS, settings(OffboardSettings).table_name)


def export_data(deployment: Deployment, event: JsonObject) -> Outcome:
    """Copy what is asked for into the artifact bucket, a part at each call.

    `event["position"]` is what the last call answered, empty at the first. That one also removes
    the tenant's schedules, purge or not: they would bring the tenant back. Raises OffboardFailed.
    """
    position = event.get("position") or {}
    try:
        if not position:
            position = exporting.begin(deployment)
            position["schedules"] = _remove_schedules(deployment.tenant)
            # What was removed is in the state machine's hands before anything else can fail.
            return _exported(position)
        return _exported(exporting.go_on(deployment, position, time.monotonic() + PART_SECONDS))
    except (OffboardFailed, ClientError) as error:
        if aws.is_busy(error):
            raise
        raise OffboardFailed(f"{error}; {_nothing_removed(position)}") from error


def _exported(position: JsonObject) -> Outcome:
    schedules = position.get("schedules")
    note = exporting.told(position) + (f"; removed {' and '.join(schedules)}" if schedules else "")
    return Outcome({"position": position}, note, done=not position.get("todo"))


def purge_leftovers(deployment: Deployment, event: JsonObject) -> Outcome:
    """Remove what outlived the stack and is certainly this tenant's, a part at each call.

    Raises OffboardFailed for what cannot be removed; a later offboarding goes on from there.
    """
    done = purging.go_on(deployment, time.monotonic() + PART_SECONDS)
    return Outcome(note=purging.told(deployment) if done else "", done=done)


def inspect_leftovers(deployment: Deployment, event: JsonObject) -> Outcome:
    """What of the tenant is still there, counted, and what could not be read."""
    found = reading.leftovers(deployment, time.monotonic() + PART_SECONDS)
    left = ", ".join(f"{item['kind']} {item['name']}" for item in found["items"])
    unread = "; ".join(found.get("unread", []))
    note = f"left: {left}" if left else "nothing is left" * (not unread)
    note += f"{'; ' if note else ''}could not be read: {unread}" if unread else ""
    return Outcome({"leftovers": found}, note)


def _remove_schedules(tenant: Tenant) -> list[str]:
    """Remove the tenant's schedules; gives what there was, in words."""
    removed = []
    for drift in (False, True):
        try:
            aws.scheduler().delete_schedule(
                Name=naming.schedule_name(tenant, drift=drift),
                GroupName=settings(OffboardSettings).schedule_group,
            )
        except ClientError as error:
            if aws.error_code(error) != "ResourceNotFoundException":
                raise
            continue
        removed.append("its schedule for drift checks" if drift else "its schedule")
    return removed


def _nothing_removed(position: JsonObject) -> str:
    schedules = position.get("schedules")
    if not schedules:
        return "nothing was removed"
    return f"only {' and '.join(schedules)} was removed: set it again if the tenant stays"


STEPS: dict[str, Step] = {
    "ExportData": export_data,
    "PurgeLeftovers": purge_leftovers,
    "InspectLeftovers": inspect_leftovers,
}
