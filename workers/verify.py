"""The tests of a live tenant: is it this build, and does it let in exactly whom it should?"""

from collections.abc import Mapping
from typing import Any

from control_plane.errors import TenantNotReady, TestsFailed
from control_plane.manifest import TestsTable
from control_plane.models import Deployment, JsonObject
from control_plane.services.client import signed_get
from control_plane.services.live import Answer, at, get
from control_plane.settings import VerifySettings, settings
from control_plane.store.progress import Progress
from workers import self_check, verify_check
from workers.live_tests import (
    FAILED,
    PASSED,
    SKIPPED,
    asks_for_a_token,
    health,
    refusal,
    result,
)
from workers.step import Outcome, Step, run
from workers.verify_users import SignInRefused, TemporaryUser

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
    """Test the tenant through its public endpoint, as its users reach it.

    Raises TenantNotReady while it does not answer with this build, and TestsFailed with the tests
    that failed; their results are in the record either way.
    """
    table, outputs = deployment.manifest.tests, event["outputs"]
    if table.endpoint not in outputs:
        raise TestsFailed(f"no output {table.endpoint}: where does the tenant answer?")
    endpoint = outputs[table.endpoint].rstrip("/")
    progress = Progress(settings(VerifySettings).table_name)
    try:
        results = [_health(endpoint, table, event["fingerprint"])]
    except TenantNotReady as error:  # for whoever looks while this is tried again, and afterwards
        progress.add_facts(deployment, {"tests": [result("health", FAILED, str(error))]})
        raise
    stack = deployment.manifest.stack
    if asks_for_a_token(stack, table, event["parameters"]):
        results += _authentication(deployment, endpoint, outputs)
    elif table.protected:
        results += [result(name, SKIPPED, "authentication is off") for name in AUTHENTICATED]
    progress.add_facts(deployment, {"tests": results})
    failed = [f"{item['name']}: {item['detail']}" for item in results if item["status"] == FAILED]
    if failed:
        raise TestsFailed("; ".join(failed))
    passed = sum(item["status"] == PASSED for item in results)
    return Outcome({"tests": results}, f"{passed} passed, {len(results) - passed} skipped")


def _health(endpoint: str, table: TestsTable, fingerprint: str) -> JsonObject:
    url = endpoint + table.health
    answer = signed_get(url, settings(VerifySettings).aws_region) if table.signed else get(url)
    return health(answer, table, fingerprint)


def _authentication(
    deployment: Deployment, endpoint: str, outputs: Mapping[str, str]
) -> list[JsonObject]:
    table, admin = deployment.manifest.tests, deployment.manifest.admin
    assert table.protected is not None
    assert admin is not None  # both are the manifest's own rule
    pool, client = outputs.get(admin.user_pool), outputs.get(admin.client)
    if not pool or not client:
        missing = f"the stack has no outputs {admin.user_pool} and {admin.client}"
        return [result(name, FAILED, missing) for name in AUTHENTICATED]
    known = settings(VerifySettings)
    protected = endpoint + table.protected
    results = [
        refusal("no-token", get(protected), (401,)),
        refusal("bad-token", get(protected, _BAD_TOKEN), (401,)),
    ]
    # A real token, really signed, by a pool that no tenant may trust.
    try:
        with TemporaryUser(
            known.stranger_pool_id, known.stranger_client_id, deployment.id
        ) as stranger:
            results.append(refusal("stranger-token", get(protected, stranger.token), (401, 403)))
    except SignInRefused as error:
        results.append(result("stranger-token", FAILED, str(error)))
    try:
        with TemporaryUser(pool, client, deployment.id, admin.group) as user:
            results.append(signed_in(get(protected, user.token), table, user.email, admin.group))
    except SignInRefused as error:
        results.append(result("sign-in", FAILED, str(error)))
    results.append(runtime_config(endpoint, table, pool))
    return results


def signed_in(answer: Answer, table: TestsTable, email: str, group: str) -> JsonObject:
    """The result of a request with a real sign-in: the tenant must know who that is."""
    if answer.status != 200:
        return result("sign-in", FAILED, f"expected 200, got {answer.status}")
    identity, groups = at(answer.body, table.identity), at(answer.body, table.groups)
    if identity != email:
        return result("sign-in", FAILED, f"expected user {email!r}, got {identity!r}")
    if not isinstance(groups, list) or group not in groups:
        return result("sign-in", FAILED, f"expected group {group}, got {groups!r}")
    return result("sign-in", PASSED, f"identity and group {group} are right")


def runtime_config(endpoint: str, table: TestsTable, pool: str) -> JsonObject:
    """The result of asking which pool the tenant's users are sent to."""
    if table.runtime_config is None:
        return result("runtime-config", SKIPPED, "the application has none")
    answer = get(endpoint + table.runtime_config)
    named = at(answer.body, table.runtime_user_pool)
    if answer.status == 200 and named == pool:
        return result("runtime-config", PASSED, f"names {pool}")
    wanted = f"expected 200 and pool {pool}, got {answer.status} and {named!r}"
    return result("runtime-config", FAILED, wanted)


STEPS: dict[str, Step] = {"RunTests": run_tests}
