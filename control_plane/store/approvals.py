"""Decisions on deployments that wait for an approval, in their records: exactly one counts."""

from botocore.exceptions import ClientError

from control_plane.models import DeploymentStatus, JsonObject, StepStatus, Tenant
from control_plane.store import items, table


class Approvals(table.Store):
    """The table's decisions. `client` and `clock` can be replaced in tests."""

    def decide(
        self, tenant: Tenant, record: JsonObject, decided: JsonObject, step: StepStatus, note: str
    ) -> bool:
        """Write a decision and the end of the step that waits for it; False when another decision
        was faster, or nobody waits with that token any more.

        `record` as it was read, with its token; `decided`: {decision, decided_by, comment,
        decided_at}.
        """
        values = {
            **{f":{name}": value for name, value in decided.items()},
            ":token": record["approval"]["token"],
            ":step": step,
            ":note": note,
            ":waiting": DeploymentStatus.AWAITING_APPROVAL,
        }
        try:
            self._client.update_item(
                TableName=self._table,
                Key=items.key(items.tenant_key(tenant), items.DEPLOYMENT + record["id"]),
                UpdateExpression="SET "
                + ", ".join(f"approval.#{name} = :{name}" for name in decided)
                + ", #steps.AwaitApproval.#status = :step, #steps.AwaitApproval.note = :note,"
                " #steps.AwaitApproval.finished_at = :decided_at",
                # Condition: the deployment waits with this token, and nobody has decided yet.
                ConditionExpression="#status = :waiting AND approval.#token = :token"
                " AND attribute_not_exists(approval.#decision)",
                ExpressionAttributeNames={
                    "#status": "status",
                    "#steps": "steps",
                    "#token": "token",
                    **{f"#{name}": name for name in decided},
                },
                ExpressionAttributeValues=items.to_item(values),
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return False
        return True
