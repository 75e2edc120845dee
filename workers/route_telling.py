"""Telling people that a shift failed: at least once.

That they are to be told is written with how the shift ended (`untold` in the route's shift) and
taken back when the message is on its way. Whoever comes next tells what was not: another attempt,
the word of the execution's end, or whoever asks for the next change of the route.
"""

from collections.abc import Mapping
from typing import Any

from control_plane import aws
from control_plane.models import Tenant
from control_plane.observability import logger
from control_plane.services import notifications
from control_plane.services.shift_notices import notice_of
from control_plane.settings import RouteSettings, settings
from control_plane.store.route_store import Routes


def tell_end(of: Tenant, item: Mapping[str, Any]) -> None:
    """Tell how the last shift of a route ended, if that is still to be told. `item`: the route."""
    shift, known = item.get("shift", {}), settings(RouteSettings)
    if "untold" not in shift or not notifications.send(
        notice_of(of, shift), known.control_plane_stack
    ):
        return
    try:
        Routes(known.table_name).told(of, shift["id"])
    except aws.FAILURES as error:
        # Then it is told twice, which is better than a shift that fails for it.
        logger().warning("notification not marked", error=str(error))
