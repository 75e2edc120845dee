"""The deployments of each tenant, in the table: what was asked for, what happened, how it ended.

Verbs of the domain; every write is conditional, and its condition is said in words above it. Only
a failed condition becomes an answer: any other error of DynamoDB stays an error, so that a throttle
is never taken for an absence.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import naming
from control_plane.errors import IdempotencyConflict
from control_plane.models import (
    STEPS,
    DeploymentStatus,
    JsonObject,
    StepStatus,
    Tenant,
    utc_now,
)
from control_plane.store import items, table, writes
from control_plane.store.listing import Listing
from control_plane.store.locks import Locks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


IDEMPOTENCY_SECONDS = 24 * 3600
"""How long an idempotency key is remembered."""


class History(table.Store):
    """What deployments write. `client` and `clock` can be replaced in tests."""

    def __init__(
        self,
        table_name: str,
        client: "DynamoDBClient | None" = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(table_name, client, clock)
        self._locks = Locks(table_name, self._client, clock)
        self._listing = Listing(table_name, self._client)

    # Opening -----------------------------------------------------------------------------------

    def open(
        self,
        tenant: Tenant,
        deployment_id: str,
        execution_arn: str,
        facts: JsonObject,
        idempotency: tuple[str, str] | None = None,
    ) -> JsonObject:
        """Write a new record, QUEUED, and answer it; an existing record is answered as it is.

        `facts` are stored with it (request, source, trigger). `idempotency` is (key, hash of the
        request): the record of an earlier request with that key is answered instead; raises
        IdempotencyConflict when that was another request.
        """
        record = {
            "id": deployment_id,
            "application": tenant.application,
            "env": tenant.env,
            "org": tenant.org,
            "stack_name": tenant.stack_name,
            "execution_arn": execution_arn,
            "status": DeploymentStatus.QUEUED,
            "created_at": self._now(),
            "steps": {name: {"status": StepStatus.PENDING, "attempts": 0} for name in STEPS},
            **facts,
        }
        pk = items.tenant_key(tenant)
        # Condition: there is no such item yet.
        absent = {"TableName": self._table, "ConditionExpression": "attribute_not_exists(SK)"}
        changes: list[Any] = [
            {"Put": absent | {"Item": writes.record_item(tenant, deployment_id, record)}}
        ]
        if idempotency:
            expires = int(self._clock().timestamp()) + IDEMPOTENCY_SECONDS
            remembered = {"id": deployment_id, "request": idempotency[1], "expires_at": expires}
            item = items.whole(pk, items.idempotency_key(idempotency[0]), remembered)
            # Condition: the key was never used, or a day ago; DynamoDB removes such items later.
            fresh = {
                "ConditionExpression": "attribute_not_exists(SK) OR expires_at < :now",
                "ExpressionAttributeValues": {
                    ":now": {"N": str(int(self._clock().timestamp()))},
                },
            }
            changes.append({"Put": absent | {"Item": item} | fresh})
        try:
            self._client.transact_write_items(TransactItems=changes)
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            if idempotency:
                deployment_id = self._earlier(pk, *idempotency) or deployment_id
            existing = self._listing.get(tenant, deployment_id)
            if existing is None:
                raise
            return existing
        return record

    def _earlier(self, pk: str, key: str, request: str) -> str | None:
        remembered = table.read(self._client, self._table, pk, items.idempotency_key(key))
        if remembered is None:
            return None
        if remembered.get("request", request) != request:
            raise IdempotencyConflict(
                "this Idempotency-Key was used for another request: use a new key"
            )
        return str(remembered["id"])

    def ask_for_end(self, tenant: Tenant, deployment_id: str, by: str | None) -> JsonObject | None:
        """Note who wants a deployment to end; gives its record. Who asked first stays.

        None when it has ended, or does what must not be cut off (`endings.refuse_cancel`).
        """
        asked = {"by": by or "somebody unknown", "at": self._now()}
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=items.key(items.tenant_key(tenant), items.DEPLOYMENT + deployment_id),
                UpdateExpression="SET #cancel = if_not_exists(#cancel, :cancel)",
                # Condition: the record has not ended, is not on its way back, and has not begun to
                # delete its stack (or was opened by a release that never did).
                ConditionExpression=(
                    f"#status IN ({', '.join(writes.OPEN)})"
                    " AND attribute_not_exists(rollback_steps)"
                    " AND (attribute_not_exists(#steps.DeleteStack)"
                    " OR #steps.DeleteStack.attempts = :never)"
                ),
                ExpressionAttributeNames={
                    "#status": "status", "#cancel": "cancel", "#steps": "steps",
                },
                ExpressionAttributeValues=items.to_item({":cancel": asked, ":never": 0})
                | writes.OPEN,
                ReturnValues="ALL_NEW",
            )  # fmt: skip
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return None
        return items.from_item(answer["Attributes"])

    # Ending ------------------------------------------------------------------------------------

    def succeed(
        self,
        tenant: Tenant,
        deployment_id: str,
        execution_arn: str,
        receipt: JsonObject,
        current: JsonObject,
        forget: Sequence[str] = (),
        *,
        is_whole: bool = False,
    ) -> JsonObject:
        """Record success, the tenant's current state and the lock's release, all or nothing.

        `receipt` is the proof, for the record; `current` what the tenant is from now on, without
        what is in `forget`; empty, nothing of the tenant changed. `is_whole`: nothing else is known
        of it. Harmless when repeated.
        """
        end = {**receipt, "status": DeploymentStatus.SUCCEEDED, "finished_at": self._now()}
        now = {**writes.identity(tenant), **current}
        changes = [
            writes.end_of_record(self._table, tenant, deployment_id, end),
            # Condition: the lock is this execution's.
            self._locks.release_write(tenant, execution_arn),
        ]
        if current:
            changes.append(
                writes.current_state(self._table, tenant, now, forget, is_whole=is_whole)
            )
        return self._finish(tenant, deployment_id, changes)

    def fail(
        self,
        tenant: Tenant,
        deployment_id: str,
        execution_arn: str,
        status: DeploymentStatus,
        facts: JsonObject,
        current: JsonObject | None = None,
        forget: Sequence[str] = (),
    ) -> JsonObject:
        """Record an end without success and release the lock if it is this execution's.

        The last good state stays untouched in CURRENT, but for what a way back did to the tenant:
        `current`, without what is in `forget`. A deployment whose request was refused before it had
        a record gets one. `facts` may have `finished_at`, when somebody else found the end later.
        Harmless when repeated: the first end stays.
        """
        end = {**writes.identity(tenant), "id": deployment_id, "execution_arn": execution_arn}
        end |= {"finished_at": self._now(), **facts, "status": status}
        before = self._listing.get(tenant, deployment_id)
        running = [
            name
            for name, step in (before or {}).get("steps", {}).items()
            if step["status"] == StepStatus.RUNNING
        ]
        changes = [
            writes.end_of_record(
                self._table, tenant, deployment_id, end, running, is_new=before is None
            ),
        ]
        known = self._listing.current(tenant)
        # A start that was refused makes no tenant of a name that has none.
        refused = facts.get("error") == "InvalidRequest" and facts.get("failed_step") in (
            None, "", "PrepareDeployment",
        )  # fmt: skip
        is_tenant = known is not None and not known.get("offboarded_at")
        # Else its end was noticed too late: a newer one succeeded.
        is_newest = self._before(known, "last_good") < deployment_id
        if is_newest and (is_tenant or not refused):
            now = {**writes.identity(tenant), **(current or {})}
            if self._before(known, "last_deployment") <= deployment_id:
                now |= {
                    "last_deployment": deployment_id,
                    "last_status": status,
                    "last_reason": facts.get("reason"),
                }
            changes.append(
                writes.current_state(self._table, tenant, now, forget, is_whole=known is None)
            )
        lock = self._locks.holder(tenant)
        if lock and lock["execution_arn"] == execution_arn:
            changes.append(self._locks.release_write(tenant, execution_arn))
        return self._finish(tenant, deployment_id, changes)

    def _before(self, known: JsonObject | None, name: str) -> str:
        """An id of the tenant's current state; empty for one of the future, which is not newer."""
        found = str((known or {}).get(name, ""))
        return found if found < naming.latest_id(self._clock()) else ""

    def _finish(self, tenant: Tenant, deployment_id: str, changes: list[Any]) -> JsonObject:
        try:
            self._client.transact_write_items(TransactItems=changes)
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            record = self._listing.get(tenant, deployment_id)
            if record is None or not DeploymentStatus(record["status"]).is_final:
                raise
            return record
        return self._listing.get(tenant, deployment_id) or {}
