"""What the table answers when it is asked: one deployment, a tenant's, all tenants."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from control_plane import aws
from control_plane.models import DeploymentStatus, Env, JsonObject, OnConflict, StepStatus, Tenant
from control_plane.rules.turns import Rival
from control_plane.store import items, schema, table, writes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


_BATCH = 100
"""Items that one BatchGetItem takes (DynamoDB API reference)."""

_UNLISTED = ("drift", "health", "offboarded_at")
"""What a list of tenants tells beyond the attributes of its index."""


class Listing:
    """Reads only; what a deployment writes is `history.History`."""

    def __init__(self, table_name: str, client: "DynamoDBClient | None" = None) -> None:
        self._table = table_name
        self._client = client or aws.dynamodb()

    def get(self, tenant: Tenant, deployment_id: str) -> JsonObject | None:
        """One deployment's record, or None."""
        return table.read(
            self._client, self._table, items.tenant_key(tenant), items.DEPLOYMENT + deployment_id
        )

    def current(self, tenant: Tenant) -> JsonObject | None:
        """The tenant's last good state and last deployment, or None when it never had one."""
        return table.read(self._client, self._table, items.tenant_key(tenant), items.CURRENT)

    def deployments(self, tenant: Tenant, limit: int) -> list[JsonObject]:
        """The tenant's newest `limit` deployments, newest first."""
        return list(islice(self.newest_first(tenant), limit))

    def newest_first(self, tenant: Tenant) -> Iterator[JsonObject]:
        """All of the tenant's deployments, newest first, read as far as they are asked for."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :pk AND begins_with(SK, :sk)",
            ExpressionAttributeValues={
                ":pk": {"S": items.tenant_key(tenant)},
                ":sk": {"S": items.DEPLOYMENT},
            },
            ScanIndexForward=False,
            ConsistentRead=True,
            PaginationConfig={"PageSize": 20},
        )
        for page in pages:
            yield from (items.from_item(item) for item in page["Items"])

    def find(self, deployment_id: str) -> JsonObject | None:
        """One deployment by its id alone, or None."""
        answer = self._client.query(
            TableName=self._table,
            IndexName=items.LISTING_INDEX,
            KeyConditionExpression="listing = :listing AND listed_at = :id",
            ExpressionAttributeValues={
                ":listing": {"S": "DEPLOYMENT"},
                ":id": {"S": deployment_id},
            },
        )
        if not answer["Items"]:
            return None
        # The index holds a part of each record; the record itself is read from the table.
        part = items.from_part(answer["Items"][0])
        tenant = Tenant(application=part["application"], env=part["env"], org=part["org"])
        return self.get(tenant, deployment_id)

    def open_deployments(self, since: str) -> Iterator[JsonObject | str]:
        """What the index has of the deployments from id `since` on that have not ended, oldest
        first; after each page of it the id up to which it was read."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=items.LISTING_INDEX,
            KeyConditionExpression="listing = :listing AND listed_at >= :since",
            FilterExpression=f"#status IN ({', '.join(writes.OPEN)})",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":listing": {"S": "DEPLOYMENT"},
                ":since": {"S": since},
                **writes.OPEN,
            },
            PaginationConfig={"PageSize": 250},
        )
        for page in pages:
            yield from (items.from_part(item) for item in page["Items"])
            if "LastEvaluatedKey" in page:
                yield str(page["LastEvaluatedKey"]["listed_at"]["S"])

    def rivals(self, tenant: Tenant, since: str, until: str) -> list[Rival]:
        """The tenant's deployments of ids between two that matter to one which waits, oldest first.

        Those that are queued, and those that asked to take the place of the ones that wait.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :pk AND SK BETWEEN :since AND :end",
            # `on_busy`: as the first release wrote it.
            FilterExpression=(
                "#status = :queued OR #request.on_conflict = :supersede"
                " OR #request.on_busy = :supersede"
            ),
            ProjectionExpression=(
                "PK, SK, #schema, id, execution_arn, #status, #request.on_conflict,"
                " #request.on_busy, #steps.AcquireLock.#status"
            ),
            ExpressionAttributeNames={
                "#schema": schema.ATTRIBUTE, "#status": "status", "#request": "request",
                "#steps": "steps",
            },
            ExpressionAttributeValues={
                ":pk": {"S": items.tenant_key(tenant)},
                ":since": {"S": items.DEPLOYMENT + since},
                ":end": {"S": items.DEPLOYMENT + until},
                ":queued": {"S": DeploymentStatus.QUEUED},
                ":supersede": {"S": OnConflict.SUPERSEDE},
            },
            ConsistentRead=True,
        )  # fmt: skip
        return [_rival(items.from_part(item)) for page in pages for item in page["Items"]]

    def tenants(self) -> Iterator[JsonObject]:
        """Every tenant that ever had a deployment end, by stack name."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=items.LISTING_INDEX,
            KeyConditionExpression="listing = :listing",
            ExpressionAttributeValues={":listing": {"S": "TENANT"}},
        )
        for page in pages:
            found = [(item["PK"]["S"], items.from_part(item)) for item in page["Items"]]
            for start in range(0, len(found), _BATCH):
                part = found[start : start + _BATCH]
                unlisted = self._unlisted([key for key, _ in part])
                yield from ({**tenant, **unlisted.get(key, {})} for key, tenant in part)

    def neighbours(self, tenant: Tenant) -> list[Tenant]:
        """Every other tenant that ever had a deployment end, of all applications."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=items.LISTING_INDEX,
            KeyConditionExpression="listing = :listing",
            ExpressionAttributeValues={":listing": {"S": "TENANT"}},
            ProjectionExpression="application, env, org",
        )
        found = [
            Tenant(
                application=item["application"]["S"],
                env=Env(item["env"]["S"]),
                org=item["org"]["S"],
            )
            for page in pages
            for item in page["Items"]
        ]
        return [other for other in found if other != tenant]

    def _unlisted(self, partitions: list[str]) -> dict[str, JsonObject]:
        """What the index does not hold of these tenants: DynamoDB cannot change an index that is
        there, so what is told of a tenant since then is read from the table."""
        names = {f"#{name}": name for name in ("PK", "SK", schema.ATTRIBUTE, *_UNLISTED)}
        asked: Any = {
            self._table: {
                "Keys": [items.key(partition, items.CURRENT) for partition in partitions],
                "ProjectionExpression": ", ".join(names),
                "ExpressionAttributeNames": names,
            }
        }
        found: dict[str, JsonObject] = {}
        while asked:  # what is too much for one answer comes with the next
            answer = self._client.batch_get_item(RequestItems=asked)
            for item in answer["Responses"].get(self._table, []):
                found[item["PK"]["S"]] = items.from_part(item)
            asked = answer.get("UnprocessedKeys")
        return found


def why_not(tenant: Tenant, current: JsonObject, otherwise: str) -> str:
    """Why nothing of the tenant runs: it was offboarded, or `otherwise`."""
    gone = current.get("offboarded_at")
    return f"{tenant.stack_name} " + (f"was offboarded at {gone}" if gone else otherwise)


def _rival(record: JsonObject) -> Rival:
    lock = record.get("steps", {}).get("AcquireLock", {})
    return Rival(
        id=record["id"],
        execution_arn=record["execution_arn"],
        queued=record["status"] == DeploymentStatus.QUEUED,
        is_open=not DeploymentStatus(record["status"]).is_final,
        supersedes=record.get("request", {}).get("on_conflict") == OnConflict.SUPERSEDE,
        had_the_tenant=lock.get("status") == StepStatus.SUCCEEDED,
    )
