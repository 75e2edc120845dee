"""Telling people: what happened becomes an event on the account's bus, and a rule of template.yaml
makes it a text for the SNS topic. Anybody may write a rule of their own for the same events.

Who tells writes first what happened: a notification can be lost, a record cannot. One that cannot
be sent is logged and counted, and fails nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from control_plane import aws, naming
from control_plane.models import DeploymentStatus, JsonObject
from control_plane.observability import count_untold, logger
from control_plane.reasons import shortened

SOURCE = "syndi"


class Kind(StrEnum):
    """What happened: the event's detail-type."""

    FAILED = "Deployment Failed"
    ROLLED_BACK = "Deployment Rolled Back"
    TIMED_OUT = "Deployment Timed Out"
    WAITING = "Deployment Waiting For Approval"


@dataclass(frozen=True)
class Notice:
    """An event. `subject`, `reason`, `todo`: a line each. `facts`: what a rule may look at."""

    kind: str
    subject: str
    reason: str
    todo: str
    console_url: str
    facts: Mapping[str, str] = field(default_factory=dict)

    def detail(self, control_plane: str) -> JsonObject:
        """The event's detail. `control_plane`: its stack, since an account may have several."""
        texts = {"subject": self.subject, "reason": self.reason, "todo": self.todo}
        return {
            "control_plane": control_plane,
            **self.facts,
            **{name: _quotable(text) for name, text in texts.items()},
            "console_url": self.console_url,
        }


_ENDS = {
    DeploymentStatus.FAILED: Kind.FAILED,
    DeploymentStatus.ROLLED_BACK: Kind.ROLLED_BACK,
    DeploymentStatus.TIMED_OUT: Kind.TIMED_OUT,
}
"""Ends that somebody is told of. Whoever cancels or supersedes a deployment knows."""


def of_end(record: JsonObject) -> Notice | None:
    """What to tell of a deployment that has ended; None when there is nothing to tell."""
    kind = _ENDS.get(DeploymentStatus(record["status"]))
    if kind is None:
        return None
    subject = f"{record['stack_name']}: deployment {record['id']} {_worded(record['status'])}"
    reason = record.get("reason") or "no reason is known"
    todo = record.get("hint") or f"'syndi show {record['id']}' says more"
    return _notice(kind, record, subject, reason, todo)


def of_waiting(record: JsonObject) -> Notice:
    """What to tell of a deployment that waits for an approval."""
    until = record["approval"]["expires_at"][:16]
    subject = f"{record['stack_name']}: deployment {record['id']} waits for an approval"
    changes = record.get("steps", {}).get("AwaitChangeSet", {}).get("note")
    told = [
        f"until {until} UTC",
        f"asked by {record['requested_by']}" if record.get("requested_by") else "",
        f"mode {record['mode']}" if record.get("mode") else "",
        f"changes: {changes}" if changes else "",
    ]
    todo = f"syndi approve {record['id']}, or syndi reject {record['id']}"
    return _notice(Kind.WAITING, record, subject, "; ".join(filter(None, told)), todo)


def _notice(kind: Kind, record: JsonObject, subject: str, reason: str, todo: str) -> Notice:
    facts = {name: str(record.get(name, "")) for name in ("application", "env", "org", "mode")}
    facts |= {
        "tenant": record["stack_name"],
        "deployment": record["id"],
        "status": str(record["status"]),
    }
    url = naming.console_url(record["execution_arn"])
    return Notice(kind, subject, reason, todo, url, facts)


def send(notice: Notice, control_plane: str) -> bool:
    """Put the event on the default bus; whether it is there. Raises nothing of AWS's."""
    log = logger()
    entry = {
        "Source": SOURCE,
        "DetailType": str(notice.kind),
        "Detail": json.dumps(notice.detail(control_plane)),
    }
    try:
        answer = aws.events().put_events(Entries=[entry])
    except aws.FAILURES as error:
        log.warning("notification not sent", kind=notice.kind, error=str(error))
        count_untold()
        return False
    if answer["FailedEntryCount"]:  # EventBridge refuses an entry in an answer, not by an error
        refused = answer["Entries"][0].get("ErrorMessage") or answer["Entries"][0].get("ErrorCode")
        log.warning("notification not sent", kind=notice.kind, error=refused)
        count_untold()
        return False
    log.info("notification sent", kind=notice.kind)
    return True


def _worded(status: str) -> str:
    return str(status).lower().replace("_", " ")


def _quotable(text: str) -> str:
    """A line that stands between quotes in the rule's template as it is: EventBridge escapes
    nothing there (EventBridge guide, input transformation), and would drop a broken event."""
    plain = " ".join(str(text).split()).replace("\\", "/").replace('"', "'")
    return shortened(plain)
