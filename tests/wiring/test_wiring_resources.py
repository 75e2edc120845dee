"""What template.yaml promises of data, logs and the API."""

import ast
import re
from typing import Any

import pytest
from asl_graph import MACHINES, ROOT
from sam_template import (
    environment,
    function_defaults,
    functions,
    of_type,
    properties,
    resource,
)
from source_code import files, tree

from workers.build import BUILD_MINUTES

KEPT = {"Retain", "RetainExceptOnCreate"}
METHODS = {"get", "post", "put", "delete", "patch", "head"}


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


# The API ----------------------------------------------------------------------------------------


def _routes_in_code() -> set[tuple[str, str]]:
    """(method, path) of every decorated route, in API Gateway's spelling."""
    found = set()
    for path in files("control_plane"):
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.FunctionDef):
                continue
            for call in node.decorator_list:
                if (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Attribute)
                    and call.func.attr in METHODS
                ):
                    route = ast.literal_eval(call.args[0])
                    found.add((call.func.attr, re.sub(r"<(\w+)>", r"{\1}", route)))
    return found


def _api_events() -> list[dict[str, Any]]:
    events = functions()["ApiFunction"]["Events"].values()
    return [event["Properties"] for event in events if event["Type"] == "Api"]


def test_every_route_of_the_code_is_an_event_of_the_function_and_every_event_a_route() -> None:
    routes = _routes_in_code()
    assert len(routes) >= 14
    assert {(event["Method"], event["Path"]) for event in _api_events()} == routes


def test_every_route_asks_for_a_signature() -> None:
    assert properties("Api")["Auth"]["DefaultAuthorizer"] == "AWS_IAM"
    for event in _api_events():
        assert event["RestApiId"] == {"Ref": "Api"}
        assert "Auth" not in event, "an event of its own mind"


def test_only_the_api_function_has_routes() -> None:
    for name, function in functions().items():
        kinds = {event["Type"] for event in function.get("Events", {}).values()}
        assert name == "ApiFunction" or not kinds & {"Api", "HttpApi"}


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


def test_a_build_ends_before_its_deployment_gives_up() -> None:
    assert properties("BuildProject")["TimeoutInMinutes"] == BUILD_MINUTES
    text = (ROOT / "state_machine.asl.json").read_text()
    assert "$millis() + 30 * 60000" in text
    assert BUILD_MINUTES < 30
