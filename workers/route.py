"""Weighted routes: the steps of `shift.asl.json`, the API's questions, shifts that were cut off."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from control_plane import aws
from control_plane.errors import ServiceBusy
from control_plane.models import JsonObject, Tenant
from control_plane.observability import logger
from control_plane.settings import RouteSettings, settings
from control_plane.traffic_requests import ShiftInput
from workers import route_changes, route_ends, route_shift, self_check
from workers.route_showing import show

CHANGES = 20
"""Changes that the API's answer has, at most."""


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry: a step of a shift, a question of the API, EventBridge's event of an end, or
    its schedule for the sweep."""
    if self_check.is_one(event):
        return self_check.loads(settings(RouteSettings))
    try:
        if "step" in event:
            return STEPS[event["step"]](event)
        if "ask" in event:
            logger().info("asked", what=event["ask"])
            return ASKED[event["ask"]](Tenant.model_validate(event["of"]), event)
        if "sweep" in event:
            return route_ends.sweep()
        return route_ends.finalize(event["detail"])
    except Exception as error:
        if aws.is_busy(error):
            raise ServiceBusy(f"AWS is busy: {error}") from error
        raise


STEPS: dict[str, Callable[[Mapping[str, Any]], JsonObject]] = {
    "PrepareShift": route_shift.prepare_shift,
    "CheckShift": route_shift.check_shift,
    "SetWeights": route_shift.set_weights,
    "RestoreWeights": route_shift.restore_weights,
    "RecordShift": route_ends.record_shift,
}


def _set(of: Tenant, asked: Mapping[str, Any]) -> JsonObject:
    route_changes.set_weights(of, dict(asked["weights"]), asked["by"])
    return show(of, CHANGES)


def _reverse(of: Tenant, asked: Mapping[str, Any]) -> JsonObject:
    route_changes.reverse(of, asked["by"])
    return show(of, CHANGES)


def _take(of: Tenant, asked: Mapping[str, Any]) -> JsonObject:
    request = ShiftInput.model_validate(asked["request"])
    started = datetime.fromisoformat(asked["started"])
    return route_shift.take(of, request, asked["execution_arn"], started).model_dump(mode="json")


def _abandon(of: Tenant, asked: Mapping[str, Any]) -> JsonObject:
    route_ends.abandon(of, asked["execution_arn"], asked["reason"])
    return {}


ASKED: dict[str, Callable[[Tenant, Mapping[str, Any]], JsonObject]] = {
    "show": lambda of, _: show(of, CHANGES),
    "set": _set,
    "reverse": _reverse,
    "take": _take,
    "abandon": _abandon,
}
