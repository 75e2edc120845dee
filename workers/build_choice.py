"""Which build that is there already: the tenant's last one, or one to go back to."""

from control_plane.errors import InvalidRequest, NoSuchBuild
from control_plane.manifest import IsolationTable
from control_plane.models import Build, Deployment, JsonObject, Mode
from control_plane.rules import comebacks
from control_plane.services import build_artifacts
from control_plane.services.build_artifacts import ArtifactsMissing
from control_plane.services.deployed import last_built, manifest_of
from control_plane.settings import BuildSettings, settings
from control_plane.store.builds import Builds
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from workers import build_copies
from workers.step import Outcome


def find_build(deployment: Deployment, event: JsonObject) -> Outcome:
    """The build that `deploy-only` or `rollback` brings. Raises NoSuchBuild.

    The deployment goes on as one of that build's source: with the manifest that was built, and with
    the configuration of now (`deploy-only`) or of then (`rollback`).
    """
    if deployment.options.mode == Mode.ROLLBACK:
        record = _to_go_back_to(deployment)
        note = f"as deployment {record['id']} of {str(record['finished_at'])[:19]}"
        changes = _configuration_of(record)
    else:
        record = last_built(settings(BuildSettings).table_name, deployment.tenant)
        note, changes = "the last build of the tenant", {}
    build = comebacks.build_of(record)
    if build is None:
        raise NoSuchBuild(
            f"{deployment.tenant.stack_name} was never built: deploy it in full first"
        )
    build, missing = _checked(deployment, build)
    if missing:
        instead = "deploy in full"
        if deployment.options.mode == Mode.ROLLBACK:
            instead = (
                "nobody can go back to it any more; to deploy its source anew: 'syndi deploy "
                f"{deployment.tenant.env} {deployment.tenant.org} --application "
                f"{deployment.tenant.application} --source {build.source}'"
            )
        raise NoSuchBuild(f"build {build.fingerprint[:12]} {missing}: {instead}")
    try:
        chosen = _as_of(deployment, build, changes)
    except InvalidRequest as error:
        raise NoSuchBuild(str(error)) from error
    if deployment.options.mode == Mode.ROLLBACK:
        chosen = _isolated_as_now(chosen)
    facts = {"build": build.model_dump(mode="json")}
    Progress(settings(BuildSettings).table_name).add_facts(deployment, facts)
    return Outcome(
        {"deployment": _dumped(chosen), "build": facts["build"]},
        f"{build.fingerprint[:12]}, {note}",
    )


def roll_back(deployment: Deployment, event: JsonObject) -> Outcome:
    """The previous good build, for a deployment that failed its tests.

    Runs although the deployment was cancelled: a tenant that does not work is not left behind.
    """
    known = settings(BuildSettings)
    listing = Listing(known.table_name)
    current = listing.current(deployment.tenant) or {}
    failed = listing.get(deployment.tenant, deployment.id) or {}
    why = comebacks.why_not_back(current, failed, deployment)
    build = comebacks.build_of(current)
    chosen = None
    if not why and build:
        options = comebacks.previous_options(current, deployment)
        back = {
            "rolling_back": True,
            "options": deployment.options.model_copy(update=options),
            **_configuration_of(current),
        }
        build, missing = _checked(deployment, build)
        if missing:
            why = f"the previous good build {build.fingerprint[:12]} {missing}"
        else:
            try:
                chosen = _as_of(deployment, build, back)
            except InvalidRequest as error:
                why = str(error)
    if chosen is None or build is None:
        result = {"available": False, "why": why, "deployment": event["deployment"], "build": {}}
        return Outcome(result, why)
    progress = Progress(known.table_name)
    progress.open_way_back(chosen)
    facts = {"build": build.model_dump(mode="json")}
    progress.add_facts(chosen, facts)
    note = f"to {build.fingerprint[:12]}, as deployment {current['last_good']} left it"
    if current.get("patch"):
        note += f"; its patch {current['patch']['fingerprint'][:12]} is not put back"
    result = {"available": True, "why": "", "deployment": _dumped(chosen), **facts}
    return Outcome(result, note)


def _to_go_back_to(deployment: Deployment) -> JsonObject:
    """The deployment that `to` names, or the one before the current. Raises NoSuchBuild."""
    listing = Listing(settings(BuildSettings).table_name)
    tenant, to = deployment.tenant, deployment.options.to
    if to is not None:
        record = listing.get(tenant, to)
        if record is None:
            raise NoSuchBuild(f"{tenant.stack_name} has no deployment {to}: see its history")
        if refusal := comebacks.refusal(record):
            raise NoSuchBuild(f"deployment {to} {refusal}")
        return record
    current = listing.current(tenant) or {}
    if not current.get("build"):
        raise NoSuchBuild(f"{tenant.stack_name} has nothing deployed: deploy it in full")
    record = comebacks.previous(current, listing.newest_first(tenant))
    if record is None:
        raise NoSuchBuild(
            f"{tenant.stack_name} had no good deployment of another build or configuration before "
            f"{current['last_good']}"
        )
    return record


def _isolated_as_now(deployment: Deployment) -> Deployment:
    """A rollback, in which also what the manifest of what is deployed declares crosses the tenant's
    bounds on purpose.

    A build may be older than `[isolation]`, and what it deploys was approved. Nothing gets open
    that neither manifest declares.
    """
    table, tenant = settings(BuildSettings).table_name, deployment.tenant
    manifest = deployment.manifest
    current = Listing(table).current(tenant) or {}
    if not current.get("build"):
        return deployment
    try:
        now = manifest_of(table, tenant, current["build"]).isolation
    except InvalidRequest:  # not known any more: it declares nothing
        return deployment
    both = IsolationTable(
        shared={**now.shared, **manifest.isolation.shared},
        public={**now.public, **manifest.isolation.public},
    )
    isolated = manifest.model_copy(update={"isolation": both})
    return deployment.model_copy(update={"manifest": isolated})


def _configuration_of(facts: JsonObject) -> JsonObject:
    return {
        "config_source": comebacks.config_source(facts),
        "config_version": comebacks.config_version(facts),
    }


def _checked(deployment: Deployment, build: Build) -> tuple[Build, str]:
    """The build as it is now, and what of it is not there any more; empty when it is complete.

    What is gone or was changed of the tenant's copy is copied again where that is possible.
    """
    known, stack_name = settings(BuildSettings), deployment.tenant.stack_name
    if not build.template_key.startswith(f"{stack_name}/"):
        return build, f"lies at {build.template_key}, which is not {stack_name}'s own"
    builds = Builds(known.table_name)
    try:
        copy = build_copies.of_earlier(builds, build.fingerprint, deployment.tenant)
    except ArtifactsMissing as error:
        return build, f"is not complete any more ({error})"
    if copy:
        return build.model_copy(update={"code_digests": copy.code_digests}), ""
    lost = build_artifacts.missing(known.artifact_bucket, build.template_key, stack_name)
    return build, f"is not complete any more ({', '.join(lost)} is gone)" if lost else ""


def _as_of(deployment: Deployment, build: Build, changes: JsonObject) -> Deployment:
    """The deployment as one of the build's source, which is tried as this one would be.

    Raises InvalidRequest when the build's manifest is not known any more.
    """
    table, tenant = settings(BuildSettings).table_name, deployment.tenant
    found = manifest_of(table, tenant, build.model_dump())
    manifest = found.model_copy(update={"trial": found.trial or deployment.manifest.trial})
    return deployment.model_copy(update={"source": build.source, "manifest": manifest, **changes})


def _dumped(deployment: Deployment) -> JsonObject:
    return deployment.model_dump(mode="json", by_alias=True, exclude_none=True)
