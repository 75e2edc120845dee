"""The function's code past CloudFormation: patched, put back, and compared."""

import json
from collections.abc import Mapping
from typing import Any

from control_plane import aws, naming, parsing
from control_plane.errors import PatchRefused
from control_plane.models import Build, Deployment, JsonObject, Tenant, utc_now
from control_plane.rules import comebacks, patching
from control_plane.rules.patching import Package, SourceFiles
from control_plane.settings import CodeSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from control_plane.store.sources import SourceArchive
from control_plane.templates import parse
from workers import code_health, function_code, self_check
from workers.step import Outcome, Step, run


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry: a step of the state machine, or the API's wish to know how a function did."""
    if self_check.is_one(event):
        return self_check.loads(settings(CodeSettings))
    if "health" in event:
        return code_health.answer(event["health"])
    return run(event, STEPS, settings(CodeSettings).table_name)


def patch_function(deployment: Deployment, event: JsonObject) -> Outcome:
    """Give the function the source's code, and nothing else; done when it is active with it.

    Raises PatchRefused when the source changes more than the code, PatchFailed when Lambda does not
    take it.
    """
    known, tenant = settings(CodeSettings), deployment.tenant
    listing = Listing(known.table_name)
    current = listing.current(tenant) or {}
    build = comebacks.build_of(current)
    if build is None:
        raise PatchRefused(f"{tenant.stack_name} has nothing to patch: deploy it in full first")
    begun = (listing.get(tenant, deployment.id) or {}).get("patch")
    patch = begun or _prepared(deployment, build)
    if not begun:
        Progress(known.table_name).add_facts(deployment, {"patch": patch})
    function = deployment.manifest.stack.function
    if function is None:
        raise PatchRefused(f"{tenant.application} names no function to patch: deploy it in full")
    name = function_code.name_of(tenant.stack_name, function)
    done = function_code.bring(
        tenant,
        name,
        function_code.existing(tenant, name),
        Package(known.artifact_bucket, patch["key"]),
        patch["code_sha256"],
        begun=bool(begun),
    )
    result = {
        # What the tests expect of the tenant: to report the patch.
        "build": {
            **build.model_dump(mode="json"),
            "fingerprint": patch["fingerprint"],
            "source": deployment.source,
        },
        "stack": current["stack"],
        "config": current.get("config", {}),
        "patch": patch,
    }
    note = f"{patch['fingerprint'][:12]} over build {build.fingerprint[:12]}"
    if patch.get("not_applied"):
        note += f"; not applied: {', '.join(patch['not_applied'])} (deploy-only does)"
    return Outcome(result, note, done)


def _prepared(deployment: Deployment, build: Build) -> JsonObject:
    """Put the patch's package into S3; what the record keeps of it. Raises PatchRefused."""
    known, tenant, manifest = settings(CodeSettings), deployment.tenant, deployment.manifest
    package, function = manifest.package, manifest.stack.function
    if package is None or function is None:
        raise PatchRefused(f"{manifest.name} has no [package] in its manifest: deploy in full")
    template = function_code.stack_template(tenant.stack_name)
    if aliases := patching.aliases(template, function):
        raise PatchRefused(
            f"{function} is called by its alias {', '.join(aliases)}, which stays at a published "
            "version: a patch would not reach it; deploy in full"
        )
    below = patching.template_package(template, function)
    if below is None or not _is_of(build, below, function):
        raise PatchRefused(
            f"the stack does not run the last good build {build.fingerprint[:12]}: deploy in full"
        )
    old, old_files = _source(tenant, build.source)
    new, new_files = _source(tenant, deployment.source)
    if changes := patching.other_changes(tenant, old, new):
        raise PatchRefused(
            f"a patch brings code only, and this source changes more ({'; '.join(changes)}): "
            "deploy in full"
        )
    fingerprint = patching.fingerprint(deployment.source, build.fingerprint)
    # As buildspec.yml writes it, so that the running code can say what it is.
    stamp = json.dumps(
        {"fingerprint": fingerprint, "source": deployment.source}, separators=(",", ":")
    )
    data = patching.packaged(
        package,
        (manifest.build.stamp, f"{stamp}\n".encode()),
        built=_unpacked(function_code.content(below)),
        old_code=_code(old_files, package.code),
        new_code=_code(new_files, package.code),
    )
    key = naming.patch_key(tenant.stack_name, fingerprint)
    aws.s3().put_object(
        Bucket=known.artifact_bucket, Key=key, Body=data, ContentType="application/zip"
    )
    return {
        "fingerprint": fingerprint,
        "source": deployment.source,
        "over": build.fingerprint,
        "key": key,
        "code_sha256": function_code.sha256(data),
        "deployment": deployment.id,
        "at": utc_now().isoformat(timespec="milliseconds"),
        "not_applied": patching.configuration_changes(old, new),
    }


def _is_of(build: Build, package: Package, function: str) -> bool:
    """Whether the package is the build's: after a deployment that failed half way it is not."""
    bucket = settings(CodeSettings).artifact_bucket
    body = aws.s3().get_object(Bucket=bucket, Key=build.template_key)["Body"].read().decode()
    return patching.is_package_of(package, parse(body), function)


Contents = dict[str, tuple[bytes, bool]]


def _source(tenant: Tenant, sha256: str) -> tuple[SourceFiles, Contents]:
    """A source as the rule looks at it, and its files. Raises PatchRefused, InvalidRequest."""
    archive = SourceArchive.fetch(settings(CodeSettings).artifact_bucket, tenant, sha256)
    manifest, contents = archive.manifest(), archive.contents()
    template = archive.read(manifest.build.template)
    if template is None:
        raise PatchRefused(f"source {sha256[:12]} has no {manifest.build.template}")
    try:
        parsed = parse(template)
    except ValueError as error:
        raise PatchRefused(f"{manifest.build.template} {error}") from error
    return SourceFiles(manifest, parsed, {p: data for p, (data, _) in contents.items()}), contents


def _code(files: Contents, directory: str) -> Contents:
    return {path: file for path, file in files.items() if path.startswith(f"{directory}/")}


def _unpacked(package: bytes) -> Contents:
    """The files of a build's package. Raises PatchRefused for one that cannot be read."""
    try:
        with parsing.open_zip(package) as archive:
            return {
                info.filename: (
                    parsing.zip_member(archive, info),
                    bool(info.external_attr >> 16 & 0o100),
                )
                for info in archive.infolist()
                if not info.is_dir()
            }
    except ValueError as error:
        raise PatchRefused(f"the build's package {error}: deploy in full") from error


def reconcile_function(deployment: Deployment, event: JsonObject) -> Outcome:
    """Give the function the code of the stack's template again, where it has another.

    CloudFormation compares templates, not functions: where it sees no change, it leaves a patch in
    place. Raises PatchFailed.
    """
    known, tenant = settings(CodeSettings), deployment.tenant
    logical_id = deployment.manifest.stack.function
    if logical_id is None:
        return Outcome(note="the application has no function that is patched")
    package = function_code.stack_package(tenant.stack_name, logical_id)
    if package is None:
        return Outcome(note=f"the template names no package of {logical_id} in S3: left as it is")
    name = function_code.name_of(tenant.stack_name, logical_id)
    wanted = function_code.sha256(function_code.content(package))
    now = function_code.existing(tenant, name)
    listing = Listing(known.table_name)
    record = listing.get(tenant, deployment.id) or {}
    begun = record.get("rollback_reconciled" if deployment.rolling_back else "reconciled")
    put_back = begun
    if not begun and not now.is_changing and now.sha256 != wanted:
        current = listing.current(tenant) or {}
        put_back = {
            "found": now.sha256,
            "put_back": wanted,
            "was": _was(now.sha256, current, record),
        }
        # Before it is done, so that a step that dies in between still says it.
        Progress(known.table_name).add_facts(deployment, {"reconciled": put_back})
    done = function_code.bring(tenant, name, now, package, wanted, begun=bool(begun))
    told = (
        f"put back: it had been {put_back['was']}" if put_back else "as the stack's template says"
    )
    return Outcome(note=told, done=done)


def check_function(deployment: Deployment, event: JsonObject) -> Outcome:
    """Whether the function runs the code of the stack's template."""
    known, tenant = settings(CodeSettings), deployment.tenant
    logical_id = deployment.manifest.stack.function
    if logical_id is None:
        told = "the application has no function that is patched"
        return Outcome({"drift": {"findings": []}}, told)
    package = function_code.stack_package(tenant.stack_name, logical_id)
    if package is None:
        told = f"the template names no package of {logical_id} in S3: not compared"
        return Outcome({"drift": {"findings": []}}, told)
    now = function_code.live(tenant, function_code.name_of(tenant.stack_name, logical_id))
    finding = {"kind": "function", "resource": logical_id}
    if now is None:
        finding |= {
            "detail": "does not exist any more",
            "deployment_would": "fail: CloudFormation makes it again only when it is taken out of "
            "the template and put back",
        }
    elif now.sha256 != function_code.sha256(function_code.content(package)):
        current = Listing(known.table_name).current(tenant) or {}
        finding |= {
            "detail": _was(now.sha256, current, {}),
            "deployment_would": "put the build's code back",
        }
    else:
        return Outcome({"drift": {"findings": []}}, "as the stack's template says")
    return Outcome({"drift": {"findings": [finding]}}, finding["detail"])


def _was(sha256: str, current: JsonObject, record: JsonObject) -> str:
    """How code came into the function that is not the stack's, as far as it was recorded."""
    for patch in (record.get("patch"), current.get("patch")):
        if patch and patch["code_sha256"] == sha256:
            return f"patched by deployment {patch['deployment']} at {patch['at'][:19]}, recorded"
    return "changed past the control plane"


STEPS: dict[str, Step] = {
    "ReconcileFunction": reconcile_function,
    "PatchFunction": patch_function,
    "CheckFunction": check_function,
}
