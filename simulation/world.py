"""What all deployments share: the clock, the quotas, the slots, the builds, and the counts."""

from collections import Counter
from dataclasses import dataclass

from control_plane.models import DeploymentStatus, Priority
from control_plane.rules import request_limits as limits
from control_plane.rules.request_limits import Service
from simulation import quotas
from simulation.clock import Clock
from simulation.quotas import Api
from simulation.scenario import Scenario
from simulation.slot_queue import SlotQueue
from simulation.steps import RECORD, STEPS, Step


@dataclass
class Build:
    """A build in CodeBuild. `recorded`: somebody has seen its end, and nobody asks any more."""

    ends_at: float
    recorded: bool = False


@dataclass(frozen=True)
class Calls:
    """A step's calls, as the counters that they go to."""

    step: Step
    each: tuple[Api, ...]
    last: tuple[Api, ...]


@dataclass(frozen=True)
class Wait:
    """How long a deployment waited for its slot."""

    priority: Priority
    seconds: float
    by_rollout: bool


class World:
    """One simulation's state. `trace`: keep the states that each deployment goes through."""

    def __init__(self, scenario: Scenario, *, trace: bool = False) -> None:
        self.scenario = scenario
        self.clock = Clock()
        self.apis = quotas.apis(scenario.quotas)
        self.slots = SlotQueue(scenario.slots)
        self.builds: dict[str, Build] = {}
        self.steps = {
            name: Calls(step, self._counters(step.calls), self._counters(step.last))
            for name, step in STEPS.items()
        }
        self.traces: dict[str, list[str]] | None = {} if trace else None
        self.records: dict[str, DeploymentStatus] = {}
        self.reasons: dict[str, int] = {}
        self.slot_waits: list[Wait] = []
        self.worker_seconds = 0.0
        self.longest_execution = 0
        self.rollout_ended = False
        self._busy: list[float] = []
        self._taken: Counter[tuple[Service, int]] = Counter()
        self.held_back = 0

    def api(self, name: str) -> Api:
        """A kind of request."""
        return self.apis[name]

    def worked(self, began: float) -> None:
        """A worker ran from then until now."""
        now = self.clock.now
        self.worker_seconds += now - began
        last = int(now)
        if last >= len(self._busy):
            self._busy += [0.0] * (last - len(self._busy) + 512)
        for second in range(int(began), last + 1):
            self._busy[second] += min(now, second + 1) - max(began, second)

    @property
    def most_workers(self) -> float:
        """The most workers at a time: the highest mean of a second."""
        return max(self._busy, default=0.0)

    def take(self, step: str, service: Service) -> bool:
        """Take a step's requests from this second's budget, if it has as many left."""
        second = int(self.clock.now)
        self.wrote(0, 1)
        if self._taken[service, second] > limits.room(step, service):
            self.held_back += 1
            return False
        self._taken[service, second] += limits.calls(step)[service]
        return True

    def wrote(self, records: int, units: int) -> None:
        """Writes to deployments' records, and write units of other items."""
        self.apis[quotas.WRITES].count(self.clock.now, records * RECORD + units)

    def read(self, units: int) -> None:
        """Read units."""
        self.apis[quotas.READS].count(self.clock.now, units)

    def failed(self, reason: str) -> None:
        """Count why a deployment ended without success."""
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def _counters(self, names: tuple[str, ...]) -> tuple[Api, ...]:
        return tuple(self.apis[name] for name in names)
