"""Whether a template keeps its tenant apart from all others: looked at before anything changes.

Pure: the processed template with its values goes in, findings come out. Each says where it is,
what that allows, and what to write instead. What cannot be decided is a finding too.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from control_plane import naming
from control_plane.rules import policies
from control_plane.rules import template_values as values
from control_plane.rules.ownership import Ownership, Whose
from control_plane.rules.policies import Statement
from control_plane.rules.template_values import Resolved, Resource

_SHOWN = 5
"""Findings that a message has in full; the record has them all."""


@dataclass(frozen=True)
class Finding:
    """Something that would let this tenant reach another one, or others reach this one."""

    place: str
    allows: str
    instead: str

    def __str__(self) -> str:
        return values.readable(f"{self.place}: {self.allows}; {self.instead}")


def refusal(findings: Iterable[Finding]) -> str | None:
    """Why a change set must not be executed, or None."""
    texts = list(dict.fromkeys(str(finding) for finding in findings))
    if not texts:
        return None
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return f"the tenant is not isolated: {'. '.join(texts[:_SHOWN])}{more}. Nothing was changed"


def tenant_findings(template: Resolved, owner: Ownership) -> list[Finding]:
    """All that is wrong with a tenant's template."""
    found: list[Finding] = []
    owner = owner.with_names_of(template)
    for resource in template.resources.values():
        found += _permissions(resource, owner)
        found += _tags(resource, owner)
        found += _names(resource, owner)
    for name, value in template.outputs.items():
        if other := owner.names_another(_as_text(value)):
            found.append(
                Finding(f"output {name}", f"names {other}, another tenant's", _USE_REFERENCES)
            )
    return found


_USE_REFERENCES = (
    "refer to the stack's own resources (!Ref, !GetAtt), or build the name from Environment and "
    "Organization"
)
_DECLARE = (
    "or, for a resource that is no tenant's, declare it in application.toml: [isolation] shared = "
    '{"arn:…" = "why"}'
)


# Permissions of the tenant's roles ----------------------------------------------------------------


def _permissions(resource: Resource, owner: Ownership) -> Iterator[Finding]:
    for document, place in _identity_policies(resource):
        try:
            found = policies.statements(document, place)
        except ValueError as error:
            yield Finding(place, f"cannot be decided ({error})", "write the statements out")
            continue
        denials = [item for item in found if not item.allows]
        for statement in found:
            if statement.allows:
                yield from _reaches(statement, denials, owner)
    properties = resource.properties
    for arn in policies.texts(properties.get("ManagedPolicyArns")):
        yield from _managed(resource, arn)
    boundary = properties.get("PermissionsBoundary")
    if boundary is not None and owner.boundary and boundary != owner.boundary:
        yield Finding(
            resource.logical_id,
            f"has the permissions boundary {boundary}, which is not the installation's",
            "give it the parameter PermissionsBoundaryArn",
        )


def _identity_policies(resource: Resource) -> Iterator[tuple[Any, str]]:
    """The policies that say what a role, a user or a group may do, each with its place."""
    properties, name = resource.properties, resource.logical_id
    if not resource.kind.startswith("AWS::IAM::"):
        return
    for index, policy in enumerate(_list(properties.get("Policies")), 1):
        body = policy if isinstance(policy, dict) else {}
        yield body.get("PolicyDocument"), f"{name}, policy {body.get('PolicyName', index)}"
    if "PolicyDocument" in properties:
        yield properties["PolicyDocument"], name


def _managed(resource: Resource, arn: str) -> Iterator[Finding]:
    if values.own_resource(arn):
        return  # a managed policy of this template, which is looked at by itself
    if re.fullmatch(r"arn:[a-z-]+:iam::aws:policy/(service-role/)?\w+", arn):
        name = arn.rpartition("/")[2]
        if name in policies.EXECUTION_POLICIES:
            return
        yield Finding(
            f"{resource.logical_id}, ManagedPolicyArns",
            f"{name} allows its actions on every tenant's resources",
            "write a policy with the actions that are needed and the tenant's own resources",
        )
        return
    yield Finding(
        f"{resource.logical_id}, ManagedPolicyArns",
        f"{arn} is not in this template, so what it allows cannot be decided",
        "write its statements into the role",
    )


def _reaches(statement: Statement, denials: list[Statement], owner: Ownership) -> Iterator[Finding]:
    """What an Allow reaches beyond the tenant's own."""
    if _is_narrowed_by_tag(statement, owner):
        return
    for action in policies.allowed_actions(statement):
        if policies.is_harmless(action):
            continue
        if values.has_unknown(action):
            yield Finding(statement.place, f"the action {action} is not known", "write it out")
            continue
        left = policies.denies_all_but(action, denials)
        if left and all(owner.of_arn(item) is Whose.OWN for item in left):
            continue
        if statement.not_resources:
            yield Finding(
                statement.place,
                f"{action} on everything but {', '.join(statement.not_resources)} reaches other "
                "tenants' resources",
                "name the tenant's own resources in Resource",
            )
        for resource in statement.resources:
            if policies.is_denied(action, resource, denials):
                continue
            match owner.of_arn(resource):
                case Whose.OWN if owner.is_within_boundary(resource):
                    continue
                case Whose.OWN:
                    yield Finding(statement.place, *_beyond_boundary(action, resource, owner))
                    break
                case Whose.OPEN:
                    why = f"what {resource} is cannot be decided before it is deployed"
                case Whose.FOREIGN:
                    other = owner.names_another(resource)
                    why = f"{action} on {resource} reaches " + (
                        f"{other}, another tenant's" if other else "other tenants' resources"
                    )
            yield Finding(statement.place, why, f"{_NAME_OWN}, {_DECLARE}")
            break  # one example for each action is enough
        else:
            continue
        break


def _beyond_boundary(action: str, resource: str, owner: Ownership) -> tuple[str, str]:
    """What a policy allows that the boundary of tenants' roles does not, and what to do."""
    tenant, application = owner.tenant, owner.tenant.application
    example = f"{application}-…-{tenant.env}-{tenant.org}-{owner.account}"
    return (
        f"{action} on {resource} would be denied on AWS: the permissions boundary of tenants' "
        "roles allows no bucket of that name",
        f"name the bucket {application}-…-{{env}}-{{org}}-{{account}} ({example}), or let its name "
        f"begin with {tenant.stack_name}-",
    )


_NAME_OWN = (
    "name the tenant's own resources (!GetAtt, or a name with the application, Environment and "
    "Organization in it and nothing left open behind them)"
)


def _is_narrowed_by_tag(statement: Statement, owner: Ownership) -> bool:
    """Whether a statement only holds for resources that are tagged as this stack's."""
    wanted = list(statement.narrows(("aws:resourcetag/syndi:stack",)))
    return bool(wanted) and all(
        owner.with_own_tags(value) == owner.tenant.stack_name for value in wanted
    )


# Tags ---------------------------------------------------------------------------------------------


def _tags(resource: Resource, owner: Ownership) -> Iterator[Finding]:
    """Tags that say whose a resource is are the control plane's to set."""
    for property_name in ("Tags", "UserPoolTags", "HostedZoneTags", "FileSystemTags"):
        given = resource.properties.get(property_name)
        pairs: Iterable[tuple[Any, Any]]
        if isinstance(given, dict):
            pairs = given.items()
        else:
            pairs = [(t.get("Key"), t.get("Value")) for t in _list(given) if isinstance(t, dict)]
        for key, value in pairs:
            own = naming.owner_tags(owner.tenant.stack_name).get(str(key))
            if str(key).lower().startswith("syndi:") and value != own:
                yield Finding(
                    f"{resource.logical_id}, tag {key}",
                    f"says that the resource is {value}'s",
                    "leave it out: the stack's tags reach every resource",
                )


# Names of others ----------------------------------------------------------------------------------

_ARN = re.compile(r"arn:[a-z-]+:[a-z0-9-]+:[^\s\"',;|<>]*")
_SELF_JUDGED = ("PolicyDocument", "Policies", "ManagedPolicyArns", "PermissionsBoundary")
"""Properties that have rules of their own; their texts are still searched for names."""


_LABEL = re.compile(
    r"(Description|((UserPool|HostedZone|FileSystem)?Tags)\b.*|Policies\.\d+\.PolicyName)$"
)
"""Where a text only says something to people: AWS finds no resource by it."""


def _names(resource: Resource, owner: Ownership) -> Iterator[Finding]:
    is_of_aws = resource.kind.startswith("AWS::")  # a custom resource's code may read any property
    for path, text in _texts(resource.properties):
        place = f"{resource.logical_id}, {path}"
        is_label = is_of_aws and _LABEL.match(path) is not None
        if other := owner.names_another(text, is_label=is_label):
            yield Finding(place, f"names {other}, another tenant's", _USE_REFERENCES)
            continue
        for pool in owner.other_pools(text):
            yield Finding(
                place,
                f"names the user pool {pool}, which is not tagged as this tenant's",
                f"use the stack's own pool, or tag that one syndi:stack={owner.tenant.stack_name}",
            )
        if any(part in _SELF_JUDGED for part in path.split(".")) or _is_policy(resource, path):
            continue
        for arn in _ARN.findall(text):
            yield from _arn(arn, place, owner)


def _arn(arn: str, place: str, owner: Ownership) -> Iterator[Finding]:
    if ":apigateway:" in arn and "/functions/arn:" in arn:  # an integration's address
        arn = "arn:" + arn.partition("/functions/arn:")[2].partition("/invocations")[0]
    elif ":apigateway:" in arn or ":iam::aws:" in arn:
        return
    parts = arn.split(":", 5)
    if len(parts) == 6 and re.fullmatch(r"\d{12}", parts[4]) and parts[4] != owner.account:
        if owner.of_arn(arn) is not Whose.OWN:
            yield Finding(
                place,
                f"{arn} lies in another account ({parts[4]})",
                f"use a resource of this account, {_DECLARE}",
            )
        return
    if owner.of_arn(arn) is Whose.FOREIGN:
        yield Finding(place, f"{arn} is not this tenant's", f"{_USE_REFERENCES}, {_DECLARE}")


def _is_policy(resource: Resource, path: str) -> bool:
    return re.search(r"(Policy|Policies|PolicyDocument)(\.|$)", path) is not None and (
        "Statement" in path
    )


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a value, with its path; keys count where they are names, not properties."""
    match value:
        case str():
            yield path, value
        case dict():
            for name, below in value.items():
                yield from _texts(below, f"{path}.{name}" if path else str(name))
        case list():
            for index, below in enumerate(value):
                yield from _texts(below, f"{path}.{index}")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
