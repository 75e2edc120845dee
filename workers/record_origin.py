"""Who started an execution: what its input says of that counts only when it is proven.

Proof is a registration (`store/starts`) that the API, or this worker for a schedule, wrote before,
or a rollout's row that names the deployment. Everything else was started by hand.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from control_plane import naming
from control_plane.errors import InvalidRequest
from control_plane.events import STARTED_BY, ExecutionInput, Trigger
from control_plane.models import JsonObject, Mode, Options, Tenant
from control_plane.rules import origins
from control_plane.services import earlier_schedules
from control_plane.settings import RecordSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.rollouts import Rollouts, loaded
from control_plane.store.starts import Starts, digest

UPDATING = timedelta(minutes=10)
"""For how long the API of an earlier release, which registered nothing, may still be at work."""


def proven(
    request: ExecutionInput, tenant: Tenant, deployment_id: str, execution: Mapping[str, Any]
) -> ExecutionInput:
    """The request, with what its input says of its origin only if that is proven.

    `execution`: {Id, StartTime, Input}. Raises InvalidRequest for one that was started by hand and
    must not be, before anything is done.
    """
    known = settings(RecordSettings)
    raw, arn = execution["Input"], execution["Id"]
    if Starts(known.table_name).claim(arn, raw, execution["StartTime"]):
        return request
    if _is_of_rollout(request, tenant, deployment_id, raw):
        return request
    record = Listing(known.table_name).get(tenant, deployment_id)
    started = datetime.fromisoformat(execution["StartTime"])
    if record and _is_of_earlier_api(request, record, arn, started):
        return request
    asked = origins.by_hand(request)
    if record and record["execution_arn"] == arn and record.get("trigger") != Trigger.MANUAL:
        raise InvalidRequest(
            f"deployment {deployment_id} was registered with another input than that of its "
            "execution, which somebody started by hand under its name: nothing was done. Start it "
            "again through the API"
        )
    origins.check_mode_by_hand(asked)
    if not _is_of_earlier_schedule(request, tenant, raw):
        command = f"syndi deploy {tenant.env} {tenant.org}"
        origins.check_by_hand(tenant.env, known.manual_start_environments, "deployment", command)
    return asked


def _is_of_rollout(
    request: ExecutionInput, tenant: Tenant, deployment_id: str, raw: Mapping[str, Any]
) -> bool:
    """Whether a rollout's row says that it starts this deployment, with this input."""
    rollouts = Rollouts(settings(RecordSettings).table_name)
    found = rollouts.get(request.rollout) if request.rollout else None
    if found is None:
        return False
    rollout = loaded(found)
    mine = [r for r in rollout.running if (r.org, r.deployment) == (tenant.org, deployment_id)]
    if not mine:
        return False
    row = next(rollouts.rows(rollout.id, rollout.wave, mine[0].row), {})
    expected = origins.child_input(rollout, tenant.org, row.get("previous"), "")
    return digest({**raw, STARTED_BY: ""}) == digest(json.loads(json.dumps(expected)))


def _is_of_earlier_api(
    request: ExecutionInput, record: JsonObject, arn: str, started: datetime
) -> bool:
    """Whether the API of an earlier release opened this record a moment before its execution was
    started, during an update of the control plane: it registered nothing, and its records do not
    say that they are. Who asked stands in the record."""
    age = started - datetime.fromisoformat(record["created_at"])
    if record.get("registered") or record["execution_arn"] != arn or age > UPDATING:
        return False
    if record.get("trigger") != Trigger.API:
        return False
    before = {k: v for k, v in record.get("request", {}).items() if k in Options.model_fields}
    asked = {name: getattr(request, name) for name in Options.model_fields}
    return Options(**before) == Options(**asked)


def _is_of_earlier_schedule(request: ExecutionInput, tenant: Tenant, raw: Any) -> bool:
    """Whether a schedule that an earlier release made starts exactly this: it started executions
    itself, until the sweep upgrades it (`record_schedules`). It counts as by hand, but is accepted
    everywhere."""
    if request.trigger != Trigger.SCHEDULE:
        return False
    name = naming.schedule_name(tenant, drift=request.mode == Mode.DRIFT)
    given = earlier_schedules.given_by(name, settings(RecordSettings).schedule_group)
    return given is not None and bool(given == raw)
