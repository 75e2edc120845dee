"""Questions to a live tenant, from the outside and without changing anything."""

import json
import os
from typing import Any

from botocore.exceptions import ClientError

from cli.connection import Api
from cli.failure import CommandError, Refused
from control_plane import aws
from control_plane.errors import OutputRefused, TenantNotReady
from control_plane.manifest import Manifest, TestsTable
from control_plane.models import Tenant
from control_plane.rules.tenant_health import health_verdict
from control_plane.services import owned_addresses
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
    try:  # before a password or a token is sent there
        _check_own(tenant, manifest)
    except OutputRefused as error:
        return [_result("outputs", False, str(error))]
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


def _check_own(tenant: dict[str, Any], manifest: dict[str, Any]) -> None:
    """See to it that the pool and the address are the stack's own, with the caller's permissions.

    Raises OutputRefused, and Refused when that cannot be read.
    """
    subject = Tenant(**{name: tenant[name] for name in Tenant.model_fields})
    # Another release may have registered it, with keys of its own.
    described = Manifest.model_validate(manifest, extra="ignore")
    # The endpoint as it will be used, not as the output says.
    outputs = {**tenant["outputs"], described.tests.endpoint: tenant["endpoint"]}
    try:
        owned_addresses.check(subject, described, outputs)
    except ClientError as error:
        if not aws.is_denied(error):
            raise
        raise Refused(
            f"whether the pool and the address are {subject.stack_name}'s cannot be read, so "
            f"nothing is sent there: {error}; docs/install.md has what --jwt needs"
        ) from error


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
