"""What may be asked of a deployment that there is: cancel, retry."""

from control_plane.deployments import Front
from control_plane.errors import Conflict
from control_plane.events import RetryRequest
from control_plane.models import JsonObject, Tenant


def cancel(front: Front, tenant: Tenant, deployment_id: str, by: str | None) -> JsonObject:
    """Ask for a deployment's end. Raises NotFound, Conflict."""
    raise Conflict("not written yet")


def retry(
    front: Front, tenant: Tenant, deployment_id: str, request: RetryRequest, by: str | None
) -> JsonObject:
    """Start the request of an ended deployment again. Raises NotFound, Conflict, InvalidRequest."""
    raise Conflict("not written yet")
