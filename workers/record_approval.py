"""Waiting for somebody's yes: the task token is kept in the record until then."""

from datetime import timedelta

from control_plane.models import Deployment, JsonObject, utc_now
from control_plane.progress import Progress
from control_plane.reasons import APPROVAL_HOURS
from control_plane.settings import RecordSettings, settings
from workers.step import Outcome


def await_approval(deployment: Deployment, event: JsonObject) -> Outcome:
    """Keep the token with which the API lets the execution go on; the state waits for that."""
    now = utc_now()
    approval = {
        "token": event["token"],
        "requested_at": now.isoformat(timespec="seconds"),
        "expires_at": (now + timedelta(hours=APPROVAL_HOURS)).isoformat(timespec="seconds"),
    }
    Progress(settings(RecordSettings).table_name).add_facts(deployment, {"approval": approval})
    return Outcome(note="waiting for an approval", done=False)
