"""How far the sweep for records that nobody closed has come, in the table."""

from control_plane.models import JsonObject
from control_plane.store import items, table

_PK = "SWEEP"


class Sweeps(table.Store):
    """One item for each kind of record. `client` and `clock` can be replaced in tests."""

    def position(self, kind: str) -> JsonObject:
        """`floor`: what is older has ended. `next`: where the round goes on, if it was cut off;
        `oldest_open`: the oldest open one that this round has met so far."""
        return table.read(self._client, self._table, _PK, kind) or {}

    def keep(self, kind: str, position: JsonObject) -> None:
        """Remember where the next sweep begins. No condition: one that begins too early only reads
        more."""
        item = items.whole(_PK, kind, {**position, "swept_at": self._now()})
        self._client.put_item(TableName=self._table, Item=item)
