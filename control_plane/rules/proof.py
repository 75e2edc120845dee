"""What proves that a deployment is through: pure rules over the record that it left.

The proof is a fact of the record, written by ProveDeployment and required by RecordSuccess. A part
that is missing is a gap; a gap is a sentence that says what is not proven.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from control_plane import own
from control_plane.manifest import Manifest, StackTable, TestsTable
from control_plane.models import Deployment, JsonObject

PASSED, FAILED, SKIPPED = "PASSED", "FAILED", "SKIPPED"
"""The status of a test in the record."""

TOKENS = ("no-token", "altered-token", "unsigned-token", "stranger-token")
"""What every route with an authorizer has to refuse."""


def route_test(token: str) -> str:
    """The name of the test that every route refuses one of TOKENS."""
    return f"every-route-{token}"


BUCKETS = "buckets-anonymous"
"""The test that no bucket lets anybody in."""

ISOLATION = (*(route_test(token) for token in TOKENS), BUCKETS)
"""The tests of a tenant's isolation: each has a result in every deployment."""

PARTS = ("build", "code", "config", "admin", "isolation")
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
    """The tests that must have a result, by the manifest and the stack's parameters."""
    names = ["health", *(["config"] if manifest.tests.config else [])]
    if asks_for_a_token(manifest.stack, manifest.tests, parameters):
        names += ["no-token", "bad-token", "stranger-token", "sign-in"]
        if manifest.tests.runtime_config:
            names.append("runtime-config")
    return (*names, *ISOLATION)


def skip_reasons(
    deployment: Deployment, parameters: Mapping[str, str], surface: Mapping[str, int] | None
) -> dict[str, str]:
    """The tests of ISOLATION that have nothing to try, by name, each with the reason.

    `surface`: how many `routes` with an authorizer and how many `buckets` the tenant's stack has;
    None for the control plane itself. RunTests skips exactly these, and the proof accepts no other
    test, and no other reason.
    """
    if own.is_own(deployment.tenant):
        why = "the control plane's own API and buckets are in its template's tests"
        return dict.fromkeys(ISOLATION, why)
    if surface is None:
        return {}
    skipped: dict[str, str] = {}
    if surface.get("routes") == 0:
        switch = deployment.manifest.stack.parameters.get("enable_auth")
        is_off = switch is not None and parameters.get(switch) == "false"
        why = "authentication is off" if is_off else "no route has an authorizer"
        skipped = dict.fromkeys((route_test(token) for token in TOKENS), why)
    if surface.get("buckets") == 0:
        skipped[BUCKETS] = "the tenant has no bucket that is not declared public"
    return skipped


def test_gaps(
    required: Sequence[str],
    results: Iterable[Mapping[str, Any]],
    skipped: Mapping[str, str],
) -> list[str]:
    """What the results of RunTests do not prove. `skipped`: as `skip_reasons` gives them."""
    found = {item.get("name"): item for item in results}
    if not found:
        return ["no tests of this deployment are recorded"]
    gaps = [
        f"the test {name} failed" for name, item in found.items() if item.get("status") == FAILED
    ]
    for name in required:
        item = found.get(name, {})
        match item.get("status"):
            case "PASSED" | "FAILED":
                continue
            case "SKIPPED" if name in skipped and item.get("detail") == skipped[name]:
                continue
            case None:
                gaps.append(f"the test {name} did not run")
            case other:
                gaps.append(f"the test {name} is {other}, and it had to run")
    return gaps


def surface_gaps(deployment: Deployment, surface: Any) -> list[str]:
    """What the proof's part `isolation` cannot be, by the manifest alone: what ProveDeployment
    found of the stack's routes and buckets."""
    if own.is_own(deployment.tenant):
        return []
    given = surface if isinstance(surface, dict) else {}
    counts = [given.get(key) for key in ("routes", "buckets")]
    if not all(type(count) is int and count >= 0 for count in counts):
        return ["the proof does not say how many routes and buckets had to be tried"]
    manifest = deployment.manifest
    may_be_public = any(" " not in name for name in manifest.isolation.public)  # else a route
    if manifest.config and not may_be_public and counts[1] == 0:
        return ["the proof has no bucket to try, and the configuration lies in one"]
    return []


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
    parameters = event["stack"]["parameters"]
    required = required_tests(deployment.manifest, parameters)
    found += surface_gaps(deployment, proof["isolation"])
    skipped = {} if found else skip_reasons(deployment, parameters, proof["isolation"])
    found += test_gaps(required, tests or [], skipped)
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
