"""Who started an execution of a rollout: what its input says of that counts only when it is proven.

Proof is a registration (`store/starts`): by the API, by the record worker for a schedule, or by the
execution that goes on in this one. Everything else was started by hand.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from control_plane import naming
from control_plane.errors import InvalidRequest
from control_plane.events import STARTED_BY, Trigger
from control_plane.models import JsonObject, utc_now
from control_plane.rollout_models import Rollout
from control_plane.rules import origins
from control_plane.rules.rollout_plan import RolloutInput
from control_plane.services import earlier_schedules
from control_plane.settings import RolloutSettings, settings
from control_plane.store.rollouts import Rollouts
from control_plane.store.starts import Starts

UPDATING = timedelta(minutes=10)
"""For how long the API of an earlier release, which registered nothing, may still be at work."""

_CLAIMS = ("id", "continues", "trigger", "requested_by", STARTED_BY)
"""What an input says of its origin."""


def proven(asked: RolloutInput, execution: Mapping[str, Any]) -> RolloutInput:
    """The request, with what its input says of its origin only if that is proven.

    `execution`: {Id, StartTime, Input}. Raises InvalidRequest for one that was started by hand and
    must not be.
    """
    known = settings(RolloutSettings)
    raw, arn = execution["Input"], execution["Id"]
    if Starts(known.table_name).claim(arn, raw, execution["StartTime"]):
        return asked
    if _is_of_earlier_release(arn, raw):
        return asked
    if asked.continues:
        raise InvalidRequest.of(
            "continues", "a rollout goes on by itself: nobody continues it by hand"
        )
    name = naming.rollout_schedule_name(asked.application or known.default_application, asked.env)
    if earlier_schedules.given_by(name, known.schedule_group) != raw:
        command = f"syndi rollout start {asked.env}"
        origins.check_by_hand(asked.env, known.manual_start_environments, "rollout", command)
    unproven = {"id": None, "requested_by": None, "started_by": None}
    return asked.model_copy(update={**unproven, "trigger": Trigger.MANUAL})


def claims(execution_arn: str, raw: Any) -> JsonObject:
    """An execution's input, at its end; only with those claims of its origin that are proven."""
    given = dict(raw) if isinstance(raw, Mapping) else {}  # by hand, an input may be any JSON
    table = settings(RolloutSettings).table_name
    if Starts(table).knows(execution_arn, raw) or _is_of_earlier_release(execution_arn, given):
        return given
    return {name: value for name, value in given.items() if name not in _CLAIMS}


def next_execution(rollout: Rollout, driver: str, revision: int) -> JsonObject:
    """Register the execution in which a rollout goes on; gives its {name, input}."""
    name = f"{naming.rollout_execution(rollout.env, rollout.id)}-{revision}"
    given = {"env": rollout.env, "continues": rollout.id, STARTED_BY: driver}
    arn = naming.execution_arn(naming.state_machine_of(driver), name)
    given = Starts(settings(RolloutSettings).table_name).register(arn, given)
    return {"name": name, "input": given}


def _is_of_earlier_release(execution_arn: str, raw: Mapping[str, Any]) -> bool:
    """Whether this belongs to a rollout of an earlier release, which registered nothing: the API
    recorded the execution a moment ago, or the rollout goes on from the one that drives it."""
    rollout_id = raw.get("continues") or raw.get("id")
    found = Rollouts(settings(RolloutSettings).table_name).get(str(rollout_id)) or {}
    if not rollout_id or not found or found.get("registered"):
        return False
    if raw.get("continues"):
        return found["execution_arn"] in (raw.get(STARTED_BY), execution_arn)
    age = utc_now() - datetime.fromisoformat(found["created_at"])
    return bool(found["execution_arn"] == execution_arn) and age < UPDATING
