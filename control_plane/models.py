"""What the control plane talks about: frozen types and enumerations. No I/O."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from control_plane.manifest import Manifest, Name

ORG_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
# Only characters that the name of a secret may have, too.
EMAIL_PATTERN = r"^[A-Za-z0-9_+=.-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"

LOGICAL_ID_PATTERN = r"^[A-Za-z0-9]{1,255}(/[A-Za-z0-9]{1,255})*$"  # Data/Orders: of nested stacks
# What EventBridge Scheduler takes; a laptop's takes more, and then never starts anything.
EXPRESSION_PATTERN = r"^(rate\([1-9]\d{0,4} (minute|hour|day)s?\)|cron\(\S+( \S+){5}\))$"
# A name of the tz database; whether it exists is for EventBridge Scheduler to say.
TIMEZONE_PATTERN = r"^[A-Za-z][A-Za-z0-9_+/-]*$"
ALLOWED_PATTERN = r"^\d{1,5}%?$"
LABEL_KEY_PATTERN = r"^[a-z][a-z0-9-]{0,39}$"
LABEL_VALUE_PATTERN = r"^[A-Za-z0-9._-]{1,60}$"
BUILD_PATTERN = r"^[0-9a-f]{4,64}$"
DEPLOYMENT_ID_PATTERN = r"^\d{8}-\d{6}-\d{3}[a-z0-9]{5}$"

Org = Annotated[str, StringConstraints(pattern=ORG_PATTERN, max_length=40)]
Application = Name
Sha256 = Annotated[str, StringConstraints(pattern=SHA256_PATTERN)]
LogicalId = Annotated[str, StringConstraints(pattern=LOGICAL_ID_PATTERN)]
DeploymentId = Annotated[str, StringConstraints(pattern=DEPLOYMENT_ID_PATTERN)]
Timezone = Annotated[str, StringConstraints(pattern=TIMEZONE_PATTERN, max_length=50)]
Email = Annotated[str, StringConstraints(pattern=EMAIL_PATTERN, max_length=128)]


class Frozen(BaseModel):
    """A value: immutable, and no field that nobody declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Env(StrEnum):
    """The environments of the replaced Makefile; each tenant lives in one."""

    DEV = "dev"
    TEST = "test"
    STAGE = "stage"
    PROD = "prod"


class Mode(StrEnum):
    """What is done with a tenant. The first four are deployments."""

    FULL = "full"  # build the source and deploy it
    DEPLOY_ONLY = "deploy-only"  # the tenant's last build, with the configuration as it is now
    FUNCTION = "function"  # only the function's code, past CloudFormation
    ROLLBACK = "rollback"  # an earlier good build and its configuration
    OFFBOARD = "offboard"  # remove the stack
    DRIFT = "drift"  # look for what is not as it was deployed; nothing is changed


class Export(StrEnum):
    """What offboarding may copy away before it removes anything."""

    CONFIG = "config"
    USERS = "users"
    BUCKETS = "buckets"


class OnConflict(StrEnum):
    """What a deployment does when another one holds its tenant."""

    WAIT = "wait"
    REJECT = "reject"
    SUPERSEDE = "supersede"


class Priority(StrEnum):
    """Who gets a deployment slot first, when there are not enough."""

    URGENT = "urgent"
    NORMAL = "normal"
    LOW = "low"  # a rollout's


class DeploymentStatus(StrEnum):
    """Where a deployment is. QUEUED: started, or waiting for the tenant's lock or a slot."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ROLLED_BACK = "ROLLED_BACK"  # it failed its tests; the previous good build runs again
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def is_final(self) -> bool:
        """Whether nothing happens to the deployment any more."""
        return self not in OPEN_STATUSES


OPEN_STATUSES = (
    DeploymentStatus.QUEUED,
    DeploymentStatus.RUNNING,
    DeploymentStatus.AWAITING_APPROVAL,
)
"""The statuses of a deployment that has not ended."""


class StepStatus(StrEnum):
    """Where one step of a deployment is; PENDING steps were never entered."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


STEPS = (
    "PrepareDeployment",
    "AcquireLock",
    "AcquireSlot",
    "CheckStack",
    "ContinueRollback",
    "DeleteFailedStack",
    "AwaitDeletion",
    "StartBuild",
    "AwaitBuild",
    "FindBuild",
    "CreateChangeSet",
    "AwaitChangeSet",
    "AwaitApproval",
    "RegainSlot",
    "UploadConfig",
    "ExecuteChangeSet",
    "AwaitStack",
    "RestoreConfig",
    "ReconcileFunction",
    "PatchFunction",
    "SyncConfig",
    "CreateAdmin",
    "RunTests",
    "ProveDeployment",
    "StartTrial",
    "AwaitTrial",
    "PruneVersions",
    "RollBack",
    "DiscardChangeSet",
    "PreviewConfig",
    "ExportData",
    "DeleteStack",
    "AwaitRemoval",
    "PurgeLeftovers",
    "InspectLeftovers",
    "DetectDrift",
    "AwaitDrift",
    "CheckFunction",
    "CheckConfig",
)
"""The steps of a record: the Task states of `state_machine.asl.json` in their order there, without
those that record an end."""


class StackStatus(StrEnum):
    """All 23 statuses of a CloudFormation stack (API reference, `Stack.StackStatus`)."""

    CREATE_IN_PROGRESS = "CREATE_IN_PROGRESS"
    CREATE_FAILED = "CREATE_FAILED"
    CREATE_COMPLETE = "CREATE_COMPLETE"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    ROLLBACK_COMPLETE = "ROLLBACK_COMPLETE"
    DELETE_IN_PROGRESS = "DELETE_IN_PROGRESS"
    DELETE_FAILED = "DELETE_FAILED"
    DELETE_COMPLETE = "DELETE_COMPLETE"
    UPDATE_IN_PROGRESS = "UPDATE_IN_PROGRESS"
    UPDATE_COMPLETE_CLEANUP_IN_PROGRESS = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    UPDATE_COMPLETE = "UPDATE_COMPLETE"
    UPDATE_FAILED = "UPDATE_FAILED"
    UPDATE_ROLLBACK_IN_PROGRESS = "UPDATE_ROLLBACK_IN_PROGRESS"
    UPDATE_ROLLBACK_FAILED = "UPDATE_ROLLBACK_FAILED"
    UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
    UPDATE_ROLLBACK_COMPLETE = "UPDATE_ROLLBACK_COMPLETE"
    REVIEW_IN_PROGRESS = "REVIEW_IN_PROGRESS"
    IMPORT_IN_PROGRESS = "IMPORT_IN_PROGRESS"
    IMPORT_COMPLETE = "IMPORT_COMPLETE"
    IMPORT_ROLLBACK_IN_PROGRESS = "IMPORT_ROLLBACK_IN_PROGRESS"
    IMPORT_ROLLBACK_FAILED = "IMPORT_ROLLBACK_FAILED"
    IMPORT_ROLLBACK_COMPLETE = "IMPORT_ROLLBACK_COMPLETE"


class Tenant(Frozen):
    """One (environment, organization) pair of one application: it owns one stack."""

    application: Application
    env: Env
    org: Org

    @property
    def stack_name(self) -> str:
        """The seed's pattern: `rawscribe-stage-myorg`."""
        return f"{self.application}-{self.env}-{self.org}"


class Options(Frozen):
    """What a deployment may be told beyond its tenant and source. None: keep what is there.

    `allow_replacement` names the resources that may lose their data, by logical id. `to` is the
    deployment to roll back to. `confirm` is the name of the stack that offboarding removes.
    """

    mode: Mode = Mode.FULL
    enable_auth: bool | None = None
    create_buckets: bool | None = None
    admin_username: Email | None = None
    on_conflict: OnConflict = OnConflict.WAIT
    priority: Priority = Priority.NORMAL
    allow_replacement: tuple[LogicalId, ...] = ()
    dry_run: bool = False
    approval: bool = False
    rollback_on_failure: bool = True
    to: DeploymentId | None = None
    confirm: str | None = None
    export: tuple[Export, ...] = ()
    purge: bool = False


class Deployment(Frozen):
    """One attempt, as PrepareDeployment resolved it; every later step is given it whole.

    `source`: what its code was or will be built from, `config_source`: whose configuration files
    apply, `config_version`: the version of the stored overrides (0: none, None: the newest).
    `rolling_back`: its tests failed, and from then on it brings the previous good build back.
    """

    id: str
    execution_arn: str
    tenant: Tenant
    source: Sha256
    config_source: Sha256
    config_version: int | None = None
    rolling_back: bool = False
    manifest: Manifest
    options: Options
    admin_secret_arn: str | None = None
    started_at: datetime

    @property
    def operation(self) -> str:
        """What its work on the stack is called: the token of its events, part of its change set's
        name. The way back is an operation of its own, so that nobody takes one for the other."""
        return f"{self.id}-back" if self.rolling_back else self.id


class Build(Frozen):
    """What CodeBuild made of a source for a tenant.

    `reused` says that no CodeBuild ran for this deployment: an earlier build had the fingerprint.
    `code_digests`: the SHA-256 of each package (of a function, of a layer), base64 as in Lambda's
    CodeSha256, by its key in the artifact bucket, recorded when the build ended; empty for a build
    of an earlier release.
    """

    fingerprint: str
    source: Sha256
    build_id: str
    template_key: str
    reused: bool
    code_digests: dict[str, str] = Field(default_factory=dict)


class StackState(Frozen):
    """What a stack's operation left behind."""

    stack_id: str
    status: StackStatus
    outputs: dict[str, str]
    parameters: dict[str, str]


def utc_now() -> datetime:
    """The time, aware of being UTC. The one place that asks the clock."""
    return datetime.now(UTC)


JsonObject = dict[str, Any]
