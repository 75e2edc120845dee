"""Telling people what a rollout has become: at least once.

That they are to be told is written with what they are to be told (`untold` in the rollout's item)
and taken back when the message is on its way. Whoever comes next tells what was not: the next look,
StopRollout, or the word of the execution's end.
"""

from collections.abc import Mapping
from typing import Any

from control_plane import aws
from control_plane.models import JsonObject
from control_plane.observability import logger
from control_plane.rollout_models import Rollout
from control_plane.rules.fleet_hints import of_rollout
from control_plane.services import notifications
from control_plane.services.rollout_notices import is_due, notice_of, notice_of_refused
from control_plane.settings import RolloutSettings, settings
from control_plane.store.rollouts import Rollouts, loaded


def keep(rollouts: Rollouts, found: JsonObject, after: Rollout, note: str, error: str) -> None:
    """Write what a rollout has become, and tell people if that concerns them. `found`: its item as
    it was read; `error`: what it ends with, if it does. Raises Superseded when somebody else drives
    it meanwhile."""
    untold = is_due(loaded(found), after, untold=found.get("untold", False))
    arn, revision = found["execution_arn"], int(found["revision"])
    hint = found.get("hint")  # of an end that was written before
    if hint is None and after.status.is_final and not after.status.is_good:
        hint = of_rollout(after, error, settings(RolloutSettings).default_application)
    rollouts.save(after, revision, arn, {"note": note, "untold": untold, "hint": hint})
    if untold:
        _tell(rollouts, after, arn, revision + 1, hint)


def tell(rollouts: Rollouts, found: JsonObject) -> None:
    """Tell what people are still to be told of a rollout: of its item, as it was read."""
    revision, hint = int(found["revision"]), found.get("hint")
    _tell(rollouts, loaded(found), found["execution_arn"], revision, hint)


def refused(asked: Mapping[str, Any], execution_arn: str, reason: str) -> None:
    """Tell people that a schedule's rollout could not be planned. `asked`: its input."""
    known = settings(RolloutSettings)
    notice = notice_of_refused(asked, execution_arn, reason, known.default_application)
    notifications.send(notice, known.control_plane_stack)


def _tell(
    rollouts: Rollouts, rollout: Rollout, execution_arn: str, revision: int, hint: str | None
) -> None:
    stack = settings(RolloutSettings).control_plane_stack
    if not notifications.send(notice_of(rollout, execution_arn, hint), stack):
        return
    try:
        rollouts.told(rollout.id, revision)
    except aws.FAILURES as error:
        # Then it is told twice, which is better than a rollout that fails for it.
        logger().warning("notification not marked", error=str(error))
