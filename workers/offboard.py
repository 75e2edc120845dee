"""The end of a tenant: what is exported, what is removed, and what is left."""

from collections.abc import Mapping
from typing import Any

from control_plane.errors import OffboardFailed
from control_plane.models import Deployment, JsonObject
from control_plane.settings import OffboardSettings, settings
from workers.step import Outcome, Step, run


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry."""
    return run(event, STEPS, settings(OffboardSettings).table_name)


def export_data(deployment: Deployment, event: JsonObject) -> Outcome:
    """Copy what is asked for into the artifact bucket, a part at each call."""
    return Outcome({"position": {}}, "not written yet")


def purge_leftovers(deployment: Deployment, event: JsonObject) -> Outcome:
    """Remove what outlived the stack, a part at each call."""
    raise OffboardFailed("not written yet")


def inspect_leftovers(deployment: Deployment, event: JsonObject) -> Outcome:
    """What of the tenant is still there, counted."""
    return Outcome({"leftovers": {"items": []}}, "not written yet")


STEPS: dict[str, Step] = {
    "ExportData": export_data,
    "PurgeLeftovers": purge_leftovers,
    "InspectLeftovers": inspect_leftovers,
}
