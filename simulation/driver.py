"""The rollout: an execution of `rollout.asl.json`, whose worker asks the real rules what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

from control_plane import naming
from control_plane.models import DeploymentStatus, Env, Mode
from control_plane.rollout_models import Result, Rollout, RolloutStatus, Running
from control_plane.rules import rollout_rules as rules
from control_plane.rules.rollout_plan import RolloutRequest, allowed, plan
from control_plane.rules.rollout_rules import Decision, Do
from simulation import quotas
from simulation.deployment import Deployment, job, way_of
from simulation.execution import ATTEMPT_EVENTS, Execution, Steps
from simulation.payloads import ARN, Sizes
from simulation.steps import RECORD_READ
from simulation.world import World

SPENT, PASSED_BY, AT_ONCE = 15_000, 200, 40
"""As in workers/rollout.py, which is not imported here: a test compares them."""

LOOK, START = 14, 9
"""What `rollout.asl.json` counts as spent for a look, and for each deployment that it starts."""

STARTED_AT_ONCE, START_SECONDS = 10, 0.1
"""StartDeployments' MaxConcurrency, and how long a start takes."""

MAP_EVENTS = 2
"""Of a Map's history: started and succeeded. Each of its items has as many as `START`."""

BATCH, BATCH_SECONDS = 25, 0.02
"""Rows that are written at once, and how long that takes."""

_ROW_READS = 10
"""Read units for a look at a tenant: its current state, source, build and overrides."""


@dataclass
class WaveTimes:
    """When a wave began and was through, in seconds; None: never."""

    began: float | None = None
    ended: float | None = None


class Driver(Execution):
    """A rollout of the scenario's tenants, from its plan to its end."""

    def __init__(self, world: World) -> None:
        super().__init__(world, "rollout", Random(f"{world.scenario.seed}/rollout"))
        given = world.scenario
        orgs = [f"org{number:05d}" for number in range(given.tenants)]
        request = RolloutRequest(
            waves=given.waves,
            concurrency=given.concurrency,
            max_failures=given.max_failures,
            on_failure=given.on_failure,
            bake_seconds=given.bake_seconds,
            priority=given.priority,
        )
        waves, self.members = plan(request, orgs)
        self.rollout = Rollout(
            id=naming.id_of(ARN, world.clock.time),
            application="simulated",
            env=Env.PROD,
            mode=request.mode,
            source="5" * 64,
            priority=request.priority,
            on_failure=request.on_failure,
            bake_seconds=request.bake_seconds,
            alarms=request.alarms,
            approval=request.approval,
            allowed=allowed(request.max_failures, len(orgs))
            if request.max_failures
            else sum(wave.allowed for wave in waves),
            waves=tuple(waves),
            status=RolloutStatus.RUNNING,
            changed_at=world.clock.time,
        )
        chance = Random(f"{given.seed}/skipped")
        self.skipped = {org for org in orgs if chance.random() < given.skipped}
        self.times = [WaveTimes() for _ in waves]
        self.executions, self.longest = 1, 0
        self.looks, self.ended = 0, 0.0
        self.sizes = Sizes()
        self._began: set[str] = set()
        self._succeeded: set[str] = set()
        self._rows = 0

    def process(self) -> Steps:
        """From the plan to the end, in as many executions as it takes."""
        world = self.world
        yield from self._prepare()
        spent = 10
        while True:
            decision, started = self._advance()
            self.sizes.see(self.rollout, started)
            world.wrote(0, self.sizes.item_units)
            ends = decision.do == Do.END
            yield from self._invoked("AdvanceRollout", self._rows * world.scenario.row_seconds)
            self.enter("WhatNext")
            spent += LOOK + START * len(started)
            if started:
                yield from self._start(started)
            elif ends:
                break
            elif spent > SPENT:
                self._hand_over()
                yield from self._invoked("PrepareRollout")
                spent = 10
                continue
            self.enter("WaitForDeployments")
            yield max(1, decision.seconds)
        good = self.rollout.status == RolloutStatus.SUCCEEDED
        self.enter("RolloutSucceeded" if good else "RolloutFailed")
        self._over()
        self.ended = world.clock.now
        for times in self.times:
            if times.began is not None and times.ended is None:
                times.ended = self.ended
        world.rollout_ended = True

    def _prepare(self) -> Steps:
        """Write the rollout and its rows, one batch after the other."""
        for _ in range(ceil(self.rollout.size / BATCH)):
            self.world.wrote(0, BATCH)
            yield BATCH_SECONDS
        yield from self._invoked("PrepareRollout")

    def _invoked(self, state: str, more: float = 0.0) -> Steps:
        """A call of the worker, which takes a step's time and `more`."""
        world = self.world
        self.enter(state)
        self.events += ATTEMPT_EVENTS
        world.api(quotas.INVOKE).count(world.clock.now)
        began = world.clock.now
        yield world.scenario.step_seconds + more
        world.worked(began)

    def _advance(self) -> tuple[Decision, list[Running]]:
        """`advance_rollout` in workers/rollout.py, with its table in memory."""
        world, before = self.world, self.rollout
        now = world.clock.time
        self.looks += 1
        self._rows = 0
        world.read(RECORD_READ * len(before.running) + 1)
        ended = self._results(before)
        world.wrote(0, len(ended))
        decision = self._decided(rules.absorb(before, ended, now))
        self.rollout = decision.rollout
        unbegun = {one.deployment for one in before.running} - set(world.records)
        known = {one.deployment for one in before.running} - unbegun
        to_start = [one for one in self.rollout.running if one.deployment not in known]
        return decision, to_start[:AT_ONCE]

    def _results(self, rollout: Rollout) -> list[Result]:
        now = self.world.clock.time
        results = []
        for one in rollout.running:
            status = self.world.records.get(one.deployment)
            if status is None and now - one.started_at > rules.LOST_AFTER:
                status = DeploymentStatus.FAILED
            if status is not None and status.is_final:
                results.append(Result(deployment=one.deployment, status=status))
                if status == DeploymentStatus.SUCCEEDED:
                    self._succeeded.add(one.org)
        return results

    def _decided(self, rollout: Rollout) -> Decision:
        now = self.world.clock.time
        passed_by = 0
        while True:
            decision = rules.decide(rollout, now, self.world.slots.limit)
            self._seen(rollout, decision.rollout)
            rollout, room = decision.rollout, min(decision.room, AT_ONCE)
            match decision.do:
                case Do.START | Do.BRING_BACK:
                    started, passed = self._begin(rollout, room)
                case Do.CHECK_ALARMS:
                    after = rules.after_alarms(rollout, now, "")
                    self._seen(rollout, after.rollout)
                    if after.do != Do.GO_ON:
                        return after
                    rollout = after.rollout
                    continue
                case Do.GO_ON:
                    continue
                case Do.WAIT | Do.END:
                    return decision
            passed_by += passed
            rollout = rules.taken(rollout, started, passed, now)
            if started or passed_by >= PASSED_BY:
                return Decision(Do.WAIT, rollout, "deployments are running", seconds=1)

    def _begin(self, rollout: Rollout, room: int) -> tuple[list[Running], int]:
        """The next tenants: those to be deployed, or brought back, and how many are passed by."""
        back = rollout.status == RolloutStatus.ROLLING_BACK
        members = self.members[rollout.wave]
        started, passed = [], 0
        for row in range(rollout.position, min(rollout.position + room, len(members))):
            org = members[row]
            self._rows += 1
            self.world.read(_ROW_READS)
            self.world.wrote(0, 1)
            if org not in self._succeeded if back else org in self.skipped:
                passed += 1
                continue
            now = self.world.clock.time
            name = naming.id_of(way_of(org, back=back), now)
            started.append(Running(row=row, org=org, deployment=name, started_at=now))
        return started, passed

    def _start(self, started: Sequence[Running]) -> Steps:
        """StartDeployments: a second start is the same execution."""
        world, given = self.world, self.world.scenario
        back = self.rollout.status == RolloutStatus.ROLLING_BACK
        self.enter("StartDeployments")
        self.events += MAP_EVENTS + START * len(started)
        world.api(quotas.TRANSITIONS).count(world.clock.now, 2 * len(started))
        for number, one in enumerate(started):
            if number and not number % STARTED_AT_ONCE:
                yield START_SECONDS
            served = world.api(quotas.START_EXECUTION).admit(world.clock.now)
            if not served or one.deployment in self._began:
                continue
            self._began.add(one.deployment)
            mode = Mode.ROLLBACK if back else self.rollout.mode
            asked = job(world, one.deployment, one.org, given.priority, mode)
            world.clock.start(Deployment(world, asked).process(), START_SECONDS)
        yield START_SECONDS

    def _seen(self, before: Rollout, after: Rollout) -> None:
        """Keep when waves begin and when they are through."""
        now = self.world.clock.now
        if self.times[before.wave].began is None:
            self.times[before.wave].began = now
        if before.until is None and after.until is not None:
            self.times[before.wave].ended = now

    def _hand_over(self) -> None:
        self.enter("ContinueRollout", "RolloutHandedOver")
        self.events += ATTEMPT_EVENTS
        self.world.api(quotas.START_EXECUTION).count(self.world.clock.now)
        self._over()
        self.executions += 1
        self.events = 1

    def _over(self) -> None:
        self.longest = max(self.longest, self.events + 1)
