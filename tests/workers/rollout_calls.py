"""A rollout on moto: its worker's steps, and how the deployments that it starts end."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import worker_builders as build
from worker_builders import TABLE

from control_plane import aws, naming
from control_plane.models import Deployment, DeploymentStatus, JsonObject, Tenant, utc_now
from control_plane.store.history import History
from control_plane.store.labels import Labels
from control_plane.store.rollouts import Rollouts
from workers import record, rollout

NAME = "7a1d1c9e-1111-2222-3333-444455556666"
ARN = naming.execution_arn(build.ROLLOUT_MACHINE, NAME)


def execution(given: Any, arn: str = ARN) -> JsonObject:
    """The context object's `Execution`."""
    return {"Id": arn, "StartTime": "2026-11-22T12:00:00.123Z", "Input": given}


def prepare(given: Any = None, arn: str = ARN, **asked: Any) -> str:
    """The rollout that an execution is about; of these organizations when nothing is given."""
    given = given or {"env": "stage", **asked}
    event = {"step": "PrepareRollout", "execution": execution(given, arn)}
    return str(rollout.handler(event, None)["rollout"])


def advance(
    rollout_id: str, spent: int = 10, arn: str = ARN, refused: Sequence[JsonObject] = ()
) -> JsonObject:
    """The next look."""
    event = {"step": "AdvanceRollout", "rollout": rollout_id, "execution_arn": arn}
    return rollout.handler({**event, "spent": spent, "refused": list(refused)}, None)


def found(rollout_id: str) -> JsonObject:
    """The rollout's item."""
    item = Rollouts(TABLE).get(rollout_id)
    assert item is not None
    return item


def state(rollout_id: str) -> JsonObject:
    """How far it is."""
    return dict(found(rollout_id)["state"])


def rows(rollout_id: str) -> dict[str, JsonObject]:
    """Its tenants, by organization."""
    return {row["org"]: row for row in Rollouts(TABLE).rows(rollout_id)}


def begun(start: JsonObject) -> Deployment:
    """The deployment of a start has opened its record."""
    asked = start["input"]
    of = build.tenant(asked["org"])
    made = build.deployment(
        of,
        id=start["name"].removeprefix(f"{of.env}-{of.org}-"),
        execution_arn=build.arn(start["name"]),
    )
    return build.opened(made)


def ended(start: JsonObject, status: str = "SUCCEEDED", **receipt: Any) -> Deployment:
    """The deployment of a start has begun, and ended."""
    made = begun(start)
    history = History(TABLE)
    if status == "SUCCEEDED":
        build.take_lock(made)
        facts = {"last_good": made.id, "last_deployment": made.id, "last_status": status}
        history.succeed(made.tenant, made.id, made.execution_arn, receipt, {**receipt, **facts})
    else:
        facts = {"reason": "it is broken"}
        history.fail(made.tenant, made.id, made.execution_arn, DeploymentStatus(status), facts)
    return made


def executions() -> list[str]:
    """The rollout executions that were started, with their inputs."""
    client = aws.stepfunctions()
    listed = client.list_executions(stateMachineArn=build.ROLLOUT_MACHINE)["executions"]
    return [client.describe_execution(executionArn=e["executionArn"])["input"] for e in listed]


def last_input() -> JsonObject:
    """The input of the only execution that was started."""
    (given,) = executions()
    return dict(json.loads(given))


def label(of: Tenant, **labels: str) -> None:
    """The tenant has these labels."""
    Labels(TABLE).change(of, labels, (), None)


def prepared(start: JsonObject) -> Deployment:
    """The deployment that an execution with that name and input becomes."""
    started = {
        "Id": build.arn(start["name"]), "StartTime": utc_now().isoformat(), "Input": start["input"],
    }  # fmt: skip
    event = {"step": "PrepareDeployment", "execution": started}
    return Deployment.model_validate(record.handler(event, None))


def later(minutes: int) -> datetime:
    """So long from now."""
    return utc_now() + timedelta(minutes=minutes)


def detail(status: str, given: Any, arn: str = ARN) -> dict[str, Any]:
    """EventBridge's `Step Functions Execution Status Change` (Step Functions guide)."""
    return {
        "executionArn": arn, "status": status, "startDate": 1795348800123,
        "input": json.dumps(given), "error": None, "cause": None,
    }  # fmt: skip


def names(answer: JsonObject) -> list[str]:
    """The organizations that are to be started."""
    return [start["input"]["org"] for start in answer["starts"]]
