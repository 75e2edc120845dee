"""A clock that jumps from one event to the next, and the processes that it wakes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

Process = Iterator[float]
"""What happens one thing after another: it yields for how many seconds it waits."""

BEGIN = datetime(2026, 11, 25, 12, tzinfo=UTC)
"""When every simulation begins: the real time would give each run other numbers."""


class Clock:
    """Processes in the order of their time; those of one moment in the order they were told."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Process]] = []
        self._told = 0

    @property
    def time(self) -> datetime:
        """The moment, as the rules want it."""
        return BEGIN + timedelta(seconds=self.now)

    def start(self, process: Process, after: float = 0.0) -> None:
        """Let a process begin in so many seconds."""
        self._told += 1
        heappush(self._queue, (self.now + after, self._told, process))

    def run(self) -> None:
        """Go on until nothing is left to happen."""
        while self._queue:
            self.now, _, process = heappop(self._queue)
            waits = next(process, None)
            if waits is not None:
                self.start(process, waits)
