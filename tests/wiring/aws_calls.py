"""Which AWS calls a worker's modules make, as the IAM actions that they need."""

import ast
from dataclasses import dataclass
from pathlib import Path

from source_code import tree

SERVICES = {
    "cloudformation": "cloudformation",
    "cloudfront": "cloudfront",
    "cloudwatch": "cloudwatch",
    "codebuild": "codebuild",
    "cognito": "cognito-idp",
    "dynamodb": "dynamodb",
    "ecr": "ecr",
    "efs": "elasticfilesystem",
    "events": "events",
    "iam": "iam",
    "kms": "kms",
    "lambda_": "lambda",
    "load_balancing": "elasticloadbalancing",
    "logs": "logs",
    "route53": "route53",
    "s3": "s3",
    "scheduler": "scheduler",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "stepfunctions": "states",
    "tagging": "tag",
}
"""The functions of control_plane/aws.py and the prefix of their actions."""

OTHER_NAMES = {
    ("lambda_", "invoke"): {"lambda:InvokeFunction"},
    ("s3", "delete_objects"): {"s3:DeleteObject", "s3:DeleteObjectVersion"},
    ("s3", "head_object"): {"s3:GetObject"},
    ("s3", "list_object_versions"): {"s3:ListBucketVersions"},
    ("s3", "list_objects_v2"): {"s3:ListBucket"},
    ("s3", "copy_object"): {"s3:GetObject", "s3:PutObject"},
    ("s3", "head_bucket"): {"s3:ListBucket"},
    ("s3", "put_bucket_encryption"): {"s3:PutEncryptionConfiguration"},
    ("s3", "put_public_access_block"): {"s3:PutBucketPublicAccessBlock"},
    ("s3", "generate_presigned_url"): set(),  # signs by itself; whoever uses the URL is checked
}
"""Where the action is not the method's name (Service Authorization Reference)."""


@dataclass(frozen=True)
class Client:
    """A client of a service; `as_tenant`: in a session of the tenant role (`aws.of_tenant`)."""

    service: str
    as_tenant: bool


def actions(path: Path) -> set[str]:
    """The actions that a file's calls need, in whichever role."""
    return own_actions(path) | tenant_actions(path)


def own_actions(path: Path) -> set[str]:
    """Those of the function's own role: `aws.s3().get_object(…)`, also through a variable."""
    return {action for client, action in _calls(path) if not client.as_tenant}


def tenant_actions(path: Path) -> set[str]:
    """Those of its tenant role: `aws.of_tenant(tenant).s3().get_object(…)`, as above."""
    return {action for client, action in _calls(path) if client.as_tenant}


def _calls(path: Path) -> set[tuple[Client, str]]:
    clients: dict[str, set[Client]] = {}
    found: set[tuple[Client, str]] = set()
    for node in ast.walk(tree(path)):  # functions that give a client
        if isinstance(node, ast.FunctionDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    clients.setdefault(f"{node.name}()", set()).update(_clients(inner.value, {}))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Assign):
            targets, values = [node.targets[0]], [node.value]
            if isinstance(targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                targets, values = list(targets[0].elts), list(node.value.elts)
            for target, value in zip(targets, values, strict=False):
                if isinstance(target, ast.Name):
                    clients.setdefault(target.id, set()).update(_clients(value, {}))
    for node in ast.walk(tree(path)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        for client in _clients(node.func.value, clients):
            method = node.func.attr
            if method == "get_paginator":
                assert isinstance(node.args[0], ast.Constant)
                method = str(node.args[0].value)
            found |= {(client, action) for action in _named(client.service, method)}
    return found


def _clients(value: ast.expr, known: dict[str, set[Client]]) -> set[Client]:
    """The clients that an expression may be. `known`: those of variables and functions."""
    match value:
        case ast.Name(name):
            return known.get(name, set())
        case ast.IfExp(body=one, orelse=other):
            return _clients(one, known) | _clients(other, known)
        case ast.Call(func=ast.Attribute(value=ast.Name("aws"), attr=service)):
            return {Client(service, as_tenant=False)} if service in SERVICES else set()
        case ast.Call(
            func=ast.Attribute(
                value=ast.Call(func=ast.Attribute(value=ast.Name("aws"), attr="of_tenant")),
                attr=service,
            )
        ):
            return {Client(service, as_tenant=True)}
        case ast.Call(func=ast.Attribute(value=ast.Name("self"), attr=name)):
            return known.get(f"{name}()", set())
    return set()


def _named(service: str, method: str) -> set[str]:
    if (service, method) in OTHER_NAMES:
        return OTHER_NAMES[service, method]
    words = "".join(word.capitalize() for word in method.split("_"))
    return {f"{SERVICES[service]}:{words}"}
