"""How a build stands in CodeBuild, and the end of one that nobody waits for any more."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from control_plane import aws
from control_plane.errors import ServiceBusy
from control_plane.models import JsonObject, utc_now
from control_plane.observability import logger
from control_plane.services import build_artifacts
from control_plane.settings import BuildSettings, settings
from control_plane.store.builds import CLAIM_SECONDS, Builds, BuildStatus
from workers import build_report


def refreshed(builds: Builds, print_: str) -> JsonObject | None:
    """The build as it is now: one that ended since the last look has its end recorded.

    Whoever looks records it, so that a build whose deployment died is not waited for, and a failed
    one is not joined but made again.
    """
    build = builds.get(print_)
    if build is None or build["status"] != BuildStatus.RUNNING:
        return build
    found = aws.codebuild().batch_get_builds(ids=[build["build_id"]])["builds"]
    if not found:
        reason = f"CodeBuild does not know {build['build_id']} any more"
        builds.finished(print_, build, BuildStatus.FAILED, reason)
        return builds.get(print_)
    match found[0]["buildStatus"]:
        case "IN_PROGRESS":
            return build
        case "SUCCEEDED":
            _succeeded(builds, print_, build)
        case ended:
            report = build_report.report(found[0])
            status = BuildStatus.STOPPED if ended == "STOPPED" else BuildStatus.FAILED
            builds.finished(print_, build, status, report.reason, report.log_tail)
    return builds.get(print_)


def _succeeded(builds: Builds, print_: str, build: JsonObject) -> None:
    """Record what a build made, as it is now that it has ended; without it the build failed."""
    bucket, output = settings(BuildSettings).artifact_bucket, build.get("output")
    if output is None:  # begun by an earlier release, which finishes it with its own code
        builds.finished(print_, build, BuildStatus.SUCCEEDED)
        return
    try:
        artifacts = build_artifacts.digests(bucket, f"{output}/{build_artifacts.TEMPLATE}", output)
    except build_artifacts.ArtifactsMissing as error:
        reason = f"the build {build['build_id']} ended well, but {error}"
        builds.finished(print_, build, BuildStatus.FAILED, reason)
        return
    builds.finished(
        print_,
        build,
        BuildStatus.SUCCEEDED,
        artifacts=artifacts,
        code_digests=build_artifacts.code_digests(artifacts),
    )


def stop_own(builds: Builds, print_: str, execution_arn: str) -> str | None:
    """Stop the build if it runs and is this execution's own; gives its id, or None.

    Another's build, which this one only waited for, goes on. One that has ended stays what it is:
    a build that is through is reused by the next deployment.
    """
    build = refreshed(builds, print_)
    if build is None or build["status"] != BuildStatus.RUNNING:
        return None
    if build["claimed_by"] != execution_arn:
        return None
    build_id = str(build["build_id"])
    aws.codebuild().stop_build(id=build_id)
    builds.finished(print_, build, BuildStatus.STOPPED, f"the build {build_id} was stopped")
    return build_id


def stop_of_ended(detail: Mapping[str, Any], table: str) -> JsonObject:
    """Stop the build that an execution left behind when it was stopped or timed out.

    `detail` is EventBridge's `Step Functions Execution Status Change`. Harmless when repeated.
    Raises ServiceBusy, so that Lambda asks again, while the build is just being started.
    """
    arn, builds = detail["executionArn"], Builds(table)
    print_ = builds.of_execution(arn)
    if print_ is None:
        return {"stopped": ""}
    build = builds.get(print_) or {}
    if build.get("status") == BuildStatus.CLAIMED and build["claimed_by"] == arn:
        age = utc_now() - datetime.fromisoformat(build["claimed_at"])
        if age < timedelta(seconds=CLAIM_SECONDS):
            raise ServiceBusy(f"the build {print_[:12]} of {arn} is just being started")
    stopped = stop_own(builds, print_, arn)
    logger().info("execution ended", execution_arn=arn, build_stopped=stopped or "")
    return {"stopped": stopped or ""}
