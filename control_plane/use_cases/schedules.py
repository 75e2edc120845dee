"""Schedules: a tenant deployed, or looked at for drift, again and again by EventBridge Scheduler.

A tenant has up to two: one for its deployments, one for its drift checks.
"""

from dataclasses import dataclass

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import InvalidRequest, NotFound
from control_plane.events import ScheduleRequest, Trigger
from control_plane.models import Env, JsonObject, Mode, Tenant
from control_plane.use_cases.admission import check_prefix, tenant_of
from control_plane.use_cases.creation import check_creation
from control_plane.use_cases.deployments import Front
from control_plane.use_cases.schedule_targets import DEPLOYMENT, request_of, target_input

SCHEDULED = (Mode.FULL, Mode.DEPLOY_ONLY, Mode.DRIFT)
"""The modes that need nobody to look on: the others are asked for one by one."""


@dataclass(frozen=True)
class When:
    """When a schedule starts something."""

    expression: str
    timezone: str
    enabled: bool


def put(front: Front, env: Env, org: str, request: ScheduleRequest) -> JsonObject:
    """Create or replace a tenant's schedule; gives it as `show` does.

    Raises InvalidRequest, also for an expression that EventBridge Scheduler does not take.
    """
    if request.mode not in SCHEDULED:
        raise InvalidRequest.of("mode", f"only {', '.join(SCHEDULED)} can be scheduled")
    tenant = tenant_of(env, org, request, front.settings.default_application)
    check_prefix(tenant.application, front.settings.application_prefixes)
    if request.create:
        told = (
            "has no meaning in a schedule, which creates no tenant: deploy it once, then schedule"
        )
        raise InvalidRequest.of("create", told)
    front.admit(tenant, request)
    current = front.listing.current(tenant) or {}
    explicit = front.settings.explicit_creation_environments
    check_creation(tenant, request, current, explicit, Trigger.SCHEDULE)
    target = request.model_dump(
        mode="json", exclude={"expression", "timezone", "enabled"}, exclude_none=True
    )
    execution_input = {
        **target,
        "application": tenant.application,
        "env": env,
        "org": org,
        "trigger": Trigger.SCHEDULE,
    }
    store(
        front,
        _name(tenant, request.mode),
        When(request.expression, request.timezone, request.enabled),
        DEPLOYMENT,
        execution_input,
    )
    return show(front, tenant, request.mode)


def show(front: Front, tenant: Tenant, mode: Mode) -> JsonObject:
    """A tenant's schedule of that mode. Raises NotFound when it has none."""
    schedule = read(front, _name(tenant, mode))
    if schedule is None:
        raise _none(tenant, mode)
    return schedule


def delete(front: Front, tenant: Tenant, mode: Mode) -> None:
    """Remove a tenant's schedule of that mode. Raises NotFound when it has none."""
    if not remove(front, _name(tenant, mode)):
        raise _none(tenant, mode)


def store(front: Front, name: str, when: When, machine: str, given: JsonObject) -> None:
    """Create or replace a schedule that starts executions of a machine with that input.

    It calls the record worker, which registers what it starts (`workers/record_schedules`).

    Raises InvalidRequest for an expression that EventBridge Scheduler does not take.
    """
    client = aws.scheduler()
    write = client.create_schedule if read(front, name) is None else client.update_schedule
    try:
        write(
            Name=name,
            GroupName=front.settings.schedule_group,
            ScheduleExpression=when.expression,
            ScheduleExpressionTimezone=when.timezone,
            State="ENABLED" if when.enabled else "DISABLED",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": front.settings.record_function,
                "RoleArn": front.settings.scheduler_role_arn,
                "Input": target_input(machine, given),
            },
        )
    except ClientError as error:
        if aws.error_code(error) != "ValidationException":
            raise
        message = str(error.response["Error"].get("Message", ""))
        field = "timezone" if "zone" in message.lower() else "expression"
        raise InvalidRequest.of(field, message) from error


def remove(front: Front, name: str) -> bool:
    """Remove a schedule; False when there is none."""
    try:
        aws.scheduler().delete_schedule(Name=name, GroupName=front.settings.schedule_group)
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        return False
    return True


def _name(tenant: Tenant, mode: Mode) -> str:
    return naming.schedule_name(tenant, drift=mode == Mode.DRIFT)


def _none(tenant: Tenant, mode: Mode) -> NotFound:
    kind = "schedule for drift checks" if mode == Mode.DRIFT else "schedule"
    return NotFound(f"{tenant.stack_name} has no {kind}")


def read(front: Front, name: str) -> JsonObject | None:
    """A schedule: when it starts what; or None."""
    try:
        found = aws.scheduler().get_schedule(Name=name, GroupName=front.settings.schedule_group)
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        return None
    return {
        "expression": found["ScheduleExpression"],
        "timezone": found.get("ScheduleExpressionTimezone", "UTC"),
        "enabled": found.get("State", "ENABLED") == "ENABLED",
        "request": request_of(found["Target"]),
    }
