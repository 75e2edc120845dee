"""What template.yaml promises of data and logs."""

import pytest
from asl_graph import MACHINES
from sam_template import (
    environment,
    function_defaults,
    functions,
    of_type,
    properties,
    resource,
)

KEPT = {"Retain", "RetainExceptOnCreate"}


# Logs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", functions())
def test_a_function_logs_into_a_group_of_its_own_that_forgets(function: str) -> None:
    group = functions()[function]["LoggingConfig"]["LogGroup"]["Ref"]
    others = [
        f["LoggingConfig"]["LogGroup"]["Ref"] for n, f in functions().items() if n != function
    ]
    assert group not in others
    assert properties(group)["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    name = functions()[function]["FunctionName"]["Sub"]
    assert properties(group)["LogGroupName"]["Sub"] == f"/aws/lambda/{name}"


@pytest.mark.parametrize("group", of_type("AWS::Logs::LogGroup"))
def test_every_log_group_forgets(group: str) -> None:
    assert "RetentionInDays" in properties(group)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_state_machine_logs_no_data_of_executions(machine: str) -> None:
    assert properties(machine)["Logging"]["IncludeExecutionData"] is False


# Versions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", functions())
def test_every_change_of_a_function_makes_a_version_that_is_kept(function: str) -> None:
    assert function_defaults()["AutoPublishAlias"]
    assert functions()[function]["AutoPublishAliasAllProperties"] is True
    assert resource("WorkerDependencies")["Properties"]["RetentionPolicy"] == "Retain"


@pytest.mark.parametrize(
    ("name", "needed_by"),
    [
        ("UpdateRole", "CloudFormation, which deletes the stack in it after an update"),
        ("CloudFormationRole", "the stacks of tenants"),
        ("TenantBoundary", "the roles of tenants"),
    ],
)
def test_what_is_needed_longer_than_the_stack_lives_is_kept(name: str, needed_by: str) -> None:
    assert resource(name)["DeletionPolicy"] == "RetainExceptOnCreate", needed_by


# Data -------------------------------------------------------------------------------------------


def test_the_table_is_on_demand_recoverable_protected_and_kept() -> None:
    table = resource("Table")
    assert table["DeletionPolicy"] in KEPT
    assert table["UpdateReplacePolicy"] == "Retain"
    promised = table["Properties"]
    assert promised["BillingMode"] == "PAY_PER_REQUEST"
    assert "ProvisionedThroughput" not in promised
    assert promised["DeletionProtectionEnabled"] is True
    assert promised["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert promised["SSESpecification"] == {"SSEEnabled": True}


def test_every_function_uses_this_table_and_bucket() -> None:
    for function in functions():
        assert environment(function)["TABLE_NAME"] == {"Ref": "Table"}
        bucket = environment(function).get("ARTIFACT_BUCKET", {"Ref": "ArtifactBucket"})
        assert bucket == {"Ref": "ArtifactBucket"}


def test_the_artifact_bucket_is_versioned_encrypted_closed_tidy_and_kept() -> None:
    bucket = resource("ArtifactBucket")
    assert bucket["DeletionPolicy"] in KEPT
    assert bucket["UpdateReplacePolicy"] == "Retain"
    promised = bucket["Properties"]
    assert promised["VersioningConfiguration"] == {"Status": "Enabled"}
    encryption = promised["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
    algorithm = encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
    assert algorithm in {"AES256", "aws:kms", "aws:kms:dsse"}
    blocked = promised["PublicAccessBlockConfiguration"]
    assert blocked == dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    rules = promised["LifecycleConfiguration"]["Rules"]
    assert rules
    assert all(rule["Status"] == "Enabled" for rule in rules)


def test_no_current_build_or_source_ever_expires() -> None:
    """A stack runs on its artifacts and may be rolled back to them."""
    rules = properties("ArtifactBucket")["LifecycleConfiguration"]["Rules"]
    expiring = [rule for rule in rules if "ExpirationInDays" in rule or "ExpirationDate" in rule]
    assert [rule.get("Prefix") for rule in expiring] == ["cache/"]


# Ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "machine", "ends"),
    [
        ("RecordFunction", "DeploymentStateMachine", {"FAILED", "TIMED_OUT", "ABORTED"}),
        ("BuildFunction", "DeploymentStateMachine", {"TIMED_OUT", "ABORTED"}),
        ("RouteFunction", "ShiftStateMachine", {"FAILED", "TIMED_OUT", "ABORTED"}),
    ],
)
def test_an_execution_that_is_cut_off_is_brought_to_its_end(
    function: str, machine: str, ends: set[str]
) -> None:
    event = functions()[function]["Events"]["ExecutionEnded"]
    detail = event["Properties"]["Pattern"]["detail"]
    assert detail["stateMachineArn"] == [{"Ref": machine}]
    assert set(detail["status"]) == ends
