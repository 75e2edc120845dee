"""A template's isolation, looked at before its change set is executed: the reading part."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws, naming, own
from control_plane.models import Deployment, JsonObject
from control_plane.rules import exposure, isolation
from control_plane.rules import template_values as values
from control_plane.rules.isolation import Finding
from control_plane.rules.ownership import Ownership, pools_in
from control_plane.rules.template_values import Resolved
from control_plane.services import stack_contents
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
    try:
        seen = _templates(deployment, event, described)
    except _Unreadable as error:
        return [error.finding]
    texts = json.dumps([[r.properties for r in part.template.resources.values()] for part in seen])
    owner, public = ownership_of(deployment, pools_in(texts)), deployment.manifest.public
    return list(
        dict.fromkeys(
            replace(finding, place=part.path + finding.place)
            for part in seen
            for finding in (
                *isolation.tenant_findings(part.template, owner),
                *exposure.findings(part.template, owner, public),
            )
        )
    )


def nested_bucket(
    deployment: Deployment,
    event: JsonObject,
    described: "DescribeChangeSetOutputTypeDef",
    name: str,
) -> str | None:
    """Which resource of a nested stack makes the bucket of that name (`Parent/Child`), or None."""
    try:
        seen = _templates(deployment, event, described)
    except _Unreadable:
        return None
    return next(
        (
            f"{part.path}{resource.logical_id}"
            for part in seen
            for resource in part.template.resources.values()
            if part.path
            and resource.kind == "AWS::S3::Bucket"
            and resource.properties.get("BucketName") == name
        ),
        None,
    )


def _templates(
    deployment: Deployment, event: JsonObject, described: "DescribeChangeSetOutputTypeDef"
) -> "list[_Part]":
    """The templates as the change set makes them, nested ones included. Raises _Unreadable."""
    known, stack_id = settings(StackSettings), event["stack_id"]
    stack = values.Stack(
        name=deployment.tenant.stack_name,
        account=known.account_id,
        region=known.aws_region,
        partition=stack_id.split(":")[1],
        parameters=_parameters(stack_id, described.get("Parameters", [])),
        stack_id=stack_id,
    )
    is_empty = described["Status"] == "FAILED"
    return _seen(stack_id, "" if is_empty else event["change_set_id"], stack)


@dataclass(frozen=True)
class _Part:
    """A template as it will be: of the stack, or of one nested in it. `path`: `Parent/`."""

    path: str
    template: Resolved


class _Unreadable(Exception):
    """A template that cannot be judged; `finding` says which and why."""

    def __init__(self, place: str, why: str, instead: str) -> None:
        super().__init__(why)
        self.finding = Finding(place, f"cannot be looked at ({why})", instead)


_DEEPEST = 5
"""Stacks within one another that are looked into."""


def _seen(stack_id: str, change_set: str, stack: values.Stack, path: str = "") -> list[_Part]:
    """The templates of a stack and of all nested in it, with their values, its own first.

    `change_set`: empty for what is deployed. Raises _Unreadable.
    """
    place = f"{path}template"
    try:
        template = reading.processed_template(stack_id, change_set)
        variants = list(values.variants(template, stack))
    except ValueError as error:
        raise _Unreadable(place, str(error), "fix the template") from error
    except values.Undecidable as error:
        how = "make conditions depend on parameters that have values"
        raise _Unreadable(place, str(error), how) from error
    nested = {
        resource.logical_id: resource
        for one in variants
        for resource in one.resources.values()
        if resource.kind == stack_contents.NESTED
    }
    if not nested:
        return [_Part(path, one) for one in variants]
    below: list[_Part] = []
    outputs: dict[str, Mapping[str, Any]] = {}
    where = _nested_stacks(stack_id, change_set)
    for name, resource in nested.items():
        if name not in where or path.count("/") >= _DEEPEST:
            why = "it has no change set of its own, or lies too deep"
            raise _Unreadable(f"{path}{name}", why, "make its resources part of the stack itself")
        inner = replace(
            stack,
            name=values.own(f"{name}.StackName"),
            stack_id=values.own(name),
            parameters=resource.properties.get("Parameters") or {},
        )
        parts = _seen(*where[name], inner, f"{path}{name}/")
        outputs[name] = parts[0].template.outputs
        below += parts
    variants = list(values.variants(template, replace(stack, nested=outputs)))
    return [*(_Part(path, one) for one in variants), *below]


def _nested_stacks(stack_id: str, change_set: str) -> dict[str, tuple[str, str]]:
    """The stacks nested in one, by logical id, each as (its id, its change set's or empty)."""
    found: dict[str, tuple[str, str]] = {}
    if change_set:
        pages = aws.cloudformation().get_paginator("describe_change_set")
        for page in pages.paginate(StackName=stack_id, ChangeSetName=change_set):
            for item in page.get("Changes", []):
                change = item.get("ResourceChange", {})
                inner = change.get("ChangeSetId")
                if change.get("ResourceType") == stack_contents.NESTED and inner:
                    found[change["LogicalResourceId"]] = _nested(inner)
                elif change.get("ResourceType") == stack_contents.NESTED:
                    found[change["LogicalResourceId"]] = ("", "")  # changed, and not to be seen
    for there in stack_contents.own(stack_id):
        if there.type == stack_contents.NESTED and there.physical_id and not there.is_gone:
            found.setdefault(there.path, (there.physical_id, ""))
    return {name: where for name, where in found.items() if where[0]}


def _nested(change_set: str) -> tuple[str, str]:
    """A nested stack by its change set's ARN: (its id, the change set that has its template).

    One that stays as it is has a change set that FAILED: then what is deployed is looked at.
    """
    made = aws.cloudformation().describe_change_set(ChangeSetName=change_set)
    return made["StackId"], "" if made.get("Status") == "FAILED" else change_set


def ownership_of(deployment: Deployment, pools: Iterable[str] = ()) -> Ownership:
    """What is known of a deployment's tenant and its neighbours. `pools`: the ids of user pools, of
    which those that are tagged as its own are its own."""
    tenant, manifest, known = deployment.tenant, deployment.manifest, settings(StackSettings)
    neighbours = Listing(known.table_name).neighbours(tenant)
    buckets = (*manifest.stack.buckets, *([manifest.config.bucket] if manifest.config else []))
    names = {naming.filled(pattern, tenant, known.account_id) for pattern in buckets}
    return Ownership(
        tenant=tenant,
        account=known.account_id,
        names=frozenset(names),
        neighbours=(*neighbours, own.own_tenant(known.control_plane_stack)),
        shared=manifest.isolation.shared,
        pools=frozenset(p for p in set(pools) if _is_tagged(p, tenant.stack_name)),
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
