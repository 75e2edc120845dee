"""Labels of tenants: what a rollout selects by. One item for each tenant that has some."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from control_plane import aws
from control_plane.errors import InvalidRequest
from control_plane.models import JsonObject, Tenant, utc_now
from control_plane.store import items, table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_SK = "LABELS"
_BATCH = 100
"""Items that one BatchGetItem takes (DynamoDB API reference)."""

MOST = 20
"""Labels of one tenant."""


class Labels:
    """The labels in the table."""

    def __init__(self, table_name: str, client: "DynamoDBClient | None" = None) -> None:
        self._table = table_name
        self._client = client or aws.dynamodb()

    def of(self, tenant: Tenant) -> dict[str, str]:
        """A tenant's labels."""
        found = table.read(self._client, self._table, items.tenant_key(tenant), _SK) or {}
        return dict(found.get("labels", {}))

    def change(
        self, tenant: Tenant, new: Mapping[str, str], gone: Sequence[str], by: str | None
    ) -> dict[str, str]:
        """Set some labels and remove others; gives them all. Raises InvalidRequest."""
        labels = {k: v for k, v in self.of(tenant).items() if k not in gone} | dict(new)
        if len(labels) > MOST:
            raise InvalidRequest.of("labels", f"{len(labels)} are too many: {MOST} are allowed")
        values = {"labels": labels, "changed_by": by, "changed_at": utc_now().isoformat()}
        self._client.put_item(  # no condition: labels are few, and the last word counts
            TableName=self._table, Item=items.whole(items.tenant_key(tenant), _SK, values)
        )
        return labels

    def of_all(self, tenants: Sequence[Tenant]) -> dict[str, dict[str, str]]:
        """The labels of each tenant, by organization."""
        found: dict[str, dict[str, str]] = {}
        for start in range(0, len(tenants), _BATCH):
            part = {items.tenant_key(one): one.org for one in tenants[start : start + _BATCH]}
            asked: Any = {self._table: {"Keys": [items.key(pk, _SK) for pk in part]}}
            while asked:  # what is too much for one answer comes with the next
                answer = self._client.batch_get_item(RequestItems=asked)
                for item in answer["Responses"].get(self._table, []):
                    found[part[item["PK"]["S"]]] = items.from_item(item)["labels"]
                asked = answer.get("UnprocessedKeys")
        return found


def fits(labels: Mapping[str, str], wanted: JsonObject) -> bool:
    """Whether a tenant has all of the wanted labels."""
    return all(labels.get(name) == value for name, value in wanted.items())
