"""Versions of the table's items, and how what an earlier release wrote is read.

Every item that is written whole has the version of its release, `schema`. One without it has
version 1: the first release knew no versions, and the index `listing` does not have the attribute.
Whoever reads gets the item as this release would have written it; the item itself stays. A write of
a part of an item leaves its version as it is: the rest of the item is still what it was.

The rule for a change, because an update may be rolled back, and because executions that run across
one go on with the old code and meet new items:

- A release may add attributes, which an older one ignores.
- An attribute never gets another meaning or another form under the same name: it gets a new name.
- What an older release cannot understand (a status, a mode, a step) is added, to be read, one
  release before it is written.
- An item of a newer version is read as it is.

A migration brings items from one version to the next. It is pure and fills in what is missing only,
so that it may run twice, over an item that a newer release has changed a part of, and over the part
of an item that an index or a projection gives. Conditions and filters of DynamoDB see items as they
were written: they must name the old form too (`listing.rivals`, `history.ask_for_end`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from control_plane.models import DeploymentStatus, JsonObject

SCHEMA = 2
"""The version of what this release writes.

1: the first release. 2: modes, the way back, stored overrides, patches.
"""

ATTRIBUTE = "schema"

_TAKEN_AWAY = ("replaced", "maybe_replaced", "removed")


def upgraded(sort_key: str, item: Mapping[str, Any]) -> JsonObject:
    """An item's values as this release writes them, without the version."""
    version = int(item.get(ATTRIBUTE, 1))
    values = {name: value for name, value in item.items() if name != ATTRIBUTE}
    for migrations in MIGRATIONS[version - 1 :]:
        for begins, migrate in migrations.items():
            if sort_key.startswith(begins):
                values = migrate(values)
    return values


def upgraded_request(asked: Mapping[str, Any]) -> JsonObject:
    """A request as this release takes it: in a record, or as the input that a schedule keeps.

    `allow_replacement: true` allowed any loss; now each is named, so that nothing is allowed.
    """
    new = dict(asked)
    if "on_busy" in new:
        new.setdefault("on_conflict", new["on_busy"])
        del new["on_busy"]
    if isinstance(new.get("allow_replacement"), bool):
        new["allow_replacement"] = []
    return new


def _record_to_2(record: JsonObject) -> JsonObject:
    new = dict(record)
    if "status" in new:
        new["status"] = _status_to_2(new["status"])
    if "request" in new:
        new.setdefault("mode", "full")
        new["request"] = upgraded_request(new["request"])
        if record["request"].get("allow_replacement") is True:
            new["request"]["allow_replacement"] = _taken_away(record)
    new = _deployed_to_2(new)
    brought = new.get("build") and "stack" in new and not new.get("patch")  # no dry run, no patch
    if brought and new.get("status") == DeploymentStatus.SUCCEEDED:
        new.setdefault("running", new["build"]["fingerprint"])
        new.setdefault("config_source", new["build"].get("source"))
    return new


def _current_to_2(current: JsonObject) -> JsonObject:
    new = dict(current)
    if "last_status" in new:
        new["last_status"] = _status_to_2(new["last_status"])
    new = _deployed_to_2(new)
    if new.get("build"):
        new.setdefault("running", new["build"].get("patched") or new["build"]["fingerprint"])
        # What was built was what was configured; a patch since then changes neither.
        new.setdefault("config_source", new["build"].get("source"))
        if "last_good" in new:
            new.setdefault("config_deployment", new["last_good"])
    return new


def _deployed_to_2(facts: JsonObject) -> JsonObject:
    """Build, configuration and changes, which a record and a current state have alike."""
    new = dict(facts)
    source = (new.get("build") or {}).get("source") or new.get("source")
    if new.get("build") and source:
        new["build"] = {"source": source, **new["build"]}
    if new.get("config") and source:
        new["config"] = {"overrides_version": 0, "config_source": source, **new["config"]}
    if new.get("change_set"):
        summary = new["change_set"].get("summary", {})
        described = {kind: [_described(one) for one in found] for kind, found in summary.items()}
        new["change_set"] = {**new["change_set"], "summary": described}
    return new


def _idempotency_to_2(remembered: JsonObject) -> JsonObject:
    """Its digest was of a request in another form: with it, nothing can be compared."""
    return {name: value for name, value in remembered.items() if name != "request"}


def _status_to_2(status: str) -> str:
    return DeploymentStatus.CANCELLED if status == "ABORTED" else status


def _described(resource: Any) -> JsonObject:
    """A resource of a change set's summary, which was only its logical id."""
    return resource if isinstance(resource, dict) else {"id": resource, "type": "type not recorded"}


def _taken_away(record: JsonObject) -> list[str]:
    """The resources that a deployment took away, as far as it came."""
    summary = (record.get("change_set") or {}).get("summary", {})
    found = [_described(one)["id"] for kind in _TAKEN_AWAY for one in summary.get(kind, [])]
    return sorted(found)


MIGRATIONS: tuple[Mapping[str, Callable[[JsonObject], JsonObject]], ...] = (
    {
        "DEPLOYMENT#": _record_to_2,
        "CURRENT": _current_to_2,
        "IDEMPOTENCY#": _idempotency_to_2,
    },
)
"""From each version to the next, beginning with 1, by what the sort keys begin with; items that are
not named have not changed."""
