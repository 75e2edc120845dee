"""What a rollout is: its waves, what it is doing, and what became of each tenant. No I/O."""

from datetime import datetime
from enum import StrEnum

from control_plane.models import DeploymentStatus, Env, Frozen, Mode, Priority, Sha256


class RolloutStatus(StrEnum):
    """Where a rollout is."""

    PLANNING = "PLANNING"
    RUNNING = "RUNNING"
    BAKING = "BAKING"  # a wave is through, and is watched
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    PAUSED = "PAUSED"
    ROLLING_BACK = "ROLLING_BACK"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ROLLED_BACK = "ROLLED_BACK"  # its last wave went wrong and was brought back
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"  # by a schedule, while another one was at work: nothing was begun

    @property
    def is_good(self) -> bool:
        """Whether it ended, and there is nothing that anybody should look at."""
        return self in (RolloutStatus.SUCCEEDED, RolloutStatus.SKIPPED)

    @property
    def is_final(self) -> bool:
        """Whether nothing happens to the rollout any more."""
        return self in FINAL


FINAL = (
    RolloutStatus.SUCCEEDED,
    RolloutStatus.FAILED,
    RolloutStatus.ROLLED_BACK,
    RolloutStatus.CANCELLED,
    RolloutStatus.SKIPPED,
)


class Failure(StrEnum):
    """What a rollout does when more tenants failed than may."""

    STOP = "stop"
    ROLL_BACK = "rollback"  # stop, and bring the tenants of that wave back


class RowStatus(StrEnum):
    """What became of a tenant in a rollout."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    SKIPPED = "SKIPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ROLLED_BACK = "ROLLED_BACK"
    NOT_ROLLED_BACK = "NOT_ROLLED_BACK"


class Wave(Frozen):
    """One wave and its counts. `allowed`: how many of its tenants may fail."""

    size: int
    concurrency: int
    allowed: int
    skipped: int = 0
    succeeded: int = 0
    failed: int = 0
    rolled_back: int = 0
    not_rolled_back: int = 0


class Running(Frozen):
    """A deployment that the rollout started. `row`: its place in the wave."""

    row: int
    org: str
    deployment: str
    started_at: datetime


class Rollout(Frozen):
    """A rollout as far as it has come.

    `approval_first`: the environment lets nothing change without an approval, so that the first
    wave waits for one as well; with it, `begun`, its deployments wait for none of their own.
    `position`: the first row of the wave that was not looked at yet, forth or back. `control`: what
    somebody asked for. `approved`: up to which wave. `until`: when the bake time is over.
    """

    id: str
    application: str
    env: Env
    mode: Mode
    source: Sha256
    priority: Priority
    on_failure: Failure
    bake_seconds: int
    alarms: tuple[str, ...]
    approval: bool
    approval_first: bool = False
    allowed: int
    waves: tuple[Wave, ...]
    status: RolloutStatus = RolloutStatus.PLANNING
    wave: int = 0
    position: int = 0
    running: tuple[Running, ...] = ()
    approved: int = 0
    until: datetime | None = None
    failure: str = ""
    changed_at: datetime | None = None
    begun: bool = False
    paused: bool = False
    cancelled: str = ""

    @property
    def now_in(self) -> Wave:
        """The wave that it is in."""
        return self.waves[self.wave]

    def answers_for(self, deployment: str) -> bool:
        """Whether a deployment is one that it started, of which somebody has approved."""
        return self.begun and any(one.deployment == deployment for one in self.running)

    @property
    def failed(self) -> int:
        """How many tenants have failed so far."""
        return sum(wave.failed for wave in self.waves)

    @property
    def size(self) -> int:
        """How many tenants it has."""
        return sum(wave.size for wave in self.waves)


class Result(Frozen):
    """How a deployment that a rollout started has ended."""

    deployment: str
    status: DeploymentStatus
    reason: str = ""
