"""A rollout's tenants: what each is given, which are skipped, what their deployments came to."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from control_plane import aws, naming
from control_plane.models import DeploymentStatus, JsonObject, Mode, Tenant, utc_now
from control_plane.rollout_models import Result, Rollout, RolloutStatus, RowStatus, Running
from control_plane.rules.origins import child_input
from control_plane.rules.rollout_rules import LOST_AFTER, row_status
from control_plane.rules.rollout_skips import why_skip
from control_plane.services.needed_builds import needed_build
from control_plane.settings import RolloutSettings, settings
from control_plane.store import items
from control_plane.store.listing import Listing
from control_plane.store.overrides import Overrides
from control_plane.store.rollouts import Rollouts
from control_plane.store.sources import Sources

_BATCH = 100
"""Items that one BatchGetItem takes (DynamoDB API reference)."""


def tenant_of(rollout: Rollout, org: str) -> Tenant:
    """A tenant of the rollout."""
    return Tenant(application=rollout.application, env=rollout.env, org=org)


def keep_refusals(
    rollouts: Rollouts, rollout: Rollout, refused: Iterable[Mapping[str, str]]
) -> None:
    """Say in the tenants' rows why their executions could not be started; they are tried again."""
    errors = {one["name"]: one["error"] for one in refused}
    for one in rollout.running:
        error = errors.get(naming.execution_name(tenant_of(rollout, one.org), one.deployment))
        if error:
            reason = {"reason": f"its execution could not be started: {error}"}
            rollouts.change_row(rollout.id, rollout.wave, one.row, reason)


def results(
    rollouts: Rollouts, rollout: Rollout, now: datetime
) -> tuple[list[Result], list[Running]]:
    """What the running deployments have come to, and which have not begun."""
    records = _records(rollout)
    ended, unbegun = [], []
    for one in rollout.running:
        record = records.get(one.deployment)
        if record is None:
            if now - one.started_at > LOST_AFTER:
                row = next(rollouts.rows(rollout.id, rollout.wave, one.row))
                why = row.get("reason") or "its execution never began"
                ended.append(
                    Result(deployment=one.deployment, status=DeploymentStatus.FAILED, reason=why)
                )
            else:
                unbegun.append(one)
        elif DeploymentStatus(record["status"]).is_final:
            reason = str(record.get("reason") or "")
            status = DeploymentStatus(record["status"])
            ended.append(Result(deployment=one.deployment, status=status, reason=reason))
    return ended, unbegun


def _records(rollout: Rollout) -> dict[str, JsonObject]:
    """The records of what runs, by deployment: status and reason."""
    table = settings(RolloutSettings).table_name
    names = {"#PK": "PK", "#SK": "SK", "#id": "id", "#status": "status", "#reason": "reason"}
    keys = [
        items.key(items.tenant_key(tenant_of(rollout, r.org)), items.DEPLOYMENT + r.deployment)
        for r in rollout.running
    ]
    found: dict[str, JsonObject] = {}
    for start in range(0, len(keys), _BATCH):
        asked: Any = {
            table: {
                "Keys": keys[start : start + _BATCH],
                "ConsistentRead": True,
                "ProjectionExpression": ", ".join(names),
                "ExpressionAttributeNames": names,
            }
        }
        while asked:  # what is too much for one answer comes with the next
            answer = aws.dynamodb().batch_get_item(RequestItems=asked)
            for item in answer["Responses"].get(table, []):
                record = items.from_part(item)
                found[record["id"]] = record
            asked = answer.get("UnprocessedKeys")
    return found


def keep(rollouts: Rollouts, rollout: Rollout, ended: Iterable[Result]) -> None:
    """Say in the tenants' rows how their deployments ended."""
    back = rollout.status == RolloutStatus.ROLLING_BACK
    by_deployment = {one.deployment: one for one in rollout.running}
    for result in ended:
        row = by_deployment[result.deployment].row
        status = row_status(result.status, back=back)
        values = {"status": status, "reason": result.reason or None}
        rollouts.change_row(rollout.id, rollout.wave, row, values)


def begin(rollouts: Rollouts, rollout: Rollout, room: int) -> tuple[list[Running], int]:
    """Look at the next tenants, up to `room`: those to be deployed, and how many are skipped."""
    started: list[Running] = []
    skipped = 0
    for row in _next_rows(rollouts, rollout, room):
        current = _current(rollout, row["org"])
        why = "" if row.get("deployment") else _why_skip(rollout, row["org"], current)
        if why:
            skipped += 1
            skip = {"status": RowStatus.SKIPPED, "reason": why}
            rollouts.change_row(rollout.id, rollout.wave, row["row"], skip)
            continue
        values: JsonObject = {
            "status": RowStatus.STARTED,
            "deployment": naming.new_deployment_id(utc_now()),
            "previous": current.get("last_good"),
        }
        kept = rollouts.change_row(rollout.id, rollout.wave, row["row"], values)
        started.append(_running(row, kept["deployment"]))
    return started, skipped


def bring_back(rollouts: Rollouts, rollout: Rollout, room: int) -> tuple[list[Running], int, int]:
    """Look at the next tenants of a wave that went wrong: those to be brought back, how many are
    passed by, and how many of these stay as they are.

    Also those that failed: what a failure left may be the new build. One that was deployed for the
    first time has nothing to go back to: it stays, and says so.
    """
    started: list[Running] = []
    passed = stay = 0
    for row in _next_rows(rollouts, rollout, room):
        if row["status"] in (RowStatus.PENDING, RowStatus.SKIPPED) or not row.get("deployment"):
            passed += 1
            continue
        if not row.get("previous"):
            passed += 1
            if row["status"] == RowStatus.SUCCEEDED:
                stay += 1
                why = "stays: there was nothing deployed before it"
                values = {"status": RowStatus.NOT_ROLLED_BACK, "reason": why}
                rollouts.change_row(rollout.id, rollout.wave, row["row"], values)
            continue
        values = {"status": RowStatus.STARTED, "back": naming.new_deployment_id(utc_now())}
        kept = rollouts.change_row(rollout.id, rollout.wave, row["row"], values)
        started.append(_running(row, kept["back"]))
    return started, passed, stay


def starts(
    rollouts: Rollouts, rollout: Rollout, unbegun: Sequence[Running], execution_arn: str
) -> list[JsonObject]:
    """What StartDeployment is given for each: the execution's name and its input."""
    return [
        {
            "name": naming.execution_name(tenant_of(rollout, one.org), one.deployment),
            "input": _input(rollouts, rollout, one, execution_arn),
        }
        for one in unbegun
    ]


def _input(rollouts: Rollouts, rollout: Rollout, one: Running, execution_arn: str) -> JsonObject:
    """The row is what registers the deployment: PrepareDeployment compares both."""
    previous = None
    if rollout.status == RolloutStatus.ROLLING_BACK:
        previous = next(rollouts.rows(rollout.id, rollout.wave, one.row))["previous"]
    return child_input(rollout, one.org, previous, execution_arn)


def _next_rows(rollouts: Rollouts, rollout: Rollout, room: int) -> list[JsonObject]:
    found = []
    for row in rollouts.rows(rollout.id, rollout.wave, rollout.position):
        found.append(row)
        if len(found) == room:
            break
    return found


def _running(row: JsonObject, deployment: str) -> Running:
    return Running(row=row["row"], org=row["org"], deployment=deployment, started_at=utc_now())


def _current(rollout: Rollout, org: str) -> JsonObject:
    table = settings(RolloutSettings).table_name
    return Listing(table).current(tenant_of(rollout, org)) or {}


def _why_skip(rollout: Rollout, org: str, current: JsonObject) -> str:
    known, tenant = settings(RolloutSettings), tenant_of(rollout, org)
    if not current.get("last_good"):
        return ""
    needed = ""
    if rollout.mode == Mode.FULL:
        _, described = Sources(known.table_name).resolve(
            rollout.application, rollout.env, rollout.source
        )
        needed = needed_build(
            tenant,
            rollout.source,
            described,
            known.artifact_bucket,
            known.tenant_runtime,
            known.tenant_architecture,
        ).fingerprint
    version = Overrides(known.table_name).latest(tenant).version
    return why_skip(current, rollout, needed, version)
