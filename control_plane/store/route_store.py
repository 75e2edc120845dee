"""Weighted routes in the table: what each one is, who may change it, and every change.

`ROUTE#{application}#{env}#{org}` / `ROUTE` is the route: its weights, those before the last change,
its last shift, and its holder, an execution of a shift, while one runs. `ROUTE#{id}` in a tenant's
partition is a change that concerned the tenant: its deployments are not told from it.

Every write counts `revision` up, so that whoever decided by what it read notices that somebody else
wrote meanwhile.
"""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane.models import JsonObject, Tenant
from control_plane.store import items, schema, table, writes
from control_plane.traffic_requests import Shift, Weights

if TYPE_CHECKING:
    pass

ROUTE = "ROUTE"
CHANGE = "ROUTE#"

SHIFT = "SHIFT"
"""What the index lists a route as while a shift has it."""

RUNNING, SUCCEEDED, FAILED, REVERSED = "RUNNING", "SUCCEEDED", "FAILED", "REVERSED"
"""What becomes of a shift."""


class Routes(table.Store):
    """The table's routes. `client` and `clock` can be replaced in tests."""

    def get(self, of: Tenant) -> JsonObject | None:
        """The route of an organization as it was last recorded, or None."""
        return table.read(self._client, self._table, _partition(of), ROUTE)

    def held(self) -> Iterator[Tenant]:
        """The routes that a shift has, by the index (those of earlier releases are not in it)."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=items.LISTING_INDEX,
            KeyConditionExpression="listing = :listing",
            ExpressionAttributeValues={":listing": {"S": SHIFT}},
        )
        for page in pages:
            for item in page["Items"]:
                found = items.from_part(item)
                yield Tenant(application=found["application"], env=found["env"], org=found["org"])

    def changes(self, tenant: Tenant, limit: int) -> list[JsonObject]:
        """The newest changes of routes that lead to the tenant, newest first."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :pk AND begins_with(SK, :sk)",
            ExpressionAttributeValues={
                ":pk": {"S": items.tenant_key(tenant)},
                ":sk": {"S": CHANGE},
            },
            ScanIndexForward=False,
            ConsistentRead=True,
            PaginationConfig={"PageSize": limit},
        )
        found = (items.from_item(item) for page in pages for item in page["Items"])
        return list(islice(found, limit))

    def hold(self, shift: Shift) -> bool:
        """Give the route to a shift; False when another one has it, or this one has ended."""
        facts = shift.model_dump(mode="json", exclude={"route", "execution_arn"})
        facts |= {"status": RUNNING, "step": 0, "started_at": self._now()}
        return self._update(
            shift.route,
            {"holder": shift.execution_arn, "shift": facts, "listing": SHIFT, "listed_at": shift.id}
            | writes.identity(shift.route),
            # Condition: there is a route, and nobody has it (nor has this shift had it and lost
            # it), or this very shift.
            "attribute_exists(SK) AND (holder = :me OR (attribute_not_exists(holder)"
            " AND (attribute_not_exists(#shift) OR #shift.id <> :id)))",
            {":me": shift.execution_arn, ":id": shift.id},
        )

    def note(self, shift: Shift, values: JsonObject) -> bool:
        """Say how far a shift is; False when the route is not its any more."""
        names = {f"#{name}": name for name in values} | {"#shift": "shift"}
        told = ", ".join(f"#shift.#{name} = :{name}" for name in values)
        return self._written(
            {
                "Key": items.key(_partition(shift.route), ROUTE),
                "UpdateExpression": f"SET {told}",
                # Condition: the route is this shift's.
                "ConditionExpression": "holder = :me",
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": items.to_item(
                    {f":{name}": value for name, value in values.items()}
                    | {":me": shift.execution_arn}
                ),
            }
        )

    def told(self, of: Tenant, shift_id: str) -> None:
        """People were told how a shift ended; nothing when another one has come since."""
        self._written(
            {
                "Key": items.key(_partition(of), ROUTE),
                "UpdateExpression": "REMOVE #shift.untold",
                # Condition: it is the shift that was told.
                "ConditionExpression": "#shift.#id = :id",
                "ExpressionAttributeNames": {"#shift": "shift", "#id": "id"},
                "ExpressionAttributeValues": items.to_item({":id": shift_id}),
            }
        )

    def let_go(self, of: Tenant, holder: str, ending: JsonObject) -> bool:
        """Take the route from the shift that is `holder`; False when it has it no more.

        `ending`: what became of the shift, {status, reason, hint}.
        """
        write = self._ending(of, holder, ending)
        if self._written(write):
            return True
        # The answer to a first attempt may have been lost: then the end is this very one.
        ended = write["ExpressionAttributeValues"][":finished_at"]["S"]
        return bool((self.get(of) or {}).get("shift", {}).get("finished_at") == ended)

    def end(
        self, of: Tenant, holder: str, ending: JsonObject, change: JsonObject, orgs: Collection[str]
    ) -> bool:
        """The same with a word of it in the histories of the tenants, all or nothing."""
        write = self._ending(of, holder, ending)
        return self._transacted(of, write, change, orgs)

    def record(
        self,
        of: Tenant,
        change: JsonObject,
        orgs: Collection[str],
        back_to: Weights,
        *,
        holder: str | None = None,
        revision: int = 0,
    ) -> bool:
        """Record that the weights were changed, in the route and in its tenants' histories.

        By the shift that is `holder`, or by somebody who read that `revision` (0: there was no
        route); False, and nothing is recorded, when it is otherwise. `back_to`: where a reversal
        leads from now on.
        """
        values: JsonObject = {
            **writes.identity(of), "name": change["name"], "weights": change["after"],
            "before": back_to, "changed_at": self._now(), "changed_by": change.get("by"),
        }  # fmt: skip
        given: JsonObject = {}
        if holder:
            condition, given[":holder"] = "holder = :holder", holder
        elif revision:
            condition, given[":revision"] = "revision = :revision", revision
        else:
            condition, values[schema.ATTRIBUTE] = "attribute_not_exists(SK)", schema.SCHEMA
        return self._transacted(of, self._setting(of, values, condition, given), change, orgs)

    def _ending(self, of: Tenant, holder: str, ending: JsonObject) -> JsonObject:
        values = {**ending, "finished_at": self._now()}
        values = {name: value for name, value in values.items() if value is not None}
        if ending["status"] == FAILED:  # whoever reversed it knows
            values["untold"] = holder
        told = ", ".join(f"#shift.#{name} = :{name}" for name in values)
        return {
            "Key": items.key(_partition(of), ROUTE),
            "UpdateExpression": f"SET {told} ADD revision :one REMOVE holder, listing, listed_at",
            # Condition: the shift has the route.
            "ConditionExpression": "holder = :holder",
            "ExpressionAttributeNames": {f"#{name}": name for name in values} | {"#shift": "shift"},
            "ExpressionAttributeValues": items.to_item(
                {f":{name}": value for name, value in values.items()}
                | {":holder": holder, ":one": 1}
            ),
        }

    def _setting(
        self, of: Tenant, values: JsonObject, condition: str, given: JsonObject
    ) -> JsonObject:
        update = items.assignments(values)
        update["UpdateExpression"] += " ADD revision :one"
        update["ExpressionAttributeValues"] |= items.to_item({**given, ":one": 1})
        return {
            "Key": items.key(_partition(of), ROUTE),
            "ConditionExpression": condition,
            **update,
        }

    def _update(self, of: Tenant, values: JsonObject, condition: str, given: JsonObject) -> bool:
        return self._written(self._setting(of, values, condition, given))

    def _written(self, update: JsonObject) -> bool:
        try:
            self._client.update_item(TableName=self._table, **update)
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return False
        return True

    def _transacted(
        self, of: Tenant, update: JsonObject, change: JsonObject, orgs: Collection[str]
    ) -> bool:
        changes: list[Any] = [{"Update": {"TableName": self._table, **update}}]
        for org in sorted(set(orgs)):
            tenant = of.model_copy(update={"org": org})
            values = {**writes.identity(tenant), **change, "route": of.org, "at": self._now()}
            # Without a condition: a step that runs twice writes the same entry again.
            item = items.whole(items.tenant_key(tenant), CHANGE + change["id"], values)
            changes.append({"Put": {"TableName": self._table, "Item": item}})
        try:
            self._client.transact_write_items(TransactItems=changes)
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return False
        return True


def _partition(of: Tenant) -> str:
    return f"{CHANGE}{of.application}#{of.env}#{of.org}"
