"""Which AWS calls a worker's modules make, as the IAM actions that they need."""

import ast
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


def actions(path: Path) -> set[str]:
    """The actions that a file's calls need: `aws.s3().get_object(…)`, also through a variable."""
    clients: dict[str, str] = {}
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Assign):
            targets, values = [node.targets[0]], [node.value]
            if isinstance(targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                targets, values = list(targets[0].elts), list(node.value.elts)
            for target, value in zip(targets, values, strict=False):
                service = _service(value, {})
                if service and isinstance(target, ast.Name):
                    clients[target.id] = service
    for node in ast.walk(tree(path)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        service = _service(node.func.value, clients)
        if service:
            method = node.func.attr
            if method == "get_paginator":
                assert isinstance(node.args[0], ast.Constant)
                method = str(node.args[0].value)
            found |= _named(service, method)
    return found


def _service(value: ast.expr, clients: dict[str, str]) -> str | None:
    if isinstance(value, ast.Name):
        return clients.get(value.id)
    if (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and isinstance(value.func.value, ast.Name)
        and value.func.value.id == "aws"
    ):
        return value.func.attr if value.func.attr in SERVICES else None
    return None


def _named(service: str, method: str) -> set[str]:
    if (service, method) in OTHER_NAMES:
        return OTHER_NAMES[service, method]
    words = "".join(word.capitalize() for word in method.split("_"))
    return {f"{SERVICES[service]}:{words}"}
