"""Rollouts in the table: what each is to do, how far it is, what became of its tenants.

Only the execution that drives a rollout writes its `state`; what people ask for stands beside it,
in `control`, so that neither loses the other's word.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane.errors import Superseded
from control_plane.models import JsonObject
from control_plane.rollout_models import FINAL, Rollout, RolloutStatus, RowStatus
from control_plane.store import items, table

if TYPE_CHECKING:
    pass

ROLLOUT, ROW = "ROLLOUT", "ROW#"
_BATCH = 25
"""Items that one BatchWriteItem takes (DynamoDB API reference)."""


def key_of(rollout_id: str) -> str:
    """The partition of a rollout."""
    return f"ROLLOUT#{rollout_id}"


def row_key(wave: int, row: int) -> str:
    """The sort key of a tenant's row."""
    return f"{ROW}{wave:03d}#{row:05d}"


class Rollouts(table.Store):
    """The table's rollouts. `client` and `clock` can be replaced in tests."""

    def get(self, rollout_id: str) -> JsonObject | None:
        """A rollout's item: `state`, `control`, who asked and what for; or None."""
        return table.read(self._client, self._table, key_of(rollout_id), ROLLOUT)

    def open(self, rollout: Rollout, execution_arn: str, facts: JsonObject) -> JsonObject:
        """Write a new rollout, and answer it; one that is there is answered as it is."""
        listed = {"listing": ROLLOUT, "listed_at": rollout.id}
        values = {
            "id": rollout.id,
            "application": rollout.application,
            "env": rollout.env,
            "execution_arn": execution_arn,
            "created_at": self._now(),
            "revision": 0,
            "control": {},
            "state": rollout.model_dump(mode="json", exclude_none=True),
            **facts,
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=items.whole(key_of(rollout.id), ROLLOUT, {**values, **listed}),
                # Condition: there is no such rollout yet.
                ConditionExpression="attribute_not_exists(SK)",
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return self.get(rollout.id) or {}
        return values

    def add_rows(self, rollout_id: str, members: Sequence[Sequence[str]]) -> None:
        """Write the tenants of each wave, all pending."""
        rows = [
            items.whole(
                key_of(rollout_id), row_key(wave, row), {"org": org, "status": RowStatus.PENDING}
            )
            for wave, orgs in enumerate(members)
            for row, org in enumerate(orgs)
        ]
        for start in range(0, len(rows), _BATCH):
            left: Any = {
                self._table: [{"PutRequest": {"Item": row}} for row in rows[start : start + _BATCH]]
            }
            while left:  # what was throttled is tried again
                left = self._client.batch_write_item(RequestItems=left).get("UnprocessedItems")

    def rows(
        self, rollout_id: str, wave: int | None = None, start: int = 0
    ) -> Iterator[JsonObject]:
        """The tenants, or those of one wave, from a row on; with `wave` and `row`."""
        first = row_key(wave or 0, start)
        last = ROW + "~" if wave is None else f"{ROW}{wave:03d}#~"
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :pk AND SK BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": {"S": key_of(rollout_id)}, ":first": {"S": first}, ":last": {"S": last},
            },
            ConsistentRead=True,
            PaginationConfig={"PageSize": 100},
        )  # fmt: skip
        for page in pages:
            for item in page["Items"]:
                _, in_wave, row = item["SK"]["S"].split("#")
                yield {**items.from_item(item), "wave": int(in_wave), "row": int(row)}

    def change_row(self, rollout_id: str, wave: int, row: int, values: JsonObject) -> JsonObject:
        """Set what is known of a tenant; gives its row. `deployment`, `back` and `previous`, once
        set, stay: a step that runs twice starts the same deployment."""
        kept = {name: values[name] for name in ("deployment", "back", "previous") if name in values}
        update = items.assignments({**values, "changed_at": self._now()})
        for name in kept:
            update["UpdateExpression"] = update["UpdateExpression"].replace(
                f"#{name} = :{name}", f"#{name} = if_not_exists(#{name}, :{name})"
            )
        answer = self._client.update_item(  # no condition: only its driver writes it
            TableName=self._table,
            Key=items.key(key_of(rollout_id), row_key(wave, row)),
            ReturnValues="ALL_NEW",
            **update,
        )
        return items.from_item(answer["Attributes"])

    def driven(self, rollout_id: str, execution_arn: str) -> JsonObject:
        """The item of the rollout that an execution drives. Raises Superseded when another one
        drives it."""
        found = self.get(rollout_id) or {}
        if found.get("execution_arn") != execution_arn:
            raise Superseded(f"rollout {rollout_id} is driven by {found.get('execution_arn')}")
        return found

    def save(self, rollout: Rollout, revision: int, execution_arn: str, facts: JsonObject) -> None:
        """Keep how far the rollout is. Raises Superseded when somebody else drives it meanwhile."""
        state = rollout.model_dump(mode="json", exclude_none=True)
        values = {**facts, "state": state, "revision": revision + 1, "changed_at": self._now()}
        if rollout.status.is_final:
            values["finished_at"] = self._now()
        update = items.assignments(values)
        update["ExpressionAttributeValues"] |= items.to_item(
            {":me": execution_arn, ":before": revision}
        )
        try:
            self._client.update_item(
                TableName=self._table,
                Key=items.key(key_of(rollout.id), ROLLOUT),
                # Condition: this execution drives it, and nobody wrote since it was read.
                ConditionExpression="execution_arn = :me AND revision = :before",
                **update,
                **table.WITH_ITEM,
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            if table.is_written(error, {**values, "execution_arn": execution_arn}):
                return
            raise Superseded(f"rollout {rollout.id} went on in another execution") from error

    def told(self, rollout_id: str, revision: int) -> None:
        """People were told what the rollout was at that revision; nothing when it went on."""
        update = items.assignments({"untold": False})
        update["ExpressionAttributeValues"] |= items.to_item({":told": revision})
        try:
            self._client.update_item(
                TableName=self._table,
                Key=items.key(key_of(rollout_id), ROLLOUT),
                # Condition: it is what was told.
                ConditionExpression="revision = :told",
                **update,
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise

    def hand_over(self, rollout_id: str, execution_arn: str) -> None:
        """Let another execution drive the rollout from now on."""
        self._client.update_item(  # no condition: its driver itself asks for it
            TableName=self._table,
            Key=items.key(key_of(rollout_id), ROLLOUT),
            **items.assignments({"execution_arn": execution_arn}),
        )

    def ask(self, rollout_id: str, wish: JsonObject) -> JsonObject | None:
        """Keep what somebody asks of a rollout: `paused_by`, `cancelled_by`, `approved`; None in it
        takes it back. Gives the item, or None when the rollout has ended."""
        update: Any = {
            "ExpressionAttributeNames": {
                "#control": "control",
                "#state": "state",
                "#status": "status",
            },
            "ExpressionAttributeValues": {f":{s.lower()}": {"S": str(s)} for s in FINAL},
        }
        finals = ", ".join(update["ExpressionAttributeValues"])
        sets, removes = [], []
        for name, value in wish.items():
            update["ExpressionAttributeNames"][f"#{name}"] = name
            if value is None:
                removes.append(f"#control.#{name}")
            else:
                sets.append(f"#control.#{name} = :{name}")
                update["ExpressionAttributeValues"] |= items.to_item({f":{name}": value})
        expression = ("SET " + ", ".join(sets) if sets else "") + (
            " REMOVE " + ", ".join(removes) if removes else ""
        )
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=items.key(key_of(rollout_id), ROLLOUT),
                UpdateExpression=expression.strip(),
                # Condition: the rollout exists and has not ended.
                ConditionExpression=f"attribute_exists(SK) AND NOT #state.#status IN ({finals})",
                ReturnValues="ALL_NEW",
                **update,
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return None
        return items.from_item(answer["Attributes"])

    def newest(self, limit: int) -> list[JsonObject]:
        """The newest rollouts, newest first."""
        answer = self._client.query(
            TableName=self._table,
            IndexName=items.LISTING_INDEX,
            KeyConditionExpression="listing = :listing",
            ExpressionAttributeValues={":listing": {"S": ROLLOUT}},
            ScanIndexForward=False,
            Limit=limit,
        )
        found = [self.get(item["listed_at"]["S"]) for item in answer["Items"]]
        return [one for one in found if one]


def loaded(item: JsonObject) -> Rollout:
    """A rollout as its item tells it, with what people have asked for."""
    control = item["control"]
    return Rollout.model_validate(
        {
            **item["state"],
            "paused": "paused_by" in control,
            "cancelled": control.get("cancelled_by", ""),
            "approved": control.get("approved", 0),
            "begun": control.get("begun", False),
        }
    )


def is_open(item: JsonObject) -> bool:
    """Whether a rollout has not ended."""
    return not RolloutStatus(item["state"]["status"]).is_final
