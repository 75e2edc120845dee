"""What outlives its stack, by the template: pure rules."""

from collections.abc import Collection

from control_plane.models import JsonObject

_HOLD_DATA = frozenset({
    "AWS::Backup::BackupVault", "AWS::Cassandra::Table", "AWS::Cognito::IdentityPool",
    "AWS::Cognito::UserPool", "AWS::DocDB::DBCluster", "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table", "AWS::EC2::Volume", "AWS::ECR::Repository", "AWS::EFS::FileSystem",
    "AWS::Elasticsearch::Domain", "AWS::FSx::FileSystem", "AWS::KMS::Key", "AWS::Kinesis::Stream",
    "AWS::MSK::Cluster", "AWS::MemoryDB::Cluster", "AWS::Neptune::DBCluster",
    "AWS::OpenSearchService::Domain", "AWS::RDS::DBCluster", "AWS::RDS::DBInstance",
    "AWS::Redshift::Cluster", "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SecretsManager::Secret",
    "AWS::Serverless::SimpleTable", "AWS::Timestream::Table",
})  # fmt: skip

_RETAINING = ("Retain", "RetainExceptOnCreate", "Snapshot")
"""Of a Snapshot the data outlives the resource (user guide, DeletionPolicy attribute)."""


def holds_data(resource_type: str, stateful_types: Collection[str]) -> bool:
    """Whether resources of a type hold data. `stateful_types`: those that the manifest names."""
    return resource_type in _HOLD_DATA or resource_type in stateful_types


def is_retained(resource: JsonObject) -> bool:
    """Whether a resource, as a processed template declares it, outlives the deletion of its stack.

    A policy that is no plain text cannot be decided here, and does not count as retaining.
    """
    policy = resource.get("DeletionPolicy", _default(resource))
    return isinstance(policy, str) and policy in _RETAINING


def _default(resource: JsonObject) -> str:
    """What AWS does without a DeletionPolicy: a database gets a final snapshot (same page)."""
    kind, properties = resource.get("Type"), resource.get("Properties") or {}
    if kind == "AWS::RDS::DBCluster":
        return "Snapshot"
    if kind == "AWS::RDS::DBInstance" and "DBClusterIdentifier" not in properties:
        return "Snapshot"
    return "Delete"
