"""Whether a template lets others in: public buckets, open functions, authorizers. Pure.

What is meant to be open is declared in the manifest, with its reason: `[isolation] public`.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from control_plane.rules import api_routes, policies
from control_plane.rules import template_values as values
from control_plane.rules.isolation import Finding
from control_plane.rules.ownership import Ownership, Whose
from control_plane.rules.policies import Statement
from control_plane.rules.template_values import Resolved, Resource

_PUBLIC = 'or declare it in application.toml: [isolation] public = {{"{}" = "why"}}'
_PRIVATE_ACLS = ("Private", "BucketOwnerFullControl", "BucketOwnerRead", "LogDeliveryWrite")
_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def findings(template: Resolved, owner: Ownership, public: Collection[str]) -> list[Finding]:
    """All by which others get in. `public`: what the manifest declares, `GET /path` or logical
    ids."""
    owner = owner.with_names_of(template)
    found: list[Finding] = []
    for resource in template.resources.values():
        if _declared(resource, template) & set(public):
            continue
        found += _bucket(resource)
        found += _function(resource, owner)
        found += _resource_policies(resource, owner)
    for api in api_routes.apis(template):
        found += _api(api, owner, public)
    return found


def _declared(resource: Resource, template: Resolved) -> set[str]:
    """The logical ids under which a resource may be declared public: its own, and its target's."""
    ids = {resource.logical_id}
    by_name = {item.name: item.logical_id for item in template.resources.values() if item.name}
    for key in ("Bucket", "FunctionName", "Queues", "TargetFunctionArn", "Topics"):
        for text in policies.texts(resource.properties.get(key)):
            name = re.split(r"[:/]", text)[-1]
            ids |= {values.own_resource(text) or "", by_name.get(name, "")}
    return ids - {""}


# Buckets ------------------------------------------------------------------------------------------


def _bucket(resource: Resource) -> Iterator[Finding]:
    if resource.kind != "AWS::S3::Bucket":
        return
    given, place = resource.properties, resource.logical_id
    acl = given.get("AccessControl")
    if acl is not None and acl not in _PRIVATE_ACLS:
        yield Finding(
            f"{place}, AccessControl",
            f"{acl} lets everybody in",
            f"leave it out, {_PUBLIC.format(place)}",
        )
    if given.get("WebsiteConfiguration") is not None:
        yield Finding(
            f"{place}, WebsiteConfiguration",
            "a website of S3 is public",
            "put CloudFront with an origin access control in front of it, " + _PUBLIC.format(place),
        )
    block = given.get("PublicAccessBlockConfiguration")
    if isinstance(block, dict):
        off = [name for name in _BLOCKS if str(block.get(name, False)).lower() != "true"]
        if off:
            yield Finding(
                f"{place}, PublicAccessBlockConfiguration",
                f"{', '.join(off)} off: a policy or an ACL may make it public",
                f"set all four to true or leave the block out, {_PUBLIC.format(place)}",
            )


# Functions ----------------------------------------------------------------------------------------


def _function(resource: Resource, owner: Ownership) -> Iterator[Finding]:
    given, place = resource.properties, resource.logical_id
    if resource.kind == "AWS::Lambda::Url" and given.get("AuthType") != "AWS_IAM":
        yield Finding(
            f"{place}, AuthType",
            "everybody may call the function",
            f"set AWS_IAM, {_PUBLIC.format(place)}",
        )
    is_layer = resource.kind == "AWS::Lambda::LayerVersionPermission"
    if is_layer and (principal := given.get("Principal")) != owner.account:
        yield Finding(f"{place}, Principal", f"{principal} may use the layer", "leave it out")
    if resource.kind == "AWS::Lambda::Permission":
        yield from _permission(resource, owner)


def _permission(resource: Resource, owner: Ownership) -> Iterator[Finding]:
    given, place = resource.properties, resource.logical_id
    if given.get("FunctionUrlAuthType") == "NONE" or given.get("InvokedViaFunctionUrl"):
        return  # the AWS::Lambda::Url says so, and is looked at by itself
    principal = str(given.get("Principal"))
    source, account = given.get("SourceArn"), given.get("SourceAccount")
    if account is not None and str(account) != owner.account:
        yield Finding(
            f"{place}, SourceAccount", f"is {account}, another account", "use AWS::AccountId"
        )
        return
    is_for_account = account is not None and _acts_for_account(principal)
    if source is not None:
        is_foreign = owner.of_arn(str(source)) is Whose.FOREIGN
        if is_foreign or not (is_for_account or owner.is_own_source(str(source))):
            yield Finding(
                f"{place}, SourceArn",
                f"{source} is not this tenant's: others may call the function",
                "name the API, rule, bucket, topic or queue of this stack",
            )
        return
    if principal == "*":
        why = "everybody may call the function"
    elif "." in principal and not principal.startswith("arn:"):
        if is_for_account or given.get("EventSourceToken") is not None:
            return
        why = f"{principal} may call the function for everybody's resources"
    elif principal == owner.account or owner.of_arn(principal) is Whose.OWN:
        return
    else:
        why = f"{principal} may call the function"
    yield Finding(f"{place}, Principal", why, "give it a SourceArn of this stack's own resource")


# Policies on resources ----------------------------------------------------------------------------

_IDENTITY = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy",
             "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy")  # fmt: skip
_OPEN_BY_NATURE = ("AWS::ApiGateway::RestApi", "AWS::Serverless::Api")
"""An API's policy lets everybody reach it; who gets in is up to its authorizers."""


def _resource_policies(resource: Resource, owner: Ownership) -> Iterator[Finding]:
    if resource.kind in _OPEN_BY_NATURE or resource.kind in _IDENTITY:
        return
    if resource.kind == "AWS::Events::EventBusPolicy" and "Statement" not in resource.properties:
        if resource.properties.get("Principal") not in (None, owner.account):
            yield Finding(
                f"{resource.logical_id}, Principal",
                f"{resource.properties['Principal']} may send events",
                "name this account",
            )
        return
    for path, document in _documents(resource.properties):
        place = f"{resource.logical_id}, {path}" if path else resource.logical_id
        try:
            statements = policies.statements(document, place)
        except ValueError as error:
            yield Finding(place, f"cannot be decided ({error})", "write the statements out")
            continue
        is_trust = path == "AssumeRolePolicyDocument"
        for statement in statements:
            if statement.allows and (statement.principals or statement.not_principals):
                yield from _lets_in(statement, resource, owner, is_trust=is_trust)


def _documents(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The policy documents in a value: those whose statements name principals."""
    if isinstance(value, str) and path.endswith(("Policy", "PolicyDocument", "PolicyText")):
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, dict):
        statements = value.get("Statement")
        listed = statements if isinstance(statements, list) else [statements]
        if any(isinstance(s, dict) and {"Principal", "NotPrincipal"} & set(s) for s in listed):
            yield path, value
            return
        for name, below in value.items():
            yield from _documents(below, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _documents(below, f"{path}.{index}")


def _lets_in(
    statement: Statement, resource: Resource, owner: Ownership, *, is_trust: bool
) -> Iterator[Finding]:
    if statement.not_principals:
        yield Finding(statement.place, "lets in all but some", "name who may, in Principal")
        return
    for kind, name in statement.principals:
        narrow = _is_narrow(statement, owner, name if kind == "Service" else "")
        if _may(kind, name, resource, owner, is_trust=is_trust, narrow=narrow):
            continue
        if (kind, name) == ("Federated", _IDENTITY_POOLS) and _is_own_pool(statement):
            continue
        who = "everybody" if name == "*" else name
        how = "add a condition aws:SourceArn of this stack's own resource"
        if kind == "AWS" and name != "*":
            how = "name a role of this stack"
        if (kind, name) == ("Federated", _IDENTITY_POOLS):
            how = f"add StringEquals {_IDENTITY_POOLS}:aud with an identity pool of this stack"
        target = resource.properties.get("Bucket") or resource.logical_id
        named = values.own_resource(str(target)) or resource.logical_id
        yield Finding(
            statement.place,
            f"lets {who} in",
            how if is_trust else f"{how}, {_PUBLIC.format(named)}",
        )


def _may(
    kind: str, name: str, resource: Resource, owner: Ownership, *, is_trust: bool, narrow: bool
) -> bool:
    match kind:
        case "Service":
            # Whoever may act for a service still needs to pass the role; and a key only unlocks
            # what its user may read.
            return is_trust or narrow or resource.kind.startswith("AWS::KMS::")
        case "AWS":
            root = f":iam::{owner.account}:root"
            return name == owner.account or name.endswith(root) or _is_own(name, owner)
        case "CanonicalUser":
            return values.has_own(name)
        case "Federated":
            return _is_own(name, owner)
    return narrow and not is_trust


def _is_own(name: str, owner: Ownership) -> bool:
    if ":iam::cloudfront:user/" in name:
        return values.has_own(name)
    return owner.of_arn(name) is Whose.OWN


_IDENTITY_POOLS = "cognito-identity.amazonaws.com"
"""Who vouches for the users of any identity pool in the world; `…:aud` says of which (Cognito
developer guide, role trust)."""


def _is_own_pool(statement: Statement) -> bool:
    """Whether a statement is for the users of identity pools of this template only."""
    return any(
        operator == "stringequals"
        and key == f"{_IDENTITY_POOLS}:aud"
        and wanted
        and all(values.own_resource(pool) for pool in wanted)
        for operator, key, wanted in statement.conditions
    )


_FOR_ACCOUNT = (
    "cloudtrail", "cloudwatch", "config", "delivery.logs", "logging.s3", "logs", "s3", "ses",
)  # fmt: skip
"""Services that act on what an account has set up: aws:SourceAccount is enough for them. With
others (CloudFront, API Gateway) any tenant of the account could set up a way in."""


def _acts_for_account(service: str) -> bool:
    name = service.removesuffix(".amazonaws.com")
    return re.sub(r"\.[a-z]{2}(-[a-z]+)+-\d$", "", name) in _FOR_ACCOUNT


def _is_narrow(statement: Statement, owner: Ownership, service: str) -> bool:
    """Whether conditions leave only this tenant's own resources, roles, or AWS's services on this
    account's behalf. `service`: the principal, when it is one."""
    arns = list(statement.narrows(("aws:sourcearn", "aws:principalarn", "lambda:functionarn")))
    if arns and all(owner.is_own_source(arn) for arn in arns):
        return True
    accounts = list(statement.narrows(("aws:sourceaccount",)))
    if accounts == [owner.account] and _acts_for_account(service):
        return True
    tags = list(statement.narrows(("aws:principaltag/syndi:stack",)))
    return tags == [owner.tenant.stack_name]


# APIs ---------------------------------------------------------------------------------------------


def _api(api: api_routes.Api, owner: Ownership, public: Collection[str]) -> Iterator[Finding]:
    if not api.is_readable:
        yield Finding(
            api.logical_id, "its definition lies elsewhere", "write it into the template (Body)"
        )
        return
    for authorizer in api.authorizers:
        yield from _authorizer(authorizer, owner)
    if not any(a.kind != "key" for a in api.authorizers) and not any(
        route.authorizers for route in api.routes
    ):
        return  # an API without signing in at all
    for route in api.routes:
        if route.method == "OPTIONS" or _is_public(route, public):
            continue
        place = f"{api.logical_id}, {route.name}"
        how = f"add the authorizer, {_PUBLIC.format(route.name)}"
        if not route.authorizers:
            yield Finding(place, "has no authorizer while the API has one", how)
        elif route.optional:
            yield Finding(place, "makes signing in optional", how)
        for authorizer in route.authorizers:
            if authorizer.kind == "none":
                yield Finding(place, f"{authorizer.place} is not there or authorizes nobody", how)


def _is_public(route: api_routes.Route, public: Collection[str]) -> bool:
    return route.name in public


def _authorizer(authorizer: api_routes.Authorizer, owner: Ownership) -> Iterator[Finding]:
    for trusted in authorizer.trusts:
        match authorizer.kind:
            case "cognito":
                is_own = owner.of_arn(trusted) is Whose.OWN
            case "jwt":
                is_own = _is_own_issuer(trusted, owner)
            case "lambda":
                function = trusted.partition("/functions/")[2].partition("/invocations")[0]
                is_own = owner.of_arn(function or trusted) is Whose.OWN
            case _:
                is_own = True
        if not is_own:
            yield Finding(
                authorizer.place,
                f"trusts {trusted}, which is not this tenant's",
                "name the stack's own user pool or function, or declare the issuer in "
                'application.toml: [isolation] shared = {"https://…" = "why"}',
            )
    if authorizer.kind in ("cognito", "jwt") and not authorizer.trusts:
        yield Finding(authorizer.place, "trusts nobody that is known", "name the user pool")


def _is_own_issuer(issuer: str, owner: Ownership) -> bool:
    if issuer in owner.shared:
        return True
    pool = issuer.rstrip("/").rpartition("/")[2]
    is_cognito = re.match(r"https://cognito-idp\.[^/]*/", issuer) is not None
    return is_cognito and (values.own_resource(pool) is not None or pool in owner.pools)
