"""A template's isolation, looked at before its change set is executed: the reading part."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws, naming, own
from control_plane.models import Deployment, JsonObject
from control_plane.rules import exposure, isolation
from control_plane.rules import template_values as values
from control_plane.rules.isolation import Finding
from control_plane.rules.ownership import Ownership, pools_in
from control_plane.services import stack_reading as reading
from control_plane.settings import StackSettings, settings
from control_plane.store.listing import Listing

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import DescribeChangeSetOutputTypeDef, ParameterTypeDef


def refusal(
    deployment: Deployment, event: JsonObject, described: "DescribeChangeSetOutputTypeDef"
) -> str | None:
    """Why the change set must not be executed, or None: with it, the tenant would not be isolated.

    A change set without changes is looked at too: what is deployed already may not be isolated.
    What takes a failed deployment back to what ran before it is not refused: it would leave the
    tenant with what failed.
    """
    if deployment.rolling_back:
        return None
    return isolation.refusal(findings(deployment, event, described))


def findings(
    deployment: Deployment, event: JsonObject, described: "DescribeChangeSetOutputTypeDef"
) -> list[Finding]:
    """All that keeps the tenant from being isolated, with the stack that the change set makes."""
    if own.is_own(deployment.tenant):
        return []  # to reach the tenants is what it is for; its roles are in tests/wiring
    stack_id = event["stack_id"]
    is_empty = described["Status"] == "FAILED"
    try:
        template = reading.processed_template(stack_id, "" if is_empty else event["change_set_id"])
    except ValueError as error:
        return [Finding("the processed template", str(error), "fix it")]
    tenant, known = deployment.tenant, settings(StackSettings)
    stack = values.Stack(
        name=tenant.stack_name,
        account=known.account_id,
        region=known.aws_region,
        partition=stack_id.split(":")[1],
        parameters=_parameters(stack_id, described.get("Parameters", [])),
        stack_id=stack_id,
    )
    owner, public = _owner(deployment, template, stack.parameters), deployment.manifest.public
    try:
        found = [
            finding
            for resolved in values.variants(template, stack)
            for finding in (
                *isolation.tenant_findings(resolved, owner),
                *exposure.findings(resolved, owner, public),
            )
        ]
    except values.Undecidable as error:
        return [Finding("Conditions", str(error), "make them depend on parameters with values")]
    return list(dict.fromkeys(found))


def _owner(
    deployment: Deployment, template: JsonObject, parameters: Mapping[str, Any]
) -> Ownership:
    tenant, manifest, known = deployment.tenant, deployment.manifest, settings(StackSettings)
    neighbours = Listing(known.table_name).neighbours(tenant)
    buckets = manifest.stack.buckets
    names = {naming.filled(pattern, tenant, known.account_id) for pattern in buckets}
    if manifest.config:
        names.add(naming.filled(manifest.config.bucket, tenant, known.account_id))
    texts = json.dumps([template.get("Resources"), template.get("Parameters"), dict(parameters)])
    return Ownership(
        tenant=tenant,
        account=known.account_id,
        names=frozenset(names),
        neighbours=(*neighbours, own.own_tenant(known.control_plane_stack)),
        shared=manifest.isolation.shared,
        pools=frozenset(p for p in set(pools_in(texts)) if _is_tagged(p, tenant.stack_name)),
        bucket_patterns=buckets,
        boundary=known.permissions_boundary_arn,
    )


def _parameters(stack_id: str, given: "Iterable[ParameterTypeDef]") -> dict[str, str]:
    """The values of a change set's parameters: an SSM parameter's own, a previous one's kept."""
    answer: dict[str, str] = {}
    previous: dict[str, str] | None = None
    for item in given:
        name = item["ParameterKey"]
        if item.get("UsePreviousValue") and "ParameterValue" not in item:
            if previous is None:
                stack = reading.describe(stack_id)
                previous = reading.parameters(stack) if stack else {}
            if name in previous:
                answer[name] = previous[name]
        elif "ResolvedValue" in item or "ParameterValue" in item:
            answer[name] = item.get("ResolvedValue") or item.get("ParameterValue", "")
    return answer


def _is_tagged(pool: str, stack_name: str) -> bool:
    """Whether a user pool is there and tagged as this stack's."""
    cognito = aws.cognito()
    try:
        found = cognito.describe_user_pool(UserPoolId=pool)["UserPool"]
    except ClientError as error:
        if aws.error_code(error) in ("ResourceNotFoundException", "InvalidParameterException"):
            return False
        raise
    return found.get("UserPoolTags", {}).get(naming.OWNER_TAG) == stack_name
