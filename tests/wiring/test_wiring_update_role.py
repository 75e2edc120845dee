"""UpdateRole may do what the next update does: it works in the role of the build before."""

import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from asl_graph import ROOT
from sam_template import listed, properties, template

ACTIONS: dict[str, tuple[str, ...]] = {
    "AWS::CloudWatch::Alarm": ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"),
    "AWS::CloudWatch::Dashboard": ("cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"),
    "AWS::CodeBuild::Project": ("codebuild:CreateProject", "codebuild:UpdateProject"),
    "AWS::Cognito::UserPool": ("cognito-idp:CreateUserPool", "cognito-idp:UpdateUserPool"),
    "AWS::Cognito::UserPoolClient": ("cognito-idp:CreateUserPoolClient",),
    "AWS::DynamoDB::Table": ("dynamodb:CreateTable", "dynamodb:UpdateTable"),
    "AWS::Events::Rule": ("events:PutRule", "events:PutTargets", "events:DeleteRule"),
    "AWS::IAM::ManagedPolicy": ("iam:CreatePolicy", "iam:CreatePolicyVersion"),
    "AWS::IAM::Role": ("iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRole", "iam:PassRole"),
    "AWS::Lambda::Permission": ("lambda:AddPermission", "lambda:RemovePermission"),
    "AWS::Logs::LogGroup": ("logs:CreateLogGroup", "logs:PutRetentionPolicy"),
    "AWS::SNS::Topic": ("sns:CreateTopic", "sns:DeleteTopic"),
    "AWS::SNS::TopicPolicy": ("sns:SetTopicAttributes",),
    "AWS::S3::Bucket": ("s3:CreateBucket", "s3:PutLifecycleConfiguration"),
    "AWS::S3::BucketPolicy": ("s3:PutBucketPolicy",),
    # DeleteScheduleGroup deletes what is in the group, for which IAM asks too.
    "AWS::Scheduler::ScheduleGroup": ("scheduler:CreateScheduleGroup", "scheduler:DeleteSchedule"),
    "AWS::Serverless::Api": ("apigateway:POST", "apigateway:PATCH"),
    "AWS::Serverless::Function": (
        "lambda:CreateFunction", "lambda:PublishVersion", "lambda:UpdateAlias",
        "lambda:AddPermission", "events:PutRule", "events:PutTargets",
    ),
    "AWS::Serverless::LayerVersion": ("lambda:PublishLayerVersion",),
    "AWS::Serverless::StateMachine": ("states:CreateStateMachine", "states:UpdateStateMachine"),
}  # fmt: skip
"""What creating and updating a resource type asks of IAM, as far as it tells whether the role is
about that type at all."""

TYPES = sorted({item["Type"] for item in template()["Resources"].values()})


def test_a_new_type_has_its_permissions_one_release_earlier() -> None:
    """A release that adds a resource type is brought by the UpdateRole of the one before: give
    UpdateRole what the type needs, release that, then add the resource (docs/install.md)."""
    assert set(ACTIONS) == set(TYPES)
    assert "one release earlier" in (ROOT / "docs" / "install.md").read_text()


@pytest.mark.parametrize("kind", TYPES)
def test_update_role_is_about_every_type_of_the_template(kind: str) -> None:
    allowed = [
        pattern
        for statement in _statements()
        if statement["Effect"] == "Allow"
        for pattern in listed(statement["Action"])
    ]
    for action in ACTIONS[kind]:
        assert any(fnmatchcase(action, pattern) for pattern in allowed), action


# Names in statements: the part of each ARN behind the account.
@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("scheduler:DeleteScheduleGroup", "schedule-group/STACK-schedules"),
        ("scheduler:DeleteSchedule", "schedule/STACK-schedules/stage-alpha"),
        ("lambda:UpdateAlias", "function:STACK-api"),
        ("states:UpdateStateMachine", "stateMachine:STACK-rollout"),
    ],
)
def test_it_may_touch_what_has_such_a_name(action: str, resource: str) -> None:
    service = action.split(":")[0]
    for statement in _statements():
        if statement["Effect"] != "Allow" or not _matches(action, statement):
            continue
        for value in listed(statement["Resource"]):
            text = _text(value)
            if text == "*" or (f":{service}:" in text and fnmatchcase(resource, _behind(text))):
                return
    raise AssertionError(f"{action} on {resource} is not allowed")


def _statements() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = properties("UpdateRole")["Policies"][0]["PolicyDocument"][
        "Statement"
    ]
    return found


def _matches(action: str, statement: dict[str, Any]) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))


def _text(value: Any) -> str:
    text = value["Sub"] if isinstance(value, dict) and "Sub" in value else str(value)
    return str(text).replace("${AWS::StackName}", "STACK")


def _behind(text: str) -> str:
    return re.sub(r"^arn:[^:]*(?:::[^:]*)?:.*?\$\{AWS::AccountId\}:", "", text)
