"""Records whose execution is over and did not end them: closed by the next one that notices.

An execution that is stopped, times out or is lost with the emulator of a laptop never reaches its
own end, and EventBridge's event of it may be lost too. So all who meet an open record look at its
execution: who wants its lock or its slot, who cancels or reads it, and a sweep every 15 minutes.
"""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from control_plane import aws, naming
from control_plane.models import DeploymentStatus, JsonObject, Tenant, utc_now
from control_plane.observability import count_unexpected, logger
from control_plane.services import executions
from control_plane.services.executions import UNKNOWN
from control_plane.settings import RecordSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.locks import Locks
from control_plane.store.slots import Slots
from control_plane.store.sweeps import Sweeps
from workers import record_failures

SWEEP = "DEPLOYMENTS"
SWEEP_SECONDS = 35
"""For how long one sweep begins something new: the function has 60 s."""

LOOKS = 200
"""Executions that one sweep asks Step Functions about, which allows 15 such calls a second and 300
at once (Step Functions quotas, DescribeExecution); the next one goes on where this one stopped."""

UNSEEN = timedelta(minutes=15)
"""For how long a record may be open whose execution Step Functions does not know and no step of
which has run: a start whose answer was lost is repeated with its idempotency key."""

SETTLED = naming.NAMED_BEFORE + timedelta(hours=1)
"""The sweep's floor stays that far behind: a record's id may be as old as that when it is opened (a
schedule's start that came late), which is some time after its execution was started, and the index
is eventually consistent."""


def close(tenant: Tenant, deployment_id: str) -> JsonObject:
    """Close a deployment's record if its execution is over; gives {id, status}, of its record as
    it is then. Harmless for one that goes on, and for one that has ended."""
    record = Listing(_settings().table_name).get(tenant, deployment_id)
    if record is None:
        return {"id": deployment_id, "status": ""}
    if not DeploymentStatus(record["status"]).is_final:
        record = _closed(tenant, record)
    return {"id": deployment_id, "status": record["status"]}


def close_dead(deployment_id: str, execution_arn: str, tenant: Tenant | None = None) -> None:
    """Close the record of a deployment whose execution was found to be over, by whoever takes what
    it held. `tenant`: whose it is; without it the record is looked up by its id.

    An error is logged, and the sweep tries again: whoever takes over goes on.
    """
    try:
        if tenant is None:
            record = Listing(_settings().table_name).find(deployment_id)
            if record is None or record["execution_arn"] != execution_arn:
                return
            tenant = _tenant_of(record)
        close(tenant, deployment_id)
    except aws.FAILURES as error:
        logger().warning("record not closed", deployment_id=deployment_id, error=str(error))


def _closed(tenant: Tenant, record: JsonObject) -> JsonObject:
    """An open record, closed if its execution is over."""
    arn = record["execution_arn"]
    end = executions.end_of(arn, datetime.fromisoformat(record["created_at"]))
    if end is None or (end.status == UNKNOWN and _may_be_started(record)):
        return record
    lock = Locks(_settings().table_name).holder(tenant) or {}
    if lock.get("execution_arn") == arn and executions.is_held_by_hand(lock):
        return record  # an installation, which is no execution, and writes its record just now
    logger().info("closing record", deployment_id=record["id"], execution_status=end.status)
    started = datetime.fromisoformat(record.get("execution_started_at") or record["created_at"])
    return record_failures.end_with(tenant, record["id"], arn, started, end)


def _may_be_started(record: Mapping[str, Any]) -> bool:
    """Whether the execution of a record, which was never seen, may still be started."""
    if "cancel" in record or any(step.get("attempts") for step in record["steps"].values()):
        return False
    return utc_now() - datetime.fromisoformat(record["created_at"]) < UNSEEN


def sweep() -> JsonObject:
    """Close all records whose executions are over.

    Bounded: one call reads and asks only so much, and the next goes on from there. Gives
    {looked, closed: [id, …], done}; `done` is False when there is more. A record that cannot be
    closed is logged and counts as open: the next sweep tries again.
    """
    known = settings(RecordSettings)
    sweeps, listing = Sweeps(known.table_name), Listing(known.table_name)
    before = sweeps.position(SWEEP)
    oldest = before.get("oldest_open")
    reached = before.get("next") or before.get("floor") or "0"
    until = time.monotonic() + SWEEP_SECONDS
    looked, closed, done = 0, list[str](), True
    for found in listing.open_deployments(reached):
        if looked >= LOOKS or time.monotonic() > until:
            done = False
            break
        if isinstance(found, str):
            reached = found
            continue
        reached, looked = found["id"], looked + 1
        if _swept(found):
            closed.append(found["id"])
        else:
            oldest = min(oldest or found["id"], found["id"])
    if done:
        settled = naming.earliest_id(utc_now() - SETTLED)
        sweeps.keep(SWEEP, {"floor": min(oldest or settled, settled)})
    else:
        sweeps.keep(SWEEP, {**before, "next": reached, "oldest_open": oldest})
    return {"looked": looked, "closed": closed, "done": done}


def _swept(found: JsonObject) -> bool:
    """Whether a record has ended, after a look at its execution."""
    try:
        return DeploymentStatus(close(_tenant_of(found), found["id"])["status"]).is_final
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are closed
        count_unexpected()
        logger().exception("record not closed", deployment_id=found["id"], error=str(error))
        return False


def free_slots() -> None:
    """Give back the slots of executions that are over, whose records were closed before that."""
    known = settings(RecordSettings)
    slots = Slots(known.table_name, known.deployment_slots)
    for name, held in slots.state()["holders"].items():
        try:
            since = datetime.fromisoformat(held["taken_at"])
            if not executions.is_running(held["execution_arn"], since):
                slots.give_back(name, held["execution_arn"])
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are given back
            count_unexpected()
            logger().exception("slot not given back", deployment_id=name, error=str(error))


def _tenant_of(record: Mapping[str, str]) -> Tenant:
    return Tenant(application=record["application"], env=record["env"], org=record["org"])


def _settings() -> RecordSettings:
    return settings(RecordSettings)
