"""The table as the stores see it: what each works with, consistent reads, and which failures are a
failed condition."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import JsonObject, utc_now
from control_plane.store import items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Store:
    """What the table's stores have in common. `client` and `clock` can be replaced in tests."""

    def __init__(
        self,
        table_name: str,
        client: "DynamoDBClient | None" = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._table = table_name
        self._client = client or aws.dynamodb()
        self._clock = clock

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")


def read(client: "DynamoDBClient", table: str, pk: str, sk: str) -> JsonObject | None:
    """An item as it is now, or None."""
    answer = client.get_item(TableName=table, Key=items.key(pk, sk), ConsistentRead=True)
    return items.from_item(answer["Item"]) if "Item" in answer else None


def is_written(error: ClientError, values: JsonObject) -> bool:
    """Whether a write whose condition failed had been done by its own first attempt.

    The answer to that was lost, and the client asked again. `values`: what the write sets, among it
    what no other write would, such as its time. The write asks for `WITH_ITEM`.
    """
    found: Any = error.response.get("Item")
    if not condition_failed(error) or not found:
        return False
    return all(found.get(name) == value for name, value in items.to_item(values).items())


WITH_ITEM: Any = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
"""Makes DynamoDB say what is there when a condition fails."""


def condition_failed(error: ClientError) -> bool:
    """Whether a write was refused because its condition does not hold; nothing was written."""
    code = aws.error_code(error)
    if code == "ConditionalCheckFailedException":
        return True
    reasons = error.response.get("CancellationReasons", [])
    return code == "TransactionCanceledException" and any(
        reason.get("Code") == "ConditionalCheckFailed" for reason in reasons
    )
