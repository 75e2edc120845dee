"""The build of a source for a tenant: reuse one, join one, or start one in CodeBuild."""

from collections.abc import Mapping
from typing import Any

from control_plane import aws, naming, own
from control_plane.errors import BuildFailed, Cancelled
from control_plane.models import Build, Deployment, JsonObject
from control_plane.services import build_artifacts
from control_plane.services.needed_builds import BUILDSPEC, needed_build
from control_plane.settings import BuildSettings, settings
from control_plane.store.builds import Builds, BuildStatus
from control_plane.store.progress import Progress
from workers import build_choice, self_check
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
    """Say which build this deployment needs, and see to it that it exists or is being made."""
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
    if build and build["status"] == BuildStatus.SUCCEEDED:
        template = naming.build_prefix(build["stack_name"], print_) + "/template.yaml"
        if build_artifacts.exists(known.artifact_bucket, template):
            return Outcome({"fingerprint": print_, "reused": True}, f"{print_[:12]} is built")
    elif build and build["status"] == BuildStatus.RUNNING:
        mine = build["claimed_by"] == deployment.execution_arn  # this step runs a second time
        note = f"joined {build['build_id']}"
        return Outcome({"fingerprint": print_, "reused": not mine}, note)
    stack_name = deployment.tenant.stack_name
    builds.remember(print_, deployment.execution_arn)
    if not builds.claim(print_, stack_name, deployment.execution_arn):
        return Outcome({"fingerprint": print_, "reused": True}, f"{print_[:12]} is being built")
    build_id = _start(deployment, print_, needed.overrides_path)
    builds.started(print_, stack_name, deployment.execution_arn, build_id)
    return Outcome({"fingerprint": print_, "reused": False}, f"started {build_id}")


def await_build(deployment: Deployment, event: JsonObject) -> Outcome:
    """Whether the build is there, and then, its template below the tenant's own prefix.

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
        outcome = start_build(deployment, event)
        return Outcome(outcome.result, outcome.note, done=False)
    if build["status"] in (BuildStatus.FAILED, BuildStatus.STOPPED):
        log = {"build_log": build.get("log_tail", [])}
        Progress(known.table_name).add_facts(deployment, log)
        raise BuildFailed(build["reason"])
    if build["status"] == BuildStatus.RUNNING:
        return Outcome({"fingerprint": print_, "reused": event["reused"]}, done=False)
    template_key = build_artifacts.adopt(
        known.artifact_bucket, print_, build["stack_name"], deployment.tenant.stack_name
    )
    made = Build(
        fingerprint=print_,
        source=deployment.source,
        build_id=build["build_id"],
        template_key=template_key,
        reused=bool(event["reused"]),
        code_digests={
            # As they are called below the tenant's own prefix.
            f"{deployment.tenant.stack_name}{key.removeprefix(build['stack_name'])}": sha256
            for key, sha256 in build.get("code_digests", {}).items()
        },
    )
    Progress(known.table_name).add_facts(deployment, {"build": made.model_dump(mode="json")})
    return Outcome(made.model_dump(mode="json"), f"{print_[:12]} by {build['build_id']}")


def _was_anothers(build: JsonObject, deployment: Deployment) -> bool:
    """Whether a build that another deployment made, and this one waited for, was stopped."""
    return bool(
        build["status"] == BuildStatus.STOPPED
        and build.get("claimed_by") != deployment.execution_arn
    )


def _start(deployment: Deployment, print_: str, overrides_path: str) -> str:
    known, tenant, manifest = settings(BuildSettings), deployment.tenant, deployment.manifest
    variables = {
        "TENANT_ENV": tenant.env,
        "TENANT_ORG": tenant.org,
        "STACK_NAME": tenant.stack_name,
        "SOURCE": deployment.source,
        "FINGERPRINT": print_,
        "ARTIFACT_BUCKET": known.artifact_bucket,
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
    # The control plane's own builds run in a role that no application's commands have.
    project = known.own_build_project if own.is_own(tenant) else known.build_project
    answer = aws.codebuild().start_build(
        projectName=project,
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{known.artifact_bucket}/{naming.source_key(deployment.source)}",
        buildspecOverride=BUILDSPEC.read_text(),
        environmentVariablesOverride=[
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
        ],
        artifactsOverride={
            "type": "S3",
            "location": known.artifact_bucket,
            "path": f"{tenant.stack_name}/builds",
            "name": print_,
            "namespaceType": "NONE",
            "packaging": "NONE",
        },
        cacheOverride={
            "type": "S3",
            "location": f"{known.artifact_bucket}/cache/{tenant.stack_name}",
        },
        timeoutInMinutesOverride=BUILD_MINUTES,
        # The same attempt of the same deployment is the same build, when the step runs twice.
        idempotencyToken=f"{deployment.id}-{print_[:16]}",
    )
    return answer["build"]["id"]


STEPS: dict[str, Step] = {
    "StartBuild": start_build,
    "AwaitBuild": await_build,
    "FindBuild": build_choice.find_build,
    "RollBack": build_choice.roll_back,
}
