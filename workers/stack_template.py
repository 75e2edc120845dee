"""What a deployment asks CloudFormation for: the build's template, and its parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

from botocore.exceptions import ClientError

from control_plane import aws, naming, templates
from control_plane.errors import ChangeSetFailed
from control_plane.models import Deployment
from control_plane.rules import changes
from control_plane.services import stack_reading as reading
from control_plane.settings import StackSettings, settings


@dataclass(frozen=True)
class Proposal:
    """A template's address, and parameters in CloudFormation's form.

    `config_bucket`: the logical id of the tenant's config bucket, when the template makes it.
    """

    url: str
    parameters: list[dict[str, str | bool]]
    config_bucket: str | None = None


def propose(
    deployment: Deployment, template_key: str, previous: Mapping[str, str] | None
) -> Proposal:
    """The build's template as it is to be deployed for this tenant.

    `previous`: the stack's parameters, or None when it is created. The names of what holds data are
    written out, so that CloudFormation adopts what is there already; such a template lies beside
    the packaged one. Raises ChangeSetFailed when the template cannot be read.
    """
    known, tenant = settings(StackSettings), deployment.tenant
    bucket, stack = known.artifact_bucket, deployment.manifest.stack
    content = _packaged(bucket, template_key)
    try:
        template = templates.parse(content.decode())
    except ValueError as error:
        raise ChangeSetFailed(f"the template {error}") from error
    declared = template.get("Parameters", {})
    parameters = changes.stack_parameters(
        declared,
        computed={
            "Environment": tenant.env,
            "Organization": tenant.org,
            "Runtime": known.tenant_runtime,
            "Architecture": known.tenant_architecture,
            "PermissionsBoundaryArn": known.permissions_boundary_arn,
            "Build": naming.build_label(template_key),
        },
        requested=_requested(deployment),
        first_deployment=stack.first_deployment,
        previous=previous,
    )
    before = previous or {}
    values = changes.known_values(parameters, declared=declared, previous=before)
    values |= _here(tenant.stack_name)
    named = templates.with_literal_names(template, values, stack.stateful_types)
    all_values = changes.all_values(parameters, declared=declared, previous=before)
    resolved = templates.with_versions_of(named, all_values)
    key = template_key
    if resolved != template:
        key = naming.resolved_key(template_key)
        aws.s3().put_object(
            Bucket=bucket,
            Key=key,
            Body=templates.dump(resolved).encode(),
            ContentType="application/json",
        )
    table, config_bucket = deployment.manifest.config, None
    if table:
        name = naming.filled(table.bucket, tenant, known.account_id)
        config_bucket = templates.bucket_resource(template, name, values)
    url = reading.template_url(known.aws_region, bucket, key)
    return Proposal(url, parameters, config_bucket)


def _packaged(bucket: str, key: str) -> bytes:
    """A build's packaged template. Raises ChangeSetFailed when it is gone."""
    try:
        return aws.s3().get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if aws.error_code(error) not in ("NoSuchKey", "NoSuchBucket"):
            raise
        raise ChangeSetFailed(
            f"the build's packaged template s3://{bucket}/{key} is gone"
        ) from error


def _here(stack_name: str) -> dict[str, str]:
    """The pseudo parameters that are known before the stack is there."""
    known = settings(StackSettings)
    return {
        "AWS::AccountId": known.account_id,
        "AWS::Region": known.aws_region,
        "AWS::StackName": stack_name,
        "AWS::Partition": known.cloudformation_role_arn.split(":")[1],
    }


def _requested(deployment: Deployment) -> dict[str, str]:
    """The request's options as template parameters; what was not asked for is not there."""
    asked = {
        parameter: getattr(deployment.options, option)
        for option, parameter in deployment.manifest.stack.parameters.items()
    }
    return {name: str(value).lower() for name, value in asked.items() if value is not None}
