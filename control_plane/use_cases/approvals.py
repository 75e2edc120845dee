"""Somebody's yes or no to what a deployment would change."""

import json
from datetime import datetime
from enum import StrEnum

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import Conflict, NotFound
from control_plane.models import DeploymentStatus, JsonObject, StepStatus, Tenant, utc_now
from control_plane.store.approvals import Approvals
from control_plane.use_cases.deployments import Front


class Verdict(StrEnum):
    """What was decided."""

    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


_CLOSED = ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")
"""What Step Functions says of a token that nobody waits for any more (API reference,
SendTaskSuccess)."""


def decide(
    front: Front,
    tenant: Tenant,
    deployment_id: str,
    *,
    approved: bool,
    by: str | None,
    comment: str,
) -> JsonObject:
    """Approve or reject a deployment that waits for it; gives its record.

    The first decision is recorded once, with who and when, and then sent to the execution. Sending
    it may have failed: as long as the deployment waits, the same decision again sends it again.
    Raises NotFound, and Conflict for a deployment that does not wait (any more).
    """
    verdict = Verdict.APPROVED if approved else Verdict.REJECTED
    record = _waiting(front, tenant, deployment_id, verdict)
    if "decision" not in record["approval"]:
        record = _recorded(front, tenant, record, verdict, by, comment)
    try:
        _send(record["approval"], verdict)
    except ClientError as error:
        if aws.error_code(error) not in _CLOSED:
            raise
        return _already_sent(front, tenant, record, error)
    return record


def _read(front: Front, tenant: Tenant, deployment_id: str) -> JsonObject:
    record = front.listing.get(tenant, deployment_id)
    if record is None:
        raise NotFound(f"{tenant.stack_name} has no deployment {deployment_id}")
    return record


def _waiting(front: Front, tenant: Tenant, deployment_id: str, verdict: Verdict) -> JsonObject:
    """The record of a deployment that waits, or for which the same was decided before."""
    record = _read(front, tenant, deployment_id)
    approval = record.get("approval", {})
    if approval.get("decision", verdict) != verdict:
        raise Conflict(f"{deployment_id} was {_decided(approval)}: that stays")
    if record["status"] != DeploymentStatus.AWAITING_APPROVAL:
        told = f", {_decided(approval)}" if "decision" in approval else ""
        raise Conflict(f"{deployment_id} waits for no approval: it is {record['status']}{told}")
    if "token" not in approval:
        raise Conflict(f"{deployment_id} has only just begun to wait: try again in a moment")
    if utc_now() >= datetime.fromisoformat(approval["expires_at"]):
        raise Conflict(
            f"the time to approve {deployment_id} was over at {approval['expires_at']}; "
            f"nothing was changed: 'syndi retry {deployment_id}' asks again"
        )
    return record


def _recorded(
    front: Front,
    tenant: Tenant,
    record: JsonObject,
    verdict: Verdict,
    by: str | None,
    comment: str,
) -> JsonObject:
    """Write the decision and the end of the step that waits for it; gives the record."""
    decided = {"decision": verdict, "decided_by": by or "unknown"}
    decided |= {
        "comment": " ".join(comment.split()),
        "decided_at": utc_now().isoformat(timespec="milliseconds"),
    }
    step = StepStatus.SUCCEEDED if verdict == Verdict.APPROVED else StepStatus.FAILED
    store = Approvals(front.settings.table_name)
    if not store.decide(tenant, record, decided, step, _decided(decided)):
        faster = _waiting(front, tenant, record["id"], verdict)
        if "decision" not in faster["approval"]:
            raise Conflict(f"{record['id']} began to wait anew: try again")
        return faster
    return _read(front, tenant, record["id"])


def _send(approval: JsonObject, verdict: Verdict) -> None:
    """Let the execution go on, or end it."""
    match verdict:
        case Verdict.APPROVED:
            # What was approved is what goes live: overrides stored since then are not.
            approved = {
                "approved_by": approval["decided_by"],
                "config_version": approval["config_version"],
            }
            output = json.dumps(approved)
            aws.stepfunctions().send_task_success(taskToken=approval["token"], output=output)
        case Verdict.REJECTED:
            aws.stepfunctions().send_task_failure(
                taskToken=approval["token"], error="ApprovalRejected", cause=_decided(approval)
            )


def _already_sent(
    front: Front, tenant: Tenant, record: JsonObject, error: ClientError
) -> JsonObject:
    """The record when the execution got the decision, though the answer to that was lost.

    Raises Conflict when nothing waits for the decision any more.
    """
    now = _read(front, tenant, record["id"])
    if now["status"] == DeploymentStatus.RUNNING:
        return now
    raise Conflict(
        f"{record['id']} takes no decision any more ({_decided(record['approval'])}): see how it "
        f"goes on with 'syndi show {record['id']}'; if it has ended, "
        f"'syndi retry {record['id']}' asks again"
    ) from error


def _decided(approval: JsonObject) -> str:
    """Who decided what and why, as a sentence."""
    told = f"{str(approval['decision']).lower()} by {approval['decided_by']}"
    return f"{told}: {approval['comment']}" if approval["comment"] else told
