"""A deployment's slot: the share of the account's limits that whoever works on a stack holds."""

from collections.abc import Callable
from datetime import datetime

from control_plane import observability, own
from control_plane.models import Deployment, JsonObject, utc_now
from control_plane.rules import slot_rules
from control_plane.services.executions import is_running
from control_plane.settings import RecordSettings, settings
from control_plane.store.locks import Locks
from control_plane.store.slots import Slots
from workers.step import Outcome


def acquire_slot(
    deployment: Deployment, event: JsonObject, close_dead: Callable[[str, str], None]
) -> Outcome:
    """Take a slot, or wait for one; the rules are `control_plane/rules/slot_rules.py`.

    `close_dead` closes the record of a holder that runs no more, by its id and its execution.

    The control plane itself and its trials take none: neither may wait for tenants, and a trial is
    waited for by whoever has one. Whoever waits for the tenant lends its priority: an urgent
    deployment must not wait with a rollout's that has the tenant and no slot.
    """
    if own.takes_no_slot(deployment.tenant):
        return Outcome(note="the control plane's own work takes no slot")
    slots = _slots()
    lent = _locks().hurried_to(deployment.tenant)
    if slots.take(deployment, lent):
        _measure(slots)
        return Outcome(note="has a slot")
    if not _recover(slots, close_dead):
        return Outcome(note="other deployments have the slots, or go first", done=False)
    taken = slots.take(deployment, lent)
    if taken:
        _measure(slots)
    return Outcome(note="took over the slot of one that ended", done=taken)


def give_back(deployment_id: str, execution_arn: str) -> None:
    """Give a deployment's slot back; harmless when it has none."""
    _slots().give_back(deployment_id, execution_arn)


def leave(deployment_id: str, execution_arn: str, asked_at: datetime) -> None:
    """Give the slot back, or wait for none any more, when a deployment ends without success."""
    give_back(deployment_id, execution_arn)
    _slots().leave_queue(asked_at, deployment_id)


def _measure(slots: Slots) -> None:
    """Tell how the slots stand: whenever one is taken, since all who wait would ask too often."""
    state = slots.state()
    waiting = sum(1 for _ in slots.waiters())
    observability.slots(len(state["holders"]), state["limit"], waiting)


def _recover(slots: Slots, close_dead: Callable[[str, str], None]) -> bool:
    """Whether a slot was freed whose holder runs no more; its record is closed too."""
    state = slots.state()
    if len(state["holders"]) < state["limit"]:
        return False
    freed = False
    for name in slot_rules.to_check(list(state["holders"]), utc_now()):
        held = state["holders"][name]
        arn = held["execution_arn"]
        if not is_running(arn, datetime.fromisoformat(held["taken_at"])):
            slots.give_back(name, arn)
            close_dead(name, arn)
            freed = True
    return freed


def _locks() -> Locks:
    return Locks(settings(RecordSettings).table_name)


def _slots() -> Slots:
    known = settings(RecordSettings)
    return Slots(known.table_name, known.deployment_slots)
