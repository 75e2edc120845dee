"""An installation in the table: a deployment of the control plane that a person made.

Without it a first update would have nothing to go back to.
"""

from botocore.exceptions import ClientError

from cli.failure import Refused
from cli.install import Built, Target
from cli.source import Source
from control_plane import __version__, aws, naming, receipts
from control_plane import stack_reading as reading
from control_plane.builds import Builds, BuildStatus
from control_plane.events import ExecutionInput, Trigger, facts_of
from control_plane.history import History
from control_plane.listing import Listing
from control_plane.locks import Locks
from control_plane.manifest import Manifest
from control_plane.models import (
    Build,
    Deployment,
    Env,
    JsonObject,
    Options,
    StackState,
    StackStatus,
    utc_now,
)
from control_plane.own import Release
from control_plane.sources import Sources

BUILD_ID = "install"
"""What stands for CodeBuild's id in a build that was made by hand."""


class Installation:
    """One installation: the deployment that it is, and the control plane's lock.

    Whoever holds the lock is an execution that never existed: an installer that dies blocks nobody.
    """

    def __init__(self, target: Target, account: str, region: str) -> None:
        self.target = target
        started = utc_now()
        self._id = naming.new_deployment_id(started)
        self._started = started
        machine = f"arn:aws:states:{region}:{account}:stateMachine:{target.stack}-deployment"
        self._arn = naming.execution_arn(machine, f"{BUILD_ID}-{self._id}")
        self._table = naming.history_table(target.stack)

    def hold(self) -> None:
        """Take the lock, where there is a table. Raises Refused while an update runs."""
        locks = Locks(self._table)
        try:
            holder = locks.holder(self.target.tenant)
        except ClientError as error:
            if aws.error_code(error) != "ResourceNotFoundException":
                raise
            return  # nothing is installed yet
        if holder and _runs(holder["execution_arn"]):
            raise Refused(
                f"{self.target.stack} is being updated by deployment {holder['deployment_id']}: "
                f"let it end, or 'syndi cancel {holder['deployment_id']}'"
            )
        self._acquire(instead_of=holder["execution_arn"] if holder else self._arn)

    def release(self) -> None:
        """Give the lock back, where nothing was recorded; harmless when it is not held."""
        Locks(self._table).release(self.target.tenant, self._arn)

    def knows(self, built: Built) -> bool:
        """Whether the table says that this build is what runs."""
        current = Listing(self._table).current(self.target.tenant) or {}
        return bool(current.get("running") == built.fingerprint)

    def record(self, packed: Source, built: Built, change_set: JsonObject) -> None:
        """Write what was installed: source, build, record and current state, and free the lock."""
        tenant = self.target.tenant
        self._acquire(instead_of=self._arn)
        key = naming.source_key(packed.sha256)
        aws.s3().put_object(Bucket=built.bucket, Key=key, Body=packed.content)
        Sources(self._table).register(packed.sha256, built.manifest, list(Env))
        build = _build(built)
        self._remember(build)
        done = self._deployment(built.source, built.manifest)
        proof = {
            "build": build.model_dump(mode="json"),
            "change_set": change_set,
            "stack": _state(self.target.stack).model_dump(mode="json"),
            "config": {},
            "tests": [],
        }
        receipt = receipts.of_success(done, proof)
        release = Release(version=__version__, source=built.source, build=built.fingerprint)
        receipt["control_plane"] = release.model_dump()
        asked = ExecutionInput(
            application=tenant.application,
            env=Env(tenant.env),
            org=tenant.org,
            trigger=Trigger.INSTALL,
            requested_by=aws.sts().get_caller_identity()["Arn"],
        )
        history = History(self._table)
        history.open(tenant, done.id, self._arn, facts_of(asked, built.source))
        current = receipts.current_after(done, receipt)
        history.succeed(
            tenant,
            done.id,
            self._arn,
            receipt,
            current,
            [*receipts.FORGOTTEN, "patch"],
            is_whole=True,
        )

    def _acquire(self, instead_of: str) -> None:
        locks = Locks(self._table)
        if not locks.acquire(self.target.tenant, self._id, self._arn, instead_of=instead_of):
            raise Refused(f"{self.target.stack} is being updated by somebody else right now")

    def _deployment(self, source: str, manifest: Manifest) -> Deployment:
        return Deployment(
            id=self._id,
            execution_arn=self._arn,
            tenant=self.target.tenant,
            source=source,
            config_source=source,
            manifest=manifest,
            options=Options(),
            started_at=self._started,
        )

    def _remember(self, build: Build) -> None:
        """The build as one that is there: an update of the same source reuses it."""
        builds, stack = Builds(self._table), self.target.stack
        builds.claim(build.fingerprint, stack, self._arn)
        builds.started(build.fingerprint, stack, self._arn, BUILD_ID)
        builds.finished(
            build.fingerprint,
            {"stack_name": stack, "build_id": BUILD_ID, "claimed_by": self._arn},
            BuildStatus.SUCCEEDED,
        )


def _build(built: Built) -> Build:
    return Build(
        fingerprint=built.fingerprint,
        source=built.source,
        build_id=BUILD_ID,
        template_key=built.template_key,
        reused=False,
    )


def _state(stack_name: str) -> StackState:
    stack = reading.describe(stack_name)
    assert stack is not None  # it was deployed a moment ago
    return StackState(
        stack_id=stack["StackId"],
        status=StackStatus(stack["StackStatus"]),
        outputs={item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])},
        parameters=reading.parameters(stack),
    )


def _runs(execution_arn: str) -> bool:
    client = aws.stepfunctions()
    try:
        return client.describe_execution(executionArn=execution_arn)["status"] == "RUNNING"
    except client.exceptions.ExecutionDoesNotExist:
        return False
