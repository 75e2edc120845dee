"""Waiting for somebody's yes: the task token is kept in the record until then."""

from datetime import timedelta

from control_plane.errors import Cancelled
from control_plane.models import Deployment, JsonObject, utc_now
from control_plane.reasons import APPROVAL_HOURS
from control_plane.rules.endings import UNTOUCHED
from control_plane.settings import RecordSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.overrides import Overrides
from control_plane.store.progress import Progress
from workers import record_slots
from workers.record_telling import tell_waiting
from workers.step import Outcome


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
