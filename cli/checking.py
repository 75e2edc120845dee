"""Questions to a live tenant, from the outside and without changing anything."""

import json
import os
from typing import Any

from cli.connection import Api
from cli.failure import CommandError, Refused
from control_plane import aws
from control_plane.errors import TenantNotReady
from control_plane.manifest import TestsTable
from control_plane.rules.tenant_health import health_verdict
from control_plane.services.live import at, get


def check_tenant(
    tenant: dict[str, Any], manifest: dict[str, Any], username: str | None
) -> list[dict[str, str]]:
    """Health and build of a tenant; with `username` also a real sign-in of that user."""
    tests, endpoint = manifest["tests"], tenant["endpoint"].rstrip("/")
    try:
        health = get(endpoint + tests["health"])
        # Another release may have registered it, with keys of its own.
        table = TestsTable.model_validate(tests, extra="ignore")
        verdict = health_verdict(health.status, health.body, table)
        problem = verdict.problem or health.problem
        expected = tenant["running"]  # the build, or the patch over it
        reported = at(health.body, tests["fingerprint"])
        results = [
            _result("health", not problem, problem or "answered 200"),
            _result("build", reported == expected, f"reports {reported}, deployed is {expected}"),
        ]
        if username:
            results += _sign_in(tenant, manifest, endpoint, username)
    except TenantNotReady as error:
        return [_result("health", False, str(error))]
    return results


def check_config(api: Api, path: str, manifest: dict[str, Any]) -> list[dict[str, str]]:
    """Whether the live configuration fits the application's schema; nothing where it has none.

    `path`: the API's, of the tenant's configuration. What cannot be read is a failure: it could be
    anything.
    """
    if not (manifest.get("config") or {}).get("schema"):
        return []
    try:
        live = api.call("GET", path)
    except CommandError as error:
        return [_result("config", False, f"cannot be read: {error}")]
    if not live.get("live"):
        return [_result("config", False, "there is none in its bucket")]
    wrong = live.get("problem") or "; ".join(live.get("invalid", []))
    return [_result("config", not wrong, wrong or "fits its schema")]


def _sign_in(
    tenant: dict[str, Any], manifest: dict[str, Any], endpoint: str, username: str
) -> list[dict[str, str]]:
    tests, admin, outputs = manifest["tests"], manifest.get("admin"), tenant["outputs"]
    if not admin or admin["user_pool"] not in outputs:
        raise Refused(f"{tenant['stack_name']} has no authentication")
    cognito = aws.cognito()
    try:
        answer = cognito.admin_initiate_auth(
            UserPoolId=outputs[admin["user_pool"]],
            ClientId=outputs[admin["client"]],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": _password(tenant, username)},
        )
    except (cognito.exceptions.NotAuthorizedException, cognito.exceptions.UserNotFoundException):
        return [_result("sign-in", False, f"the pool does not let {username} in")]
    token = answer["AuthenticationResult"]["IdToken"]
    protected = endpoint + tests["protected"]
    known, unknown = get(protected, token), get(protected)
    identity = at(known.body, tests["identity"])
    return [
        _result("sign-in", known.status == 200, f"answered {known.status}"),
        _result("identity", identity == username, f"the tenant takes the user for {identity}"),
        _result("no-token", unknown.status == 401, f"answered {unknown.status}"),
    ]


def _password(tenant: dict[str, Any], username: str) -> str:
    """ADMIN_PASSWORD, or the tenant's secret where that is the user's."""
    given = os.environ.get("ADMIN_PASSWORD")
    if given:
        return given
    secret = (tenant.get("admin") or {}).get("secret")
    if not secret:
        raise Refused("the password is not kept here: set ADMIN_PASSWORD")
    answer = aws.secretsmanager().get_secret_value(SecretId=secret)
    kept = json.loads(answer["SecretString"])
    if kept["username"] != username:
        raise Refused(f"the secret {secret} is {kept['username']}'s: set ADMIN_PASSWORD")
    return str(kept["password"])


def _result(name: str, good: bool, detail: str) -> dict[str, str]:
    return {"name": name, "status": "PASSED" if good else "FAILED", "detail": detail}
