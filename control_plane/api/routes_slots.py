"""Routes of the deployment slots, which all tenants share."""

from aws_lambda_powertools.event_handler.api_gateway import Router

from control_plane.api.routes import caller, front
from control_plane.events import SlotsRequest
from control_plane.models import JsonObject, Priority
from control_plane.rules.slot_rules import deployment_of
from control_plane.settings import ApiSettings, settings
from control_plane.store.slots import Slots

SHOWN = 20
"""Of so many that wait it is told who they are: each is a look into the table."""

router = Router()  # type: ignore[no-untyped-call]  # Powertools does not type it


@router.get("/slots", tags=["fleet"])
def show_slots() -> JsonObject:
    """How many deployments may work at the same time, which do, how many wait, who is next."""
    return _presented(_slots().state())


@router.put("/slots", tags=["fleet"])
def set_slots(request: SlotsRequest) -> JsonObject:
    """Say how many deployments may work at the same time, from now on."""
    return _presented(_slots().set_limit(request.limit, caller(router.current_event)))


def _presented(state: JsonObject) -> JsonObject:
    holders = [{"deployment": name, **held} for name, held in state["holders"].items()]
    holders.sort(key=lambda held: str(held["taken_at"]))
    ranks = [waiter.rank for waiter in _slots().waiters()]
    first = [_waiter(deployment_of(rank)) for rank in ranks[:SHOWN]]
    told = {"holders": holders, "taken": len(holders), "waiting": len(ranks), "waiters": first}
    return {**state, **told}


def _waiter(deployment_id: str) -> JsonObject:
    """Who waits: no more than the id, when the listing does not know it yet."""
    record = front().listing.find(deployment_id)
    if record is None:
        return {"deployment": deployment_id}
    return {
        "deployment": deployment_id,
        "stack_name": record["stack_name"],
        "priority": record.get("request", {}).get("priority", Priority.NORMAL),
        "since": record["created_at"],
    }


def _slots() -> Slots:
    known = settings(ApiSettings)
    return Slots(known.table_name, known.deployment_slots)
