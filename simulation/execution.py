"""An execution of a state machine: its states, its workers' calls, its retries and its waiting."""

from collections.abc import Callable, Generator, Iterator
from random import Random

from control_plane.rules import request_limits as limits
from simulation import quotas
from simulation.quotas import Api
from simulation.steps import ASKED_AGAIN, MINUTES, pause
from simulation.world import World

ATTEMPTS = 6
"""Of a step that meets a busy AWS: the first, and the state's five retries."""

TRIES = 7
"""Of a call: the first, and the client's six retries (control_plane/aws.py)."""

RETRYING = 30
"""For how long a step's calls are tried again, in seconds (workers/step.py)."""

STATE_EVENTS, ATTEMPT_EVENTS = 2, 3
"""Events of the history: a state is entered and exited, an attempt scheduled, started, ended."""

Steps = Iterator[float]


class StepFailed(Exception):
    """A step failed for good. `route`: the states from there to RecordFailure."""

    def __init__(self, reason: str, route: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason, self.route = reason, route


def _yes() -> bool:
    return True


class Execution:
    """One execution. `chance`: its own, so that what others do changes none of its numbers."""

    def __init__(self, world: World, name: str, chance: Random) -> None:
        self.world, self.name, self.chance = world, name, chance
        self.events = 1
        self._transitions = world.api(quotas.TRANSITIONS)
        self._invocations = world.api(quotas.INVOKE)
        self._asked = world.api(quotas.DESCRIBE_EXECUTION)
        self._trace = None if world.traces is None else world.traces.setdefault(name, [])

    def enter(self, *states: str) -> None:
        """Go through states; of a task, this is the frame around its attempts."""
        self.events += len(states) * STATE_EVENTS
        self._transitions.count(self.world.clock.now, len(states))
        if self._trace is not None:
            self._trace += states

    def step(self, name: str, seconds: float | None = None) -> Steps:
        """A task that is through at once. Raises StepFailed."""
        done = yield from self._attempts(name, _yes, seconds)
        if done is None:
            raise StepFailed(f"{name}: AWS was busy", self.world.steps[name].step.route)

    def awaited(
        self, task: str, choice: str, wait: str, is_there: Callable[[], bool] = _yes
    ) -> Steps:
        """A task, its choice and its wait, until what it looks for is there. Raises StepFailed."""
        clock = self.world.clock
        since = clock.now
        while True:
            done = yield from self._attempts(task, is_there)
            if done is None and task not in ASKED_AGAIN:
                raise StepFailed(f"{task}: AWS was busy", self.world.steps[task].step.route)
            if done:
                self.check(task)
            self.enter(choice)
            if done:
                return
            if clock.now > since + 60 * MINUTES[task]:
                late = self.world.steps[task].step.late
                raise StepFailed(f"{task}: not there after {MINUTES[task]} minutes", late)
            self.enter(wait)
            yield pause(clock.now - since)

    def questions(self) -> int:
        """Calls of DescribeExecution that the attempt makes besides."""
        return 0

    def check(self, task: str) -> None:
        """Raise StepFailed when what a task was waiting for has gone wrong."""

    def _attempts(
        self, name: str, is_there: Callable[[], bool], seconds: float | None = None
    ) -> Generator[float, None, bool | None]:
        """Whether what a task looks for is there; None: AWS was busy throughout.

        Raises StepFailed for a worker that ran out of its time.
        """
        self.enter(name)
        world, calls = self.world, self.world.steps[name]
        step, clock = calls.step, world.clock
        for attempt in range(ATTEMPTS):
            began = clock.now
            self.events += ATTEMPT_EVENTS
            self._invocations.count(began)
            there = is_there()
            world.wrote(step.records + step.more * there, step.units)
            asked = (*calls.each, *(calls.last if there else ()))
            asked += (self._asked,) * (0 if there else self.questions())
            served = yield from self._budgeted(name)
            if served:
                served = yield from self._served(asked, began + RETRYING)
            if clock.now - began > step.timeout:
                world.worked(began)
                raise StepFailed(f"{name}: the function's {step.timeout:g} s were over", step.route)
            if served:
                yield world.scenario.step_seconds if seconds is None else seconds
            world.worked(began)
            if served:
                return there
            if attempt < ATTEMPTS - 1:
                yield self.chance.random() * 2 * 2**attempt
        return None

    def _budgeted(self, step: str) -> Generator[float, None, bool]:
        """Take a step's requests from the budget, or wait for them as long as it does."""
        clock = self.world.clock
        until = clock.now + limits.patience(step).total_seconds()
        for service in limits.calls(step) if self.world.scenario.budget else ():
            while not self.world.take(step, service):
                next_second = int(clock.now) + 1
                if next_second > until:
                    return False
                yield next_second - clock.now
        return True

    def _served(self, calls: tuple[Api, ...], until: float) -> Generator[float, None, bool]:
        """Make calls one after another, each again while it is refused, but not later than `until`;
        whether all were served."""
        clock = self.world.clock
        for call in calls:
            tries = 1
            while not call.admit(clock.now):
                if tries == TRIES or clock.now > until:
                    return False
                yield self.chance.random() * min(20, 2 ** (tries - 1))
                tries += 1
        return True
