"""How things stand in the table: keys, and values to and from DynamoDB's form."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from control_plane.models import JsonObject, Tenant
from control_plane.store import schema

LISTING_INDEX = "listing"
"""The index that lists deployments and tenants across tenants: (`listing`, `listed_at`)."""

CURRENT = "CURRENT"
LOCK = "LOCK"
DEPLOYMENT = "DEPLOYMENT#"

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def tenant_key(tenant: Tenant) -> str:
    """The partition that holds all of a tenant."""
    return f"TENANT#{tenant.application}#{tenant.env}#{tenant.org}"


def idempotency_key(key: str) -> str:
    """The sort key of an idempotency key: a digest, since a caller may send anything."""
    return f"IDEMPOTENCY#{hashlib.sha256(key.encode()).hexdigest()}"


def key(pk: str, sk: str) -> dict[str, Any]:
    """An item's key in DynamoDB's form."""
    return {"PK": {"S": pk}, "SK": {"S": sk}}


def whole(pk: str, sk: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """An item as it is put, with the version of what this release writes."""
    return key(pk, sk) | to_item({**values, schema.ATTRIBUTE: schema.SCHEMA})


def to_item(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values in DynamoDB's form; those that are None are left out."""
    return {
        name: _serialize(_storable(value)) for name, value in values.items() if value is not None
    }


def from_item(item: Mapping[str, Any]) -> JsonObject:
    """A whole item as plain values without its keys, as this release would have written it."""
    plain = {
        name: _plain(_deserialize(value))
        for name, value in item.items()
        if name not in ("PK", "SK", "listing", "listed_at")
    }
    return schema.upgraded(item["SK"]["S"], plain)


def from_part(item: Mapping[str, Any]) -> JsonObject:
    """What an index or a projection has of an item, its keys included; nothing is added to it.

    What is not there may be something else in the item itself.
    """
    return {name: value for name, value in from_item(item).items() if name in item}


def _storable(value: Any) -> Any:
    """The same with decimals for floats, which DynamoDB does not take."""
    match value:
        case float():
            return Decimal(str(value))
        case dict():
            return {name: _storable(below) for name, below in value.items()}
        case list() | tuple():
            return [_storable(below) for below in value]
        case _:
            return value


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {name: _plain(below) for name, below in value.items()}
        case list():
            return [_plain(below) for below in value]
        case _:
            return value


def assignments(values: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of an UpdateItem that set `values` (None: left as it is)."""
    given = {name: value for name, value in values.items() if value is not None}
    return {
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in given),
        "ExpressionAttributeNames": {f"#{name}": name for name in given},
        "ExpressionAttributeValues": {f":{name}": value for name, value in to_item(given).items()},
    }
