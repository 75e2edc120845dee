"""Whether a live tenant keeps strangers out: every route with an authorizer, and every bucket.

What is tried is `verify_surface`'s. Each test has a result in every deployment: one that has
nothing to try is skipped with its reason, which the proof checks for itself.
"""

import base64
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from botocore.exceptions import ClientError

from control_plane import aws, own
from control_plane.errors import TenantNotReady
from control_plane.models import JsonObject
from control_plane.rules.api_routes import Route
from control_plane.rules.proof import BUCKETS, ISOLATION, TOKENS, route_test, skip_reasons
from control_plane.services import live
from control_plane.services.stack_templates import processed_template
from control_plane.settings import VerifySettings, settings
from workers.live_tests import (
    FAILED,
    PASSED,
    SKIPPED,
    Subject,
    TenantRefused,
    got,
    result,
)
from workers.verify_surface import Surface, SurfaceUnknown, surface
from workers.verify_users import TemporaryUser

_SECONDS = 60.0
"""How long all requests together may take. A route that refuses needs no function: tens of
milliseconds. VerifyFunction has 290 s, of which the other tests may need half."""

_ONE = 10.0
"""How long one request may take. One that takes longer got past the authorizer."""

_AT_ONCE = 6
"""Requests at the same time: an API may be throttled to a few in a second."""

_REFUSED = {"cognito": (401,), "jwt": (401,), "lambda": (401, 403), "iam": (401, 403)}
"""What API Gateway answers to whom an authorizer does not let in, by its kind (developer guide,
gateway responses)."""


@dataclass(frozen=True)
class _Request:
    token: str
    route: Route
    url: str
    expected: tuple[int, ...]


def isolation(subject: Subject) -> list[JsonObject]:
    """Whether strangers are refused, by every route and every bucket: a result for each of
    ISOLATION.

    Raises TenantNotReady when nothing answers.
    """
    deployment, parameters = subject.deployment, subject.parameters
    if own.is_own(deployment.tenant):
        return _skipped(skip_reasons(deployment, parameters, None))
    try:
        found = surface(
            deployment,
            subject.endpoint,
            parameters,
            subject.owned,
            lambda stack: processed_template(stack, ""),
        )
    except SurfaceUnknown as error:
        return [result(name, FAILED, str(error)) for name in ISOLATION]
    results = _skipped(skip_reasons(deployment, parameters, found.counts))
    if found.routes:
        results += _routes(subject, found)
    if found.buckets:
        results.append(_buckets(found))
    return results


def _skipped(reasons: Mapping[str, str]) -> list[JsonObject]:
    return [result(name, SKIPPED, why) for name, why in reasons.items()]


# Routes -------------------------------------------------------------------------------------------


def _routes(subject: Subject, found: Surface) -> list[JsonObject]:
    lost = sorted({route.name for route, url in found.routes if not url})
    if lost:
        message = f"no stage and no address is known of {', '.join(lost[:3])}: nobody tried them"
        return [result(route_test(name), FAILED, message) for name in TOKENS]
    try:
        with ExitStack() as users:
            tokens = _tokens(subject, users)
            requests = [
                _Request(name, route, url, _expected(route))
                for name in tokens
                for route, url in found.routes
            ]
            answers = _answers(requests, tokens)
    except TenantRefused as error:  # the pool does not let go of its user
        return [result(route_test(name), FAILED, str(error)) for name in TOKENS]
    return [_verdict(name, requests, answers) for name in tokens]


def _expected(route: Route) -> tuple[int, ...]:
    kinds = [_REFUSED[a.kind] for a in route.authorizers if a.kind in _REFUSED]
    return max(kinds, key=len, default=(401,))


def _tokens(subject: Subject, users: ExitStack) -> dict[str, str | None]:
    """The tokens that no route may take, by the test's name. `users` removes who they are of."""
    known, deployment, admin = (
        settings(VerifySettings), subject.deployment, subject.deployment.manifest.admin,
    )  # fmt: skip
    stranger = users.enter_context(
        TemporaryUser(
            deployment.tenant,
            known.stranger_pool_id,
            known.stranger_client_id,
            deployment.id,
            ours=True,
        )
    ).token
    real = stranger
    pool = subject.outputs.get(admin.user_pool) if admin else None
    client = subject.outputs.get(admin.client) if admin else None
    if pool and client:
        try:
            real = users.enter_context(
                TemporaryUser(deployment.tenant, pool, client, deployment.id)
            ).token
        except TenantRefused:  # its sign-in is another test's; a stranger's token will do here
            real = stranger
    return {
        "no-token": None,
        "altered-token": altered(real),
        "unsigned-token": unsigned(real),
        "stranger-token": stranger,
    }


def altered(token: str) -> str:
    """The token with another signature."""
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def unsigned(token: str) -> str:
    """The token as one that says it has no signature (RFC 7519, section 6)."""
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    return f"{head.rstrip(b'=').decode()}.{token.split('.')[1]}."


def _answers(requests: Sequence[_Request], tokens: Mapping[str, str | None]) -> list[str | None]:
    """What is wrong with the answer to each request; None where it was refused."""
    deadline = time.monotonic() + _SECONDS

    def one(request: _Request) -> str | None:
        while time.monotonic() < deadline:
            method = "GET" if request.route.method == "ANY" else request.route.method
            try:
                answer = live.send(method, request.url, tokens[request.token], _ONE)
            except TenantNotReady as error:
                return f"{request.route.name}: {error}"
            if answer.status in request.expected:
                return None
            if answer.status != 429:
                wanted = " or ".join(map(str, request.expected))
                return f"{request.route.name}: expected {wanted}, got {got(answer)}"
            time.sleep(1)  # throttled: neither let in nor refused
        return f"{request.route.name}: not tried, all requests together took {_SECONDS:.0f} s"

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, requests))


def _verdict(name: str, requests: Iterable[_Request], answers: Iterable[str | None]) -> JsonObject:
    mine = [a for r, a in zip(requests, answers, strict=True) if r.token == name]
    wrong = [answer for answer in mine if answer is not None]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return result(route_test(name), FAILED, "; ".join(wrong[:3]) + more)
    return result(route_test(name), PASSED, f"{len(mine)} routes refuse it")


# Buckets ------------------------------------------------------------------------------------------


def _buckets(found: Surface) -> JsonObject:
    wrong = [why for name, key in found.buckets.items() for why in _lets_anybody_read(name, key)]
    if wrong:
        return result(BUCKETS, FAILED, "; ".join(wrong))
    return result(BUCKETS, PASSED, f"{len(found.buckets)} refuse to be listed and read")


def _lets_anybody_read(bucket: str, key: str) -> Iterator[str]:
    """What somebody without credentials may do with a bucket."""
    nobody = aws.anonymous_s3()
    for what, call in (
        ("list", lambda: nobody.list_objects_v2(Bucket=bucket, MaxKeys=1)),
        ("read", lambda: nobody.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")),
    ):
        try:
            call()
        except ClientError as error:
            if aws.is_busy(error):
                raise
            if not aws.is_denied(error) and aws.error_code(error) != "AllAccessDisabled":
                yield f"{bucket}: anybody gets {aws.error_code(error)} when they {what} it"
        else:
            yield f"{bucket}: anybody may {what} it"
