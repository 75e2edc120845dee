"""Schedules: EventBridge Scheduler calls this worker, which registers and starts an execution.

The Scheduler used to start executions itself, and nobody could tell such a one from one that was
started by hand with the same input. Only its role may call this worker for a schedule.
"""

import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, naming, own
from control_plane.errors import InvalidRequest
from control_plane.events import Trigger
from control_plane.models import JsonObject, utc_now
from control_plane.observability import logger
from control_plane.settings import RecordSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.locks import Locks
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
    mine = naming.own_state_machine(known.control_plane_stack, known.account_id, known.aws_region)
    machine_arn = mine.removesuffix(DEPLOYMENT) + machine
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


UPGRADE_SECONDS = 10
"""For how long one sweep changes schedules; the next one goes on."""

TRUSTED_AFTER = timedelta(days=1)
"""How long the control plane's last deployment must have been good: a release before this one
cannot serve a schedule that was upgraded."""


def upgrade() -> list[str]:
    """Have the schedules of earlier releases, which start executions themselves, call this worker
    instead; gives the names of those that were changed.

    Not while the control plane itself is being deployed, and not on the first day of a release:
    either may end with the release before it.
    """
    known = settings(RecordSettings)
    if not _is_trusted(known):
        return []
    until = time.monotonic() + UPGRADE_SECONDS
    client = aws.scheduler()
    mine = naming.own_state_machine(known.control_plane_stack, known.account_id, known.aws_region)
    worker = naming.own_functions_of(mine, known.control_plane_stack, ["record"])["record"]
    upgraded = list[str]()
    pages = client.get_paginator("list_schedules").paginate(GroupName=known.schedule_group)
    for page in pages:
        for listed in page["Schedules"]:
            machine = listed["Target"]["Arn"]
            if ":stateMachine:" not in machine:
                continue
            if time.monotonic() > until:
                return upgraded
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


def _is_trusted(known: RecordSettings) -> bool:
    """Whether this release stays: its deployment was good a day ago, and no other one is at work or
    has failed since."""
    tenant = own.own_tenant(known.control_plane_stack)
    if Locks(known.table_name).holder(tenant):
        return False
    current = Listing(known.table_name).current(tenant) or {}
    good, deployed_at = current.get("last_good"), current.get("deployed_at")
    if good is None or deployed_at is None or current.get("last_deployment") != good:
        return False
    return utc_now() - datetime.fromisoformat(deployed_at) >= TRUSTED_AFTER


def _time(text: str) -> datetime:
    """When the schedule was due; now, where the Scheduler does not say it."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return utc_now()
