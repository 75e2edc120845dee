"""Which build that is there already: the tenant's last one, or one to go back to."""

from control_plane.errors import NoSuchBuild
from control_plane.models import Build, Deployment, JsonObject, Mode
from control_plane.rules import comebacks
from control_plane.services import build_artifacts
from control_plane.settings import BuildSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from control_plane.store.sources import Sources
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
        record = _running_or_newest(deployment)
        note, changes = "the last build of the tenant", {}
    build = comebacks.build_of(record)
    if build is None:
        raise NoSuchBuild(
            f"{deployment.tenant.stack_name} was never built: deploy it in full first"
        )
    missing = _missing(deployment, build)
    if missing:
        instead = "deploy in full"
        if deployment.options.mode == Mode.ROLLBACK:
            instead = "nobody can go back to it any more"
        raise NoSuchBuild(f"build {build.fingerprint[:12]} {missing}: {instead}")
    chosen = _as_of(deployment, build, changes)
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
    if not why and build and (missing := _missing(deployment, build)):
        why = f"the previous good build {build.fingerprint[:12]} {missing}"
    if why or build is None:
        result = {"available": False, "why": why, "deployment": event["deployment"], "build": {}}
        return Outcome(result, why)
    options = deployment.options.model_copy(update=comebacks.previous_options(current, deployment))
    back = {"rolling_back": True, "options": options, **_configuration_of(current)}
    chosen = _as_of(deployment, build, back)
    progress = Progress(known.table_name)
    progress.open_way_back(chosen)
    facts = {"build": build.model_dump(mode="json")}
    progress.add_facts(chosen, facts)
    note = f"to {build.fingerprint[:12]}, as deployment {current['last_good']} left it"
    if current.get("patch"):
        note += f"; its patch {current['patch']['fingerprint'][:12]} is not put back"
    result = {"available": True, "why": "", "deployment": _dumped(chosen), **facts}
    return Outcome(result, note)


def _running_or_newest(deployment: Deployment) -> JsonObject:
    """What names the tenant's last build: its current state, or its newest record with one.

    Empty when there is none.
    """
    listing = Listing(settings(BuildSettings).table_name)
    current = listing.current(deployment.tenant) or {}
    if current.get("build"):
        return current
    return comebacks.newest_built(listing.newest_first(deployment.tenant)) or {}


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


def _configuration_of(facts: JsonObject) -> JsonObject:
    return {
        "config_source": comebacks.config_source(facts),
        "config_version": comebacks.config_version(facts),
    }


def _missing(deployment: Deployment, build: Build) -> str:
    """What of a build is not there any more; empty when it is complete."""
    bucket, stack_name = settings(BuildSettings).artifact_bucket, deployment.tenant.stack_name
    if not build.template_key.startswith(f"{stack_name}/"):
        return f"lies at {build.template_key}, which is not {stack_name}'s own"
    lost = build_artifacts.missing(bucket, build.template_key, stack_name)
    return f"is not complete any more ({', '.join(lost)} is gone)" if lost else ""


def _as_of(deployment: Deployment, build: Build, changes: JsonObject) -> Deployment:
    """The deployment as one of the build's source, which is tried as this one would be."""
    _, found = Sources(settings(BuildSettings).table_name).resolve(
        deployment.tenant.application, deployment.tenant.env, build.source
    )
    manifest = found.model_copy(update={"trial": found.trial or deployment.manifest.trial})
    return deployment.model_copy(update={"source": build.source, "manifest": manifest, **changes})


def _dumped(deployment: Deployment) -> JsonObject:
    return deployment.model_dump(mode="json", by_alias=True, exclude_none=True)
