"""What a change set adopts: only what is this tenant's, by the tag of the resource itself."""

from collections.abc import Callable, Iterable

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.models import Deployment
from control_plane.rules.changes import Change
from control_plane.rules.ownership import Whose
from control_plane.settings import StackSettings, settings
from workers.stack_isolation import ownership_of

Tags = dict[str, str]


def refuse_foreign(deployment: Deployment, changes: Iterable[Change]) -> str | None:
    """Why a change set must not be executed: it would adopt what is not this tenant's. Or None.

    `ImportExistingResources` adopts by name alone. What carries no tag may be adopted when its name
    is only this tenant's (`rules/ownership.py`): an operator brought it, or its tag was lost. What
    cannot be read is not adopted.
    """
    tenant = deployment.tenant
    refused = [
        f"{change.logical_id} ({change.resource_type} {change.physical_id}) {problem}"
        for change in changes
        if change.action == "Import" and (problem := _problem(deployment, change))
    ]
    if not refused:
        return None
    return (
        f"the change set would adopt what is not certainly {tenant.stack_name}'s: "
        f"{'; '.join(refused)}; nothing was changed"
    )


def _problem(deployment: Deployment, change: Change) -> str | None:
    tenant = deployment.tenant
    if change.resource_type in PARTS:
        return None
    try:
        tags = _tags(change)
    except ClientError as error:
        if aws.is_busy(error):
            raise
        return f"whose tags could not be read: {error}"
    if tags is None:
        return "of whose type it cannot be read whose it is"
    owner = tags.get(naming.OWNER_TAG)
    if owner == tenant.stack_name:
        return None
    if owner is not None:
        return f"is another tenant's: it is tagged {naming.OWNER_TAG}={owner}"
    if _whose(deployment, change.physical_id) is Whose.OWN:
        return None
    return (
        f"has no tag {naming.OWNER_TAG}, and its name is not only this tenant's: tag it "
        f"{naming.OWNER_TAG}={tenant.stack_name} if it is"
    )


def _whose(deployment: Deployment, physical_id: str) -> Whose:
    """Whose a resource is by its name: an ARN, the URL of a queue, or the name itself."""
    owner = ownership_of(deployment)
    if physical_id.startswith("arn:"):
        return owner.of_arn(physical_id)
    name = physical_id.rpartition("/")[2] if "://" in physical_id else physical_id
    return owner.of_name(name)


PARTS = frozenset({
    "AWS::Cognito::UserPoolClient", "AWS::Cognito::UserPoolGroup",
    "AWS::Cognito::UserPoolResourceServer",
})  # fmt: skip
"""Types that have no tags and no name of their own: they come with a pool, which is looked at."""


def _tags(change: Change) -> Tags | None:
    """The tags of what would be adopted; None when nobody can tell of what it is."""
    if not change.physical_id:
        return None
    read = _READERS.get(change.resource_type)
    if read is not None:
        return read(change.physical_id)
    arn = _arn(change)
    return _indexed(arn) if arn else None


def _bucket(name: str) -> Tags:
    account = settings(StackSettings).account_id
    try:
        tags = aws.s3().get_bucket_tagging(Bucket=name, ExpectedBucketOwner=account)["TagSet"]
    except ClientError as error:
        if aws.error_code(error) != "NoSuchTagSet":
            raise
        return {}
    return {tag["Key"]: tag["Value"] for tag in tags}


def _table(name: str) -> Tags:
    pages = aws.dynamodb().get_paginator("list_tags_of_resource")
    asked = pages.paginate(ResourceArn=_here("dynamodb", f"table/{name}"))
    return {tag["Key"]: tag["Value"] for page in asked for tag in page["Tags"]}


def _log_group(name: str) -> Tags:
    arn = _here("logs", f"log-group:{name}")
    return aws.logs().list_tags_for_resource(resourceArn=arn)["tags"]


def _pool(pool: str) -> Tags:
    return aws.cognito().describe_user_pool(UserPoolId=pool)["UserPool"].get("UserPoolTags", {})


def _role(name: str) -> Tags:
    tags = aws.iam().get_role(RoleName=name)["Role"].get("Tags", [])
    return {tag["Key"]: tag["Value"] for tag in tags}


def _function(name: str) -> Tags:
    return aws.lambda_().list_tags(Resource=_here("lambda", f"function:{name}"))["Tags"]


_READERS: dict[str, Callable[[str], Tags]] = {
    "AWS::S3::Bucket": _bucket,
    "AWS::DynamoDB::Table": _table,
    "AWS::DynamoDB::GlobalTable": _table,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Cognito::UserPool": _pool,
    "AWS::Lambda::Function": _function,
    "AWS::IAM::Role": _role,
}
"""By the service's own call, which sees a tag at once: what tenants' stacks may make."""


_ARNS: dict[str, Callable[[str], str]] = {
    "AWS::SQS::Queue": lambda url: _here("sqs", url.rsplit("/", 1)[-1]),
    "AWS::KMS::Key": lambda key: _here("kms", f"key/{key}"),
    "AWS::SSM::Parameter": lambda name: _here("ssm", f"parameter/{name.lstrip('/')}"),
    "AWS::ECR::Repository": lambda name: _here("ecr", f"repository/{name}"),
    "AWS::EFS::FileSystem": lambda name: _here("elasticfilesystem", f"file-system/{name}"),
    "AWS::Kinesis::Stream": lambda name: _here("kinesis", f"stream/{name}"),
}


def _arn(change: Change) -> str | None:
    if change.physical_id.startswith("arn:"):
        return change.physical_id
    make = _ARNS.get(change.resource_type)
    return make(change.physical_id) if make else None


def _indexed(arn: str) -> Tags:
    """The tags of a resource by the index of all services; what it does not list has none."""
    found = aws.tagging().get_resources(ResourceARNList=[arn])["ResourceTagMappingList"]
    return {tag["Key"]: tag["Value"] for item in found for tag in item["Tags"]}


def _here(service: str, resource: str) -> str:
    known = settings(StackSettings)
    partition = known.cloudformation_role_arn.split(":")[1]
    return f"arn:{partition}:{service}:{known.aws_region}:{known.account_id}:{resource}"
