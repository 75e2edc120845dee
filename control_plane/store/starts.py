"""Executions that the control plane starts, registered before: the proof of who started one.

A principal that may call StartExecution may write anything into an input. So what an input says
of its origin (trigger, who asked, the rollout, the secret with a password) counts only when the
API, the worker that a schedule calls, or a rollout wrote here, before, which execution it is about
to start with which input. `START#{execution ARN}` is a partition of its own: the policies of all
other functions leave it out.
"""

import hashlib
import json
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from control_plane.models import JsonObject
from control_plane.store import items, table

_SK = "START"

USED_WITHIN = timedelta(days=1)
"""For how long a registration can be used: as long as an idempotency key starts the same."""

KEPT = timedelta(days=30)
"""How long the table keeps one: longer than a redrive is possible (14 days), shorter than a name
can be used again (90 days, Step Functions quotas)."""


class Starts(table.Store):
    """The table's registered starts. `client` and `clock` can be replaced in tests."""

    def register(self, execution_arn: str, given: JsonObject) -> JsonObject:
        """Register that an execution is started with that input; gives the input to start it with.

        That is the one of the first registration, should there be one: a start whose answer was
        lost is repeated as it was.
        """
        now = self._clock()
        values = {
            "input": json.dumps(given),
            "digest": digest(given),
            "registered_at": now.isoformat(),
            "expires_at": int((now + KEPT).timestamp()),
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=items.whole(_key(execution_arn), _SK, values),
                # Condition: it was not registered yet.
                ConditionExpression="attribute_not_exists(SK)",
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            first = table.read(self._client, self._table, _key(execution_arn), _SK) or values
            return dict(json.loads(str(first["input"])))
        return given

    def claim(self, execution_arn: str, given: Any, started: str) -> bool:
        """Whether an execution was registered with exactly that input; it is used by that.

        `started`: the StartTime of the execution. Again for the same execution, yes; for another
        one under the same name, no: a name can be used again after 90 days.
        """
        oldest = self._clock() - USED_WITHIN
        try:
            self._client.update_item(
                TableName=self._table,
                Key=items.key(_key(execution_arn), _SK),
                UpdateExpression="SET used_by = :started",
                # Condition: it was registered with this input, and used by nobody, or by this one.
                ConditionExpression=(
                    "digest = :digest AND (used_by = :started"
                    " OR (attribute_not_exists(used_by) AND registered_at > :oldest))"
                ),
                ExpressionAttributeValues={
                    ":digest": {"S": digest(given)},
                    ":started": {"S": started},
                    ":oldest": {"S": oldest.isoformat()},
                },
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return False
        return True

    def knows(self, execution_arn: str, given: Any) -> bool:
        """Whether an execution was registered with exactly that input, used or not."""
        found = table.read(self._client, self._table, _key(execution_arn), _SK)
        return found is not None and found["digest"] == digest(given)


def digest(given: Any) -> str:
    """What an input is, whatever the order of its members: JSON knows no order."""
    text = json.dumps(_plain(given), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """The same with whole numbers as integers, whichever way they came through JSONata."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _plain(below) for name, below in value.items()}
        case list() | tuple():
            return [_plain(below) for below in value]
        case _:
            return value


def _key(execution_arn: str) -> str:
    return f"START#{execution_arn}"
