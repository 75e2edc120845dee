"""Deployment slots in the table: how many there are, who holds them, who waits.

The holder is an execution, as with a tenant's lock: one that runs no more loses its slot when
somebody else looks for one. All slots are one item, so that one condition keeps their number.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import Deployment, JsonObject, Priority, utc_now
from control_plane.rules import slot_rules
from control_plane.rules.slot_rules import Waiter
from control_plane.store import items, table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PK, _SK = "SLOTS", "SLOTS"
_WAITING = "WAITING#"
_KEPT = timedelta(days=1)
"""How long the table keeps a waiter that was never heard of again."""


def rank_of(deployment: Deployment, lent: Priority | None = None) -> str:
    """A deployment's place in the queue. `lent`: the priority of somebody who waits for it."""
    priority = slot_rules.more_urgent(deployment.options.priority, lent)
    return slot_rules.rank(deployment.started_at, priority, deployment.id)


class Slots:
    """The slots. `default`: how many there are while nobody has said otherwise."""

    def __init__(
        self,
        table_name: str,
        default: int,
        client: "DynamoDBClient | None" = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._table = table_name
        self._default = default
        self._client = client or aws.dynamodb()
        self._clock = clock

    def state(self) -> JsonObject:
        """`limit`, and `holders`: {deployment id: {execution_arn, stack_name, taken_at}}; who set
        the limit, and when, if somebody did."""
        found = table.read(self._client, self._table, _PK, _SK) or {}
        return {"limit": self._default, "holders": {}} | found

    def take(self, deployment: Deployment, lent: Priority | None = None) -> bool:
        """Take a slot, or stand in the queue; whoever has one already keeps it.

        `lent`: the priority of somebody who waits for this deployment to end, if it is higher.
        """
        state, mine = self.state(), rank_of(deployment, lent)
        if deployment.id not in state["holders"]:
            free = state["limit"] - len(state["holders"])
            if not self._is_my_turn(mine, free) or not self._add(deployment, state):
                if mine != rank_of(deployment):  # it stands in the queue once
                    self.leave_queue(deployment.started_at, deployment.id)
                self._wait(mine)
                return False
        self.leave_queue(deployment.started_at, deployment.id)
        return True

    def give_back(self, deployment_id: str, execution_arn: str) -> None:
        """Give a slot back; harmless for whoever has none."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=items.key(_PK, _SK),
                UpdateExpression="REMOVE holders.#id",
                # Condition: it is this execution's.
                ConditionExpression="holders.#id.execution_arn = :me",
                ExpressionAttributeNames={"#id": deployment_id},
                ExpressionAttributeValues={":me": {"S": execution_arn}},
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise

    def leave_queue(self, asked_at: datetime, deployment_id: str) -> None:
        """Wait no more; harmless for whoever does not wait."""
        for rank in slot_rules.ranks(asked_at, deployment_id):
            self._client.delete_item(TableName=self._table, Key=items.key(_PK, _WAITING + rank))

    def set_limit(self, limit: int, by: str | None) -> JsonObject:
        """Say how many slots there are; gives the state. Nobody loses a slot that he has."""
        self._create()
        values = {"limit": limit, "set_by": by or "somebody unknown"}
        self._client.update_item(  # no condition: the last word counts
            TableName=self._table,
            Key=items.key(_PK, _SK),
            **items.assignments({**values, "set_at": self._clock().isoformat(timespec="seconds")}),
        )
        return self.state()

    def waiters(self, before: str = "~") -> Iterator[Waiter]:
        """Who waits, and stands before that rank, in their order; read as far as asked for."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :pk AND SK BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": {"S": _PK},
                ":first": {"S": _WAITING},
                ":last": {"S": _WAITING + before},
            },
            ConsistentRead=True,
            PaginationConfig={"PageSize": 50},
        )
        for page in pages:
            for item in page["Items"]:
                found = items.from_item(item)
                seen_at = datetime.fromisoformat(found["seen_at"])
                yield Waiter(item["SK"]["S"].removeprefix(_WAITING), seen_at)

    def _is_my_turn(self, rank: str, free: int) -> bool:
        if free <= 0:
            return False
        ahead: list[Waiter] = []
        for waiter in self.waiters(before=rank):
            ahead.append(waiter)
            if not slot_rules.may_take(rank, ahead, free, self._clock()):
                return False
        return True

    def _add(self, deployment: Deployment, state: Mapping[str, Any]) -> bool:
        if not state["holders"]:
            self._create()
        held = {
            "execution_arn": deployment.execution_arn,
            "stack_name": deployment.tenant.stack_name,
            "taken_at": self._clock().isoformat(timespec="seconds"),
        }
        try:
            self._client.update_item(
                TableName=self._table,
                Key=items.key(_PK, _SK),
                UpdateExpression="SET holders.#id = :held",
                # Condition: there still is a free slot.
                ConditionExpression="size(holders) < :limit",
                ExpressionAttributeNames={"#id": deployment.id},
                ExpressionAttributeValues=items.to_item({":held": held, ":limit": state["limit"]}),
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return False
        return True

    def _create(self) -> None:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=items.whole(_PK, _SK, {"holders": {}}),
                # Condition: there is none yet.
                ConditionExpression="attribute_not_exists(SK)",
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise

    def _wait(self, rank: str) -> None:
        now = self._clock()
        expires = int((now + _KEPT).timestamp())
        values = {"seen_at": now.isoformat(), "expires_at": expires}
        self._client.put_item(  # no condition: it is its own, and says again that it waits
            TableName=self._table, Item=items.whole(_PK, _WAITING + rank, values)
        )
