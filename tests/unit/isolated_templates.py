"""Small templates of the tenant `notes` in stage/lab, and what is found in them."""

from typing import Any

from control_plane.models import Env, JsonObject, Tenant
from control_plane.rules import isolation
from control_plane.rules import template_values as values
from control_plane.rules.ownership import Ownership

ACCOUNT, REGION = "123456789012", "us-east-1"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/control-plane-prod-main-TenantBoundary-1X"
OWN_BUCKET = f"notes-data-stage-lab-{ACCOUNT}"
BUCKETS = ("notes-data-{env}-{org}-{account}", "front-{env}-{org}-{account}")


def tenant(org: str = "lab", env: str = "stage", application: str = "notes") -> Tenant:
    return Tenant(application=application, env=Env(env), org=org)


def owner(**more: Any) -> Ownership:
    given: dict[str, Any] = {
        "tenant": tenant(),
        "account": ACCOUNT,
        "names": frozenset({OWN_BUCKET, f"front-stage-lab-{ACCOUNT}"}),
        "neighbours": (
            tenant("main", "prod", "control-plane"),
            tenant("victim"),
            tenant("lab-2"),
            tenant("lab", application="other"),
        ),
        "bucket_patterns": BUCKETS,
        "boundary": BOUNDARY,
    }
    return Ownership(**(given | more))


def resolved(template: JsonObject, parameters: dict[str, str] | None = None) -> values.Resolved:
    stack = values.Stack("notes-stage-lab", ACCOUNT, REGION, "aws", parameters or {})
    return next(values.variants(template, stack))


def findings(resources: JsonObject, *, extra: JsonObject | None = None, **more: Any) -> list[str]:
    """What is found in a template of these resources."""
    template = resolved({"Resources": {**resources, **(extra or {})}})
    return [str(found) for found in isolation.tenant_findings(template, owner(**more))]


def role(action: Any, resource: Any, **statement: Any) -> JsonObject:
    """A role with one statement."""
    one = {"Sid": "Sid1", "Effect": "Allow", "Action": action, "Resource": resource, **statement}
    return role_with(one)


def role_with(*statements: JsonObject, **properties: Any) -> JsonObject:
    """A role with these statements."""
    policy = {"PolicyName": "own", "PolicyDocument": {"Statement": list(statements)}}
    return {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Statement": {
                        "Effect": "Allow",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                },
                "Policies": [policy],
                **properties,
            },
        }
    }


def function(**properties: Any) -> JsonObject:
    """A function with these properties."""
    return {"Function": {"Type": "AWS::Lambda::Function", "Properties": properties}}
