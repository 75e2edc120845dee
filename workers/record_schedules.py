"""Schedules: EventBridge Scheduler calls this worker, which registers and starts an execution.

The Scheduler used to start executions itself, and nobody could tell such a one from one that was
started by hand with the same input. Only its role may call this worker for a schedule.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import InvalidRequest
from control_plane.events import Trigger
from control_plane.models import JsonObject, utc_now
from control_plane.observability import logger
from control_plane.settings import RecordSettings, settings
from control_plane.store.starts import Starts
from control_plane.use_cases.admission import parse_input, tenant_of
from control_plane.use_cases.schedule_targets import DEPLOYMENT, ROLLOUT, target_input


def start(event: Mapping[str, Any]) -> JsonObject:
    """Start what a schedule asks for; gives the execution's ARN. A second call for the same time of
    the same schedule is the same execution.

    `event`: {start: {machine, input}, schedule, scheduled_time} (`schedule_targets`).
    """
    known = settings(RecordSettings)
    machine, given = event["start"]["machine"], dict(event["start"]["input"])
    at = _time(str(event.get("scheduled_time")))
    new = naming.id_of(f"{event.get('schedule')} {event.get('scheduled_time')}", at)
    given |= {"trigger": Trigger.SCHEDULE}
    if machine == ROLLOUT:
        given |= {"id": new}
        name = naming.rollout_execution(str(given.get("env")), new)
    else:
        name = _deployment_name(given, new)
    own = naming.own_state_machine(known.control_plane_stack, known.account_id, known.aws_region)
    machine_arn = own.removesuffix(DEPLOYMENT) + machine
    arn = naming.execution_arn(machine_arn, name)
    given = Starts(known.table_name).register(arn, given)
    try:
        aws.stepfunctions().start_execution(
            stateMachineArn=machine_arn, name=name, input=json.dumps(given)
        )
    except ClientError as error:
        if aws.error_code(error) != "ExecutionAlreadyExists":
            raise
    logger().info("started for a schedule", schedule=event.get("schedule"), execution_arn=arn)
    return {"execution_arn": arn}


def _deployment_name(given: JsonObject, new: str) -> str:
    """The execution's name. One whose input this release refuses is started all the same: it is
    red, and people are notified of it."""
    try:
        request = parse_input(given)
        default = settings(RecordSettings).default_application
        return naming.execution_name(tenant_of(request.env, request.org, request, default), new)
    except InvalidRequest:
        return f"schedule-{new}"


def upgrade() -> list[str]:
    """Have the schedules of earlier releases, which start executions themselves, call this worker
    instead; gives their names."""
    known = settings(RecordSettings)
    client = aws.scheduler()
    own = naming.own_state_machine(known.control_plane_stack, known.account_id, known.aws_region)
    worker = naming.own_functions_of(own, known.control_plane_stack, ["record"])["record"]
    upgraded = []
    pages = client.get_paginator("list_schedules").paginate(GroupName=known.schedule_group)
    for page in pages:
        for listed in page["Schedules"]:
            machine = listed["Target"]["Arn"]
            if ":stateMachine:" not in machine:
                continue
            name = listed["Name"]
            found = client.get_schedule(Name=name, GroupName=known.schedule_group)
            kind = ROLLOUT if machine.endswith(f"-{ROLLOUT}") else DEPLOYMENT
            given = json.loads(found["Target"].get("Input") or "{}")
            client.update_schedule(
                Name=name,
                GroupName=known.schedule_group,
                ScheduleExpression=found["ScheduleExpression"],
                ScheduleExpressionTimezone=found.get("ScheduleExpressionTimezone", "UTC"),
                State=found.get("State", "ENABLED"),
                FlexibleTimeWindow=found.get("FlexibleTimeWindow", {"Mode": "OFF"}),
                Target={
                    "Arn": worker,
                    "RoleArn": found["Target"]["RoleArn"],
                    "Input": target_input(kind, given),
                },
            )
            logger().info("schedule upgraded", schedule=name)
            upgraded.append(name)
    return upgraded


def _time(text: str) -> datetime:
    """When the schedule was due; now, where the Scheduler does not say it."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return utc_now()
