"""An installation in the table: a deployment of the control plane that a person made.

Without it a first update would have nothing to go back to.
"""

from botocore.exceptions import ClientError

from cli.holding import Hold
from cli.install import Built, Target
from cli.source import Source
from control_plane import __version__, aws, naming
from control_plane.events import ExecutionInput, Trigger, facts_of
from control_plane.manifest import Manifest
from control_plane.models import (
    Build,
    Deployment,
    DeploymentStatus,
    Env,
    JsonObject,
    Mode,
    Options,
    StackState,
    StackStatus,
    Tenant,
)
from control_plane.own import Release
from control_plane.rules import endings
from control_plane.services import build_artifacts
from control_plane.services import stack_reading as reading
from control_plane.store import receipts
from control_plane.store.builds import Builds, BuildStatus
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.sources import Sources

BUILD_ID = "install"
"""What stands for CodeBuild's id in a build that was made by hand."""


class Installation:
    """One installation: the deployment that it is, and what it leaves in the table."""

    def __init__(self, target: Target, hold: Hold) -> None:
        self.target = target
        self._hold = hold

    def knows(self, built: Built) -> bool:
        """Whether the table says that this build is what runs."""
        current = Listing(self._hold.table).current(self.target.tenant) or {}
        return bool(current.get("running") == built.fingerprint)

    def record(self, packed: Source, built: Built, change_set: JsonObject) -> None:
        """Write what was installed: source, build, record and current state, and free the lock."""
        tenant = self.target.tenant
        self._hold.keep()
        key = naming.source_key(tenant.env, packed.sha256)
        aws.s3().put_object(Bucket=built.bucket, Key=key, Body=packed.content)
        Sources(self._hold.table).register(packed.sha256, built.manifest, list(Env))
        build = self._remember(built)
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
        history = _opened(self._hold, facts_of(_asked(tenant), built.source))
        current = receipts.current_after(done, receipt)
        history.succeed(
            tenant,
            done.id,
            self._hold.arn,
            receipt,
            current,
            [*receipts.FORGOTTEN, "patch"],
            is_whole=True,
        )

    def _deployment(self, source: str, manifest: Manifest) -> Deployment:
        return Deployment(
            id=self._hold.id,
            execution_arn=self._hold.arn,
            tenant=self.target.tenant,
            source=source,
            config_source=source,
            manifest=manifest,
            options=Options(),
            started_at=self._hold.started,
        )

    def _remember(self, built: Built) -> Build:
        """The build as one that is there: an update of the same source reuses it.

        It lies below the stack's own prefix, where an update's build is copied to.
        """
        builds, stack = Builds(self._hold.table), self.target.stack
        made = build_artifacts.digests(built.bucket, built.template_key, stack)
        digests = build_artifacts.code_digests(made)
        described = {
            "stack_name": stack,
            "output": stack,
            "manifest": built.manifest.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        print_ = built.fingerprint
        builds.claim(print_, described, self._hold.arn)
        builds.started(print_, described, self._hold.arn, BUILD_ID)
        builds.finished(
            print_,
            {**described, "build_id": BUILD_ID, "claimed_by": self._hold.arn},
            BuildStatus.SUCCEEDED,
            artifacts=made,
            code_digests=digests,
        )
        builds.adopt(print_, stack, BUILD_ID, made)
        return _build(built, digests)


def deployed_types(hold: Hold) -> set[str]:
    """The stateful types by the manifest of what is installed; none before the first
    installation."""
    try:
        current = Listing(hold.table).current(hold.tenant)
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        return set()
    if not current or not current.get("source"):
        return set()
    manifest = Sources(hold.table).described(hold.tenant.application, current["source"])
    return set(manifest.stack.stateful_types) if manifest else set()


def record_removal(hold: Hold, source: str) -> None:
    """Write that the control plane was removed, and free the lock. `source`: what it was of."""
    tenant = hold.tenant
    hold.keep()
    update = {"mode": Mode.OFFBOARD, "confirm": tenant.stack_name}
    history = _opened(hold, facts_of(_asked(tenant).model_copy(update=update), source))
    current = {
        "last_deployment": hold.id,
        "last_status": DeploymentStatus.SUCCEEDED,
        "last_reason": "uninstalled",
        "offboarded_at": receipts.now(),
    }
    history.succeed(tenant, hold.id, hold.arn, {}, current, endings.GOOD)


def _opened(hold: Hold, facts: JsonObject) -> History:
    """The history with a record of what is done under the lock, begun when that was."""
    began = History(hold.table, clock=lambda: hold.started)
    began.open(hold.tenant, hold.id, hold.arn, facts)
    return History(hold.table)


def _asked(tenant: Tenant) -> ExecutionInput:
    """What the record says of the request: who asked, by hand."""
    return ExecutionInput(
        application=tenant.application,
        env=Env(tenant.env),
        org=tenant.org,
        trigger=Trigger.INSTALL,
        requested_by=aws.sts().get_caller_identity()["Arn"],
    )


def _build(built: Built, digests: dict[str, str]) -> Build:
    return Build(
        fingerprint=built.fingerprint,
        source=built.source,
        build_id=BUILD_ID,
        template_key=built.template_key,
        reused=False,
        code_digests=digests,
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
