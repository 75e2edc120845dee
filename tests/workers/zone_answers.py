"""A hosted zone that changes as Route 53's do: all of a batch or nothing, and only what is there.

moto keeps a journal instead, deletes by the identifier alone, and creates what exists.
"""

from collections.abc import Callable

import scripted_aws as scripted

from control_plane import aws
from control_plane.models import JsonObject

ID = "Z0123456789"


class Zone:
    """The records of one zone. `meanwhile` happens once, right before the next change."""

    def __init__(self, script: scripted.Scripted) -> None:
        self.sets: list[JsonObject] = []
        self.meanwhile: Callable[[], object] | None = None
        script.on(aws.route53(), "ListResourceRecordSets", self._list)
        script.on(aws.route53(), "ChangeResourceRecordSets", self._change)

    def put(self, **one: object) -> None:
        """A record set by hand, past the control plane."""
        added = {"TTL": 60, **one, "Name": f"{str(one['Name']).rstrip('.')}."}
        self.sets = [item for item in self.sets if _key(item) != _key(added)] + [added]

    def _list(self, asked: JsonObject) -> JsonObject:
        if asked["HostedZoneId"] != ID:
            return scripted.failure("NoSuchHostedZone")
        found = sorted(self.sets, key=lambda item: (_reversed(item["Name"]), item["Type"]))
        start = _reversed(f"{asked['StartRecordName']}.")
        listed = [item for item in found if _reversed(item["Name"]) >= start]
        return {"ResourceRecordSets": listed, "IsTruncated": False, "MaxItems": "100"}

    def _change(self, asked: JsonObject) -> JsonObject:
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        changed = list(self.sets)
        for change in asked["ChangeBatch"]["Changes"]:
            wanted = {**change["ResourceRecordSet"]}
            wanted["Name"] = f"{wanted['Name'].rstrip('.')}."
            there = next((item for item in changed if _key(item) == _key(wanted)), None)
            match change["Action"]:
                case "DELETE" if there != wanted:
                    told = "but the values provided do not match the current values"
                    return scripted.failure("InvalidChangeBatch", told)
                case "DELETE":
                    changed.remove(wanted)
                case "CREATE" if there:
                    return scripted.failure("InvalidChangeBatch", "but it already exists")
                case "CREATE":
                    changed.append(wanted)
        self.sets = changed
        info = {"Id": "/change/C1", "Status": "PENDING", "SubmittedAt": "2026-11-22T12:00:00Z"}
        return {"ChangeInfo": info}


def _key(item: JsonObject) -> tuple[str, str, str]:
    return item["Name"], item["Type"], item.get("SetIdentifier", "")


def _reversed(name: str) -> list[str]:
    """Route 53 sorts by the labels from the right."""
    return name.rstrip(".").split(".")[::-1]
