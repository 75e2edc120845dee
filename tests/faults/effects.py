"""What a step leaves behind, without what differs from one run to the next."""

import hashlib
import json
import re
from typing import Any

from scenarios import Case

from control_plane import aws
from control_plane.models import JsonObject
from control_plane.store import items

_VARIES = re.compile(
    r"\d{4}-\d\d-\d\d[T ][\d:.]+(?:\+00:00|Z)?|2026\d{4}-\d{6}-[0-9a-z]+"
    r"|[0-9a-f]{8}-[0-9a-f-]{27}|us-east-1_\w+|(?<=given/)\S+"
)
_IGNORED = {
    "attempts", "note", "noted_at", "started_at", "finished_at", "created_at", "expires_at",
    "changed_at", "revision", "ETag", "changed", "sha256",
}  # fmt: skip
"""Times, what counts how often something was tried, whether the last try had to upload,
and digests of what has random ids in it (the objects themselves are compared)."""


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {_plain(k): _plain(v) for k, v in sorted(value.items()) if k not in _IGNORED}
        case list() | tuple():
            return [_plain(one) for one in value]
        case str():
            return _VARIES.sub("…", value)
        case _:
            return value


def answer(told: Any) -> Any:
    """A step's answer, to be compared."""
    return _plain(json.loads(json.dumps(told, default=str)))


def effect(case: Case) -> JsonObject:
    """What there is now: items, objects, users, secrets, schedules, and what the scenario shows."""
    return {
        "table": _table(), "s3": _objects(), "users": _users(), "secrets": _secrets(),
        "shown": answer(case.shown()),
    }  # fmt: skip


def _table() -> JsonObject:
    found = aws.dynamodb().scan(TableName="syndi-history")["Items"]
    return {
        _VARIES.sub("…", f"{item['PK']['S']} {item['SK']['S']}"): _plain(items.from_item(item))
        for item in found
        if not item["PK"]["S"].startswith(("REQUESTS", "BUDGET"))
    }


def _objects() -> JsonObject:
    client = aws.s3()
    found: JsonObject = {}
    for bucket in client.list_buckets()["Buckets"]:
        for item in client.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            body = client.get_object(Bucket=bucket["Name"], Key=item["Key"])["Body"].read()
            key = _VARIES.sub("…", f"{bucket['Name']}/{item['Key']}")
            found[key] = hashlib.sha256(
                _VARIES.sub("…", body.decode("latin1")).encode()
            ).hexdigest()
    return found


def _users() -> list[Any]:
    client = aws.cognito()
    return sorted(
        (user["UserStatus"], [one["GroupName"] for one in client.admin_list_groups_for_user(
            UserPoolId=pool["Id"], Username=user["Username"])["Groups"]])
        for pool in client.list_user_pools(MaxResults=10)["UserPools"]
        for user in client.list_users(UserPoolId=pool["Id"])["Users"]
    )  # fmt: skip


def _secrets() -> list[str]:
    return sorted(one["Name"] for one in aws.secretsmanager().list_secrets()["SecretList"])
