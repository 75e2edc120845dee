"""The table as the stores see it: consistent reads, and which failures are a failed condition."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws, items
from control_plane.models import JsonObject

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def read(client: "DynamoDBClient", table: str, pk: str, sk: str) -> JsonObject | None:
    """An item as it is now, or None."""
    answer = client.get_item(TableName=table, Key=items.key(pk, sk), ConsistentRead=True)
    return items.from_item(answer["Item"]) if "Item" in answer else None


def condition_failed(error: ClientError) -> bool:
    """Whether a write was refused because its condition does not hold; nothing was written."""
    code = aws.error_code(error)
    if code == "ConditionalCheckFailedException":
        return True
    reasons = error.response.get("CancellationReasons", [])
    return code == "TransactionCanceledException" and any(
        reason.get("Code") == "ConditionalCheckFailed" for reason in reasons
    )
