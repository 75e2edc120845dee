"""Somebody's yes or no to what a deployment would change."""

from control_plane.deployments import Front
from control_plane.errors import Conflict
from control_plane.models import JsonObject, Tenant


def decide(
    front: Front,
    tenant: Tenant,
    deployment_id: str,
    *,
    approved: bool,
    by: str | None,
    comment: str,
) -> JsonObject:
    """Approve or reject a deployment that waits for it. Raises NotFound, Conflict."""
    raise Conflict("not written yet")
