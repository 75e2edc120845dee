"""Whether a live tenant keeps strangers out: every route that asks for a sign-in, and every bucket.

The routes are those of the API's own definition, as it is deployed, and the buckets those of the
stack: no manifest can leave one out.
"""

import base64
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from botocore.exceptions import ClientError

from control_plane import aws, naming, own
from control_plane.errors import TenantNotReady
from control_plane.models import JsonObject
from control_plane.rules import api_routes
from control_plane.rules import template_values as values
from control_plane.rules.api_routes import Route
from control_plane.services import live, stack_contents, stack_templates
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
from workers.verify_users import TemporaryUser

TOKENS = ("no-token", "altered-token", "unsigned-token", "stranger-token")
"""What each route has to refuse; `every-route-` before it is the test's name."""

BUCKETS = "buckets-anonymous"

_SECONDS = 60.0
"""How long all requests together may take. A route that refuses needs no function: tens of
milliseconds. VerifyFunction has 290 s, of which the other tests may need half."""

_ONE = 10.0
"""How long one request may take. One that takes longer got past the authorizer."""

_AT_ONCE = 6
"""Requests at the same time: an API may be throttled to a few in a second."""

_FILLED = "syndi-isolation-test"
"""What a path's parameters are filled with, and the key of an object that is not there."""

_MAKE_STAGES = (
    "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage", "AWS::ApiGatewayV2::Stage",
)  # fmt: skip
"""The types that make a stage; a deployment does where it has a StageName."""

_PARAMETER = re.compile(r"\{[^}]*\}")
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
    """Whether strangers are refused, by every route and every bucket.

    Raises TenantNotReady when nothing answers.
    """
    if own.is_own(subject.deployment.tenant):
        return []  # its API wants AWS credentials on every route; its buckets are in tests/wiring
    stack, known = subject.deployment.tenant.stack_name, settings(VerifySettings)
    here = values.Stack(
        stack, known.account_id, known.aws_region, "aws", parameters=subject.parameters
    )
    try:
        templates = list(values.variants(stack_templates.processed_template(stack, ""), here))
    except values.Undecidable as error:
        return [result(f"every-route-{name}", FAILED, str(error)) for name in TOKENS]
    physical = {
        item.path: item.physical_id
        for item in stack_contents.own(stack)
        if not item.is_gone and not item.is_left
    }
    return [*_routes(subject, templates, physical), *_buckets(subject, templates, physical)]


# Routes -------------------------------------------------------------------------------------------


def _routes(
    subject: Subject, templates: Sequence[values.Resolved], physical: Mapping[str, str]
) -> list[JsonObject]:
    every = [found for one in templates for found in _addresses(subject, one, physical)]
    lost = sorted({route.name for route, url in every if not url})
    if lost:
        message = f"no stage and no address is known of {', '.join(lost[:3])}: nobody tried them"
        return [result(f"every-route-{name}", FAILED, message) for name in TOKENS]
    asked = list({(route.name, url): (route, url) for route, url in every}.values())
    if not asked:
        switch = subject.deployment.manifest.stack.parameters.get("enable_auth")
        is_off = switch is not None and subject.parameters.get(switch) == "false"
        off = TOKENS if is_off else ()
        return [result(f"every-route-{name}", SKIPPED, "authentication is off") for name in off]
    try:
        with ExitStack() as users:
            tokens = _tokens(subject, users)
            requests = [
                _Request(name, route, url, _expected(route))
                for name in tokens
                for route, url in asked
            ]
            answers = _answers(requests, tokens)
    except TenantRefused as error:  # the pool does not let go of its user
        return [result(f"every-route-{name}", FAILED, str(error)) for name in TOKENS]
    return [_verdict(name, requests, answers) for name in tokens]


def _addresses(
    subject: Subject, template: values.Resolved, physical: Mapping[str, str]
) -> Iterator[tuple[Route, str]]:
    """Every route with an authorizer, on every stage of its API; one without a stage has an empty
    address."""
    region = settings(VerifySettings).aws_region
    for api in api_routes.apis(template):
        resource = template.resources[api.logical_id]
        closed = str(resource.properties.get("DisableExecuteApiEndpoint")).lower() == "true"
        stages = [
            str(item.properties.get("StageName"))
            for item in template.resources.values()
            if item.kind in _MAKE_STAGES
            and item.properties.get("StageName")
            and values.own_resource(
                str(item.properties.get("RestApiId") or item.properties.get("ApiId"))
            )
            == api.logical_id
        ]
        host = f"https://{physical.get(api.logical_id, '')}.execute-api.{region}.amazonaws.com"
        bases = [host if stage == "$default" else f"{host}/{stage}" for stage in stages]
        is_there = api.logical_id in physical
        for route in api.routes:
            if not any(authorizer.kind != "key" for authorizer in route.authorizers):
                continue
            if not closed and (not bases or not is_there):
                yield route, ""
            for base in [subject.endpoint] if closed else bases if is_there else []:
                yield route, base + _PARAMETER.sub(_FILLED, route.path)


def _expected(route: Route) -> tuple[int, ...]:
    kinds = [_REFUSED[a.kind] for a in route.authorizers if a.kind in _REFUSED]
    return max(kinds, key=len, default=(401,))


def _tokens(subject: Subject, users: ExitStack) -> dict[str, str | None]:
    """The tokens that no route may take, by the test's name. `users` removes who they are of."""
    known, deployment, admin = (
        settings(VerifySettings), subject.deployment, subject.deployment.manifest.admin,
    )  # fmt: skip
    stranger = users.enter_context(
        TemporaryUser(known.stranger_pool_id, known.stranger_client_id, deployment.id, ours=True)
    ).token
    real = stranger
    pool = subject.outputs.get(admin.user_pool) if admin else None
    client = subject.outputs.get(admin.client) if admin else None
    if pool and client:
        try:
            real = users.enter_context(TemporaryUser(pool, client, deployment.id)).token
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
        return result(f"every-route-{name}", FAILED, "; ".join(wrong[:3]) + more)
    return result(f"every-route-{name}", PASSED, f"{len(mine)} routes refuse it")


# Buckets ------------------------------------------------------------------------------------------


def _buckets(
    subject: Subject, templates: Sequence[values.Resolved], physical: Mapping[str, str]
) -> list[JsonObject]:
    manifest, tenant = subject.deployment.manifest, subject.deployment.tenant
    account = settings(VerifySettings).account_id
    buckets = [
        resource
        for template in templates
        for resource in template.resources.values()
        if resource.kind == "AWS::S3::Bucket"
    ]
    declared = manifest.isolation.public
    names = {physical.get(b.logical_id, "") for b in buckets if b.logical_id not in declared}
    public = {"", *(b.name for b in buckets if b.logical_id in declared)}
    patterns = [*manifest.stack.buckets, *([manifest.config.bucket] if manifest.config else [])]
    names |= {naming.filled(pattern, tenant, account) for pattern in patterns}
    keys = {name: key for name in sorted(names - public) if (key := _a_key(name)) is not None}
    if not keys:
        return []
    wrong = [why for name, key in keys.items() for why in _lets_anybody_read(name, key)]
    if wrong:
        return [result(BUCKETS, FAILED, "; ".join(wrong))]
    return [result(BUCKETS, PASSED, f"{len(keys)} refuse to be listed and read")]


def _a_key(bucket: str) -> str | None:
    """The key of an object, or one that is not there; None where there is no such bucket."""
    try:
        page = aws.s3().list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        if aws.error_code(error) == "NoSuchBucket":
            return None
        raise
    return next((item["Key"] for item in page.get("Contents", [])), _FILLED)


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
