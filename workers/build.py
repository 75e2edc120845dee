"""The build of a source for a tenant: reuse one, join one, or start one in CodeBuild."""

from collections.abc import Mapping
from typing import Any

from control_plane import aws, naming, own
from control_plane.errors import BuildFailed, Cancelled, InvalidRequest
from control_plane.models import Build, Deployment, JsonObject, Tenant
from control_plane.rules.build_variables import TENANT_VARIABLES
from control_plane.services import build_artifacts
from control_plane.services.needed_builds import BUILDSPEC, needed_build
from control_plane.settings import BuildSettings, settings
from control_plane.store.builds import Builds, BuildStatus
from control_plane.store.progress import Progress
from control_plane.store.sources import lost_source
from workers import build_choice, build_copies, self_check
from workers.build_state import refreshed, stop_of_ended, stop_own
from workers.step import Outcome, Step, run

BUILD_MINUTES = 20
"""A build's limit. With the project's queue limit (template.yaml) it is below AwaitBuild's deadline
in the state machine, so this one is met first."""

# What buildspec.yml installs where it is not there already; requirements/ locks the same.
TOOL_VERSIONS = {"UV_VERSION": "0.13.9", "SAM_VERSION": "1.170.0"}


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry: a step of the state machine, or EventBridge's word that one ended."""
    if self_check.is_one(event):
        return self_check.loads(settings(BuildSettings))
    table = settings(BuildSettings).table_name
    return run(event, STEPS, table) if "step" in event else stop_of_ended(event["detail"], table)


def start_build(deployment: Deployment, event: JsonObject) -> Outcome:
    """Say which build this deployment needs, and see to it that it exists or is being made.

    A build whose artifacts are gone or were changed since is made again.
    """
    return _start_build(deployment)


def _start_build(deployment: Deployment, lost: str = "") -> Outcome:
    """As `start_build`. `lost`: what the tenant's copy of a build that ended well lacks, when that
    was found already: then it is made again, whatever a second look would find."""
    known = settings(BuildSettings)
    needed = needed_build(
        deployment.tenant,
        deployment.source,
        deployment.manifest,
        known.artifact_bucket,
        known.tenant_runtime,
        known.tenant_architecture,
    )
    print_ = needed.fingerprint
    builds = Builds(known.table_name)
    build = refreshed(builds, print_)
    why = ""
    if build and build["status"] == BuildStatus.SUCCEEDED:
        lost = lost or build_copies.lost(build, print_, deployment.tenant)
        if not lost:
            return Outcome({"fingerprint": print_, "reused": True}, f"{print_[:12]} is built")
        why = f"; {lost} since build {build['build_id']}"
    elif build and build["status"] == BuildStatus.RUNNING:
        mine = build["claimed_by"] == deployment.execution_arn  # this step runs a second time
        note = f"joined {build['build_id']}"
        return Outcome({"fingerprint": print_, "reused": not mine}, note)
    described = {
        "stack_name": deployment.tenant.stack_name,
        "output": naming.build_output(deployment.tenant, print_),
        "manifest": deployment.manifest.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    place = _source(deployment.tenant, deployment.source)
    builds.remember(print_, deployment.execution_arn)
    if not builds.claim(print_, described, deployment.execution_arn):
        return Outcome({"fingerprint": print_, "reused": True}, f"{print_[:12]} is being built")
    build_id = _start(deployment, print_, needed.overrides_path, place)
    builds.started(print_, described, deployment.execution_arn, build_id)
    return Outcome({"fingerprint": print_, "reused": False}, f"started {build_id}{why}")


def await_build(deployment: Deployment, event: JsonObject) -> Outcome:
    """Whether the build is there, and then, the tenant's own copy of it.

    A deployment that was cancelled stops the build, if it is its own. Raises Cancelled, and
    BuildFailed with the command that failed.
    """
    known = settings(BuildSettings)
    print_ = event["fingerprint"]
    builds = Builds(known.table_name)
    if event["cancelled"]:
        stopped = stop_own(builds, print_, deployment.execution_arn)
        raise Cancelled(f"its build {stopped} was stopped" if stopped else "no build was stopped")
    build = refreshed(builds, print_)
    if build is None or build["status"] == BuildStatus.CLAIMED or _was_anothers(build, deployment):
        # Whoever claimed it has not started it, or it was stopped because whoever made it was
        # cancelled. This one needs it all the same, and makes it when it is its turn to.
        return _again(deployment)
    if build["status"] in (BuildStatus.FAILED, BuildStatus.STOPPED):
        log = {"build_log": build.get("log_tail", [])}
        Progress(known.table_name).add_facts(deployment, log)
        raise BuildFailed(build["reason"])
    if build["status"] == BuildStatus.RUNNING:
        return Outcome({"fingerprint": print_, "reused": event["reused"]}, done=False)
    try:
        copy = build_copies.of_build(builds, build, print_, deployment.tenant)
    except build_artifacts.ArtifactsMissing as missing:
        # Lost since StartBuild saw it. A build that has just ended was complete then.
        return _again(deployment, str(missing))
    build_copies.keep_source(deployment.tenant, deployment.source)
    made = Build(
        fingerprint=print_,
        source=deployment.source,
        build_id=build["build_id"],
        template_key=copy.template_key,
        reused=bool(event["reused"]),
        code_digests=copy.code_digests,
    )
    Progress(known.table_name).add_facts(deployment, {"build": made.model_dump(mode="json")})
    return Outcome(made.model_dump(mode="json"), f"{print_[:12]} by {build['build_id']}")


def _again(deployment: Deployment, lost: str = "") -> Outcome:
    try:
        outcome = _start_build(deployment, lost)
    except InvalidRequest as error:  # its source was there at StartBuild
        raise BuildFailed(str(error)) from error
    return Outcome(outcome.result, outcome.note, done=False)


def _was_anothers(build: JsonObject, deployment: Deployment) -> bool:
    """Whether a build that another deployment made, and this one waited for, was stopped."""
    return bool(
        build["status"] == BuildStatus.STOPPED
        and build.get("claimed_by") != deployment.execution_arn
    )


def _start(deployment: Deployment, print_: str, overrides_path: str, place: str) -> str:
    known, tenant, manifest = settings(BuildSettings), deployment.tenant, deployment.manifest
    output = naming.build_output(tenant, print_)
    per_tenant = manifest.build.per_tenant
    variables = {
        "SOURCE": deployment.source,
        "FINGERPRINT": print_,
        "ARTIFACT_BUCKET": known.artifact_bucket,
        "ARTIFACT_PREFIX": output,
        "SAM_CONFIG_ENV": f"{tenant.env}-{tenant.org}" if per_tenant else "shared",
        "TEMPLATE": manifest.build.template,
        "STAMP": manifest.build.stamp,
        "PRE_BUILD_COMMANDS": "\n".join(manifest.build.commands),
        "DEPENDENCIES": overrides_path or manifest.build.dependencies or "",
        "RUNTIME": known.tenant_runtime,
        "ARCHITECTURE": known.tenant_architecture,
        "LAYER_PYTHON_VERSION": known.tenant_runtime.removeprefix("python"),
        "LAYER_PYTHON_PLATFORM": known.tenant_platform,
        **TOOL_VERSIONS,
    }
    if per_tenant:
        # Nothing else of a build says whose it is: what a shared one knew of a tenant would reach
        # all others. Each of these names is in rules/build_variables.py, too.
        names = (tenant.env, tenant.org, tenant.stack_name)
        variables |= dict(zip(TENANT_VARIABLES, map(str, names), strict=True))
    answer = aws.codebuild().start_build(
        projectName=_project(tenant),
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{known.artifact_bucket}/{place}",
        buildspecOverride=BUILDSPEC.read_text(),
        environmentVariablesOverride=[
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
        ],
        artifactsOverride={
            "type": "S3",
            "location": known.artifact_bucket,
            "path": output.rpartition("/")[0],
            "name": print_,
            "namespaceType": "NONE",
            "packaging": "NONE",
        },
        cacheOverride={
            "type": "S3",
            "location": (
                f"{known.artifact_bucket}/{naming.build_cache(tenant, per_tenant=per_tenant)}"
            ),
        },
        timeoutInMinutesOverride=BUILD_MINUTES,
        # The same attempt of the same deployment is the same build, when the step runs twice.
        idempotencyToken=f"{deployment.id}-{print_[:16]}",
    )
    return answer["build"]["id"]


def _project(tenant: Tenant) -> str:
    """The project of the environment's builds, whose role reaches nothing of another environment;
    the control plane's own builds have one that no application's commands run in."""
    known = settings(BuildSettings)
    if own.is_own(tenant):
        return known.own_build_project
    projects = known.build_projects.split(",")
    return next(name for name in projects if name.endswith(f"-{tenant.env}"))


def _source(tenant: Tenant, sha256: str) -> str:
    """Where the build's role can read the source; one that lies elsewhere is copied there.

    Raises InvalidRequest when it is gone.
    """
    bucket, place = settings(BuildSettings).artifact_bucket, naming.source_key(tenant.env, sha256)
    if not build_artifacts.keep_source(bucket, naming.source_keys(tenant, sha256)[1:], place):
        raise lost_source(sha256, tenant.env)
    return place


STEPS: dict[str, Step] = {
    "StartBuild": start_build,
    "AwaitBuild": await_build,
    "FindBuild": build_choice.find_build,
    "RollBack": build_choice.roll_back,
}
