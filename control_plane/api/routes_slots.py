"""Routes of the deployment slots, which all tenants share."""

from aws_lambda_powertools.event_handler.api_gateway import Router

from control_plane.api.routes import caller
from control_plane.events import SlotsRequest
from control_plane.models import JsonObject
from control_plane.settings import ApiSettings, settings
from control_plane.store.slots import Slots

router = Router()  # type: ignore[no-untyped-call]  # Powertools does not type it


@router.get("/slots", tags=["fleet"])
def show_slots() -> JsonObject:
    """How many deployments may work at the same time, which do, and how many wait."""
    return _presented(_slots().state())


@router.put("/slots", tags=["fleet"])
def set_slots(request: SlotsRequest) -> JsonObject:
    """Say how many deployments may work at the same time, from now on."""
    return _presented(_slots().set_limit(request.limit, caller(router.current_event)))


def _presented(state: JsonObject) -> JsonObject:
    holders = [{"deployment": name, **held} for name, held in state["holders"].items()]
    holders.sort(key=lambda held: str(held["taken_at"]))
    waiting = sum(1 for _ in _slots().waiters())
    return {**state, "holders": holders, "taken": len(holders), "waiting": waiting}


def _slots() -> Slots:
    known = settings(ApiSettings)
    return Slots(known.table_name, known.deployment_slots)
