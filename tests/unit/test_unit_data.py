"""Every resource type that AWS publishes is decided about: a type that nobody looked at would lose
its data, or be refused, without anybody having meant it."""

import re
from functools import cache
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from control_plane.rules import data
from control_plane.rules.data import HOLDS_DATA, Holding, Policy
from control_plane.rules.resource_types import PUBLISHED, PUBLISHED_AT, SOURCE
from local.resource_types import published

DECIDE = (
    "decide about each, by the rule in control_plane/rules/data.py: add it there where it holds "
    "data; then 'make resource-types'"
)

HOLD_NONE = {
    "what is in it stands in the template, or in what that names": """
        AppConfig::HostedConfigurationVersion Athena::NamedQuery Athena::DataCatalog
        Connect::Queue Connect::DataTableAttribute ElastiCache::UserGroup GameLift::Build
        IoT::CACertificate IoT::Stream Kendra::Thesaurus
        Lex::Bot Polly::Lexicon Route53::RecordSet SSM::Document Synthetics::Canary
        Translate::ParallelData Translate::Terminology DataBrew::Dataset
        CloudFront::TrustStore ElasticLoadBalancingV2::TrustStore WorkSpacesWeb::TrustStore
    """,
    "it routes, or says who may": """
        EC2::LocalGatewayRouteTable EC2::RouteTable EC2::TransitGatewayPolicyTable
        EC2::TransitGatewayRouteTable EC2::VerifiedAccessInstance Route53::CidrCollection
        Route53::TrafficPolicyInstance S3::AccessGrantsInstance SES::MailManagerAddonInstance
        MSK::BatchScramSecret
    """,
    "it names data that lies elsewhere": """
        CleanRooms::ConfiguredTable CleanRoomsML::TrainingDataset DevOpsGuru::ResourceCollection
        EC2::SqlHaStandbyDetectedInstance Panorama::ApplicationInstance SageMaker::CodeRepository
    """,
    "SAM makes a table of it, which is guarded": "Serverless::SimpleTable",
    "it computes, and what it works on lies elsewhere": """
        DAX::Cluster DocDB::DBInstance Neptune::DBInstance ECS::Cluster
        RedshiftServerless::Workgroup EMRContainers::VirtualCluster
        Batch::JobQueue AppSync::ApiCache
        Route53RecoveryControl::Cluster MediaLive::Cluster GroundStation::MissionProfile
        ServiceDiscovery::Instance GameLift::GameSessionQueue MediaConvert::Queue PCS::Queue
        Omics::RunCache ResourceExplorer2::Index Location::PlaceIndex Connect::Workspace
    """,
    "it is code, and deploying again brings it": """
        Lambda::Function Lambda::LayerVersion StepFunctions::StateMachine ImageBuilder::Image
    """,
    "it goes with the pool, which is guarded": """
        Cognito::UserPoolGroup Cognito::UserPoolClient Cognito::UserPoolDomain
    """,
    "messages pass through it": """
        SNS::Topic IVSChat::Room CloudWatch::MetricStream CustomerProfiles::EventStream
        MediaConnect::FlowMediaStream Pinpoint::EventStream QLDB::Stream
    """,
    "a name, an address or a permission": """
        Amplify::Domain ApiGateway::UsagePlanKey AppSync::ApiKey IAM::AccessKey
        KMS::Alias VerifiedPermissions::PolicyStoreAlias CloudFront::PublicKey
        IVS::StreamKey
    """,
}
"""Types that look like data and hold none, by the reason."""

LOOKS_LIKE_DATA = re.compile(
    r"(Table|Bucket|Database|Cluster|Instance|Volume|FileSystem|Datastore|UserPool|"
    r"IdentityPool|Repository|Ledger|Keyspace|Vault|BackupVault|Dataset|DataSet|Collection|"
    r"KnowledgeBase|Queue|Stream|Index|Store|Archive|Registry|Memory|Cache|Workspace|Secret|Parameter|LogGroup|Snapshot|Backup|Graph|Disk|MicrosoftAD|SimpleAD)$"
)


@cache
def schema(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    return found


def hold_none() -> set[str]:
    return {f"AWS::{name}" for names in HOLD_NONE.values() for name in names.split()}


def test_every_type_that_aws_publishes_is_decided_about() -> None:
    """Red when a newer cfn-lint brings types: its message says which, and what to do."""
    assert sorted(published() - PUBLISHED) == [], DECIDE
    assert sorted(HOLDS_DATA - PUBLISHED) == [], "misspelled, or AWS publishes them no longer"


def test_the_list_has_its_source_and_date() -> None:
    assert "cfn-lint" in SOURCE
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", PUBLISHED_AT)
    assert len(PUBLISHED) > 1500, "the schemas of one region at least"


def test_what_is_called_like_data_holds_it_or_has_its_reason() -> None:
    """The rule for the rest: what is named by no such word, and can be neither snapshotted nor
    backed up, holds none. Each exception is listed here with its reason."""
    suspicious = {kind for kind in PUBLISHED if LOOKS_LIKE_DATA.search(kind)}
    assert len(suspicious) > 150, "the search finds nothing any more"
    assert sorted(suspicious - HOLDS_DATA - hold_none()) == [], DECIDE


def test_what_can_be_snapshotted_backed_up_or_kept_from_deletion_holds_data() -> None:
    """By the properties of its schema: nobody backs up what is nothing."""
    telling = re.compile(
        r"BackupRetention|PreferredBackup|BackupPolicy|PointInTime|SnapshotIdentifier|"
        r"SnapshotRetention|DeletionProtection|StorageEncrypted|FinalSnapshot|BackupWindow"
    )
    found = {
        kind
        for kind in PROVIDER_SCHEMA_MANAGER.get_resource_types("us-east-1")
        if telling.search(" ".join(schema(kind).get("properties", {})))
    }
    assert "AWS::RDS::DBCluster" in found, "the search finds nothing any more"
    no_data = hold_none() | PROTECTED_WITHOUT_DATA
    assert sorted(found - HOLDS_DATA - no_data) == [], DECIDE


PROTECTED_WITHOUT_DATA = {
    # DeletionProtectionCheck, MessageRetention and the like: settings by which nothing is stored.
    "AWS::AppConfig::Environment",
    "AWS::AutoScaling::AutoScalingGroup",
    "AWS::ECS::Gateway",
    "AWS::EventsV2::Subscriber",
    "AWS::SMSVOICE::NotifyConfiguration",
    "AWS::SMSVOICE::Pool",
    "AWS::SMSVOICE::ProtectConfiguration",
    "AWS::SMSVOICE::RcsAgent",
    "AWS::WellArchitected::AgentProfile",
}


def test_no_type_is_decided_twice() -> None:
    assert hold_none() & HOLDS_DATA == set()
    assert hold_none() <= PUBLISHED


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("AWS::DynamoDB::Table", Holding.DATA),
        ("AWS::Cassandra::Table", Holding.DATA),
        ("AWS::KMS::Key", Holding.DATA),
        ("AWS::Lambda::Function", Holding.NONE),
        ("AWS::CDK::Metadata", Holding.NONE),
        ("AWS::CloudFormation::Stack", Holding.NESTED),
        ("AWS::Brand::New", Holding.UNKNOWN),
        ("Custom::Seeds", Holding.UNKNOWN),
        ("AWS::CloudFormation::CustomResource", Holding.UNKNOWN),
        ("Acme::Storage::Shelf", Holding.UNKNOWN),
        ("Acme::Storage::Shelf::MODULE", Holding.UNKNOWN),
        ("", Holding.UNKNOWN),
    ],
)
def test_a_type_that_nobody_knows_is_not_a_type_without_data(kind: str, known: Holding) -> None:
    assert data.holding(kind) == known
    assert data.holding(kind, (kind,)) in (Holding.DATA, Holding.NESTED)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("AWS::DynamoDb::Table", "AWS::DynamoDB::Table"),
        ("AWS::DynamoDB::Tabel", "AWS::DynamoDB::Table"),
        ("aws::s3::bucket", "AWS::S3::Bucket"),
        ("AWS:S3:Bucket", "AWS::S3::Bucket"),
        ("AWSS::S3::Bucket", "AWS::S3::Bucket"),
        ("DynamoDB::Table", "AWS::DynamoDB::Table"),
        ("AWS::S3::Bucket ", "AWS::S3::Bucket"),
        ("AWS::Serverless::SimpleTable", "AWS::DynamoDB::Table"),
    ],
)
def test_a_misspelled_type_protects_nothing_and_is_named_with_what_was_meant(
    written: str, meant: str
) -> None:
    problem = data.type_problem(written)
    assert problem is not None
    assert meant in problem


@pytest.mark.parametrize(
    "right",
    ["AWS::S3::Bucket", "Custom::Seeds", "Acme::S3::Bucket", "MongoDB::Atlas::Cluster",
     "AWS::Lambda::Function", "AWS::CloudFormation::CustomResource", "A2::B2::C2::MODULE"],
)  # fmt: skip
def test_what_can_be_a_type_is_taken(right: str) -> None:
    assert data.type_problem(right) is None


@pytest.mark.parametrize("wrong", ["", "Bucket", "AWS::Brand::New", "*", "AWS::DynamoDB::*"])
def test_what_is_no_type_at_all_is_not_taken(wrong: str) -> None:
    assert data.type_problem(wrong) is not None


@pytest.mark.parametrize(
    ("resource", "attribute", "policy"),
    [
        ({"Type": "AWS::S3::Bucket"}, data.DELETION, Policy.DELETE),
        ({"Type": "AWS::RDS::DBCluster"}, data.DELETION, Policy.SNAPSHOT),
        ({"Type": "AWS::RDS::DBInstance"}, data.DELETION, Policy.SNAPSHOT),
        (
            {"Type": "AWS::RDS::DBInstance", "Properties": {"DBClusterIdentifier": "c"}},
            data.DELETION,
            Policy.DELETE,
        ),
        ({"Type": "AWS::RDS::DBCluster"}, data.REPLACEMENT, Policy.DELETE),
        ({"Type": "AWS::S3::Bucket", "DeletionPolicy": "Snapshot"}, data.DELETION, Policy.DELETE),
        (
            {"Type": "AWS::EC2::Volume", "DeletionPolicy": "Snapshot"},
            data.DELETION,
            Policy.SNAPSHOT,
        ),
        ({"Type": "AWS::S3::Bucket", "DeletionPolicy": "retain"}, data.DELETION, Policy.DELETE),
    ],
)
def test_a_policy_is_what_cloudformation_does_without_one_too(
    resource: dict[str, Any], attribute: str, policy: Policy
) -> None:
    assert data.policy(resource, attribute) == policy
