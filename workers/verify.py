"""The tests of a live tenant: is it this build, and does it let in exactly whom it should?"""

from collections.abc import Mapping
from typing import Any

from control_plane.errors import OutputRefused, TenantNotReady, TestsFailed
from control_plane.manifest import TestsTable
from control_plane.models import Deployment, JsonObject
from control_plane.rules.proof import asks_for_a_token
from control_plane.services import owned_addresses
from control_plane.services.client import signed_get
from control_plane.services.live import Answer, at, get
from control_plane.settings import VerifySettings, settings
from control_plane.store.progress import Progress
from workers import live_tests, self_check, verify_check, verify_isolation, verify_proof
from workers.live_tests import (
    FAILED,
    PASSED,
    SKIPPED,
    Check,
    Subject,
    attempt,
    quoted,
    refusal,
    result,
)
from workers.step import Outcome, Step, run
from workers.verify_users import TemporaryUser

_BAD_TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.bm90LWEtc2lnbmF0dXJl"  # noqa: S105
"""Well-formed, and signed by nobody."""

AUTHENTICATED = ("no-token", "bad-token", "stranger-token", "sign-in", "runtime-config")
"""The tests that need authentication: skipped, not passed, without it."""


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry."""
    if self_check.is_one(event):
        return self_check.answer(event, verify_check.check)
    return run(event, STEPS, settings(VerifySettings).table_name)


def run_tests(deployment: Deployment, event: JsonObject) -> Outcome:
    """Test the tenant through its public endpoint, as its users reach it: all of CHECKS.

    Raises TenantNotReady while it does not answer with this build, and TestsFailed with the tests
    that failed; their results are in the record either way.
    """
    table, outputs = deployment.manifest.tests, event["outputs"]
    if table.endpoint not in outputs:
        raise TestsFailed(f"no output {table.endpoint}: where does the tenant answer?")
    progress = Progress(settings(VerifySettings).table_name)
    try:  # before anything is sent there: a token, a test user
        owned = owned_addresses.check(deployment.tenant, deployment.manifest, outputs)
    except OutputRefused as error:
        progress.add_facts(deployment, {"tests": [result("outputs", FAILED, str(error))]})
        raise TestsFailed(str(error)) from error
    subject = Subject(
        deployment,
        endpoint=outputs[table.endpoint].rstrip("/"),
        fingerprint=event["fingerprint"],
        outputs=outputs,
        parameters=event["parameters"],
        owned=owned,
        config_sha256=(event.get("config") or {}).get("sha256", ""),
    )
    results: list[JsonObject] = []
    for check in CHECKS:
        try:
            results += check(subject)
        except TenantNotReady as error:
            # For whoever looks while this is tried again, and afterwards.
            name = check.__name__.strip("_").replace("_", "-")
            progress.add_facts(deployment, {"tests": [*results, result(name, FAILED, str(error))]})
            raise
    progress.add_facts(deployment, {"tests": results})
    failed = [f"{item['name']}: {item['detail']}" for item in results if item["status"] == FAILED]
    if failed:
        raise TestsFailed("; ".join(failed))
    passed = sum(item["status"] == PASSED for item in results)
    return Outcome({"tests": results}, f"{passed} passed, {len(results) - passed} skipped")


def health(subject: Subject) -> list[JsonObject]:
    """Whether the tenant is well, and is this build. Raises TenantNotReady."""
    table, url = subject.tests, subject.endpoint + subject.tests.health
    answer = signed_get(url, settings(VerifySettings).aws_region) if table.signed else get(url)
    return [
        live_tests.health(answer, table, subject.fingerprint),
        *live_tests.config_in_use(answer, table, subject.config_sha256),
    ]


def authentication(subject: Subject) -> list[JsonObject]:
    """Whether the tenant lets in exactly whom it should."""
    deployment, table = subject.deployment, subject.tests
    if not asks_for_a_token(deployment.manifest.stack, table, subject.parameters):
        off = AUTHENTICATED if table.protected else ()
        return [result(name, SKIPPED, "authentication is off") for name in off]
    admin = deployment.manifest.admin
    assert table.protected is not None
    assert admin is not None  # both are the manifest's own rule
    pool, client = subject.outputs.get(admin.user_pool), subject.outputs.get(admin.client)
    if not pool or not client:
        missing = f"the stack has no outputs {admin.user_pool} and {admin.client}"
        return [result(name, FAILED, missing) for name in AUTHENTICATED]
    known = settings(VerifySettings)
    protected = subject.endpoint + table.protected
    results = [
        refusal("no-token", get(protected), (401,)),
        refusal("bad-token", get(protected, _BAD_TOKEN), (401,)),
    ]
    # A real token, really signed, by a pool that no tenant may trust.
    with TemporaryUser(
        deployment.tenant,
        known.stranger_pool_id,
        known.stranger_client_id,
        deployment.id,
        ours=True,
    ) as stranger:
        results.append(refusal("stranger-token", get(protected, stranger.token), (401, 403)))

    def sign_in() -> JsonObject:
        with TemporaryUser(deployment.tenant, pool, client, deployment.id, admin.group) as user:
            return signed_in(get(protected, user.token), table, user.email, admin.group)

    results.append(attempt("sign-in", sign_in))
    results.append(runtime_config(subject.endpoint, table, pool))
    return results


def signed_in(answer: Answer, table: TestsTable, email: str, group: str) -> JsonObject:
    """The result of a request with a real sign-in: the tenant must know who that is."""
    if answer.status != 200:
        return result("sign-in", FAILED, f"expected 200, got {live_tests.got(answer)}")
    if answer.problem:
        return result("sign-in", FAILED, f"{table.protected}: {answer.problem}")
    identity, groups = at(answer.body, table.identity), at(answer.body, table.groups)
    if identity != email:
        return result("sign-in", FAILED, f"expected user {email!r}, got {quoted(identity)}")
    if not isinstance(groups, list) or group not in groups:
        return result("sign-in", FAILED, f"expected group {group}, got {quoted(groups)}")
    return result("sign-in", PASSED, f"identity and group {group} are right")


def runtime_config(endpoint: str, table: TestsTable, pool: str) -> JsonObject:
    """The result of asking which pool the tenant's users are sent to."""
    if table.runtime_config is None:
        return result("runtime-config", SKIPPED, "the application has none")
    answer = get(endpoint + table.runtime_config)
    named = at(answer.body, table.runtime_user_pool)
    if answer.status == 200 and named == pool:
        return result("runtime-config", PASSED, f"names {pool}")
    seen = answer.problem or quoted(named)
    wanted = f"expected 200 and pool {pool}, got {live_tests.got(answer)} and {seen}"
    return result("runtime-config", FAILED, wanted)


CHECKS: tuple[Check, ...] = (health, authentication, verify_isolation.isolation)
"""What RunTests does, in this order: each looks at one side of the tenant. To add one: a function
that takes the Subject and gives results, in a module of its own."""

STEPS: dict[str, Step] = {
    "RunTests": run_tests,
    "ProveDeployment": verify_proof.prove_deployment,
}
