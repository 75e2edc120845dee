"""What proves that a deployment is through: pure rules over the record that it left.

The proof is a fact of the record, written by ProveDeployment and required by RecordSuccess. A part
that is missing is a gap; a gap is a sentence that says what is not proven.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from control_plane.manifest import Manifest, StackTable, TestsTable
from control_plane.models import Deployment, JsonObject

PASSED, FAILED, SKIPPED = "PASSED", "FAILED", "SKIPPED"
"""The status of a test in the record."""

PARTS = ("build", "code", "config", "admin")
"""The parts of a proof: each is in it, also where there was nothing to prove (None)."""


def cannot_sign_in(enabled: bool, status: str) -> str:
    """Why a user of a pool cannot sign in with a password, or an empty text.

    `status` as Cognito has it (API reference, UserType.UserStatus).
    """
    if not enabled:
        return "is disabled in the user pool: enable that user there, or name another administrator"
    if status != "CONFIRMED":
        return (
            f"is {status} in the user pool and cannot sign in with a password: give one in "
            "ADMIN_PASSWORD, or name another administrator"
        )
    return ""


def asks_for_a_token(stack: StackTable, tests: TestsTable, parameters: Mapping[str, str]) -> bool:
    """Whether the tenant must ask for a token.

    By the stack's own parameter, not by whether a pool happens to be there: a pool that is missing
    has to fail the tests, not to skip them.
    """
    if tests.protected is None:
        return False
    switch = stack.parameters.get("enable_auth")
    return switch is None or parameters.get(switch) != "false"


def required_tests(manifest: Manifest, parameters: Mapping[str, str]) -> tuple[str, ...]:
    """The tests that must have passed, by the manifest and the stack's parameters."""
    names = ["health", *(["config"] if manifest.tests.config else [])]
    if asks_for_a_token(manifest.stack, manifest.tests, parameters):
        names += ["no-token", "bad-token", "stranger-token", "sign-in"]
        if manifest.tests.runtime_config:
            names.append("runtime-config")
    return tuple(names)


def test_gaps(required: Sequence[str], results: Iterable[Mapping[str, Any]]) -> list[str]:
    """What the results of RunTests do not prove."""
    status = {item.get("name"): item.get("status") for item in results}
    if not status:
        return ["no tests of this deployment are recorded"]
    gaps = [f"the test {name} failed" for name, found in status.items() if found == FAILED]
    for name in required:
        match status.get(name):
            case "PASSED" | "FAILED":
                continue
            case None:
                gaps.append(f"the test {name} did not run")
            case other:
                gaps.append(f"the test {name} is {other}, and it had to run")
    return gaps


def config_gaps(manifest: Manifest, content: Any, outputs: Mapping[str, str]) -> list[str]:
    """What a configuration that was read back lacks of the stack's outputs."""
    if manifest.config is None:
        return []
    return [
        f"the configuration has {_at(content, path)!r} at {path}, not the output {output}"
        for path, output in manifest.config.outputs.items()
        if _at(content, path) != outputs.get(output)  # an absent one is not in it either
    ]


def gaps(deployment: Deployment, record: JsonObject, event: Mapping[str, Any]) -> list[str]:
    """What is not proven of a deployment that is about to be recorded as a success.

    `record`: as the steps of this very deployment left it; `event`: what the state machine claims.
    """
    prefix = "rollback_" if deployment.rolling_back else ""
    proof, tests = record.get(f"{prefix}proof"), record.get(f"{prefix}tests")
    if not isinstance(proof, dict):
        return ["ProveDeployment left no proof in the record"]
    found = [f"the proof has no part {part!r}" for part in PARTS if part not in proof]
    if found:
        return found
    required = required_tests(deployment.manifest, event["stack"]["parameters"])
    found += test_gaps(required, tests or [])
    if tests != event.get("tests"):
        found.append("RunTests answered other results than it recorded")
    fingerprint = event["build"]["fingerprint"]
    if proof.get("build") != fingerprint:
        found.append(f"the proof is of the build {str(proof.get('build'))[:12]}")
    if not isinstance(proof["code"], dict):
        found.append("no code was compared")
    if deployment.manifest.config and not event.get("patch"):
        claimed = (event.get("config") or {}).get("sha256")
        if (proof["config"] or {}).get("sha256") != claimed or not claimed:
            found.append("the configuration that was read back is not the one that was uploaded")
    wanted = deployment.options.admin_username
    was_created = wanted and not deployment.rolling_back and not event.get("patch")
    if was_created and (proof["admin"] or {}).get("username") != wanted:
        found.append(f"the administrator {wanted} was not looked at")
    return found


def _at(content: Any, path: str) -> Any:
    for part in path.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content
