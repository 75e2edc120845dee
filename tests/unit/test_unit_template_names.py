"""Names of what holds data, written out so that CloudFormation can adopt it."""

import json
from typing import Any

import pytest

from control_plane import templates

VALUES = {"Environment": "stage", "Organization": "alpha", "AWS::AccountId": "123456789012"}
TYPES = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool")
PATTERN = {"Fn::Sub": "forms-${Environment}-${Organization}-${AWS::AccountId}"}


def resource(
    name: Any, kind: str = "AWS::S3::Bucket", policy: Any = "Retain", prop: str = "BucketName"
) -> dict[str, Any]:
    return {
        "Type": kind,
        "DeletionPolicy": policy,
        "Properties": {prop: name, "Kept": {"Ref": "X"}},
    }


def named(of: dict[str, Any]) -> dict[str, Any]:
    template = {"Resources": {"It": of}, "Parameters": {"X": {}}}
    answer = templates.with_literal_names(template, VALUES, TYPES)
    assert answer["Parameters"] == template["Parameters"]
    return dict(answer["Resources"]["It"])


@pytest.mark.parametrize(
    ("name", "literal"),
    [
        (PATTERN, "forms-stage-alpha-123456789012"),
        ({"Ref": "Organization"}, "alpha"),
        ("written-out", "written-out"),
    ],
)
@pytest.mark.parametrize("policy", ["Retain", "RetainExceptOnCreate"])
def test_a_name_of_known_values_is_written_out(name: Any, literal: str, policy: str) -> None:
    assert named(resource(name, policy=policy)) == resource(literal, policy=policy)


def test_a_tables_name_is_written_out_too() -> None:
    table = resource(PATTERN, "AWS::DynamoDB::Table", prop="TableName")
    assert named(table)["Properties"]["TableName"] == "forms-stage-alpha-123456789012"


@pytest.mark.parametrize(
    "untouched",
    [
        resource({"Fn::Sub": "forms-${Unknown}"}),
        resource({"Fn::Sub": "forms-${Role.Arn}"}),
        resource({"Fn::Sub": "forms-${!Environment}"}),
        resource({"Fn::Sub": ["forms-${A}", {"A": "x"}]}),
        resource({"Ref": "OtherBucket"}),
        resource({"Fn::If": ["Condition", "a", "b"]}),
        resource(PATTERN, policy="Delete"),
        resource(PATTERN, policy={"Fn::If": ["Condition", "Retain", "Delete"]}),
        resource(PATTERN, kind="AWS::SNS::Topic"),
        resource(PATTERN, kind="AWS::Cognito::UserPool"),
        resource(PATTERN, prop="Else"),
        {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
        {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": PATTERN}},
    ],
)
def test_every_other_resource_stays_as_it_is(untouched: dict[str, Any]) -> None:
    assert named(untouched) == untouched


def test_what_is_written_is_what_was_read() -> None:
    text = """
Parameters: {Since: {Type: String, Default: 2012-10-17}}
Resources:
  It: {Type: T, Properties: {A: !GetAtt Role.Arn, B: !Sub 'x-${Since}', C: [1, true, ü]}}
"""
    template = templates.parse(text)
    assert templates.parse(templates.dump(template)) == template
    assert json.loads(templates.dump(template)) == template
    assert templates.dump(template) == templates.dump(templates.parse(templates.dump(template)))


@pytest.mark.parametrize(
    "name",
    [
        "forms-stage-alpha-123456789012",
        PATTERN,
        {"Fn::Join": ["-", ["forms", {"Ref": "Environment"}, {"Ref": "Organization"},
                            {"Ref": "AWS::AccountId"}]]},
    ],
)  # fmt: skip
def test_a_bucket_is_found_by_the_name_that_it_will_have(name: Any) -> None:
    """Also one that nothing retains: the control plane must not make it before the stack does."""
    template = {"Resources": {"Other": resource("x"), "It": resource(name, policy="Delete")}}
    wanted = "forms-stage-alpha-123456789012"
    assert templates.bucket_resource(template, wanted, VALUES) == "It"
    assert templates.bucket_resource(template, "forms-stage-beta-123456789012", VALUES) is None


def test_a_name_that_nobody_knows_yet_is_no_buckets_name() -> None:
    unknown = {"Fn::Join": ["-", ["forms", {"Fn::GetAtt": ["X", "Arn"]}]]}
    assert templates.bucket_resource({"Resources": {"It": resource(unknown)}}, "f", VALUES) is None
