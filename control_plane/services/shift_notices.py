"""What people are told of a shift: that it failed. Pure."""

from collections.abc import Mapping
from typing import Any

from control_plane import naming
from control_plane.models import Tenant
from control_plane.services.notifications import Notice


def notice_of(of: Tenant, shift: Mapping[str, Any]) -> Notice:
    """What to tell of a shift that failed, as the route has it; `untold` is its execution."""
    facts = {"application": of.application, "env": str(of.env), "org": of.org, "shift": shift["id"]}
    return Notice(
        kind="Shift Failed",
        subject=f"{of.stack_name}: the shift of its traffic to {shift['to']} failed",
        reason=shift["reason"],
        todo=shift.get("hint")
        or f"'syndi route show {of.env} {of.org}' says where the traffic goes now",
        console_url=naming.console_url(shift["untold"]),
        facts={**facts, "status": shift["status"]},
    )
