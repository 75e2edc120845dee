"""Which resource types hold data, and what a change would do to it. Pure.

Data is what deploying again does not bring back: it was written, generated or trained after the
resource was made. A database, a user pool, a queue, a key hold data; a function, a role or a saved
query, whose text stands in the template, do not. Neither does a cache in front of a table.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from enum import StrEnum

from control_plane.models import JsonObject
from control_plane.rules.resource_types import PUBLISHED, PUBLISHED_AT

_DATA = {
    "ACMPCA": "CertificateAuthority",
    "AIOps": "InvestigationGroup",
    "APS": "Workspace",
    "AWSExternalAnthropic": "Workspace",
    "AgentRegistry": "Registry",
    "AmazonMQ": "Broker",
    "ApiGateway": "ApiKey",
    "AppConfig": "ConfigurationProfile",
    "Athena": "WorkGroup",
    "AuditManager": "Assessment",
    "Backup": "BackupVault LegalHold LogicallyAirGappedBackupVault",
    "Bedrock": "DataAutomationLibrary DataSource KnowledgeBase Session",
    "BedrockAgentCore": "BrowserProfile Dataset Memory",
    "BedrockMantle": "Project",
    "Cases": "Case Domain RelatedItem",
    "Cassandra": "Keyspace Table",
    "Chime": "AppInstance AppInstanceUser Channel MediaPipelineKinesisVideoStreamPool",
    "CleanRooms": "Collaboration IdMappingTable IntermediateTable Membership",
    "Cloud9": "EnvironmentEC2",
    "CloudFormation": "StackSet",
    "CloudFront": "KeyValueStore",
    "CloudHSM": "Cluster",
    "CloudTrail": "EventDataStore",
    "CodeArtifact": "Domain Repository",
    "CodeBuild": "ReportGroup",
    "CodeCommit": "Repository",
    "CodeGuruProfiler": "ProfilingGroup",
    "CodeStar": "GitHubRepository",
    "Cognito": "IdentityPool UserPool UserPoolUser",
    "Comprehend": "DocumentClassifier EntityRecognizer Flywheel",
    "Connect": "DataTable DataTableRecord EmailAddress Instance PhoneNumber User",
    "CustomerProfiles": "Domain DomainObjectType ObjectType",
    "DMS": "DataMigration ReplicationConfig ReplicationInstance ReplicationTask",
    "DSQL": "Cluster",
    "DataExchange": "DataSet",
    "DataZone": "Domain Environment Project",
    "Deadline": "Farm Queue",
    "Detective": "Graph",
    "DevOpsAgent": "AgentSpace Asset",
    "DeviceFarm": "Project TestGridProject Upload",
    "DirectoryService": "MicrosoftAD SimpleAD",
    "DocDB": "DBCluster GlobalCluster",
    "DocDBElastic": "Cluster ClusterSnapshot",
    "DynamoDB": "Backup GlobalTable Table",
    "EC2": "FpgaImage Instance KeyPair Volume",
    "ECR": "PublicRepository Repository",
    "EFS": "FileSystem",
    "EKS": "CertificateAuthority Cluster",
    "EMR": "Cluster Studio WALWorkspace",
    "EVS": "Environment",
    "ElastiCache": "CacheCluster GlobalReplicationGroup ReplicationGroup ServerlessCache"
    " ServerlessCacheSnapshot Snapshot",
    "ElasticBeanstalk": "Application Environment",
    "Elasticsearch": "Domain",
    "ElementalInference": "Dictionary",
    "EntityResolution": "MatchingWorkflow",
    "EventSchemas": "Registry Schema",
    "Events": "Archive",
    "EventsV2": "EventBus",
    "Evidently": "Experiment Project",
    "FSx": "Backup FileCache FileSystem Snapshot StorageVirtualMachine Volume",
    "FinSpace": "Environment",
    "Forecast": "Dataset DatasetGroup",
    "FraudDetector": "Detector EventType List",
    "Glue": "Catalog Database MLTransform Registry Schema Table",
    "Grafana": "Workspace",
    "GuardDuty": "Detector",
    "HealthAgent": "Domain",
    "HealthImaging": "Datastore",
    "HealthLake": "FHIRDatastore",
    "IdentityStore": "Group User",
    "IoT": "Certificate Thing",
    "IoTAnalytics": "Channel Dataset Datastore",
    "IoTEvents": "DetectorModel",
    "IoTFleetWise": "Vehicle",
    "IoTManagedIntegrations": "CredentialLocker ManagedThing",
    "IoTSiteWise": "Asset Dashboard Dataset Portal Project Workspace",
    "IoTTwinMaker": "Entity Workspace",
    "KMS": "Key ReplicaKey",
    "Kendra": "Index",
    "Kinesis": "Channel Stream",
    "KinesisAnalytics": "Application",
    "KinesisAnalyticsV2": "Application",
    "KinesisFirehose": "DeliveryStream",
    "KinesisVideo": "Stream",
    "LaunchWizard": "Deployment",
    "Lightsail": "Bucket Database DatabaseSnapshot Disk DiskSnapshot Instance InstanceSnapshot"
    " KeyPair",
    "Location": "APIKey GeofenceCollection Tracker",
    "Logs": "LogGroup LogStream",
    "LookoutVision": "Project",
    "M2": "Application Environment",
    "MSK": "Channel Cluster ServerlessCluster Topic",
    "MWAA": "Environment",
    "Macie": "Session",
    "ManagedBlockchain": "Member Node",
    "MediaPackage": "Asset",
    "MediaStore": "Container",
    "MemoryDB": "Cluster MultiRegionCluster Snapshot",
    "Neptune": "DBCluster GlobalCluster",
    "NeptuneGraph": "Graph GraphSnapshot",
    "NimbleStudio": "Studio",
    "ODB": "CloudAutonomousVmCluster CloudExadataInfrastructure CloudVmCluster",
    "OSIS": "Pipeline",
    "Omics": "AnnotationStore ReferenceStore SequenceStore VariantStore",
    "OpenSearchServerless": "Collection CollectionIndex Index",
    "OpenSearchService": "Application Domain",
    "OpsWorks": "Instance Stack Volume",
    "Organizations": "Account Organization",
    "PCS": "Cluster",
    "PaymentCryptography": "Key",
    "Personalize": "Dataset DatasetGroup Solution",
    "Pinpoint": "App",
    "QBusiness": "Application Index",
    "QLDB": "Ledger",
    "QuickSight": "Analysis Dashboard DataSet KnowledgeBase Space",
    "RDS": "ClusterSnapshot DBCluster DBInstance DBShardGroup DBSnapshot Deployment GlobalCluster",
    "RUM": "AppMonitor",
    "Redshift": "Cluster Snapshot",
    "RedshiftServerless": "Namespace Snapshot",
    "Rekognition": "Collection Dataset Project",
    "Route53": "HostedZone",
    "S3": "Bucket",
    "S3Express": "DirectoryBucket",
    "S3Files": "FileSystem",
    "S3Outposts": "Bucket",
    "S3Tables": "Namespace Table TableBucket",
    "S3Vectors": "Index VectorBucket",
    "SCN": "Dataset Instance Namespace",
    "SDB": "Domain",
    "SES": "ContactList MailManagerAddressList MailManagerArchive",
    "SMSVOICE": "OptOutList PhoneNumber Registration SenderId",
    "SQS": "Queue",
    "SSM": "OpsItem Parameter",
    "SSMIncidents": "ReplicationSet",
    "SSO": "Instance",
    "SageMaker": "Action Artifact Cluster Context Domain Experiment ExperimentTrialComponent"
    " FeatureGroup Hub MlflowApp MlflowTrackingServer ModelCard ModelPackage ModelPackageGroup"
    " NotebookInstance PartnerApp Project Space UserProfile Workforce",
    "SecretsManager": "Secret",
    "SecurityAgent": "AgentSpace Artifact",
    "SecurityHub": "Hub HubV2",
    "SecurityLake": "DataLake",
    "ServiceCatalog": "CloudFormationProvisionedProduct",
    "SimSpaceWeaver": "Simulation",
    "StorageGateway": "Tape TapePool Volume",
    "Textract": "Adapter",
    "Timestream": "Database InfluxDBBackup InfluxDBCluster InfluxDBInstance Table",
    "Transfer": "Server",
    "VerifiedPermissions": "PolicyStore",
    "VoiceID": "Domain",
    "WellArchitected": "Workload",
    "Wickr": "Network",
    "Wisdom": "Content KnowledgeBase",
    "WorkSpaces": "Directory Workspace",
    "WorkspacesInstances": "Volume WorkspaceInstance",
}
"""The types of `AWS::` that hold data, by service. Decided by hand, by the rule above, for the
types that AWS publishes (`resource_types`, with source and date); a test asks for a decision about
each type that is new. Where AWS's documentation leaves it open, the type is listed."""

HOLDS_DATA = frozenset(
    f"AWS::{service}::{name}" for service, names in _DATA.items() for name in names.split()
)

LOGS = frozenset({"AWS::Logs::LogGroup", "AWS::Logs::LogStream"})
"""What a deployment does not take away unasked, and what goes with a stack that is deleted."""

NESTED_STACK = "AWS::CloudFormation::Stack"


class Holding(StrEnum):
    """What is known of a resource type."""

    DATA = "data"
    NONE = "none"
    NESTED = "nested"  # a stack: what it holds, its resources say
    UNKNOWN = "unknown"


def holding(resource_type: str, stateful_types: Collection[str] = ()) -> Holding:
    """Whether a resource of a type holds data.

    `stateful_types`: types that a manifest adds. UNKNOWN are types that AWS does not publish: those
    of third parties and modules, and those that are newer than the list. A custom resource
    (`Custom::…`) is unknown too: only its function knows what it made, and deletes.
    """
    if resource_type == NESTED_STACK:
        return Holding.NESTED
    if resource_type in HOLDS_DATA or resource_type in stateful_types:
        return Holding.DATA
    if is_custom(resource_type):
        return Holding.UNKNOWN
    return Holding.NONE if resource_type in PUBLISHED else Holding.UNKNOWN


def is_custom(resource_type: str) -> bool:
    """Whether a function or topic of the application's own stands for the resource."""
    return resource_type.startswith("Custom::") or (
        resource_type == "AWS::CloudFormation::CustomResource"
    )


_CUSTOM = re.compile(r"Custom::[\w@-]{1,52}")
_THIRD_PARTY = re.compile(r"[A-Za-z0-9]{2,64}(?:::[A-Za-z0-9]{2,64}){2}(?:::MODULE)?")


def type_problem(resource_type: str) -> str | None:
    """Why a manifest cannot name `resource_type`, with a type that is spelled like it; or None.

    A type that does not exist protects nothing. Types of third parties are in no public list: they
    are refused only where they are spelled almost like one of AWS's.
    """
    if resource_type in PUBLISHED:
        if resource_type.startswith("AWS::Serverless::"):
            made = _MADE_BY_SAM.get(resource_type, "the types that SAM makes of it")
            return f"{resource_type} is in no stack: SAM replaces it; name {made} instead"
        return None
    if _CUSTOM.fullmatch(resource_type):
        return None
    by_small_letters = {kind.lower(): kind for kind in sorted(PUBLISHED)}
    written = resource_type.lower()
    close = difflib.get_close_matches(written, by_small_letters, 1, 0.7)
    near = difflib.SequenceMatcher(None, written, close[0]).ratio() if close else 0.0
    is_third_party = bool(_THIRD_PARTY.fullmatch(resource_type))
    if is_third_party and not written.startswith("aws::") and near < _MISSPELLED:
        return None
    meant = f"; did you mean {by_small_letters[close[0]]}?" if close else ""
    return (
        f"{resource_type} is not a resource type, in AWS's list of {PUBLISHED_AT}{meant}"
        " (a type that is newer than the list is protected without being named)"
    )


_MISSPELLED = 0.95
"""How alike a third party's type may be to one of AWS's: `AWSS::S3::Bucket` is a slip of the hand
(0.97), `Acme::S3::Bucket` is not (0.75)."""

_MADE_BY_SAM = {
    "AWS::Serverless::SimpleTable": "AWS::DynamoDB::Table",
    "AWS::Serverless::Function": "AWS::Lambda::Function",
    "AWS::Serverless::Api": "AWS::ApiGateway::RestApi",
    "AWS::Serverless::HttpApi": "AWS::ApiGatewayV2::Api",
    "AWS::Serverless::StateMachine": "AWS::StepFunctions::StateMachine",
    "AWS::Serverless::LayerVersion": "AWS::Lambda::LayerVersion",
    "AWS::Serverless::Application": NESTED_STACK,
}


# DeletionPolicy and UpdateReplacePolicy -----------------------------------------------------------


class Policy(StrEnum):
    """What becomes of a resource that leaves its stack, or is replaced (template reference,
    DeletionPolicy and UpdateReplacePolicy)."""

    DELETE = "Delete"
    SNAPSHOT = "Snapshot"
    RETAIN_EXCEPT_ON_CREATE = "RetainExceptOnCreate"
    RETAIN = "Retain"


_KEPT = {
    Policy.DELETE: 0,
    Policy.SNAPSHOT: 1,
    Policy.RETAIN_EXCEPT_ON_CREATE: 2,  # of a resource that is there: as Retain
    Policy.RETAIN: 2,
}
"""How much of the data each leaves."""

_SNAPSHOTS = frozenset({
    "AWS::DocDB::DBCluster", "AWS::EC2::Volume", "AWS::ElastiCache::CacheCluster",
    "AWS::ElastiCache::ReplicationGroup", "AWS::Neptune::DBCluster", "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance", "AWS::Redshift::Cluster",
})  # fmt: skip
"""The types that can be snapshotted (template reference, DeletionPolicy)."""

DELETION, REPLACEMENT = "DeletionPolicy", "UpdateReplacePolicy"


def policy(resource: JsonObject, attribute: str) -> Policy:
    """A resource's DeletionPolicy or UpdateReplacePolicy, as a template writes it.

    Without one it is Delete; RDS takes a snapshot of what is deleted (template reference). One that
    is not known before the execution (an intrinsic function) counts as Delete.
    """
    written, kind = resource.get(attribute), str(resource.get("Type", ""))
    if written is None and attribute == DELETION:
        in_cluster = "DBClusterIdentifier" in (resource.get("Properties") or {})
        if kind == "AWS::RDS::DBCluster" or (kind == "AWS::RDS::DBInstance" and not in_cluster):
            return Policy.SNAPSHOT
    try:
        found = Policy(written) if isinstance(written, str) else Policy.DELETE
    except ValueError:
        return Policy.DELETE
    return Policy.DELETE if found == Policy.SNAPSHOT and kind not in _SNAPSHOTS else found


def unretained(template: JsonObject, stateful_types: Collection[str]) -> dict[str, str]:
    """The resources of a template that hold data, by logical id, which their policies do not keep:
    each with what is missing. Logs go with their stack, unless a manifest names them: no word of
    them here, or every note would begin with them."""
    found = {}
    for name, resource in _resources(template).items():
        kind = str(resource.get("Type", ""))
        if holding(kind, stateful_types) != Holding.DATA:
            continue
        if kind in LOGS and kind not in stateful_types:
            continue
        missing = [of for of in (DELETION, REPLACEMENT) if policy(resource, of) == Policy.DELETE]
        if missing:
            found[name] = " and ".join(f"{of} Delete" for of in missing)
    return found


def compared(
    before: JsonObject, after: JsonObject, stateful_types: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """(weakened, strengthened): the resources of both templates that hold data, or may, and of
    which less, or more, would be kept. Weakened ones each with what changes."""
    weakened, strengthened = {}, []
    old = _resources(before)
    for name, resource in _resources(after).items():
        kind = str(resource.get("Type", ""))
        if name not in old or holding(kind, stateful_types) == Holding.NONE:
            continue
        changes = [
            (of, policy(old[name], of), policy(resource, of)) for of in (DELETION, REPLACEMENT)
        ]
        less = [
            f"{of} from {was} to {will_be}"
            for of, was, will_be in changes
            if _KEPT[will_be] < _KEPT[was]
        ]
        if less:
            weakened[name] = " and ".join(less)
        if any(_KEPT[will_be] > _KEPT[was] for _, was, will_be in changes):
            strengthened.append(name)
    return weakened, strengthened


def types(template: JsonObject) -> dict[str, str]:
    """The type of each resource of a template, by logical id."""
    return {name: str(found.get("Type", "")) for name, found in _resources(template).items()}


def _resources(template: JsonObject) -> Mapping[str, JsonObject]:
    found = template.get("Resources") or {}
    return {name: one for name, one in found.items() if isinstance(one, dict)}
