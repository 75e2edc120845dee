"""One rollout of an application in an environment at a time: whose turn it is, in the table.

The holder is a rollout: one that has ended, or was never recorded, holds nothing.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import Conflict
from control_plane.models import JsonObject, utc_now
from control_plane.rollout_models import Rollout
from control_plane.rules.rollout_overlaps import refusal, skip
from control_plane.store import items, table
from control_plane.store.rollouts import Rollouts, is_open, loaded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_SK = "OPEN"


class RolloutTurns:
    """Whose turn it is, of each application in each environment."""

    def __init__(self, table_name: str, client: "DynamoDBClient | None" = None) -> None:
        self._table = table_name
        self._client = client or aws.dynamodb()
        self._rollouts = Rollouts(table_name, self._client)

    def check(self, rollout: Rollout) -> None:
        """Raise Conflict while it is another rollout's turn."""
        if other := self._other(rollout):
            raise Conflict(refusal(loaded(other), _seen(other), utc_now()))

    def skip(self, rollout: Rollout) -> str | None:
        """Why a rollout by a schedule, which did not get the turn, is skipped; None when somebody
        must act before any may begin."""
        other = self._other(rollout)
        if other is None:
            return "another rollout has ended in this moment: the schedule comes again"
        return skip(loaded(other), _seen(other), utc_now())

    def take(self, rollout: Rollout) -> None:
        """Take the turn; whoever has it already keeps it. Raises Conflict."""
        held = table.read(self._client, self._table, _key(rollout), _SK)
        self.check(rollout)
        instead_of = (held or {}).get("rollout", rollout.id)
        try:
            self._client.put_item(
                TableName=self._table,
                Item=items.whole(_key(rollout), _SK, {"rollout": rollout.id}),
                # Condition: nobody has it, or the one that was looked at and has ended, or itself.
                ConditionExpression="attribute_not_exists(SK) OR rollout IN (:me, :instead_of)",
                ExpressionAttributeValues=items.to_item(
                    {":me": rollout.id, ":instead_of": instead_of}
                ),
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            self.check(rollout)
            raise Conflict("another rollout began in this moment: start it again") from error

    def _other(self, rollout: Rollout) -> JsonObject | None:
        """The open rollout whose turn it is, if it is another one."""
        held = table.read(self._client, self._table, _key(rollout), _SK)
        if held is None or held["rollout"] == rollout.id:
            return None
        other = self._rollouts.get(held["rollout"])
        return other if other and is_open(other) else None


def _seen(other: JsonObject) -> datetime:
    """When its driver last wrote."""
    return datetime.fromisoformat(other.get("changed_at") or other["created_at"])


def _key(rollout: Rollout) -> str:
    return f"ROLLOUT#{rollout.application}#{rollout.env}"
