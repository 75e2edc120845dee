"""One deployment: an execution of `state_machine.asl.json` that updates a tenant's stack."""

from collections.abc import Generator
from dataclasses import dataclass
from math import ceil
from random import Random

from control_plane.models import DeploymentStatus, Mode, Priority
from control_plane.rules import slot_rules
from simulation import quotas
from simulation.execution import Execution, StepFailed, Steps
from simulation.world import Build, Wait, World

SHARED = "shared"
"""The build of all tenants that have no dependencies of their own."""


@dataclass(frozen=True)
class Job:
    """What is asked for. `way`: whose, forth or back. `fails_at`: "stack", "tests", or nowhere.
    `update`: how long the stack takes, in seconds."""

    id: str
    way: str
    priority: Priority
    mode: Mode
    update: float
    fails_at: str = ""
    build: str = SHARED
    by_rollout: bool = True


def way_of(org: str, *, back: bool) -> str:
    """What a tenant's deployment, or its way back, is called wherever chance is asked."""
    return f"{org}/{'back' if back else 'forth'}"


def job(
    world: World, name: str, org: str, priority: Priority, mode: Mode, *, by_rollout: bool = True
) -> Job:
    """A tenant's deployment, drawn from its own chance: the same whenever it is started."""
    given, way = world.scenario, way_of(org, back=mode == Mode.ROLLBACK)
    chance = Random(f"{given.seed}/{way}")
    update = 60 * given.stack_minutes * chance.lognormvariate(0, given.spread)
    fails, in_tests = chance.random() < given.failure_rate, chance.random() < given.failing_tests
    fails &= by_rollout and mode != Mode.ROLLBACK
    own = Random(f"{given.seed}/{org}/build").random() < given.own_builds
    return Job(
        id=name,
        way=way,
        priority=priority,
        mode=mode,
        update=update,
        fails_at=("tests" if in_tests else "stack") if fails else "",
        build=org if own and by_rollout else SHARED,
        by_rollout=by_rollout,
    )


class Deployment(Execution):
    """An execution for a job."""

    def __init__(self, world: World, asked: Job) -> None:
        super().__init__(world, asked.id, Random(f"{world.scenario.seed}/{asked.way}/retries"))
        self.job = asked
        self._undone = False
        self._rank = slot_rules.rank(world.clock.time, asked.priority, asked.id)

    def process(self) -> Steps:
        """From its start to its end; its record then says how it ended."""
        world = self.world
        status = DeploymentStatus.SUCCEEDED
        try:
            yield from self.step("PrepareDeployment")
            world.records[self.job.id] = DeploymentStatus.QUEUED
            yield from self.awaited("AcquireLock", "IsTenantFree", "WaitForTenant")
            yield from self._slot()
            status = yield from self._brought(back=False)
            if status == DeploymentStatus.SUCCEEDED:
                yield from self.step("RecordSuccess")
                self.enter("DeploymentSucceeded")
        except StepFailed as error:
            status = DeploymentStatus.FAILED
            world.failed(error.reason)
            for state in error.route:
                if state in world.steps:
                    yield from self.step(state)
                else:
                    self.enter(state)
        if status != DeploymentStatus.SUCCEEDED:
            yield from self.step("RecordFailure")
            self.enter("DeploymentFailed")
        world.slots.give_back(self.job.id, world.clock.now)
        world.slots.leave(self._rank, world.clock.now)
        world.records[self.job.id] = status
        world.longest_execution = max(world.longest_execution, self.events + 1)

    def questions(self) -> int:
        """Whoever got no slot asks whether some of the holders still run."""
        if self.job.id in self.world.slots.holders:
            return 0
        return self.world.slots.to_check(self.world.clock.time)

    def _slot(self) -> Steps:
        since = self.world.clock.now
        yield from self.awaited("AcquireSlot", "HasSlot", "WaitForSlot", self._take)
        waited = self.world.clock.now - since - self.world.scenario.step_seconds
        self.world.slot_waits.append(Wait(self.job.priority, waited, self.job.by_rollout))

    def _take(self) -> bool:
        world, slots = self.world, self.world.slots
        now = world.clock.now
        world.read(ceil(slots.item_units / 4))
        if slots.take(self.job.id, self._rank, world.clock.time, now):
            world.api(quotas.SLOT_WRITES).count(now, slots.item_units + 1)
            world.wrote(0, slots.item_units + 1)
            world.read(ceil(slots.item_units / 4) + ceil(slots.waiting / 40))  # it is measured
            return True
        world.read(ceil(slots.item_units / 4))
        world.api(quotas.SLOT_WRITES).count(now, 1)
        world.wrote(1, 1)  # it notes what it waits for
        return False

    def _brought(self, *, back: bool) -> Generator[float, None, DeploymentStatus]:
        """The tenant is brought to the build, or, after its tests failed, `back` to the last one.

        Raises StepFailed.
        """
        yield from self.awaited("CheckStack", "ChooseByStack", "WaitForStack")
        self.enter("ChooseMode")
        if not back:
            yield from self._built()
        yield from self.step("CreateChangeSet")
        ready = self.world.clock.now + self.world.scenario.change_set_seconds
        yield from self._until(ready, "AwaitChangeSet", "IsChangeSetReady", "WaitForChangeSet")
        yield from self.step("UploadConfig")
        self.enter("HasChanges")
        yield from self.step("ExecuteChangeSet")
        yield from self._updated(fails=self.job.fails_at == "stack")
        yield from self.awaited("ReconcileFunction", "IsFunctionReconciled", "WaitForFunction")
        yield from self.step("SyncConfig")
        self.enter("IsAdminWanted")
        yield from self.step("RunTests", self.world.scenario.tests_seconds)
        if self.job.fails_at == "tests" and not back:
            self.world.failed("RunTests: a test failed")
            self.enter("MayRollBack")
            yield from self.step("RollBack")
            self.enter("CanRollBack")
            return (yield from self._brought(back=True))
        yield from self.step("ProveDeployment")
        self.enter("IsTrialWanted", "IsRolledBack")
        return DeploymentStatus.ROLLED_BACK if back else DeploymentStatus.SUCCEEDED

    def _built(self) -> Steps:
        """The build is reused, joined, or made: single flight by its fingerprint."""
        world, now = self.world, self.world.clock.now
        if self.job.mode == Mode.ROLLBACK:
            yield from self.step("FindBuild")
            return
        if self.job.build not in world.builds:
            world.builds[self.job.build] = Build(now + 60 * world.scenario.build_minutes)
            world.api(quotas.START_BUILD).count(now)
        yield from self.step("StartBuild")
        build = world.builds[self.job.build]

        def is_built() -> bool:
            if not build.recorded:
                world.api(quotas.BATCH_GET_BUILDS).count(world.clock.now)
                build.recorded = world.clock.now >= build.ends_at
            return build.recorded

        yield from self.awaited("AwaitBuild", "IsBuilt", "WaitForBuild", is_built)

    def _updated(self, *, fails: bool) -> Steps:
        """CloudFormation's operation. Raises StepFailed when it undid it."""
        world, now = self.world, self.world.clock.now
        # An update that fails does so somewhere on its way, and is undone for as long again.
        takes = self.job.update * (2 * self.chance.random() if fails else 1)
        control = world.api(quotas.FUNCTION_CONTROL)
        for _ in range(world.scenario.function_calls):
            control.count(now + takes * self.chance.random())
        self._undone = fails
        yield from self._until(now + takes, "AwaitStack", "IsStackReady", "WaitForOperation")

    def check(self, task: str) -> None:
        """Raise StepFailed when the stack's update was undone."""
        if task == "AwaitStack" and self._undone:
            self.world.api(quotas.DESCRIBE_EVENTS).count(self.world.clock.now)
            raise StepFailed("AwaitStack: a resource failed", ("RestoreConfig", "IsTrialRequired"))

    def _until(self, ready: float, task: str, choice: str, wait: str) -> Steps:
        clock = self.world.clock
        yield from self.awaited(task, choice, wait, lambda: clock.now >= ready)
