"""A tenant's stored overrides: every version stays, and none is ever changed.

In the table: `TENANT#…` / `CONFIG#{version:08d}`. The content is kept as JSON text, so that what is
read is exactly what was stored: DynamoDB's own numbers and nesting are not those of JSON.
"""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane.errors import Conflict, NotFound
from control_plane.models import Frozen, JsonObject, Tenant
from control_plane.store import items, table

if TYPE_CHECKING:
    pass

CONFIG = "CONFIG#"


class StoredOverrides(Frozen):
    """One version. Version 0 is the empty one that nobody stored."""

    version: int
    content: JsonObject
    changed_by: str | None = None
    changed_at: datetime | None = None
    comment: str = ""


NONE_YET = StoredOverrides(version=0, content={})


class Overrides(table.Store):
    """The stored overrides of each tenant. `client` and `clock` can be replaced in tests."""

    def latest(self, tenant: Tenant) -> StoredOverrides:
        """The newest version; version 0 when none was ever stored."""
        found = self.newest(tenant, 1)
        return found[0] if found else NONE_YET

    def version(self, tenant: Tenant, number: int) -> StoredOverrides:
        """One version; 0 is the empty one. Raises NotFound."""
        if number == 0:
            return NONE_YET
        found = table.read(self._client, self._table, items.tenant_key(tenant), _sort_key(number))
        if found is None:
            raise NotFound(f"{tenant.stack_name} has no stored overrides of version {number}")
        return _stored(found)

    def newest(self, tenant: Tenant, limit: int) -> list[StoredOverrides]:
        """The newest `limit` versions, newest first."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :pk AND begins_with(SK, :sk)",
            ExpressionAttributeValues={
                ":pk": {"S": items.tenant_key(tenant)},
                ":sk": {"S": CONFIG},
            },
            ScanIndexForward=False,
            ConsistentRead=True,
            PaginationConfig={"MaxItems": limit, "PageSize": limit},
        )
        return [_stored(items.from_item(item)) for page in pages for item in page["Items"]]

    def put(
        self, tenant: Tenant, content: JsonObject, base_version: int, by: str | None, comment: str
    ) -> StoredOverrides:
        """Store `content` as the version after `base_version`, which the change was made from.

        Raises Conflict when that is not the newest any more: nothing is stored then.
        """
        now = self.latest(tenant).version
        if now != base_version:
            raise _conflict(now)
        stored = StoredOverrides(
            version=base_version + 1,
            content=content,
            changed_by=by,
            changed_at=self._clock(),
            comment=comment,
        )
        values = {**stored.model_dump(mode="json"), "content": json.dumps(content)}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=items.whole(items.tenant_key(tenant), _sort_key(stored.version), values),
                # Condition: this version does not exist yet; of two at once, one is told.
                ConditionExpression="attribute_not_exists(SK)",
                **table.WITH_ITEM,
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            if table.is_written(error, values):
                return stored
            raise _conflict(self.latest(tenant).version) from error
        return stored


def _sort_key(version: int) -> str:
    return f"{CONFIG}{version:08d}"


def _stored(found: JsonObject) -> StoredOverrides:
    content = json.loads(found["content"])
    return StoredOverrides.model_validate({**found, "content": content}, extra="ignore")


def _conflict(version: int) -> Conflict:
    return Conflict(f"somebody else changed it: version {version}; show it and try again")
