"""A route for its operator: looked at, set, shifted, reversed.

The route worker, which alone may touch the hosted zone, does all of it: it is asked here, as the
config worker is (`configuring`). Only a shift is an execution.
"""

import json
from typing import Any

from botocore.exceptions import BotoCoreError

from control_plane import aws, naming
from control_plane.errors import (
    Conflict,
    ControlPlaneError,
    InvalidRequest,
    NotFound,
    RouteRefused,
    RouteTaken,
    ServiceBusy,
)
from control_plane.models import JsonObject, Tenant, utc_now
from control_plane.reasons import plain
from control_plane.rules.shifting import check_shift, check_weights
from control_plane.services import starting
from control_plane.store.route_store import Routes
from control_plane.traffic_requests import ShiftInput, ShiftRequest, Weights
from control_plane.use_cases.deployments import Front


def show(front: Front, of: Tenant) -> JsonObject:
    """A route as it is. Raises NotFound, Conflict, RouteRefused."""
    return _presented(_ask(front, "show", of))


def put(front: Front, of: Tenant, weights: Weights, by: str | None) -> JsonObject:
    """Set the weights of a route; gives it as `show` does.

    Raises InvalidRequest, Conflict, RouteRefused, with nothing changed.
    """
    check_weights(of, weights)
    return _presented(_ask(front, "set", of, weights=weights, by=by))


def reverse(front: Front, of: Tenant, by: str | None) -> JsonObject:
    """Go back to the weights before the last change, and end a shift that runs; gives the route.

    Raises NotFound, Conflict, RouteRefused.
    """
    return _presented(_ask(front, "reverse", of, by=by))


def shift(front: Front, of: Tenant, request: ShiftRequest, by: str | None) -> JsonObject:
    """Start a shift; gives it. Raises InvalidRequest, NotFound, Conflict, RouteRefused, with
    nothing started."""
    check_shift(of, request)
    given = ShiftInput(
        **{**request.model_dump(), "application": of.application, "env": of.env, "org": of.org},
        requested_by=by,
    )
    asked = given.model_dump(mode="json", exclude_none=True)
    started = utc_now()
    name = naming.execution_name(of, naming.new_deployment_id(started))
    arn = naming.execution_arn(front.settings.shift_state_machine_arn, name)
    taken = _ask(
        front, "take", of, request=asked, execution_arn=arn, started=started.isoformat()
    )  # nobody else may start one from here on
    try:
        starting.start(front.settings.shift_state_machine_arn, name, asked)
    except aws.FAILURES as error:
        if starting.may_have_started(error):  # it has the route; one that does not run loses it
            raise ServiceBusy(
                f"AWS is busy, and whether the shift of {of.org} was started is not known: look at "
                f"it with 'syndi route show {of.env} {of.org}' before you start another one "
                f"({error})"
            ) from error
        told = plain(f"the execution could not be started: {error}")
        _ask(front, "abandon", of, execution_arn=arn, reason=told)
        raise
    return {**taken, "status": "RUNNING", "console_url": naming.console_url(arn)}


def check_unrouted(front: Front, tenant: Tenant) -> None:
    """Raise Conflict while a tenant that is to be removed is in a route, also without a share: the
    way back of the route would lead to it."""
    last = Routes(front.settings.table_name).changes(tenant, 1)
    share = last[0]["after"].get(tenant.org) if last else None
    if share is None:
        return
    command = f"syndi route set {tenant.env} {last[0]['route']} --weights"
    if share:
        raise Conflict(
            f"{tenant.stack_name} gets {share} % of the traffic of {last[0]['name']}: give it to "
            f"another tenant first ('{command} ORG=100'), or to none ('{command} none')"
        )
    others = ",".join(f"{org}={weight}" for org, weight in last[0]["after"].items() if weight)
    raise Conflict(
        f"{tenant.stack_name} is in the route {last[0]['name']}, which 'syndi route reverse' may "
        f"lead to it again: take it out first ('{command} {others}')"
    )


def _presented(route: JsonObject) -> JsonObject:
    running = route.get("shift") or {}
    if "execution_arn" in running:
        running["console_url"] = naming.console_url(running["execution_arn"])
    return route


_TOLD = (InvalidRequest, NotFound, Conflict, RouteRefused, RouteTaken, ServiceBusy)
"""What the worker may answer, by the names of the classes."""


def _ask(front: Front, what: str, of: Tenant, **given: Any) -> JsonObject:
    """What the route worker answers. Raises what it raises."""
    payload = json.dumps({"ask": what, "of": of.model_dump(mode="json"), **given}).encode()
    try:
        answer = aws.lambda_().invoke(FunctionName=front.settings.route_function, Payload=payload)
    except BotoCoreError as error:
        raise ServiceBusy(f"the route worker cannot be asked: {error}") from error
    told = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise _error(str(told.get("errorType")), str(told.get("errorMessage")))
    return dict(told)


def _error(name: str, message: str) -> ControlPlaneError:
    if name == InvalidRequest.__name__:
        field, _, reason = message.partition(": ")
        return InvalidRequest.of(field, reason)
    kind = next((kind for kind in _TOLD if kind.__name__ == name), ControlPlaneError)
    return kind(plain(message))
