"""Which partition keys a DynamoDB request names: the values of IAM's `dynamodb:LeadingKeys`.

A pure function of the request, for the patch of the same name. Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

# (table name or ARN, index name or None) -> the KeySchema of that table or index
KeySchema = Callable[[str, str | None], list[dict[str, str]]]


def leading_key_values(body: bytes, key_schema: KeySchema) -> list[str]:
    """The partition key values of a request's body, in order and without repetition. Empty for a
    Scan, a PartiQL statement, and anything that is no item operation, as on AWS."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return []
    if not isinstance(request, dict):
        return []
    found: dict[str, None] = {}
    for table, index, part in _parts(request):
        names = [k["AttributeName"] for k in key_schema(table, index) if k.get("KeyType") == "HASH"]
        for name in names:
            for value in _values(part, name):
                found[value] = None
    return list(found)


def _parts(request: dict[str, Any]) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """(table, index, the part of the request that names a key)"""
    if isinstance(table := request.get("TableName"), str):
        yield table, request.get("IndexName"), request
    for entry in request.get("TransactItems") or []:
        for operation in entry.values():
            yield operation.get("TableName", ""), None, operation
    items = request.get("RequestItems")
    for table, value in items.items() if isinstance(items, dict) else []:
        if isinstance(value, dict):  # BatchGetItem
            for key in value.get("Keys") or []:
                yield table, None, {"Key": key}
        for write in value if isinstance(value, list) else []:  # BatchWriteItem
            for operation in write.values():
                yield table, None, operation


def _values(part: dict[str, Any], name: str) -> Iterator[str]:
    for member in ("Key", "Item"):
        if isinstance(item := part.get(member), dict) and name in item:
            yield _text(item[name])
    legacy = (part.get("KeyConditions") or {}).get(name) or {}
    for value in legacy.get("AttributeValueList") or []:
        yield _text(value)
    names = part.get("ExpressionAttributeNames") or {}
    values = part.get("ExpressionAttributeValues") or {}
    expression = part.get("KeyConditionExpression") or ""
    for left, right in re.findall(r"([#\w.-]+)\s*=\s*(:\w+)", expression):
        if names.get(left, left) == name and right in values:
            yield _text(values[right])


def _text(value: Any) -> str:
    """{"S": "x"} and {"N": "1"} as IAM compares them."""
    return str(next(iter(value.values()))) if isinstance(value, dict) and value else str(value)
