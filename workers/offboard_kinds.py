"""The types of resources that an offboarding can look at, and remove: each by its own calls.

What is no type here is listed as left, and removed by hand. A name is what a physical id of
CloudFormation comes to; of a topic and a secret it is the ARN.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import OffboardFailed
from control_plane.models import JsonObject

PAUSE = 1.0
"""Seconds between two looks whether AWS has let go of something."""

MISSING = frozenset({
    "404", "AWS.SimpleQueueService.NonExistentQueue", "FileSystemNotFound", "InvalidResourceId",
    "NoSuchBucket", "NotFound", "NotFoundException", "ParameterNotFound", "QueueDoesNotExist",
    "RepositoryNotFoundException", "ResourceNotFoundException",
})  # fmt: skip
"""How the services say that something is not there."""


@dataclass(frozen=True)
class Seen:
    """A resource as it is: its tags, how much it holds, and what stops its deletion."""

    tags: Mapping[str, str]
    holds: JsonObject = field(default_factory=dict)
    protection: str = ""


@dataclass(frozen=True)
class Kind:
    """One type. `arn`: what follows the account in its ARN, with the name as its group.

    `look` gives None for what is not there, or is being deleted. `remove` gives False when it is
    not through at the deadline (monotonic), and is called again. `by_arn`: its name is its ARN.
    """

    label: str
    types: tuple[str, ...]
    service: str
    arn: str
    look: Callable[[str], Seen | None]
    remove: Callable[[str, float], bool]
    by_arn: bool = False

    def name_in(self, arn: str) -> str | None:
        """The name that an ARN of this type has; None of any other."""
        parts = arn.split(":", 5)
        if len(parts) < 6 or parts[2] != self.service:
            return None
        found = re.fullmatch(self.arn, parts[5])
        if found is None:
            return None
        return arn if self.by_arn else found[1]

    def name_of(self, physical_id: str) -> str | None:
        """The name of what CloudFormation calls `physical_id`."""
        if physical_id.startswith("arn:"):
            return self.name_in(physical_id)
        if physical_id.startswith("https://"):  # a queue's address
            return physical_id.rsplit("/", 1)[-1]
        return physical_id or None


def of_type(resource_type: str) -> Kind | None:
    """The kind of a CloudFormation type, or None."""
    return next((kind for kind in KINDS if resource_type in kind.types), None)


def of_arn(arn: str) -> tuple[Kind, str] | None:
    """The kind and the name of what an ARN names, or None."""
    for kind in KINDS:
        if name := kind.name_in(arn):
            return kind, name
    return None


def labelled(label: str) -> Kind | None:
    """The kind that is listed as `label`, or None."""
    return next((kind for kind in KINDS if kind.label == label), None)


# Buckets ------------------------------------------------------------------------------------------


def _bucket(name: str) -> Seen | None:
    try:
        tags = aws.s3().get_bucket_tagging(Bucket=name)["TagSet"]
    except ClientError as error:
        if aws.error_code(error) != "NoSuchTagSet":
            return _unless_missing(error)
        tags = []
    return Seen(_pairs(tags))


def _remove_bucket(name: str, deadline: float) -> bool:
    """A bucket with all versions of its objects."""
    while True:
        page = aws.s3().list_object_versions(Bucket=name)
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not found:
            aws.s3().delete_bucket(Bucket=name)
            return True
        answer = aws.s3().delete_objects(
            Bucket=name,
            Delete={
                "Objects": [{"Key": i["Key"], "VersionId": i["VersionId"]} for i in found],
                "Quiet": True,
            },
        )
        failed = answer.get("Errors", [])
        if failed:
            first = failed[0]
            raise OffboardFailed(
                f"{name}/{first.get('Key')} could not be removed: {first.get('Code')} "
                f"{first.get('Message', '')}"
            )
        if time.monotonic() > deadline:
            return False


# Tables -------------------------------------------------------------------------------------------


def _table(name: str) -> Seen | None:
    try:
        table = aws.dynamodb().describe_table(TableName=name)["Table"]
    except ClientError as error:
        return _unless_missing(error)
    if table.get("TableStatus") == "DELETING":
        return None
    pages = aws.dynamodb().get_paginator("list_tags_of_resource")
    tags = [tag for page in pages.paginate(ResourceArn=table["TableArn"]) for tag in page["Tags"]]
    protection = "its deletion protection" if table.get("DeletionProtectionEnabled") else ""
    return Seen(_pairs(tags), {"items": table.get("ItemCount", 0)}, protection)


def _remove_table(name: str, deadline: float) -> bool:
    """A table, whose deletion protection a purge turns off."""
    tables = aws.dynamodb()
    table = tables.describe_table(TableName=name)["Table"]
    if table.get("Replicas"):
        raise OffboardFailed(f"table {name} has replicas in other regions: remove those first")
    if table.get("DeletionProtectionEnabled"):
        tables.update_table(TableName=name, DeletionProtectionEnabled=False)

    def deleted() -> bool:
        try:
            tables.delete_table(TableName=name)
        except ClientError as error:
            if aws.error_code(error) != "ResourceInUseException":
                raise
            return _table(name) is None  # it is being updated, or being deleted already
        return True

    return _again_until(deleted, deadline)


# User pools ---------------------------------------------------------------------------------------


def _pool(name: str) -> Seen | None:
    try:
        pool = aws.cognito().describe_user_pool(UserPoolId=name)["UserPool"]
    except ClientError as error:
        return _unless_missing(error)
    active = pool.get("DeletionProtection") == "ACTIVE"
    holds = {"users": pool.get("EstimatedNumberOfUsers", 0)}
    return Seen(pool.get("UserPoolTags", {}), holds, "its deletion protection" if active else "")


def _remove_pool(name: str, deadline: float) -> bool:
    """A user pool with its domains, whose deletion protection a purge turns off."""
    pools = aws.cognito()
    pool = pools.describe_user_pool(UserPoolId=name)["UserPool"]
    for domain in filter(None, (pool.get("Domain"), pool.get("CustomDomain"))):
        pools.delete_user_pool_domain(UserPoolId=name, Domain=domain)
    if pool.get("DeletionProtection") == "ACTIVE":
        pools.update_user_pool(UserPoolId=name, DeletionProtection="INACTIVE")
    pools.delete_user_pool(UserPoolId=name)
    return True


# Functions, layers, logs --------------------------------------------------------------------------


def _function(name: str) -> Seen | None:
    functions = aws.lambda_()
    try:
        arn = functions.get_function_configuration(FunctionName=name)["FunctionArn"]
        return Seen(functions.list_tags(Resource=arn).get("Tags", {}))
    except ClientError as error:
        return _unless_missing(error)


def _remove_function(name: str, deadline: float) -> bool:
    aws.lambda_().delete_function(FunctionName=name)
    return True


def _layer(name: str) -> Seen | None:
    """A layer's version, `name:number`. Layers have no tags (Lambda developer guide, tags)."""
    layer, _, number = name.rpartition(":")
    try:
        aws.lambda_().get_layer_version(LayerName=layer, VersionNumber=int(number))
    except ClientError as error:
        return _unless_missing(error)
    return Seen({})


def _remove_layer(name: str, deadline: float) -> bool:
    layer, _, number = name.rpartition(":")
    aws.lambda_().delete_layer_version(LayerName=layer, VersionNumber=int(number))
    return True


def _log_group(name: str) -> Seen | None:
    pages = aws.logs().get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    for page in pages:
        for group in page["logGroups"]:
            if group["logGroupName"] == name:
                arn = group["arn"].removesuffix(":*")
                tags = aws.logs().list_tags_for_resource(resourceArn=arn).get("tags", {})
                return Seen(tags, {"bytes": group.get("storedBytes", 0)})
    return None


def log_groups_below(prefix: str) -> list[str]:
    """The names of the log groups that begin with `prefix`."""
    pages = aws.logs().get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    return [group["logGroupName"] for page in pages for group in page["logGroups"]]


def _remove_log_group(name: str, deadline: float) -> bool:
    aws.logs().delete_log_group(logGroupName=name)
    return True


# Queues, topics -----------------------------------------------------------------------------------


def _queue(name: str) -> Seen | None:
    queues = aws.sqs()
    try:
        url = queues.get_queue_url(QueueName=name)["QueueUrl"]
        tags = queues.list_queue_tags(QueueUrl=url).get("Tags", {})
        wanted = ["ApproximateNumberOfMessages"]
        found = queues.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)
    except ClientError as error:
        return _unless_missing(error)
    messages = found.get("Attributes", {}).get("ApproximateNumberOfMessages", 0)
    return Seen(tags, {"messages": int(messages)})


def _remove_queue(name: str, deadline: float) -> bool:
    queues = aws.sqs()
    queues.delete_queue(QueueUrl=queues.get_queue_url(QueueName=name)["QueueUrl"])
    # For up to 60 seconds a deleted queue is still there (SQS API reference, DeleteQueue).
    return _again_until(lambda: _queue(name) is None, deadline)


def _topic(arn: str) -> Seen | None:
    topics = aws.sns()
    try:
        topics.get_topic_attributes(TopicArn=arn)
        return Seen(_pairs(topics.list_tags_for_resource(ResourceArn=arn).get("Tags", [])))
    except ClientError as error:
        return _unless_missing(error)


def _remove_topic(arn: str, deadline: float) -> bool:
    aws.sns().delete_topic(TopicArn=arn)
    return True


# Secrets, keys, parameters ------------------------------------------------------------------------


def _secret(arn: str) -> Seen | None:
    try:
        secret = aws.secretsmanager().describe_secret(SecretId=arn)
    except ClientError as error:
        return _unless_missing(error)
    return None if "DeletedDate" in secret else Seen(_pairs(secret.get("Tags", [])))


def _remove_secret(arn: str, deadline: float) -> bool:
    # For good: a secret that waits for its deletion would keep its name from the next tenant.
    aws.secretsmanager().delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    return True


def _key(key: str) -> Seen | None:
    keys = aws.kms()
    try:
        state = keys.describe_key(KeyId=key)["KeyMetadata"].get("KeyState")
        pages = keys.get_paginator("list_resource_tags").paginate(KeyId=key)
        tags = {tag["TagKey"]: tag["TagValue"] for page in pages for tag in page["Tags"]}
    except ClientError as error:
        return _unless_missing(error)
    return None if state in ("PendingDeletion", "PendingReplicaDeletion") else Seen(tags)


def _remove_key(key: str, deadline: float) -> bool:
    """AWS deletes no key at once: after a week, in which the deletion can be cancelled."""
    aws.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    return True


def _parameter(name: str) -> Seen | None:
    parameters = aws.ssm()
    wanted = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
    try:
        if not parameters.describe_parameters(ParameterFilters=wanted)["Parameters"]:
            return None
        found = parameters.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
    except ClientError as error:
        return _unless_missing(error)
    return Seen(_pairs(found.get("TagList", [])))


def _remove_parameter(name: str, deadline: float) -> bool:
    aws.ssm().delete_parameter(Name=name)
    return True


# Images, files ------------------------------------------------------------------------------------


def _repository(name: str) -> Seen | None:
    repositories = aws.ecr()
    try:
        found = repositories.describe_repositories(repositoryNames=[name])["repositories"][0]
        arn = found["repositoryArn"]
        return Seen(_pairs(repositories.list_tags_for_resource(resourceArn=arn).get("tags", [])))
    except ClientError as error:
        return _unless_missing(error)


def _remove_repository(name: str, deadline: float) -> bool:
    aws.ecr().delete_repository(repositoryName=name, force=True)
    return True


def _file_system(name: str) -> Seen | None:
    try:
        found = aws.efs().describe_file_systems(FileSystemId=name)["FileSystems"][0]
    except ClientError as error:
        return _unless_missing(error)
    if found.get("LifeCycleState") in ("deleting", "deleted"):
        return None
    size = found.get("SizeInBytes", {}).get("Value", 0)
    return Seen(_pairs(found.get("Tags", [])), {"bytes": size})


def _remove_file_system(name: str, deadline: float) -> bool:
    """A file system, after its mount targets are gone."""
    files = aws.efs()

    def unmounted() -> bool:
        targets = files.describe_mount_targets(FileSystemId=name)["MountTargets"]
        for target in targets:
            if target.get("LifeCycleState") != "deleting":
                files.delete_mount_target(MountTargetId=target["MountTargetId"])
        return not targets

    if not _again_until(unmounted, deadline):
        return False
    files.delete_file_system(FileSystemId=name)
    return True


# --------------------------------------------------------------------------------------------------


def _unless_missing(error: ClientError) -> Seen | None:
    """None of an error that says that something is not there; raises any other."""
    if aws.error_code(error) not in MISSING:
        raise error
    return None


def _pairs(tags: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _again_until(done: Callable[[], bool], deadline: float) -> bool:
    """Try until it is done (True) or `deadline` (monotonic) has passed; at least once."""
    while not done():
        if time.monotonic() + PAUSE > deadline:
            return False
        time.sleep(PAUSE)
    return True


KINDS: Collection[Kind] = (
    Kind("bucket", ("AWS::S3::Bucket",), "s3", r"([^/:]+)", _bucket, _remove_bucket),
    Kind(
        "table", ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"),
        "dynamodb", r"table/([^/]+)", _table, _remove_table,
    ),
    Kind(
        "user-pool", ("AWS::Cognito::UserPool",),
        "cognito-idp", r"userpool/(.+)", _pool, _remove_pool,
    ),
    Kind("queue", ("AWS::SQS::Queue",), "sqs", r"([^:/]+)", _queue, _remove_queue),
    Kind("topic", ("AWS::SNS::Topic",), "sns", r"([^:/]+)", _topic, _remove_topic, by_arn=True),
    Kind(
        "secret", ("AWS::SecretsManager::Secret",),
        "secretsmanager", r"secret:(.+)", _secret, _remove_secret, by_arn=True,
    ),
    Kind(
        "parameter", ("AWS::SSM::Parameter",),
        # The name of one in a hierarchy begins with a slash, which its ARN has too.
        "ssm", r"parameter(?:/(?=[^/]+$))?(.+)", _parameter, _remove_parameter,
    ),
    Kind(
        "repository", ("AWS::ECR::Repository",),
        "ecr", r"repository/(.+)", _repository, _remove_repository,
    ),
    Kind(
        "file-system", ("AWS::EFS::FileSystem",),
        "elasticfilesystem", r"file-system/(.+)", _file_system, _remove_file_system,
    ),
    Kind(
        "function", ("AWS::Lambda::Function",),
        "lambda", r"function:([^:]+)", _function, _remove_function,
    ),
    Kind(
        "layer-version", ("AWS::Lambda::LayerVersion",),
        "lambda", r"layer:([^:]+:\d+)", _layer, _remove_layer,
    ),
    Kind(
        "log-group", ("AWS::Logs::LogGroup",),
        "logs", r"log-group:([^:]+)(?::\*)?", _log_group, _remove_log_group,
    ),
    # Last: what is removed before may be encrypted with it.
    Kind("key", ("AWS::KMS::Key",), "kms", r"key/(.+)", _key, _remove_key),
)  # fmt: skip
"""In the order in which a purge removes them."""

PARTS = {
    "AWS::Cognito::UserPoolClient": "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolDomain": "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolGroup": "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolIdentityProvider": "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolResourceServer": "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolUser": "AWS::Cognito::UserPool",
    "AWS::EFS::MountTarget": "AWS::EFS::FileSystem",
    "AWS::KMS::Alias": "AWS::KMS::Key",
    "AWS::Lambda::Alias": "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersionPermission": "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission": "AWS::Lambda::Function",
    "AWS::Lambda::Url": "AWS::Lambda::Function",
    "AWS::Lambda::Version": "AWS::Lambda::Function",
    "AWS::Logs::LogStream": "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter": "AWS::Logs::LogGroup",
    "AWS::Logs::SubscriptionFilter": "AWS::Logs::LogGroup",
    "AWS::S3::BucketPolicy": "AWS::S3::Bucket",
    "AWS::SNS::TopicPolicy": "AWS::SNS::Topic",
    "AWS::SQS::QueuePolicy": "AWS::SQS::Queue",
}
"""Types that are parts of another: they go with it, and are not listed beside it."""
