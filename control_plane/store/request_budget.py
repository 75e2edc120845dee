"""The requests that deployments share, in the table: an item counts those of each second.

Nobody gives anything back, so that an execution that dies holds nothing: a second passes.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import ServiceBusy
from control_plane.models import utc_now
from control_plane.rules import request_limits as limits
from control_plane.rules.request_limits import Service
from control_plane.store import items, schema, table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT = timedelta(hours=1)
"""How long the table keeps a second's count."""


class RequestBudget:
    """The budget. `sleep` takes seconds."""

    def __init__(
        self,
        table_name: str,
        client: "DynamoDBClient | None" = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = table_name
        self._client = client or aws.dynamodb()
        self._clock = clock
        self._sleep = sleep

    def take(self, step: str) -> None:
        """Take what a step needs, or wait for it as long as the step does.

        Raises ServiceBusy when others have it. What was taken by then is lost, for a second.
        """
        until = self._clock() + limits.patience(step)
        for service in limits.calls(step):
            while not self._add(step, service, self._clock()):
                now = self._clock()
                next_second = now.replace(microsecond=0) + timedelta(seconds=1)
                if next_second > until:
                    raise ServiceBusy(
                        f"the {limits.A_SECOND[service]} requests a second to {service.value} that "
                        "deployments share are used up, for now"
                    )
                self._sleep((next_second - now).total_seconds())

    def _add(self, step: str, service: Service, now: datetime) -> bool:
        second = int(now.timestamp())
        try:
            self._client.update_item(
                TableName=self._table,
                Key=items.key(f"BUDGET#{service.value}", f"SECOND#{second}"),
                UpdateExpression="ADD used :calls SET expires_at = :expires, #schema = :schema",
                # Condition: this second has as many left.
                ConditionExpression="attribute_not_exists(used) OR used <= :room",
                ExpressionAttributeNames={"#schema": schema.ATTRIBUTE},
                ExpressionAttributeValues=items.to_item(
                    {
                        ":calls": limits.calls(step)[service],
                        ":room": limits.room(step, service),
                        ":expires": second + int(_KEPT.total_seconds()),
                        ":schema": schema.SCHEMA,
                    }
                ),
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return False
        return True
