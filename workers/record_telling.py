"""Telling people how a deployment ended, or that it waits for them: once, as far as it goes."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import JsonObject, Tenant, utc_now
from control_plane.observability import logger
from control_plane.services import notifications
from control_plane.services.notifications import Notice
from control_plane.settings import RecordSettings, settings
from control_plane.store import items, table

END, WAITING = "end_told_at", "waiting_told_at"
"""Attributes of a record: when that was told. Without one, whoever comes next tells it: after
RecordFailure comes `finalize`, and a step may run twice."""


def tell_end(tenant: Tenant, record: Mapping[str, Any]) -> None:
    """Tell how a deployment ended, if that concerns anybody and was not told."""
    if END not in record:
        _tell(tenant, record, notifications.of_end(dict(record)), END)


def tell_waiting(tenant: Tenant, record: JsonObject) -> None:
    """Tell that a deployment waits for an approval, if that was not told."""
    if WAITING not in record:
        _tell(tenant, record, notifications.of_waiting(record), WAITING)


def _tell(tenant: Tenant, record: Mapping[str, Any], notice: Notice | None, mark: str) -> None:
    known = settings(RecordSettings)
    if notice is None or not notifications.send(notice, known.control_plane_stack):
        return
    try:
        aws.dynamodb().update_item(
            TableName=known.table_name,
            Key=items.key(items.tenant_key(tenant), items.DEPLOYMENT + record["id"]),
            UpdateExpression="SET #mark = :now",
            # Condition: the record exists, and nobody else has told it meanwhile.
            ConditionExpression="attribute_exists(SK) AND attribute_not_exists(#mark)",
            ExpressionAttributeNames={"#mark": mark},
            ExpressionAttributeValues={":now": {"S": utc_now().isoformat(timespec="seconds")}},
        )
    except aws.FAILURES as error:
        if not (isinstance(error, ClientError) and table.condition_failed(error)):
            # Then it is told twice, which is better than a deployment that fails for it.
            logger().warning("notification not marked", error=str(error))
