"""Open records whose executions are over: reading or cancelling one has it closed.

The record worker does it, which may release what a deployment holds; it is called here, as the
config worker is (`configuring`).
"""

import json
import time
from collections.abc import Iterable
from datetime import datetime

from control_plane import aws
from control_plane.errors import ServiceBusy
from control_plane.models import DeploymentStatus, JsonObject, Tenant
from control_plane.observability import logger
from control_plane.reasons import plain
from control_plane.services import executions
from control_plane.use_cases.deployments import Front

LOOK_SECONDS = 5.0
"""How often one instance of the API looks at the same execution for its readers: whoever watches
reads once a second, and DescribeExecution allows 15 calls a second (Step Functions quotas)."""

LOOKS = 10
"""Executions that one read of a list looks at."""

_looked_at: dict[str, float] = {}


def read(front: Front, records: Iterable[JsonObject]) -> list[JsonObject]:
    """The records; those that are open although their executions are over are closed, and given as
    they are then. An error of that leaves a record as it is: a reader still gets an answer."""
    found, looks = list[JsonObject](), 0
    for record in records:
        current = record
        if looks < LOOKS and _is_due(record):
            looks += 1
            try:
                current = closed(front, record)
            except (*aws.FAILURES, ServiceBusy) as error:
                logger().warning("record not closed", deployment_id=record["id"], error=str(error))
        found.append(current)
    return found


def closed(front: Front, record: JsonObject) -> JsonObject:
    """The record, closed if its execution is over; as it is then. Raises ServiceBusy when the
    record worker does not answer."""
    if DeploymentStatus(record["status"]).is_final:
        return record
    began = datetime.fromisoformat(record["created_at"])
    if executions.end_of(record["execution_arn"], began) is None:
        return record
    return close(front, record)


def close(front: Front, record: JsonObject) -> JsonObject:
    """Have the record worker close a record; gives it as it is then. Raises ServiceBusy."""
    tenant = Tenant(application=record["application"], env=record["env"], org=record["org"])
    named = {"tenant": tenant.model_dump(mode="json"), "id": record["id"]}
    answer = aws.lambda_().invoke(
        FunctionName=front.settings.record_function, Payload=json.dumps({"close": named}).encode()
    )
    said = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise ServiceBusy(f"{record['id']} cannot be closed: {plain(str(said))}")
    return front.listing.get(tenant, record["id"]) or record


def _is_due(record: JsonObject) -> bool:
    """Whether to look at the execution of a record: it is open, and nobody looked just now."""
    if DeploymentStatus(record["status"]).is_final:
        _looked_at.pop(record["execution_arn"], None)
        return False
    now = time.monotonic()
    if now - _looked_at.get(record["execution_arn"], -LOOK_SECONDS) < LOOK_SECONDS:
        return False
    if len(_looked_at) > 1000:
        _looked_at.clear()
    _looked_at[record["execution_arn"]] = now
    return True
