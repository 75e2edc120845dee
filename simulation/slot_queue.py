"""The deployment slots in memory: the rules are `control_plane/slot_rules`, as in the table."""

from bisect import bisect_left, insort
from datetime import datetime
from math import ceil

from control_plane.rules import slot_rules
from control_plane.rules.slot_rules import Waiter

_HOLDER_BYTES = 250
"""What a holder takes in the slots' item (control_plane/store/slots.py)."""


class SlotQueue:
    """Who has a slot, who waits, and how long the queue was."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.holders: set[str] = set()
        self.most_held = self.longest = 0
        self.held_seconds = self.waiting_seconds = 0.0
        self._ranks: list[str] = []
        self._waiters: dict[str, Waiter] = {}
        self._since = 0.0

    def take(self, deployment: str, rank: str, now: datetime, at: float) -> bool:
        """Take a slot, or stand in the queue: `Slots.take`. `at`: the same moment in seconds."""
        self._account(at)
        free = self.limit - len(self.holders)
        place = bisect_left(self._ranks, rank)
        if free > 0:
            ahead = [self._waiters[other] for other in self._ranks[:place]]
            if slot_rules.may_take(rank, ahead, free, now):
                self.holders.add(deployment)
                self.most_held = max(self.most_held, len(self.holders))
                self.leave(rank, at)
                return True
        if rank not in self._waiters:
            insort(self._ranks, rank)
            self.longest = max(self.longest, len(self._ranks))
        self._waiters[rank] = Waiter(rank, now)
        return False

    def to_check(self, now: datetime) -> int:
        """How many holders whoever got no slot asks about: `workers/record_slots.py`."""
        if len(self.holders) < self.limit:
            return 0
        return len(slot_rules.to_check(sorted(self.holders), now))

    def give_back(self, deployment: str, at: float) -> None:
        """Give a slot back; harmless for whoever has none."""
        self._account(at)
        self.holders.discard(deployment)

    def leave(self, rank: str, at: float) -> None:
        """Wait no more; harmless for whoever does not wait."""
        self._account(at)
        if self._waiters.pop(rank, None):
            del self._ranks[bisect_left(self._ranks, rank)]

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._ranks)

    @property
    def item_units(self) -> int:
        """The write units of the item that says who has the slots."""
        return max(1, ceil(len(self.holders) * _HOLDER_BYTES / 1024))

    def _account(self, at: float) -> None:
        self.held_seconds += len(self.holders) * (at - self._since)
        self.waiting_seconds += len(self._ranks) * (at - self._since)
        self._since = at
