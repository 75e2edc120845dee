"""Whether the address that a stack's output names is answered by that stack."""

import re
from collections.abc import Iterable, Mapping

from control_plane import aws
from control_plane.manifest import Manifest
from control_plane.models import Tenant
from control_plane.services.ownership import (
    EXECUTE_API,
    Resource,
    check_api,
    check_pool,
    host_of,
    refused,
    resources,
)

_NAMES = (
    "AWS::ApiGateway::DomainName", "AWS::ApiGateway::DomainNameV2",
    "AWS::ApiGatewayV2::DomainName", "AWS::Route53::RecordSet",
)  # fmt: skip
"""Resource types whose physical id is the host name that they answer for."""

_LOAD_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
_LOAD_BALANCER_HOST = re.compile(r"\.elb\.([a-z0-9-]+\.)?amazonaws\.com$")

_FUNCTION_URL = re.compile(r"^[a-z0-9]+\.lambda-url\.[a-z0-9-]+\.on\.aws$")


def check_address(tenant: Tenant, output: str, value: str, owned: Iterable[Resource]) -> None:
    """See to it that an address (a URL or a host name) is one of this stack's. Raises
    OutputRefused."""
    owned = tuple(owned)
    host = host_of(value)
    if host is None:
        raise refused(tenant, output, value, "it is no address")
    if EXECUTE_API.match(host):
        check_api(tenant, output, value, host, owned)
        return
    if host in {r.physical_id.rstrip(".").lower() for r in owned if r.type in _NAMES}:
        return
    found: set[str | None]
    if _FUNCTION_URL.match(host):
        found = _function_urls(r.physical_id for r in owned if r.type == "AWS::Lambda::Function")
    elif _LOAD_BALANCER_HOST.search(host):
        found = _load_balancer_hosts(r.physical_id for r in owned if r.type == _LOAD_BALANCER)
    else:
        ids = (r.physical_id for r in owned if r.type == "AWS::CloudFront::Distribution")
        found = _distribution_hosts(ids)
    if host not in found:
        raise refused(
            tenant, output, value, "no API, domain name, load balancer or distribution has it"
        )


def check(tenant: Tenant, manifest: Manifest, outputs: Mapping[str, str]) -> tuple[Resource, ...]:
    """See to it that all that the manifest's outputs name is the stack's own; gives the stack's
    resources.

    Outputs that are absent are left to the step that needs them. Raises OutputRefused.
    """
    owned = resources(tenant.stack_name)
    endpoint = manifest.tests.endpoint
    if outputs.get(endpoint):
        check_address(tenant, endpoint, outputs[endpoint], owned)
    if manifest.admin:
        check_pool(tenant, manifest.admin, outputs, owned)
    return owned


def check_route(
    tenant: Tenant, manifest: Manifest, outputs: Mapping[str, str]
) -> tuple[Resource, ...]:
    """See to it that the address of a route, and all that `check` compares, are the stack's
    own: users sign in at its pool. Gives the stack's resources. Raises OutputRefused."""
    owned = check(tenant, manifest, outputs)
    route = manifest.route
    if route and outputs.get(route.output):
        check_address(tenant, route.output, outputs[route.output], owned)
    return owned


def _function_urls(functions: Iterable[str]) -> set[str | None]:
    pages = aws.lambda_().get_paginator("list_function_url_configs")
    return {
        host_of(item["FunctionUrl"])
        for function in functions
        for page in pages.paginate(FunctionName=function)
        for item in page["FunctionUrlConfigs"]
    }


def _load_balancer_hosts(load_balancers: Iterable[str]) -> set[str | None]:
    """The host names of load balancers (ARNs), which may have `dualstack.` before them."""
    found: set[str | None] = set()
    for arn in load_balancers:
        answer = aws.load_balancing().describe_load_balancers(LoadBalancerArns=[arn])
        for described in answer["LoadBalancers"]:
            host = described["DNSName"].lower()
            found |= {host, f"dualstack.{host}"}
    return found


def _distribution_hosts(distributions: Iterable[str]) -> set[str | None]:
    """The host names that distributions answer for: their own, and their aliases."""
    found: set[str | None] = set()
    for distribution in distributions:
        described = aws.cloudfront().get_distribution(Id=distribution)["Distribution"]
        found.add(described["DomainName"].lower())
        aliases = described["DistributionConfig"].get("Aliases", {}).get("Items", [])
        found |= {alias.lower() for alias in aliases}
    return found
