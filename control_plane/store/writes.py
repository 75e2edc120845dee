"""The writes that a deployment's transactions are made of: pure, in DynamoDB's form."""

from collections.abc import Sequence
from typing import Any

from control_plane.models import OPEN_STATUSES, JsonObject, StepStatus, Tenant
from control_plane.store import items, schema

OPEN = {f":open_{status.lower()}": {"S": str(status)} for status in OPEN_STATUSES}
"""The statuses of a deployment that has not ended, as the values of a condition."""


def identity(tenant: Tenant) -> JsonObject:
    """What says whose an item is."""
    return {
        "application": tenant.application,
        "env": tenant.env,
        "org": tenant.org,
        "stack_name": tenant.stack_name,
    }


def record_item(tenant: Tenant, deployment_id: str, record: JsonObject) -> Any:
    """A whole record, listed."""
    listed = {"listing": "DEPLOYMENT", "listed_at": deployment_id}
    return items.whole(
        items.tenant_key(tenant), items.DEPLOYMENT + deployment_id, {**record, **listed}
    )


def end_of_record(
    table: str,
    tenant: Tenant,
    deployment_id: str,
    values: JsonObject,
    failed_steps: Sequence[str] = (),
    *,
    is_new: bool = False,
) -> Any:
    """End a record that has not ended yet, or write one that is an end; fail `failed_steps`.

    `is_new`: there was none.
    """
    listed = {"listing": "DEPLOYMENT", "listed_at": deployment_id}
    update = items.assignments({**values, **listed, **_version(is_whole=is_new)})
    update["ExpressionAttributeValues"] |= OPEN
    for number, step in enumerate(failed_steps):  # nothing runs on in what has ended
        update["UpdateExpression"] += (
            f", steps.#step{number}.#status = :failed,"
            f" steps.#step{number}.finished_at = :finished_at"
        )
        update["ExpressionAttributeNames"][f"#step{number}"] = step
        update["ExpressionAttributeValues"][":failed"] = {"S": StepStatus.FAILED}
    return {
        "Update": {
            "TableName": table,
            "Key": items.key(items.tenant_key(tenant), items.DEPLOYMENT + deployment_id),
            # Condition: the record has not ended yet, or there is none.
            "ConditionExpression": f"attribute_not_exists(SK) OR #status IN ({', '.join(OPEN)})",
            **update,
        }
    }


def current_state(
    table: str,
    tenant: Tenant,
    values: JsonObject,
    forget: Sequence[str] = (),
    *,
    is_whole: bool = False,
) -> Any:
    """Set what is known of a tenant; what is not in `values` stays, unless it is in `forget`.

    `is_whole`: nothing stays that an earlier release wrote in another form.
    """
    listed = {"listing": "TENANT", "listed_at": tenant.stack_name}
    update = items.assignments({**values, **listed, **_version(is_whole=is_whole)})
    if forget:
        # By placeholders: some of the names are words of DynamoDB's own, such as `source`.
        update["UpdateExpression"] += " REMOVE " + ", ".join(f"#{name}" for name in forget)
        update["ExpressionAttributeNames"] |= {f"#{name}": name for name in forget}
    return {
        "Update": {
            "TableName": table,
            "Key": items.key(items.tenant_key(tenant), items.CURRENT),
            **update,
        }
    }


def _version(*, is_whole: bool) -> JsonObject:
    """A write of all of an item has the version of its release; that of a part leaves the item's
    (`schema`)."""
    return {schema.ATTRIBUTE: schema.SCHEMA} if is_whole else {}
