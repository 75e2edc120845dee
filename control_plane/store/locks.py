"""The lock of a tenant: one deployment per stack at a time.

The holder is an execution, so that whether the lock still counts is a question to Step Functions:
no clock and no person is needed to free it.
"""

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from control_plane.models import JsonObject, Priority, Tenant
from control_plane.rules import slot_rules
from control_plane.store import items, table


class Locks(table.Store):
    """The table's locks. `client` and `clock` can be replaced in tests."""

    def holder(self, tenant: Tenant) -> JsonObject | None:
        """Who holds the tenant: `execution_arn` and `deployment_id`, or None."""
        return table.read(self._client, self._table, items.tenant_key(tenant), items.LOCK)

    def acquire(
        self,
        tenant: Tenant,
        deployment_id: str,
        execution_arn: str,
        instead_of: str,
        until: datetime | None = None,
    ) -> bool:
        """Take the tenant's lock; False when another execution has it.

        `instead_of` is the execution whose lock may be taken: this one itself, or one of which
        the caller knows that it runs no more. `until`: how long the lock counts although no such
        execution runs, for somebody who works by hand.
        """
        values = {"execution_arn": execution_arn, "deployment_id": deployment_id}
        if until is not None:
            values["held_until"] = until.isoformat()
        try:
            self._client.put_item(
                TableName=self._table,
                Item=items.whole(
                    items.tenant_key(tenant),
                    items.LOCK,
                    {**values, "acquired_at": self._clock().isoformat()},
                ),
                # Condition: nobody holds the lock, or exactly the execution that may lose it.
                ConditionExpression="attribute_not_exists(SK) OR execution_arn = :instead_of",
                ExpressionAttributeValues={":instead_of": {"S": instead_of}},
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return False
        return True

    def hurry(self, tenant: Tenant, priority: Priority) -> None:
        """Lend whoever holds the tenant the priority of somebody who waits for it.

        Once said it holds until the lock is free, and lowers nothing; with no holder it is nothing.
        """
        lent = self.hurried_to(tenant)
        if slot_rules.more_urgent(priority, lent) == lent:
            return
        try:
            self._client.update_item(
                TableName=self._table,
                Key=items.key(items.tenant_key(tenant), items.LOCK),
                UpdateExpression="SET hurried_to = :priority",
                # Condition: somebody holds it. If two lend at once, the higher one says so again.
                ConditionExpression="attribute_exists(SK)",
                ExpressionAttributeValues={":priority": {"S": priority}},
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise

    def hurried_to(self, tenant: Tenant) -> Priority | None:
        """The highest priority of those who wait for the tenant's lock, if one said so."""
        lent = (self.holder(tenant) or {}).get("hurried_to")
        return Priority(lent) if lent else None

    def release(self, tenant: Tenant, execution_arn: str) -> None:
        """Free the lock if it is the execution's; harmless when it is not."""
        change = self.release_write(tenant, execution_arn)["Delete"]
        try:
            self._client.delete_item(**change)
        except ClientError as error:
            if not table.condition_failed(error):
                raise

    def release_write(self, tenant: Tenant, execution_arn: str) -> Any:
        """The part of a transaction that frees the lock, if it is the execution's."""
        return {
            "Delete": {
                "TableName": self._table,
                "Key": items.key(items.tenant_key(tenant), items.LOCK),
                "ConditionExpression": "execution_arn = :me",
                "ExpressionAttributeValues": {":me": {"S": execution_arn}},
            }
        }
