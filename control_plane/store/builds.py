"""Builds by fingerprint, in the table: claims make concurrent builds of the same thing one."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from botocore.exceptions import ClientError

from control_plane.models import JsonObject
from control_plane.store import items, table

CLAIM_SECONDS = 120
"""How long a claim counts without a CodeBuild id: its step times out after half of that."""

REMEMBERED = timedelta(days=2)
"""How long it is known which build an execution was after: longer than any execution builds."""


class BuildStatus(StrEnum):
    """Where a build is."""

    CLAIMED = "CLAIMED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"  # cut off: it says nothing of its source


def fingerprint(
    source: str, overrides: str, runtime: str, architecture: str, buildspec: str, scope: str
) -> str:
    """What makes two builds the same: all that goes into one.

    `overrides` is where the tenant's own lock of dependencies lies in the source, or empty: a build
    sees that path. `scope` is whom it is for (`naming.build_scope`): an environment, or a tenant.
    """
    digest = hashlib.sha256()
    for part in (source, overrides, runtime, architecture, buildspec, scope):
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()


class Builds(table.Store):
    """The table's builds."""

    def get(self, fingerprint: str) -> JsonObject | None:
        """The build: status, build_id, reason, and the values of its claim; or None.

        `output` is where CodeBuild put it, below which the names are as in a tenant's copy,
        `manifest` its application's, `stack_name` the tenant whose deployment started it. One that
        ended well has `artifacts`, what it made by key: {sha256, version}, and of these
        `code_digests`, the packages of functions and layers by key: their SHA-256, base64 as in
        Lambda's CodeSha256. Builds of earlier releases have only `stack_name`, whose prefix holds
        them.
        """
        return table.read(self._client, self._table, f"BUILD#{fingerprint}", "BUILD")

    def adopted(self, fingerprint: str, stack_name: str) -> JsonObject | None:
        """A tenant's copy of a build: `artifacts`, its objects by key: {sha256, version}, and the
        `build_id` that made them; or None."""
        return table.read(
            self._client, self._table, f"BUILD#{fingerprint}", f"ADOPTED#{stack_name}"
        )

    def adopt(
        self, fingerprint: str, stack_name: str, build_id: str, artifacts: JsonObject
    ) -> None:
        """Record a tenant's copy of a build. No condition: a tenant has one deployment at a time,
        and the newest copy is what lies in the bucket."""
        self._client.put_item(
            TableName=self._table,
            Item=items.whole(
                f"BUILD#{fingerprint}",
                f"ADOPTED#{stack_name}",
                {"build_id": build_id, "artifacts": artifacts},
            ),
        )

    def remember(self, fingerprint: str, execution_arn: str) -> None:
        """Keep which build an execution is after, for the case that it dies without a word."""
        expires = int((self._clock() + REMEMBERED).timestamp())
        self._client.put_item(  # no condition: an execution builds one thing, and says so again
            TableName=self._table,
            Item=items.whole(
                f"BUILD#{execution_arn}",
                "EXECUTION",
                {"fingerprint": fingerprint, "expires_at": expires},
            ),
        )

    def of_execution(self, execution_arn: str) -> str | None:
        """The fingerprint of the build that an execution is after, or None."""
        found = table.read(self._client, self._table, f"BUILD#{execution_arn}", "EXECUTION")
        return str(found["fingerprint"]) if found else None

    def claim(self, fingerprint: str, described: JsonObject, claimed_by: str) -> bool:
        """Claim the right to build; False when another execution builds this already.

        `described`: stack_name, output and manifest (`get`), which stay with the build.
        `claimed_by`: the execution's ARN, which may claim again what it has claimed.
        """
        now = self._clock()
        values = {
            **_described(described),
            "status": BuildStatus.CLAIMED,
            "claimed_by": claimed_by,
            "claimed_at": now.isoformat(),
        }
        stale = (now - timedelta(seconds=CLAIM_SECONDS)).isoformat()
        return self._write(
            fingerprint,
            values,
            # Condition: nobody built this, or it failed or was stopped, or its artifacts were lost,
            # or the claim is my own, or it is so old that whoever made it died before the build
            # started.
            "attribute_not_exists(SK) OR #status IN (:failed, :stopped, :succeeded) OR "
            "(#status = :claimed AND (claimed_by = :me OR claimed_at < :stale))",
            {
                ":failed": BuildStatus.FAILED,
                ":stopped": BuildStatus.STOPPED,
                ":succeeded": BuildStatus.SUCCEEDED,
                ":claimed": BuildStatus.CLAIMED,
                ":me": claimed_by,
                ":stale": stale,
            },
        )

    def started(
        self, fingerprint: str, described: JsonObject, claimed_by: str, build_id: str
    ) -> None:
        """Remember the CodeBuild id of a claimed build."""
        values = {
            **_described(described),
            "status": BuildStatus.RUNNING,
            "claimed_by": claimed_by,
            "build_id": build_id,
        }
        # Condition: the claim is still mine. Otherwise another started it too: CodeBuild's
        # idempotency token made both the same build, or the other's is as good.
        self._write(
            fingerprint,
            values,
            "claimed_by = :me AND #status = :claimed",
            {":me": claimed_by, ":claimed": BuildStatus.CLAIMED},
        )

    def finished(
        self,
        fingerprint: str,
        build: JsonObject,
        status: BuildStatus,
        reason: str = "",
        log_tail: Sequence[str] = (),
        artifacts: JsonObject | None = None,
        code_digests: JsonObject | None = None,
    ) -> None:
        """Record how a build ended; an end that was recorded before stays.

        `log_tail`: the last lines of a failed build's log, for every deployment that joined it.
        `artifacts`, `code_digests`: what one made that ended well.
        """
        values = {
            **_described(build),
            "status": status,
            "build_id": build["build_id"],
            "claimed_by": build.get("claimed_by"),
            "reason": reason,
            "log_tail": list(log_tail),
            "artifacts": artifacts,
            "code_digests": code_digests,
        }
        # Condition: it is this build, and nobody recorded its end.
        self._write(
            fingerprint,
            values,
            "build_id = :id AND #status = :running",
            {":id": build["build_id"], ":running": BuildStatus.RUNNING},
        )

    def _write(
        self, fingerprint: str, values: JsonObject, condition: str, facts: JsonObject
    ) -> bool:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=items.whole(f"BUILD#{fingerprint}", "BUILD", values),
                ConditionExpression=condition,
                ExpressionAttributeValues=items.to_item(facts),
                ExpressionAttributeNames={"#status": "status"},
            )
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            return False
        return True


def _described(build: JsonObject) -> JsonObject:
    return {name: build.get(name) for name in ("stack_name", "output", "manifest")}
