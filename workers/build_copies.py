"""The tenant's own copy of a build: made from what was recorded of it, and compared later."""

from dataclasses import dataclass

from control_plane import naming
from control_plane.models import JsonObject, Tenant
from control_plane.services import build_artifacts
from control_plane.services.build_artifacts import TEMPLATE, Artifacts, ArtifactsMissing
from control_plane.settings import BuildSettings, settings
from control_plane.store.builds import Builds


@dataclass(frozen=True)
class Copy:
    """A tenant's copy of a build: the key of its template, and the digests of its packages."""

    template_key: str
    code_digests: dict[str, str]


def of_build(builds: Builds, build: JsonObject, print_: str, tenant: Tenant) -> Copy:
    """The tenant's copy of a build that ended well, made where it is not complete.

    Raises ArtifactsMissing when it cannot be made.
    """
    bucket, stack = settings(BuildSettings).artifact_bucket, tenant.stack_name
    if not build.get("artifacts"):
        return _of_an_earlier_release(build, print_, stack)
    there = builds.adopted(print_, stack)
    if there and there["build_id"] == build["build_id"] and _complete(bucket, there["artifacts"]):
        return _copy(print_, stack, there["artifacts"])
    output = build.get("output") or stack
    copied = build_artifacts.adopt(bucket, print_, output, build["artifacts"], stack)
    builds.adopt(print_, stack, build["build_id"], copied)
    return _copy(print_, stack, copied)


def of_earlier(builds: Builds, print_: str, tenant: Tenant) -> Copy | None:
    """The tenant's copy of the build of an earlier deployment, or None where an earlier release
    made it and recorded no digests.

    What is gone or was changed is copied again from the build. Raises ArtifactsMissing.
    """
    bucket, stack = settings(BuildSettings).artifact_bucket, tenant.stack_name
    there = builds.adopted(print_, stack)
    if there and _complete(bucket, there["artifacts"]):
        return _copy(print_, stack, there["artifacts"])
    build = builds.get(print_)
    if build and build.get("artifacts"):
        return of_build(builds, build, print_, tenant)
    if there:
        raise ArtifactsMissing(build_artifacts.problems(bucket, there["artifacts"]))
    return None


def lost(build: JsonObject, print_: str, tenant: Tenant) -> str:
    """Why `of_build` could not make the tenant's copy of a build; empty when it could."""
    if not build.get("artifacts"):
        try:
            _of_an_earlier_release(build, print_, tenant.stack_name)
        except ArtifactsMissing as missing:
            return str(missing)
        return ""
    found = build_artifacts.problems(settings(BuildSettings).artifact_bucket, build["artifacts"])
    return str(ArtifactsMissing(found)) if found else ""


def keep_source(tenant: Tenant, source: str) -> None:
    """Keep a source as long as the tenant's builds: a rollback needs its configuration files."""
    kept = naming.kept_source_key(tenant.stack_name, source)
    places = [key for key in naming.source_keys(tenant, source) if key != kept]
    build_artifacts.keep_source(settings(BuildSettings).artifact_bucket, places, kept)


def _complete(bucket: str, artifacts: Artifacts) -> bool:
    return not build_artifacts.problems(bucket, artifacts)


def _copy(print_: str, stack: str, artifacts: Artifacts) -> Copy:
    template = f"{naming.build_prefix(stack, print_)}/{TEMPLATE}"
    return Copy(template, build_artifacts.code_digests(artifacts))


def _of_an_earlier_release(build: JsonObject, print_: str, stack: str) -> Copy:
    """A build that lies below the tenant's own prefix: of an installation, or begun before an
    update. One below another tenant's is made again."""
    bucket = settings(BuildSettings).artifact_bucket
    template = f"{naming.build_prefix(stack, print_)}/{TEMPLATE}"
    gone = build_artifacts.missing(bucket, template, stack)
    if build["stack_name"] != stack or gone:
        raise ArtifactsMissing(dict.fromkeys(gone or [template], "is gone"))
    return Copy(template, {})
