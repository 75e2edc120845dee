"""Whether this worker could see that another release answers."""

from control_plane.errors import TenantNotReady, TestsFailed
from control_plane.models import JsonObject
from control_plane.services.client import signed_get
from control_plane.settings import VerifySettings, settings


def check(asked: JsonObject) -> bool:
    """Ask the control plane's own health, with this worker's permissions. Raises TestsFailed, and
    TenantNotReady while nothing answers."""
    answer = signed_get(f"{asked['api_url']}/health", settings(VerifySettings).aws_region)
    if answer.status >= 500:
        raise TenantNotReady(f"/health: expected 200, got {answer.status}")
    if answer.status != 200:
        raise TestsFailed(f"/health: expected 200, got {answer.status}")
    return True
