"""What a running deployment writes of itself: its steps as they happen, and what they found.

Separate from `history`, which opens and ends records: every worker writes steps, only the record
worker opens and ends.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane.errors import Cancelled
from control_plane.models import STEPS as ALL_STEPS
from control_plane.models import (
    Deployment,
    DeploymentStatus,
    JsonObject,
    StepStatus,
    Tenant,
)
from control_plane.store import items, table, writes

if TYPE_CHECKING:
    pass

STEPS, ROLLBACK_STEPS = "steps", "rollback_steps"
"""The record's maps of steps: the deployment's own, and those of the way back."""


class Progress(table.Store):
    """The steps of deployments. `client` and `clock` can be replaced in tests."""

    def begin_step(self, deployment: Deployment, step: str) -> bool:
        """Mark a step RUNNING; its start is the first attempt's.

        Answers whether somebody asked for the deployment's end. A deployment on its way back is not
        to be cut off: then the answer is no. Raises Cancelled when the record has ended: its lock
        is gone, and an execution that goes on (redriven by hand) must not touch the tenant.
        """
        record = self._step(
            deployment,
            step,
            "SET #steps.#step.#status = :status,"
            " #steps.#step.attempts = #steps.#step.attempts + :one,"
            " #steps.#step.started_at = if_not_exists(#steps.#step.started_at, :now),"
            " #status = :running",
            {":status": StepStatus.RUNNING, ":one": 1, ":running": _status_while(step)},
        )
        if record is None:
            raise Cancelled(f"deployment {deployment.id} has ended: nothing more is done for it")
        return "cancel" in record and not deployment.rolling_back

    def end_step(
        self, deployment: Deployment, step: str, status: StepStatus, note: str | None
    ) -> JsonObject | None:
        """Mark a step SUCCEEDED or FAILED; `note` says in a line what it found or did.

        Gives the record, or None when that has ended already: then nothing is marked.
        """
        return self._step(
            deployment,
            step,
            "SET #steps.#step.#status = :status, #steps.#step.finished_at = :now,"
            " #steps.#step.note = :note",
            {":status": status, ":note": note or ""},
        )

    def note_step(self, deployment: Deployment, step: str, note: str) -> None:
        """Say what a step that goes on is waiting for."""
        self._step(
            deployment,
            step,
            "SET #steps.#step.note = :note, #steps.#step.noted_at = :now",
            {":note": note},
        )

    def _step(
        self, deployment: Deployment, step: str, change: str, values: JsonObject
    ) -> JsonObject | None:
        names = {
            "#steps": ROLLBACK_STEPS if deployment.rolling_back else STEPS,
            "#step": step,
            "#status": "status",
        }
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=items.key(
                    items.tenant_key(deployment.tenant), items.DEPLOYMENT + deployment.id
                ),
                UpdateExpression=change,
                # Condition: the record exists and has not ended (a step that outlives its
                # execution, stopped by hand, must not bring the record back to life).
                ConditionExpression=f"#status IN ({', '.join(writes.OPEN)})",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=items.to_item({**values, ":now": self._now()})
                | writes.OPEN,
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return None
        return items.from_item(answer["Attributes"])

    def add_facts(self, deployment: Deployment, facts: JsonObject) -> None:
        """Add what was found to a record that has not ended.

        What a deployment finds on its way back stands beside what it found before, under names that
        begin with `rollback_`.
        """
        prefix = "rollback_" if deployment.rolling_back else ""
        update = items.assignments({prefix + name: value for name, value in facts.items()})
        update["ExpressionAttributeNames"]["#status"] = "status"
        update["ExpressionAttributeValues"] |= writes.OPEN
        self._client.update_item(
            TableName=self._table,
            Key=_key(deployment),
            # Condition: the record exists and has not ended.
            ConditionExpression=f"#status IN ({', '.join(writes.OPEN)})",
            **update,
        )

    def add_aftermath(self, tenant: Tenant, deployment_id: str, aftermath: str) -> bool:
        """Say in the record of a deployment that has ended what became of its operation on the
        stack, which went on without it; once. False when there is no such record, or it says so."""
        update = items.assignments({"aftermath": aftermath})
        update["ExpressionAttributeNames"]["#status"] = "status"
        update["ExpressionAttributeValues"] |= writes.OPEN
        try:
            self._client.update_item(
                TableName=self._table,
                Key=items.key(items.tenant_key(tenant), items.DEPLOYMENT + deployment_id),
                # Condition: the record exists, has ended, and does not say it yet.
                ConditionExpression="attribute_exists(SK) AND attribute_not_exists(#aftermath)"
                f" AND NOT #status IN ({', '.join(writes.OPEN)})",
                **update,
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return False
        return True

    def add_missing_steps(self, deployment: Deployment, known: Collection[str]) -> None:
        """Give the record the steps that it lacks: a release opened it that did not have them."""
        missing = [name for name in ALL_STEPS if name not in known]
        if not missing:
            return
        names = {f"#step{number}": name for number, name in enumerate(missing)}
        pending = {"status": StepStatus.PENDING, "attempts": 0}
        self._client.update_item(
            TableName=self._table,
            Key=_key(deployment),
            UpdateExpression="SET "
            + ", ".join(f"{STEPS}.{key} = if_not_exists({STEPS}.{key}, :pending)" for key in names),
            # Condition: the record exists and has not ended.
            ConditionExpression=f"#status IN ({', '.join(writes.OPEN)})",
            ExpressionAttributeNames={"#status": "status", **names},
            ExpressionAttributeValues=items.to_item({":pending": pending}) | writes.OPEN,
        )

    def open_way_back(self, deployment: Deployment) -> None:
        """Give the record the steps of the way back, all PENDING; those that are there stay."""
        pending = {name: {"status": StepStatus.PENDING, "attempts": 0} for name in ALL_STEPS}
        self._client.update_item(
            TableName=self._table,
            Key=_key(deployment),
            UpdateExpression=f"SET {ROLLBACK_STEPS} = if_not_exists({ROLLBACK_STEPS}, :pending)",
            # Condition: the record exists and has not ended.
            ConditionExpression=f"#status IN ({', '.join(writes.OPEN)})",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=items.to_item({":pending": pending}) | writes.OPEN,
        )


def _key(deployment: Deployment) -> JsonObject:
    return items.key(items.tenant_key(deployment.tenant), items.DEPLOYMENT + deployment.id)


def _status_while(step: str) -> DeploymentStatus:
    """QUEUED while it prepares or waits for its tenant or a slot, then RUNNING, but for an
    approval."""
    match step:
        case "PrepareDeployment" | "AcquireLock" | "AcquireSlot" | "RegainSlot":
            return DeploymentStatus.QUEUED
        case "AwaitApproval":
            return DeploymentStatus.AWAITING_APPROVAL
        case _:
            return DeploymentStatus.RUNNING
