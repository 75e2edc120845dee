"""The code that a function has in Lambda: looked at, replaced, and waited for."""

import base64
import hashlib
from dataclasses import dataclass

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import PatchFailed
from control_plane.models import JsonObject, Tenant
from control_plane.rules import patching
from control_plane.rules.patching import Package
from control_plane.templates import parse

FUNCTION = "AWS::Lambda::Function"


@dataclass(frozen=True)
class Live:
    """A function as it is: the SHA-256 of its code (base64), and how its last update stands."""

    sha256: str
    is_changing: bool
    failure: str


def name_of(stack_name: str, logical_id: str) -> str:
    """The name of the stack's own function: what every step that touches it goes by.

    Raises PatchFailed for a resource of another type. The physical id of a custom resource, for
    instance, is what its code answers: it may be the name of another tenant's function.
    """
    found = aws.cloudformation().describe_stack_resource(
        StackName=stack_name, LogicalResourceId=logical_id
    )["StackResourceDetail"]
    if found["ResourceType"] != FUNCTION:
        raise PatchFailed(
            f"stack.function in the manifest names {logical_id}, which is no function in the stack "
            f"{stack_name} but of the type {found['ResourceType']}: name an {FUNCTION}"
        )
    return found["PhysicalResourceId"]


def stack_package(stack_name: str, logical_id: str) -> Package | None:
    """The code that the stack's template gives the function; None when that is no object in S3."""
    return patching.template_package(stack_template(stack_name), logical_id)


def stack_template(stack_name: str) -> JsonObject:
    """The stack's processed template."""
    body = aws.cloudformation().get_template(StackName=stack_name, TemplateStage="Processed")[
        "TemplateBody"
    ]
    # boto3 parses JSON, which a processed template is; one without a transform may be YAML.
    return parse(body) if isinstance(body, str) else dict(body)


def content(package: Package) -> bytes:
    """The package's bytes."""
    version = {"VersionId": package.version} if package.version else {}
    answer = aws.s3().get_object(Bucket=package.bucket, Key=package.key, **version)  # type: ignore[arg-type]
    return answer["Body"].read()


def sha256(data: bytes) -> str:
    """A package's SHA-256 as Lambda gives it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def live(tenant: Tenant, function: str) -> Live | None:
    """The tenant's function as it is now, or None when there is none of that name."""
    try:
        found = aws.of_tenant(tenant).lambda_().get_function_configuration(FunctionName=function)
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        return None
    failure = ""
    if found.get("LastUpdateStatus") == "Failed":
        failure = found.get("LastUpdateStatusReason") or "Lambda gave no reason"
    elif found.get("State") == "Failed":
        failure = found.get("StateReason") or "Lambda gave no reason"
    changing = found.get("State") == "Pending" or found.get("LastUpdateStatus") == "InProgress"
    return Live(found["CodeSha256"], changing, failure)


def existing(tenant: Tenant, function: str) -> Live:
    """The function as it is now. Raises PatchFailed when there is none."""
    found = live(tenant, function)
    if found is None:
        raise PatchFailed(
            f"the function {function} does not exist any more: somebody deleted it, and "
            "CloudFormation makes it again only when it is taken out of the template and put back"
        )
    return found


def bring(
    tenant: Tenant, function: str, now: Live, package: Package, wanted: str, begun: bool
) -> bool:
    """See to it that a function has a package's code; True when it has, and is ready.

    `now`: the function as it is, `wanted`: the package's SHA-256, `begun`: whether this deployment
    began before, so that a failed update is its own. Raises PatchFailed.
    """
    if now.is_changing:
        return False
    if begun and now.failure:
        raise PatchFailed(f"Lambda did not take the code of {function}: {now.failure}")
    if now.sha256 == wanted:
        return True
    version = {"S3ObjectVersion": package.version} if package.version else {}
    try:
        aws.of_tenant(tenant).lambda_().update_function_code(
            FunctionName=function,
            S3Bucket=package.bucket,
            S3Key=package.key,
            Publish=False,
            **version,  # type: ignore[arg-type]
        )
    except ClientError as error:
        code = aws.error_code(error)
        if code == "ResourceConflictException":
            return False  # another update runs: looked at again
        if code in ("InvalidParameterValueException", "CodeStorageExceededException"):
            raise PatchFailed(f"Lambda refused the code of {function}: {error}") from error
        raise
    return False
