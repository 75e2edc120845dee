"""Isolation: what a tenant's template may not say, and the nearest that it may."""

from typing import Any

import pytest
from isolated_templates import (
    ACCOUNT,
    BOUNDARY,
    OWN_BUCKET,
    findings,
    function,
    resolved,
    role,
    role_with,
    tenant,
)

from control_plane.models import JsonObject
from control_plane.rules import isolation
from control_plane.rules import template_values as values
from control_plane.rules.isolation import Finding

HERE = f"us-east-1:{ACCOUNT}"
MADE: JsonObject = {
    "Made": {"Type": "Custom::Thing"},
    "Queue": {"Type": "AWS::SQS::Queue"},
    "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "ledger"}},
    "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": OWN_BUCKET}},
    "Unnamed": {"Type": "AWS::S3::Bucket"},
    "Named": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "ledger-of-lab"}},
    "Pool": {"Type": "AWS::Cognito::UserPool"},
}

# What a role may do -------------------------------------------------------------------------------

OTHERS = [
    "*",
    "arn:aws:s3:::*",
    "arn:*:s3:::*",
    "arn:aws:s3:::notes-*",
    "arn:aws:s3:::notes-data-stage-*",
    "arn:aws:s3:::notes-data-stage-lab*",
    "arn:aws:s3:::notes-data-stage-lab-*",
    "arn:aws:s3:::notes-data-stage-la?/*",
    "arn:aws:s3:::notes-data-stage-lab2-123456789012/*",
    "arn:aws:s3:::notes-data-stage-lab-2-123456789012/*",
    "arn:aws:s3:::notes-data-prod-lab-123456789012/*",
    "arn:aws:s3:::notes-data-prod-x-stage-lab-123456789012",  # prod's x-stage-lab
    "arn:aws:s3:::front-stage-victim-123456789012/*",
    "arn:aws:s3:::*-stage-lab-123456789012/*",
    "arn:aws:s3:::syndi-sam-deployments-123456789012/*",
    "arn:aws:s3:::other-stage-lab-data/*",  # another application's tenant of the same name
    f"arn:aws:dynamodb:{HERE}:table/*",
    f"arn:aws:dynamodb:{HERE}:table/notes-stage-victim",
    f"arn:aws:dynamodb:{HERE}:table/ledger*",
    "arn:aws:dynamodb:*:*:table/control-plane-prod-main-history",
    "arn:aws:dynamodb:us-east-1:999999999999:table/notes-stage-lab",
    f"arn:aws:secretsmanager:{HERE}:secret:syndi/*",
    f"arn:aws:secretsmanager:{HERE}:secret:notes-stage-victim-db-??????",
    f"arn:aws:lambda:{HERE}:function:notes-stage-victim-backend",
    f"arn:aws:sqs:{HERE}:notes-test-lab-jobs",
    f"arn:aws:sns:{HERE}:notes-stage-lab2",
    f"arn:aws:ssm:{HERE}:parameter/notes/stage/victim/*",
    f"arn:aws:ssm:{HERE}:parameter/notes/stage/lab*",
    f"arn:aws:cognito-idp:{HERE}:userpool/*",
    f"arn:aws:cognito-idp:{HERE}:userpool/us-east-1_Victim123",
    f"arn:aws:states:{HERE}:stateMachine:control-plane-prod-main-deployment",
    f"arn:aws:kms:{HERE}:key/*",
    f"arn:aws:events:{HERE}:event-bus/default",
    f"arn:aws:iam::{ACCOUNT}:role/*",
    {"Fn::ImportValue": "somebody-Bucket"},
    {"Fn::Sub": "arn:aws:s3:::${Made.Bucket}/*"},  # whatever a custom resource answers
    {"Fn::Sub": "${Table.Arn}-archive"},
    {"Fn::Sub": "arn:aws:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${Table}*"},
    {"Fn::Sub": "arn:aws:s3:::${!aws:username}-data"},
]


@pytest.mark.parametrize("resource", OTHERS, ids=str)
def test_a_role_that_may_touch_a_neighbour_is_refused(resource: Any) -> None:
    (first, *_) = findings(role("*", resource), extra=MADE)
    assert first.startswith("Role, policy own, statement 1 (Sid1): ")


OWN = [
    f"arn:aws:s3:::{OWN_BUCKET}",
    f"arn:aws:s3:::{OWN_BUCKET}/*",
    f"arn:aws:s3:::{OWN_BUCKET}*",
    "arn:aws:s3:::notes-stage-lab-anything/*",
    "arn:aws:s3:::${aws:PrincipalTag/syndi:stack}-anything/*",
    f"arn:aws:s3:::notes-stage-lab-{ACCOUNT}/*",
    f"arn:aws:dynamodb:{HERE}:table/notes-stage-lab",
    f"arn:aws:dynamodb:{HERE}:table/notes-stage-lab-items/index/*",
    f"arn:aws:secretsmanager:{HERE}:secret:notes/stage/lab/db-??????",
    f"arn:aws:secretsmanager:{HERE}:secret:notes-stage-lab-db-*",
    f"arn:aws:ssm:{HERE}:parameter/notes/stage/lab/*",
    f"arn:aws:lambda:{HERE}:function:notes-stage-lab-Worker-*",
    f"arn:aws:sqs:{HERE}:notes-jobs-stage-lab",
    {"Fn::GetAtt": ["Queue", "Arn"]},
    {"Fn::GetAtt": ["Table", "Arn"]},
    {"Fn::GetAtt": "Pool.Arn"},
    {"Fn::Sub": "${Bucket.Arn}/*"},
    {"Fn::Sub": "${Unnamed.Arn}/*"},
    {"Fn::Sub": "arn:aws:s3:::${Unnamed}/*"},
    {"Fn::Sub": "arn:${AWS::Partition}:s3:::${Bucket}/${!aws:username}/*"},
    {"Fn::Join": ["", ["arn:aws:s3:::", {"Ref": "Bucket"}, "/in/*"]]},
    {"Fn::Sub": ["arn:aws:sqs:*:*:${Name}", {"Name": {"Fn::GetAtt": ["Queue", "QueueName"]}}]},
    f"arn:aws:dynamodb:{HERE}:table/${{aws:PrincipalTag/syndi:stack}}",
]


@pytest.mark.parametrize("resource", OWN, ids=str)
def test_a_role_of_the_tenants_own_resources_is_left_alone(resource: Any) -> None:
    assert findings(role("*", resource), extra=MADE) == []


BEYOND_BOUNDARY = [
    "arn:aws:s3:::notes-drafts-stage-lab",
    "arn:aws:s3:::notes-drafts-stage-lab/*",
    "arn:aws:s3:::notes-drafts-stage-lab-files/*",
    f"arn:aws:s3:::notes-drafts-stage-lab-{ACCOUNT}-files/*",
    f"arn:aws:s3:::front-stage-lab-{ACCOUNT}/*",  # the manifest's, of another name
    {"Fn::Sub": "${Named.Arn}/*"},
]


@pytest.mark.parametrize("resource", BEYOND_BOUNDARY, ids=str)
@pytest.mark.parametrize("action", ["s3:GetObject", ["dynamodb:GetItem", "s3:*"], "*"])
def test_an_own_bucket_that_the_boundary_denies_is_a_finding(resource: Any, action: Any) -> None:
    """Otherwise a tenant is green on a laptop, and its function is denied its bucket on AWS."""
    (found,) = findings(role(action, resource), extra=MADE)
    assert found.startswith("Role, policy own, statement 1 (Sid1): ")
    assert "would be denied on AWS: the permissions boundary" in found
    assert f"(notes-…-stage-lab-{ACCOUNT}), or let its name begin with notes-stage-lab-" in found


@pytest.mark.parametrize(
    "action", ["logs:PutLogEvents", "xray:PutTraceSegments", "ec2:CreateNetworkInterface",
               "cloudwatch:PutMetricData", "s3:ListAllMyBuckets", "bedrock:InvokeModel"],
)  # fmt: skip
def test_actions_that_reach_nobodys_data_may_have_any_resource(action: str) -> None:
    assert findings(role(action, "*")) == []


@pytest.mark.parametrize(
    "action", ["logs:*", "logs:GetLogEvents", "ec2:*", "s3:Get*", "kms:Decrypt"]
)
def test_any_other_action_may_not(action: str) -> None:
    assert findings(role(action, "*"))


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::x/*"},
        # A condition that is not understood is taken as met, and another stack's tag is no own one.
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
         "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
         "Condition": {"StringEquals": {"aws:ResourceTag/syndi:stack": "notes-stage-victim"}}},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
         "Condition": {"StringLike": {"aws:ResourceTag/syndi:stack": "notes-stage-*"}}},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
         "Condition": {"StringEqualsIfExists": {"aws:ResourceTag/syndi:stack": "notes-stage-lab"}}},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
         "Condition": {"StringNotEquals": {"aws:ResourceTag/syndi:stack": "notes-stage-lab"}}},
    ],
    ids=str,
)  # fmt: skip
def test_a_statement_that_only_seems_narrow_is_refused(statement: JsonObject) -> None:
    assert findings(role_with(statement))


@pytest.mark.parametrize("value", ["notes-stage-lab", "${aws:PrincipalTag/syndi:stack}"])
def test_a_statement_for_what_is_tagged_as_the_tenants_is_left_alone(value: str) -> None:
    condition = {"StringEquals": {"aws:ResourceTag/syndi:stack": value}}
    assert findings(role("dynamodb:*", "*", Condition=condition)) == []


def test_a_denial_counts_only_without_a_condition_and_for_all_of_it() -> None:
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::notes-*"}
    deny = {"Effect": "Deny", "Action": "s3:*", "NotResource": f"arn:aws:s3:::{OWN_BUCKET}/*"}
    assert findings(role_with(allow, deny)) == []
    assert findings(role_with(allow, deny | {"Action": "s3:Put*"}))
    assert findings(role_with(allow, deny | {"NotResource": "arn:aws:s3:::notes-data-*"}))
    insecure = {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert findings(role_with(allow, deny | insecure))
    all_of_it = {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::notes-*"}
    assert findings(role_with(allow, all_of_it)) == []
    assert findings(role_with(allow, all_of_it | insecure))


@pytest.mark.parametrize(
    "kind", ["AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy",
             "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy"],
)  # fmt: skip
def test_policies_of_every_kind_are_looked_at(kind: str) -> None:
    def policy(resource: str) -> JsonObject:
        statement = {"Effect": "Allow", "Action": "s3:*", "Resource": resource}
        return {"P": {"Type": kind, "Properties": {"PolicyDocument": {"Statement": statement}}}}

    assert findings(policy("*"))[0].startswith("P, statement 1: ")
    assert findings(policy(f"arn:aws:s3:::{OWN_BUCKET}/*")) == []


@pytest.mark.parametrize(
    "name", ["AdministratorAccess", "AmazonS3FullAccess", "AmazonDynamoDBReadOnlyAccess",
             "service-role/AWSLambdaRole"],
)  # fmt: skip
def test_policies_of_aws_that_name_no_tenant_are_refused(name: str) -> None:
    arn = f"arn:aws:iam::aws:policy/{name}"
    assert "every tenant's resources" in findings(role_with(ManagedPolicyArns=[arn]))[0]


def test_what_sam_attaches_by_itself_is_left_alone() -> None:
    """Otherwise nobody could use an event source, or a role that SAM makes."""
    arns = [
        f"arn:aws:iam::aws:policy/{name}"
        for name in ("service-role/AWSLambdaBasicExecutionRole", "AWSXRayDaemonWriteAccess",
                     "service-role/AWSLambdaSQSQueueExecutionRole")
    ]  # fmt: skip
    assert findings(role_with(ManagedPolicyArns=arns)) == []


def test_a_managed_policy_of_somewhere_else_cannot_be_decided() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/notes-stage-lab-extra"
    assert "cannot be decided" in findings(role_with(ManagedPolicyArns=[arn]))[0]


def test_another_boundary_is_refused() -> None:
    assert findings(role_with(PermissionsBoundary=BOUNDARY)) == []
    other = f"arn:aws:iam::{ACCOUNT}:policy/notes-stage-lab-boundary"
    assert "not the installation's" in findings(role_with(PermissionsBoundary=other))[0]


def test_a_policy_that_cannot_be_read_is_refused() -> None:
    policies = [{"PolicyName": "own", "PolicyDocument": {"Fn::Transform": {"Name": "Other"}}}]
    assert "cannot be decided" in findings(role_with(Policies=policies))[0]


# Names and tags -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        f"notes-data-stage-victim-{ACCOUNT}",
        f"front-stage-victim-{ACCOUNT}",
        f"notes-data-prod-lab-{ACCOUNT}",
        f"notes-data-stage-lab2-{ACCOUNT}",
        f"notes-data-stage-lab-2-{ACCOUNT}",
        "https://x/?table=notes-stage-victim",
        "other-stage-lab-Table-1XYZ",
        f"other-vault-stage-lab-{ACCOUNT}",
        "us-east-1_Victim123",
        "arn:aws:sqs:us-east-1:999999999999:jobs",
        f"arn:aws:sqs:{HERE}:jobs",
        f"arn:aws:iam::{ACCOUNT}:role/somebody",
        {"Fn::ImportValue": "notes-stage-victim-Bucket"},
        "{{resolve:secretsmanager:notes-stage-victim/db}}",
    ],
    ids=str,
)
def test_another_tenants_name_in_an_environment_variable_is_refused(value: Any) -> None:
    (first, *_) = findings(function(Environment={"Variables": {"TABLE": value}}))
    assert first.startswith("Function, Environment.Variables.TABLE: ")


@pytest.mark.parametrize(
    "value",
    [
        OWN_BUCKET,
        "notes-stage-lab-backend",
        "stage",
        "stage-lab",
        "https://example.com/test-data",
        {"Fn::GetAtt": ["Queue", "Arn"]},
        {"Ref": "Pool"},
        {"Fn::ImportValue": "vpc"},
        "arn:aws:acm:us-east-1:123456789012:certificate/1",
    ],
    ids=str,
)
def test_own_and_common_names_are_left_alone(value: Any) -> None:
    assert findings(function(Environment={"Variables": {"TABLE": value}}), extra=MADE) == []


def test_layers_and_event_sources_of_others_are_refused() -> None:
    layer = f"arn:aws:lambda:{HERE}:layer:notes-deps-stage-victim:3"
    assert findings(function(Layers=[layer]))
    assert findings(function(Layers=["arn:aws:lambda:us-east-1:999999999999:layer:any:3"]))
    assert findings(function(Layers=[f"arn:aws:lambda:{HERE}:layer:notes-deps-stage-lab:3"])) == []
    source = {"EventSourceArn": f"arn:aws:sqs:{HERE}:jobs"}
    mapping = {"M": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": source}}
    assert findings(mapping)


def test_a_bucket_that_would_be_another_tenants_is_refused() -> None:
    """CloudFormation adopts a bucket that is there under that name."""
    name = {"BucketName": f"notes-data-stage-victim-{ACCOUNT}"}
    assert findings({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": name}})


def test_what_the_manifest_declares_shared_may_be_used() -> None:
    arn = f"arn:aws:sns:{HERE}:alarms"
    assert findings(role("sns:Publish", arn))
    assert findings(role("sns:Publish", arn), shared={arn: "the operators' topic"}) == []


@pytest.mark.parametrize("name", ["notes-stage-victim-events", "drawer-stage-victim"])
def test_what_is_another_tenants_is_never_shared(name: str) -> None:
    arn = f"arn:aws:sns:{HERE}:{name}"
    assert findings(role("sns:Publish", arn), shared={arn: "because"})


def test_tags_that_say_whose_a_resource_is_are_not_the_templates() -> None:
    def tagged(value: str, key: str = "syndi:stack") -> JsonObject:
        return role_with(Tags=[{"Key": key, "Value": value}])

    assert "says that the resource is" in findings(tagged("notes-stage-victim"))[0]
    assert findings(tagged("prod", "syndi:env"))
    assert findings(tagged("notes-stage-lab")) == []
    assert findings(tagged("prod", "stage")) == []


# Values -------------------------------------------------------------------------------------------


def test_conditions_and_parameters_are_resolved() -> None:
    template = {
        "Parameters": {"Env": {"Type": "String"}, "Orgs": {"Type": "CommaDelimitedList"}},
        "Mappings": {"Sizes": {"stage": {"size": "big"}}},
        "Conditions": {
            "IsProd": {"Fn::Equals": [{"Ref": "Env"}, "prod"]},
            "NotProd": {"Fn::Not": [{"Condition": "IsProd"}]},
        },
        "Resources": {
            "Only": {"Type": "T", "Condition": "IsProd"},
            "Thing": {
                "Type": "T",
                "Condition": "NotProd",
                "Properties": {
                    "If": {"Fn::If": ["IsProd", "a", "b"]},
                    "Gone": {"Fn::If": ["NotProd", {"Ref": "AWS::NoValue"}, "b"]},
                    "Size": {"Fn::FindInMap": ["Sizes", {"Ref": "Env"}, "size"]},
                    "Second": {"Fn::Select": [1, {"Ref": "Orgs"}]},
                    "Joined": {"Fn::Join": ["+", {"Fn::Split": [",", "x,y"]}]},
                },
            },
        },
    }
    found = resolved(template, {"Env": "stage", "Orgs": "one, two"})
    assert list(found.resources) == ["Thing"]
    expected = {"If": "b", "Size": "big", "Second": "two", "Joined": "x+y"}
    assert found.resources["Thing"].properties == expected


def test_a_part_of_an_own_name_is_not_the_tenants_own() -> None:
    """`notes` of `notes-stage-lab-bucket-1x2y` begins the names of others' buckets."""
    pieces = {"Fn::Split": ["-", {"Ref": "Bucket"}]}
    for index in (0, 1):
        part = {"Fn::Select": [index, pieces]}
        arn = {"Fn::Join": ["", ["arn:aws:s3:::", part, "*"]]}
        bucket: JsonObject = {"Bucket": {"Type": "AWS::S3::Bucket"}}
        assert findings(role("s3:GetObject", arn), extra=bucket)
    whole = {"Fn::Join": ["", ["arn:aws:s3:::", {"Ref": "Bucket"}, "/*"]]}
    assert findings(role("s3:GetObject", whole), extra=bucket) == []


def test_secrets_are_not_known_and_open_conditions_are_tried_both_ways() -> None:
    template = {
        "Parameters": {"Key": {"Type": "String", "NoEcho": True, "Default": "x"}},
        "Conditions": {"Odd": {"Fn::Equals": [{"Ref": "Key"}, "x"]}},
        "Resources": {"R": {"Type": "T", "Properties": {"P": {"Fn::If": ["Odd", "a", "b"]}}}},
    }
    stack = values.Stack("notes-stage-lab", ACCOUNT, "us-east-1", "aws", {"Key": "****"})
    found = [one.resources["R"].properties["P"] for one in values.variants(template, stack)]
    assert found == ["a", "b"]


def test_too_many_open_conditions_cannot_be_decided() -> None:
    names = [f"C{i}" for i in range(6)]
    template = {
        "Parameters": {"Key": {"Type": "AWS::SSM::Parameter::Value<String>"}},
        "Conditions": {name: {"Fn::Equals": [{"Ref": "Key"}, name]} for name in names},
    }
    stack = values.Stack("notes-stage-lab", ACCOUNT, "us-east-1", "aws", {})
    with pytest.raises(values.Undecidable, match="C0, C1"):
        next(values.variants(template, stack))


def test_a_refusal_has_the_first_findings_in_full() -> None:
    found = [Finding(f"R{i}", "reaches all", "narrow it") for i in range(7)]
    text = isolation.refusal([*found, found[0]])
    assert text is not None
    assert text.startswith("the tenant is not isolated: R0: reaches all; narrow it. R1:")
    assert text.endswith("; and 2 more. Nothing was changed")
    assert isolation.refusal([]) is None
    assert tenant().stack_name == "notes-stage-lab"
