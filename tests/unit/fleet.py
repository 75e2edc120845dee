"""A rollout in memory, driven as its worker drives it, with a clock of its own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from control_plane.models import DeploymentStatus, Env, Mode, Priority
from control_plane.rollout_models import Failure, Result, Rollout, RolloutStatus, Running, Wave
from control_plane.rules import rollout_rules as rules
from control_plane.rules.rollout_rules import Decision, Do

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def rollout(*sizes: int, concurrency: int = 10, allowed: int = 0, **more: Any) -> Rollout:
    """A rollout that has just been planned, with waves of these sizes."""
    waves = tuple(Wave(size=size, concurrency=concurrency, allowed=allowed) for size in sizes)
    values: dict[str, Any] = {
        "id": "r1", "application": "notes", "env": Env.STAGE, "mode": Mode.FULL,
        "source": "5" * 64, "priority": Priority.LOW, "on_failure": Failure.STOP,
        "bake_seconds": 0, "alarms": (), "approval": False, "allowed": 100, "waves": waves,
        "status": RolloutStatus.RUNNING, "changed_at": NOW,
    }  # fmt: skip
    return Rollout(**(values | more))


class Drive:
    """`ends`: how a deployment ends, by wave and row (from 0), forth; `back`: the same, back."""

    def __init__(
        self,
        of: Rollout,
        ends: Callable[[int, int], str] = lambda wave, row: "SUCCEEDED",
        back: Callable[[int, int], str] = lambda wave, row: "SUCCEEDED",
        skips: Callable[[int, int], bool] = lambda wave, row: False,
        alarm: str = "",
    ) -> None:
        self.rollout, self.now = of, NOW
        self.ends, self.back, self.skips, self.alarm = ends, back, skips, alarm
        self.started: list[tuple[str, int, int]] = []
        self.most = 0
        self.statuses: list[RolloutStatus] = []

    def step(self) -> Decision:
        """Go on until there is something to wait for, or the end."""
        while True:
            decision = rules.decide(self.rollout, self.now)
            self.rollout = decision.rollout
            match decision.do:
                case Do.START | Do.BRING_BACK:
                    self._start(decision)
                case Do.CHECK_ALARMS:
                    decision = rules.after_alarms(self.rollout, self.now, self.alarm)
                    self.rollout = decision.rollout
                    if decision.do != Do.GO_ON:
                        return self._seen(decision)
                case Do.WAIT | Do.END:
                    return self._seen(decision)

    def finish(self, count: int = 1) -> None:
        """The oldest `count` running deployments end."""
        back = self.rollout.status == RolloutStatus.ROLLING_BACK
        ends = self.back if back else self.ends
        results = [
            Result(
                deployment=one.deployment,
                status=DeploymentStatus(ends(self.rollout.wave, one.row)),
            )
            for one in self.rollout.running[:count]
        ]
        self.rollout = rules.absorb(self.rollout, results, self.now)

    def to_the_end(self) -> Rollout:
        """Go on, with one deployment ending after the other, until it has ended."""
        for _ in range(10_000):
            decision = self.step()
            if decision.do == Do.END:
                return self.rollout
            self.now += timedelta(seconds=decision.seconds)
            self.finish()
        raise AssertionError("it never ends")

    def _start(self, decision: Decision) -> None:
        of, started, passed = self.rollout, [], 0
        back = decision.do == Do.BRING_BACK
        for row in range(of.position, of.position + decision.room):
            if self._passed_by(row, back=back):
                passed += 1
                continue
            name = f"{'back' if back else 'forth'}-{of.wave}-{row}"
            self.started.append(("back" if back else "forth", of.wave, row))
            started.append(Running(row=row, org="x", deployment=name, started_at=self.now))
        self.rollout = rules.taken(of, started, passed, self.now)
        self.most = max(self.most, len(self.rollout.running))

    def _passed_by(self, row: int, *, back: bool) -> bool:
        wave = self.rollout.wave
        if back:
            return ("forth", wave, row) not in self.started
        return self.skips(wave, row)

    def _seen(self, decision: Decision) -> Decision:
        self.statuses.append(self.rollout.status)
        return decision
