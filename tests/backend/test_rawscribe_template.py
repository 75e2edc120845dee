"""The template: names as documented, nothing lost, nobody else's, the right things conditional."""

import re
from itertools import product
from typing import Any

import pytest
from template_reading import ACCOUNT, rawscribe

STATEFUL = ("AWS::Cognito::UserPool", "AWS::S3::Bucket", "AWS::DynamoDB::Table")
BUCKETS = {
    "ConfigBucket": f"rawscribe-lambda-stage-myorg-{ACCOUNT}",
    "FormsBucket": f"rawscribe-forms-stage-myorg-{ACCOUNT}",
    "ElnBucket": f"rawscribe-eln-stage-myorg-{ACCOUNT}",
    "DraftsBucket": f"rawscribe-eln-drafts-stage-myorg-{ACCOUNT}",
    "FrontendBucket": f"syndi-frontend-stage-myorg-{ACCOUNT}",
}


def resources(**parameters: str) -> dict[str, Any]:
    return rawscribe(**parameters).section("Resources")


@pytest.mark.parametrize(
    ("resource", "name", "expected"),
    [
        ("RawscribeLambda", "FunctionName", "rawscribe-stage-myorg-backend"),
        ("DependencyLayer", "LayerName", "rawscribe-deps-stage-myorg"),
        ("ApiGateway", "Name", "rawscribe-stage-myorg-api"),
        ("ApiGateway", "StageName", "stage"),
        ("CognitoUserPool", "UserPoolName", "rawscribe-stage-myorg-userpool"),
        ("LambdaExecutionRole", "RoleName", "rawscribe-stage-myorg-lambda-role"),
        ("RawscribeLogGroup", "LogGroupName", "/aws/lambda/rawscribe-stage-myorg-backend"),
        *((logical, "BucketName", name) for logical, name in BUCKETS.items()),
        ("CognitoAdminGroup", "GroupName", "ADMINS"),
        ("CognitoLabManagerGroup", "GroupName", "LAB_MANAGERS"),
        ("CognitoResearcherGroup", "GroupName", "RESEARCHERS"),
        ("CognitoClinicianGroup", "GroupName", "CLINICIANS"),
    ],
)
def test_names(resource: str, name: str, expected: str) -> None:
    assert resources()[resource]["Properties"][name] == expected


def test_no_name_is_shared_by_two_tenants() -> None:
    """Two tenants whose names are parts of each other have nothing in common."""
    names = [
        {
            str(value)
            for item in resources(Environment=env, Organization=org).values()
            for key, value in item["Properties"].items()
            if key.endswith("Name")
            and key not in ("GroupName", "StageName")
            and not str(value).startswith("<")
        }
        for env, org in product(("dev", "prod"), ("lab", "lab2", "lab-2"))
    ]
    assert len(set().union(*names)) == sum(len(found) for found in names)


def test_function_environment() -> None:
    assert resources()["RawscribeLambda"]["Properties"]["Environment"]["Variables"] == {
        "ENV": "stage",
        "ORG": "myorg",
        "CONFIG_S3_BUCKET": BUCKETS["ConfigBucket"],
        "CONFIG_S3_KEY": "config.json",
        "AUTH_ENABLED": "true",
        "COGNITO_REGION": "us-east-1",
        "COGNITO_USER_POOL_ID": "<CognitoUserPool>",
        "COGNITO_CLIENT_ID": "<CognitoUserPoolClient>",
        "FORMS_BUCKET": BUCKETS["FormsBucket"],
        "ELN_BUCKET": BUCKETS["ElnBucket"],
        "DRAFTS_BUCKET": BUCKETS["DraftsBucket"],
        "ALLOWED_ORIGIN": "https://<CloudFrontDistribution.DomainName>",
    }


def test_what_holds_data_survives() -> None:
    stateful = {k: v for k, v in rawscribe().template["Resources"].items() if v["Type"] in STATEFUL}
    assert set(stateful) == {"CognitoUserPool", *BUCKETS}
    for name, resource in stateful.items():
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert resource["UpdateReplacePolicy"] == "Retain", name


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_are_versioned_encrypted_and_private(bucket: str) -> None:
    properties = resources()[bucket]["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms")
    block = properties["PublicAccessBlockConfiguration"]
    assert len(block) == 4
    assert set(block.values()) == {True}
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_refuse_plain_http(bucket: str) -> None:
    policy = resources()[f"{bucket}Policy"]["Properties"]
    assert policy["Bucket"] == f"<{bucket}>"
    deny = policy["PolicyDocument"]["Statement"][0]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    assert deny["Resource"] == [f"<{bucket}.Arn>", f"<{bucket}.Arn>/*"]
    assert deny["Condition"] == {
        "Bool": {"aws:SecureTransport": "false"},
        "NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"},
    }


def test_only_the_distribution_reads_the_frontend() -> None:
    statements = resources()["FrontendBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (allow,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allow["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert allow["Action"] == "s3:GetObject"
    assert allow["Condition"]["StringEquals"] == {
        "AWS:SourceArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/<CloudFrontDistribution>"
    }
    origin = resources()["CloudFrontDistribution"]["Properties"]["DistributionConfig"]["Origins"][0]
    assert origin["DomainName"].startswith(f"{BUCKETS['FrontendBucket']}.s3.")
    assert origin["OriginAccessControlId"] == "<CloudFrontOriginAccessControl.Id>"


def role_statements() -> list[dict[str, Any]]:
    (policy,) = resources()["LambdaExecutionRole"]["Properties"]["Policies"]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def test_the_role_reaches_its_own_tenant_only() -> None:
    own = {f"arn:aws:s3:::{name}" for key, name in BUCKETS.items() if key != "FrontendBucket"}
    logs = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/lambda/rawscribe-stage-myorg-backend:*"
    for statement in role_statements():
        listed = statement["Resource"]
        for resource in listed if isinstance(listed, list) else [listed]:
            if resource == "*":
                actions = set(statement["Action"])
                assert actions == {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
            else:
                bucket = re.sub(r"/(\*|config\.json)$", "", resource)
                assert resource == logs or bucket in own, resource


def test_the_role_has_exact_actions() -> None:
    allowed: set[str] = set()
    for statement in role_statements():
        actions = statement["Action"]
        if statement["Effect"] == "Allow":
            allowed |= set(actions if isinstance(actions, list) else [actions])
    assert not [action for action in allowed if "*" in action]
    assert {action for action in allowed if action.startswith("s3:")} == {
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:ListBucket",
    }


@pytest.mark.parametrize(
    ("action", "buckets"),
    [
        ("s3:DeleteObject", {"DraftsBucket"}),
        ("s3:PutObject", {"DraftsBucket", "ElnBucket"}),
    ],
)
def test_what_the_role_may_change(action: str, buckets: set[str]) -> None:
    found = {
        statement["Resource"]
        for statement in role_statements()
        if statement["Effect"] == "Allow" and action in statement["Action"]
    }
    assert found == {f"arn:aws:s3:::{BUCKETS[bucket]}/*" for bucket in buckets}


def test_notebooks_are_never_overwritten() -> None:
    (deny,) = [statement for statement in role_statements() if statement["Effect"] == "Deny"]
    assert deny["Action"] == "s3:PutObject"
    assert deny["Resource"] == f"arn:aws:s3:::{BUCKETS['ElnBucket']}/*"
    assert deny["Condition"]["Null"] == {"s3:if-none-match": "true"}


def test_permissions_boundary_when_given() -> None:
    assert "PermissionsBoundary" not in resources()["LambdaExecutionRole"]["Properties"]
    bounded = resources(PermissionsBoundaryArn="arn:aws:iam::1:policy/limit")
    boundary = bounded["LambdaExecutionRole"]["Properties"]["PermissionsBoundary"]
    assert boundary == "arn:aws:iam::1:policy/limit"
