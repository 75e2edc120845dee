"""Copying a tenant's data into the artifact bucket before the tenant goes, a part at a time.

Where an export stands is its position, plain JSON that the state machine carries from call to call:
`location`, what is still `todo`, what was `exported` (counts), what was `skipped` and why, and for
the task in hand `token` and `part`.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import OffboardFailed
from control_plane.models import Deployment, Export, JsonObject
from control_plane.settings import OffboardSettings, settings
from control_plane.store import items
from control_plane.store.listing import Listing
from workers import offboard_reading as reading
from workers.offboard_reading import Belonging

COPY_LIMIT = 5 * 1024**3
"""Bytes that one CopyObject takes (S3 API reference)."""

_OVERRIDES = "CONFIG#"
"""What the sort keys of a tenant's stored overrides begin with."""

_AT_ONCE = 10


def begin(deployment: Deployment) -> JsonObject:
    """The position of an export that has not begun; empty when none was asked for.

    Raises OffboardFailed for what is to be exported and cannot be.
    """
    asked = deployment.options.export
    if not asked:
        return {}
    todo: list[JsonObject] = []
    skipped: list[str] = []
    if Export.CONFIG in asked:
        todo.append({"kind": Export.CONFIG, "name": ""})
    if Export.USERS in asked:
        pools = reading.pools(deployment)
        todo += _todo(deployment, Export.USERS, pools, skipped)
        if not pools:
            skipped.append("users: there is no user pool")
    if Export.BUCKETS in asked:
        found = reading.buckets(deployment)
        there = [bucket.name for bucket in found]
        todo += _todo(deployment, Export.BUCKETS, found, skipped)
        account = settings(OffboardSettings).account_id
        named = deployment.manifest.stack.buckets
        wanted = [naming.filled(name, deployment.tenant, account) for name in named]
        skipped += [f"bucket {name}: not there" for name in wanted if name not in there]
        if not there and not wanted:
            skipped.append("buckets: the application has none")
    prefix = naming.export_prefix(deployment.tenant.stack_name, deployment.id)
    return {
        "location": f"s3://{settings(OffboardSettings).artifact_bucket}/{prefix}/",
        "todo": todo,
        "exported": {},
        "skipped": skipped,
        "token": "",
        "part": 0,
    }


def _todo(
    deployment: Deployment, kind: Export, found: list[Belonging], skipped: list[str]
) -> list[JsonObject]:
    """The tasks for what was found; what is not the tenant's is added to `skipped`.

    Raises OffboardFailed for what the stack has and this worker may not copy, and for what has an
    owner that AWS does not reveal: skipped, it would be lost, after an export that looks complete.
    """
    todo: list[JsonObject] = []
    tag = f"{naming.OWNER_TAG}={deployment.tenant.stack_name}"
    for item in found:
        name = f"{item.kind.replace('-', ' ')} {item.name}"
        if item.is_unreadable:
            raise OffboardFailed(
                f"{name}: {item.foreign}; allow the offboard worker to read it, or offboard "
                f"without --export {kind}"
            )
        if item.foreign and item.in_stack:
            raise OffboardFailed(
                f"{name} is in the stack, but {item.foreign}; tag it {tag} if it is the tenant's, "
                f"or offboard without --export {kind}"
            )
        # An untagged bucket is here because its name says that it is the tenant's; a pool's id says
        # nothing, and an output may name anybody's.
        if item.is_anothers or (item.foreign and kind == Export.USERS):
            skipped.append(f"{name}: {item.foreign}")
        else:
            todo.append({"kind": kind, "name": item.name})
    return todo


def go_on(deployment: Deployment, position: JsonObject, deadline: float) -> JsonObject:
    """Export from `position` on until all is done or `deadline` (monotonic) has passed.

    Gives the new position, without `todo` when nothing is left to do. Raises OffboardFailed.
    """
    position = dict(position)
    while position.get("todo"):
        task = position["todo"][0]
        if not _STEPS[Export(task["kind"])](deployment, position, task["name"], deadline):
            return position
        position |= {"todo": position["todo"][1:], "token": "", "part": 0}
    return {k: v for k, v in position.items() if k not in ("todo", "token", "part")}


def told(position: JsonObject) -> str:
    """What was exported so far, in a line."""
    if "exported" not in position:
        return "nothing was to be exported"
    counts = [f"{name}: {count}" for name, count in position["exported"].items()]
    skipped = f"; skipped {', '.join(position['skipped'])}" if position["skipped"] else ""
    return f"{', '.join(counts) or 'nothing'} exported to {position['location']}{skipped}"


Task = Callable[[Deployment, JsonObject, str, float], bool]
"""Goes on with one task, keeping in the position where it stands; True when it is through."""


def _config(deployment: Deployment, position: JsonObject, name: str, deadline: float) -> bool:
    """The configuration as it is live, and what the table knows: outputs and stored overrides."""
    known, table = settings(OffboardSettings), deployment.manifest.config
    current = Listing(known.table_name).current(deployment.tenant) or {}
    outputs = current.get("outputs")
    if outputs is not None:
        _write(deployment, "config/outputs.json", json.dumps(outputs, indent=2))
        _count(position, "config", 1)
    stored = _stored_overrides(deployment)
    if stored:
        _write(deployment, "config/overrides.jsonl", "".join(f"{line}\n" for line in stored))
        _count(position, "config", 1)
    if table is None:
        position["skipped"] = [*position["skipped"], "config: the application has none"]
        return True
    bucket = naming.filled(table.bucket, deployment.tenant, known.account_id)
    found = reading.bucket(deployment.tenant, bucket)
    if found and found.is_anothers:
        position["skipped"] = [*position["skipped"], f"config: {bucket}: {found.foreign}"]
        return True
    if _copied(deployment, bucket, table.key, f"config/{table.key}"):
        _count(position, "config", 1)
    else:
        missing = f"config: s3://{bucket}/{table.key} is not there"
        position["skipped"] = [*position["skipped"], missing]
    return True


def _stored_overrides(deployment: Deployment) -> list[str]:
    """Every stored version of the tenant's overrides, oldest first, as the table has it."""
    pages = (
        aws.dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=settings(OffboardSettings).table_name,
            KeyConditionExpression="PK = :pk AND begins_with(SK, :sk)",
            ExpressionAttributeValues={
                ":pk": {"S": items.tenant_key(deployment.tenant)},
                ":sk": {"S": _OVERRIDES},
            },
        )
    )
    found = [items.from_item(item) for page in pages for item in page["Items"]]
    return [json.dumps(item, ensure_ascii=False) for item in found]


def _users(deployment: Deployment, position: JsonObject, pool: str, deadline: float) -> bool:
    """A pool's users with attributes and groups, a JSON line each. No pool gives passwords."""
    while True:
        more = {"PaginationToken": position["token"]} if position["token"] else {}
        page = aws.cognito().list_users(UserPoolId=pool, Limit=60, **more)
        lines = [
            json.dumps(
                {
                    "username": user["Username"],
                    "status": user.get("UserStatus"),
                    "enabled": user.get("Enabled"),
                    "attributes": {a["Name"]: a.get("Value") for a in user.get("Attributes", [])},
                    "groups": _groups(pool, user["Username"]),
                },
                ensure_ascii=False,
            )
            for user in page["Users"]
        ]
        if lines:
            name = f"users/{pool}-{position['part']:04}.jsonl"
            _write(deployment, name, "\n".join(lines) + "\n")
        _count(position, "users", len(lines))
        if not page.get("PaginationToken"):
            return True
        position |= {"token": page["PaginationToken"], "part": position["part"] + 1}
        if time.monotonic() > deadline:
            return False


def _groups(pool: str, username: str) -> list[str]:
    pages = aws.cognito().get_paginator("admin_list_groups_for_user")
    asked = pages.paginate(UserPoolId=pool, Username=username)
    return [group["GroupName"] for page in asked for group in page["Groups"]]


def _objects(deployment: Deployment, position: JsonObject, bucket: str, deadline: float) -> bool:
    """Every object of a bucket as it is now, under its own key. The token is the last key."""
    while True:
        after = {"StartAfter": position["token"]} if position["token"] else {}
        page = aws.s3().list_objects_v2(Bucket=bucket, MaxKeys=_AT_ONCE * 10, **after)
        found = page.get("Contents", [])
        for start in range(0, len(found), _AT_ONCE):
            batch = found[start : start + _AT_ONCE]
            for item in batch:
                if item["Size"] > COPY_LIMIT:
                    raise OffboardFailed(
                        f"s3://{bucket}/{item['Key']} has {item['Size']} bytes, more than one copy "
                        "takes: copy it by hand, then offboard without exporting buckets"
                    )
            _copy_all(deployment, position, bucket, [item["Key"] for item in batch])
            position["token"] = batch[-1]["Key"]
            if time.monotonic() > deadline:
                return False
        if not page["IsTruncated"]:
            _count(position, f"bucket {bucket}", 0)  # an empty one was exported too
            return True


def _copy_all(deployment: Deployment, position: JsonObject, bucket: str, keys: list[str]) -> None:
    def copy(key: str) -> bool:
        return _copied(deployment, bucket, key, f"buckets/{bucket}/{key}")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        _count(position, f"bucket {bucket}", sum(pool.map(copy, keys)))


def _copied(deployment: Deployment, bucket: str, key: str, name: str) -> bool:
    """Copy one object; False when it is not there. Raises OffboardFailed."""
    known = settings(OffboardSettings)
    prefix = naming.export_prefix(deployment.tenant.stack_name, deployment.id)
    try:
        aws.s3().copy_object(
            Bucket=known.artifact_bucket,
            Key=f"{prefix}/{name}",
            CopySource={"Bucket": bucket, "Key": key},
        )
    except ClientError as error:
        if aws.error_code(error) in ("NoSuchKey", "NoSuchBucket"):
            return False
        if aws.is_busy(error):
            raise
        raise OffboardFailed(f"s3://{bucket}/{key} could not be copied: {error}") from error
    return True


def _write(deployment: Deployment, name: str, text: str) -> None:
    prefix = naming.export_prefix(deployment.tenant.stack_name, deployment.id)
    aws.s3().put_object(
        Bucket=settings(OffboardSettings).artifact_bucket,
        Key=f"{prefix}/{name}",
        Body=text.encode(),
    )


def _count(position: JsonObject, what: str, number: int) -> None:
    exported = position["exported"]
    position["exported"] = {**exported, what: exported.get(what, 0) + number}


_STEPS: dict[Export, Task] = {
    Export.CONFIG: _config,
    Export.USERS: _users,
    Export.BUCKETS: _objects,
}
