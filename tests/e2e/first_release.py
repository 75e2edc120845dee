"""The table as the first release would have left it: what today's wrote, in the old form.

The reverse of `control_plane.store.schema`, written down anew: which attributes there were is read
from the literal items of that release, which the workers' tests go by.
"""

import json
from collections import defaultdict
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from syndi_command import ROOT, Syndi

Kind = tuple[str, str]
"""What an item's two keys begin with, such as `TENANT` and `DEPLOYMENT`."""

LITERAL = ROOT / "tests" / "workers" / "release_one.jsonl"
OPTIONS = ("enable_auth", "create_buckets", "admin_username")
"""What a request could ask for then and now, by the same name."""


def put_back(syndi: Syndi) -> None:
    """Rewrite the whole table; items of kinds that the first release did not have go."""
    client, table, known = syndi.client("dynamodb"), syndi.outputs()["TableName"], _names()
    for item in everything(syndi):
        kind = kind_of(item)
        if kind in known:
            old = _older({name: item[name] for name in known[kind] if name in item})
            client.put_item(TableName=table, Item=old)
        else:
            key = {name: item[name] for name in ("PK", "SK")}
            client.delete_item(TableName=table, Key=key)


def everything(syndi: Syndi) -> list[dict[str, Any]]:
    """Every item as it stands in the table."""
    pages = syndi.client("dynamodb").get_paginator("scan")
    found = pages.paginate(TableName=syndi.outputs()["TableName"], ConsistentRead=True)
    return [item for page in found for item in page["Items"]]


def kind_of(item: dict[str, Any]) -> Kind:
    first, second = (item[key]["S"].partition("#")[0] for key in ("PK", "SK"))
    return first, second


def request(asked: dict[str, Any]) -> dict[str, Any]:
    """A request as the first release had it, in a record and as a schedule's input."""
    kept = {name: asked[name] for name in OPTIONS if name in asked}
    return {
        **kept,
        "on_busy": asked.get("on_conflict", "wait"),
        "allow_replacement": bool(asked.get("allow_replacement")),
    }


def _names() -> dict[Kind, set[str]]:
    """The attributes that each kind of item had."""
    found: dict[Kind, set[str]] = defaultdict(set)
    for line in LITERAL.read_text().splitlines():
        item = json.loads(line)
        found[kind_of(item)] |= set(item)
    return found


def _older(item: dict[str, Any]) -> dict[str, Any]:
    read, write = TypeDeserializer().deserialize, TypeSerializer().serialize
    old = {name: read(value) for name, value in item.items()}
    for name in ("status", "last_status"):
        if old.get(name) == "CANCELLED":
            old[name] = "ABORTED"
    if old["SK"].startswith("DEPLOYMENT#") and "request" in old:
        old["request"] = request(old["request"])
    if old["SK"].startswith("IDEMPOTENCY#"):
        old["request"] = "0" * 64  # a digest of another form
    for name, later in (
        ("build", {"source", "patched"}),
        ("config", {"overrides_version", "config_source"}),
    ):
        if old.get(name) and not old["PK"].startswith("BUILD#"):
            old[name] = {key: value for key, value in old[name].items() if key not in later}
    if old.get("change_set"):
        summary = old["change_set"].get("summary", {})
        ids = {kind: [one["id"] for one in found] for kind, found in summary.items()}
        old["change_set"] = {**old["change_set"], "summary": ids}
    return {name: write(value) for name, value in old.items()}
