"""Waiting for somebody's yes: the task token is kept in the record until then."""

from datetime import timedelta

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import Cancelled
from control_plane.models import Deployment, DeploymentStatus, JsonObject, StepStatus, utc_now
from control_plane.reasons import APPROVAL_HOURS
from control_plane.rules import turns
from control_plane.rules.endings import UNTOUCHED
from control_plane.settings import RecordSettings, settings
from control_plane.store.approvals import Approvals
from control_plane.store.listing import Listing
from control_plane.store.overrides import Overrides
from control_plane.store.progress import Progress
from workers import record_slots
from workers.record_telling import tell_waiting
from workers.step import Outcome

SUPERSEDED = "SUPERSEDED"
"""The decision on a deployment whose place another one took."""

_CLOSED = ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")


def supersede(newer: Deployment, waiting_id: str) -> None:
    """End the deployment that has the tenant, if it waits for an approval, for a newer one.

    Either this or somebody's decision counts, whichever is written first; what works already is
    left alone. Its execution then removes its change set and gives the tenant back. Again, for one
    whose execution did not get it: it is sent again.
    """
    table, tenant = settings(RecordSettings).table_name, newer.tenant
    record = Listing(table).get(tenant, waiting_id) or {}
    approval = record.get("approval", {})
    asked = Listing(table).get(tenant, newer.id) or {}
    by = asked.get("requested_by") or "by hand"
    cause = f"deployment {newer.id} ({by}) took its place while it waited for an approval"
    if turns.is_undecided(record):
        decided = {
            "decision": SUPERSEDED,
            "decided_by": newer.id,
            "comment": f"requested by {by}",
            "decided_at": utc_now().isoformat(timespec="milliseconds"),
        }
        if not Approvals(table).decide(tenant, record, decided, StepStatus.FAILED, cause):
            return  # somebody decided in this moment: the next look sees how
    elif (
        approval.get("decision") != SUPERSEDED
        or record["status"] != DeploymentStatus.AWAITING_APPROVAL
    ):
        return
    try:
        aws.stepfunctions().send_task_failure(
            taskToken=approval["token"], error="Superseded", cause=cause
        )
    except ClientError as error:
        if aws.error_code(error) not in _CLOSED:
            raise


def await_approval(deployment: Deployment, event: JsonObject) -> Outcome:
    """Keep the token with which the API lets the execution go on; the state waits for that."""
    now = utc_now()
    table = settings(RecordSettings).table_name
    version = deployment.config_version
    if version is None:
        version = Overrides(table).latest(deployment.tenant).version
    approval = {
        "config_version": version,
        "token": event["token"],
        "requested_at": now.isoformat(timespec="seconds"),
        "expires_at": (now + timedelta(hours=APPROVAL_HOURS)).isoformat(timespec="seconds"),
    }
    Progress(table).add_facts(deployment, {"approval": approval})
    # Somebody who cancelled before the token was there could wake nobody.
    record = Listing(table).get(deployment.tenant, deployment.id) or {}
    if "cancel" in record:
        raise Cancelled(UNTOUCHED)
    # A person may take a day: until then others work. RegainSlot takes it again.
    record_slots.give_back(deployment.id, deployment.execution_arn)
    tell_waiting(deployment.tenant, record)
    return Outcome(note="waiting for an approval", done=False)
