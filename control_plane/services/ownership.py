"""Whether what a stack's output names belongs to that stack.

An output is text that an application's author wrote: it may name another tenant's user pool or
address. So before anything is read from, written to or trusted at the other end, it is compared
with the stack's own resources, nested stacks included, and with the tag `syndi:stack`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from botocore.exceptions import ClientError
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from control_plane import aws, naming
from control_plane.errors import OutputRefused
from control_plane.manifest import AdminTable
from control_plane.models import Tenant

_STACK = "AWS::CloudFormation::Stack"
_APIS = ("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api")

EXECUTE_API = re.compile(
    r"^(?P<api>[a-z0-9]+)(-vpce-[a-z0-9]+)?\.execute-api\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?$"
)
_POOL = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d_[A-Za-z0-9]{1,45}$")
_GONE, _LEFT = "DELETE_COMPLETE", "DELETE_SKIPPED"


@dataclass(frozen=True)
class Resource:
    """A resource of a stack, or of one nested in it. `stack_id` names the one that it is in.
    `is_left`: the stack has it no more, and kept it."""

    stack_id: str
    logical_id: str
    type: str
    physical_id: str
    is_left: bool = False


def resources(stack: str) -> tuple[Resource, ...]:
    """All resources of a stack (name or id) and of the stacks nested in it."""
    found: list[Resource] = []
    waiting = [stack]
    while waiting:
        at = waiting.pop()
        pages = aws.cloudformation().get_paginator("list_stack_resources").paginate(StackName=at)
        for page in pages:
            for item in page["StackResourceSummaries"]:
                physical = item.get("PhysicalResourceId", "")
                if item["ResourceStatus"] == _GONE or not physical:
                    continue
                kind, is_left = item["ResourceType"], item["ResourceStatus"] == _LEFT
                found.append(Resource(at, item["LogicalResourceId"], kind, physical, is_left))
                if item["ResourceType"] == _STACK:
                    waiting.append(physical)
    return tuple(found)


def check_pool(
    tenant: Tenant, admin: AdminTable, outputs: Mapping[str, str], owned: Iterable[Resource]
) -> None:
    """See to it that the pool and the client of `[admin]` are this stack's; absent outputs are the
    caller's business.

    A pool outside the stack is the tenant's when its tag says so: one that an operator brought.
    Raises OutputRefused.
    """
    pool, client = outputs.get(admin.user_pool), outputs.get(admin.client)
    if pool:
        _check_pool(tenant, admin.user_pool, pool, owned)
    if pool and client:
        try:
            aws.cognito().describe_user_pool_client(UserPoolId=pool, ClientId=client)
        except ClientError as error:
            if aws.error_code(error) not in ("ResourceNotFoundException", *_INVALID):
                raise
            raise OutputRefused(
                f"output {admin.client} names {client!r}, which is no client of the pool {pool}: "
                "correct the output in the template"
            ) from error


_INVALID = ("InvalidParameterException", "ValidationException")


def _check_pool(tenant: Tenant, output: str, pool: str, owned: Iterable[Resource]) -> None:
    is_of_stack = any(r.physical_id == pool for r in owned if r.type == "AWS::Cognito::UserPool")
    if not _POOL.match(pool):
        raise refused(tenant, output, pool, "it is no id of a user pool")
    try:
        tags = aws.cognito().describe_user_pool(UserPoolId=pool)["UserPool"].get("UserPoolTags", {})
    except ClientError as error:
        code = aws.error_code(error)
        if code in ("ResourceNotFoundException", *_INVALID):
            raise refused(tenant, output, pool, "it does not exist") from error
        if is_of_stack or not aws.is_denied(error):
            raise
        raise refused(tenant, output, pool, "it has no tag of this tenant") from error
    tag = tags.get(naming.OWNER_TAG)
    if tag == tenant.stack_name or (is_of_stack and tag is None):
        return
    owner = f"tagged {naming.OWNER_TAG}={tag}" if tag else "not tagged as this tenant's"
    raise refused(tenant, output, pool, f"it is {owner}")


def check_api(
    tenant: Tenant, output: str, value: str, host: str, owned: Iterable[Resource]
) -> None:
    """See to it that the API behind a host name of API Gateway is this stack's. Raises
    OutputRefused."""
    found = EXECUTE_API.match(host)
    ids = {resource.physical_id for resource in owned if resource.type in _APIS}
    region = aws.cloudformation().meta.region_name
    if not found or found["api"] not in ids or found["region"] != region:
        raise refused(tenant, output, value, whose(found["api"] if found else ""))


def host_of(value: str) -> str | None:
    """The host name of a URL, or of an address without scheme; None when there is none.

    Parsed as by the library that makes the requests: two readings of one URL would let it pass as
    another.
    """
    try:
        parsed = parse_url(value if "://" in value else f"https://{value}")
    except LocationParseError:
        return None
    if parsed.scheme not in ("https", "http") or not parsed.host:
        return None
    return parsed.host.rstrip(".").lower()


def check_values(tenant: Tenant, names: Iterable[str], outputs: Mapping[str, str]) -> None:
    """See to it that outputs that name a pool, an API, a bucket or a function name none of another
    stack; others are text.

    For values that are passed on, such as those in the tenant's configuration. Raises
    OutputRefused.
    """
    values = {name: outputs[name] for name in sorted(set(names) & outputs.keys())}
    pools = {name: value for name, value in values.items() if _POOL.match(value)}
    hosts = {name: host_of(value) or "" for name, value in values.items() if "://" in value}
    apis = {name: host for name, host in hosts.items() if EXECUTE_API.match(host)}
    named = {
        name: found[1] or found[2]
        for name, value in values.items()
        if name not in pools and (found := _NAME.match(value))
    }
    owned = resources(tenant.stack_name) if pools or apis else ()
    for name, pool in pools.items():
        _check_pool(tenant, name, pool, owned)
    for name, host in apis.items():
        check_api(tenant, name, values[name], host, owned)
    for name, physical_id in named.items():
        _check_named(tenant, name, values[name], physical_id)


_NAME = re.compile(
    r"^(?:(?:arn:[a-z-]+:s3:::|arn:[a-z-]+:lambda:[a-z0-9-]+:\d{12}:function:|s3://)"
    r"([A-Za-z0-9_.-]{2,64})(?:[/:].*)?|([A-Za-z0-9_.-]{2,64}))$"
)
"""What may be the name of a bucket or a function: alone, in an ARN, or before a key."""

_NAMED = ("AWS::S3::Bucket", "AWS::Lambda::Function")


def _check_named(tenant: Tenant, output: str, value: str, physical_id: str) -> None:
    """See to it that a bucket or a function is not another stack's. One that no stack has is
    nobody's, or an operator brought it."""
    others = _stacks_with(physical_id, _NAMED)
    if not others and ":function:" not in value:
        return
    if any(physical_id == resource.physical_id for resource in resources(tenant.stack_name)):
        return
    if others:
        raise refused(tenant, output, value, f"it belongs to {', '.join(others)}")
    raise refused(tenant, output, value, "the stack has no such function")


def _stacks_with(physical_id: str, kinds: Iterable[str]) -> list[str]:
    """The stacks of the applications that have a resource of these types and that name."""
    try:
        found = aws.cloudformation().describe_stack_resources(PhysicalResourceId=physical_id)
    except ClientError as error:
        if aws.is_busy(error):
            raise
        return []
    return sorted(
        {
            item.get("StackName", "another stack")
            for item in found["StackResources"]
            if item.get("PhysicalResourceId") == physical_id and item["ResourceType"] in kinds
        }
    )


def refused(tenant: Tenant, output: str, value: str, owner: str) -> OutputRefused:
    """The error that says what an output names, and whose that is."""
    return OutputRefused(
        f"output {output} names {value[:200]!r}, which does not belong to the stack "
        f"{tenant.stack_name}: {owner}; correct the output in the template"
    )


def whose(physical_id: str) -> str:
    """Which stack a resource belongs to, as far as that can be seen."""
    try:
        found = aws.cloudformation().describe_stack_resources(PhysicalResourceId=physical_id)
    except ClientError as error:
        if aws.is_busy(error):
            raise
        return "no stack of the applications has it"  # refused either way; this is only its reason
    stacks = {item.get("StackName", "") for item in found["StackResources"]} - {""}
    return f"it belongs to {', '.join(sorted(stacks))}" if stacks else "no stack has it"
