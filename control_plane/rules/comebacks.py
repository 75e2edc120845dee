"""What a tenant can go back to: rules over its current state and its history, newest first.

Records and current states are as the table has them (`history`, `listing`). A deployment can be
gone back to when it succeeded through CloudFormation with a build: not a patch, whose code no
template names, not a dry run, a removal or a look for drift.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from control_plane.models import Build, Deployment, DeploymentStatus, JsonObject
from control_plane.rules.config import rendered


def build_of(facts: JsonObject) -> Build | None:
    """The build in a record or a current state, without marks beside it; or None."""
    found = facts.get("build")
    if not found:
        return None
    known = {name: found[name] for name in Build.model_fields if name in found}
    return Build.model_validate({**known, "reused": True})


def refusal(record: JsonObject) -> str:
    """Why nobody can go back to a deployment; empty when one can."""
    if record["status"] != DeploymentStatus.SUCCEEDED:
        return f"ended {record['status']}"
    if record.get("patch"):
        return "patched the function only and has no build: deploy its source in full"
    if record.get("request", {}).get("dry_run"):
        return "was a dry run"
    if not record.get("build") or not record.get("running"):
        return f"was no deployment of a build but of mode {record.get('mode', 'unknown')}"
    return ""


def previous(current: JsonObject, newest_first: Iterable[JsonObject]) -> JsonObject | None:
    """The newest deployment before the current one whose build or configuration is another.

    What counts is what runs: behind a patch lies the build that it was put over. Stops reading at
    the first that fits; None when there is none.
    """
    for record in newest_first:
        if record["id"] >= current["last_good"] or refusal(record):
            continue
        if record["build"]["fingerprint"] != current["running"]:
            return record
        if _config_sha256(record) != _config_sha256(current):
            return record
    return None


def newest_built(newest_first: Iterable[JsonObject]) -> JsonObject | None:
    """The newest deployment that was built, however it ended; None when none was."""
    return next((r for r in newest_first if r.get("build") and not r.get("patch")), None)


def config_source(facts: JsonObject) -> str:
    """The source whose configuration files a deployment had."""
    return str(facts.get("config_source") or facts["source"])


def config_version(facts: JsonObject) -> int:
    """The version of the stored overrides that a deployment had; 0: none."""
    return int((facts.get("config") or {}).get("overrides_version", 0))


def why_not_back(current: JsonObject, failed: JsonObject, deployment: Deployment) -> str:
    """Why the deployment that just failed its tests cannot be undone; empty when it can.

    `failed` is its record so far.
    """
    build = build_of(current)
    if build is None:
        return "there is no previous good build to roll back to"
    tried = (failed.get("build") or {}).get("fingerprint")
    if (
        failed.get("patch")
        or tried != build.fingerprint
        or _tried_config_sha256(failed) != _config_sha256(current)
        or previous_options(current, deployment) != {}
    ):
        return ""
    return (
        f"the previous good build {build.fingerprint[:12]} and its configuration are the same, so "
        "there is nothing to roll back to"
    )


def previous_options(current: JsonObject, deployment: Deployment) -> JsonObject:
    """The options that the deployment changed, as they were before it.

    Without them the way back would ask for the failed deployment's parameters once more.
    """
    before = (current.get("stack") or {}).get("parameters", {})
    changed: JsonObject = {}
    for option, parameter in deployment.manifest.stack.parameters.items():
        asked = getattr(deployment.options, option)
        if asked is not None and parameter in before and before[parameter] != str(asked).lower():
            changed[option] = before[parameter] == "true"
    return changed


def restored(left: Mapping[str, Any]) -> JsonObject:
    """What a tenant is after the way back: the previous good build, as the stack has it now.

    The configuration was uploaded again, and an output may have got another value.
    """
    deployment, stack = Deployment.model_validate(left["deployment"]), left["stack"]
    return {
        "build": left["build"],
        "running": left["build"]["fingerprint"],
        "source": deployment.source,
        "config": left["config"],
        "stack": stack,
        "outputs": stack["outputs"],
        "endpoint": stack["outputs"].get(deployment.manifest.tests.endpoint),
    }


def _config_sha256(facts: JsonObject) -> str:
    return str((facts.get("config") or {}).get("sha256", ""))


def _tried_config_sha256(failed: JsonObject) -> str:
    content = failed.get("config_content")
    return hashlib.sha256(rendered(content)).hexdigest() if content is not None else ""
