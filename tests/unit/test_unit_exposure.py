"""Exposure: what lets others into a tenant, and the nearest that does not."""

from typing import Any

import pytest
from isolated_templates import ACCOUNT, OWN_BUCKET, owner, resolved

from control_plane.models import JsonObject
from control_plane.rules import exposure

HERE = f"us-east-1:{ACCOUNT}"
MADE: JsonObject = {
    "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": OWN_BUCKET}},
    "Queue": {"Type": "AWS::SQS::Queue"},
    "Topic": {"Type": "AWS::SNS::Topic"},
    "Api": {"Type": "AWS::ApiGateway::RestApi"},
    "Function": {"Type": "AWS::Lambda::Function"},
    "Pool": {"Type": "AWS::Cognito::UserPool"},
    "Cdn": {"Type": "AWS::CloudFront::Distribution"},
    "Identity": {"Type": "AWS::CloudFront::CloudFrontOriginAccessIdentity"},
}
CDN = {"Fn::Sub": "arn:aws:cloudfront::${AWS::AccountId}:distribution/${Cdn}"}
POOL = {"Fn::GetAtt": ["Pool", "Arn"]}


def found(*public: str, **resources: JsonObject) -> list[str]:
    template = resolved({"Resources": MADE | resources})
    return [str(one) for one in exposure.findings(template, owner(), public)]


def thing(kind: str, **properties: Any) -> JsonObject:
    return {"Type": kind, "Properties": properties}


# Buckets ------------------------------------------------------------------------------------------

CLOSED = dict.fromkeys(
    ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
)


@pytest.mark.parametrize(
    ("properties", "is_open"),
    [
        ({}, False),
        ({"AccessControl": "Private"}, False),
        ({"AccessControl": "PublicRead"}, True),
        ({"AccessControl": "AuthenticatedRead"}, True),
        ({"WebsiteConfiguration": {"IndexDocument": "index.html"}}, True),
        ({"PublicAccessBlockConfiguration": CLOSED}, False),
        ({"PublicAccessBlockConfiguration": CLOSED | {"BlockPublicPolicy": "false"}}, True),
        ({"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}, True),
    ],
    ids=str,
)
def test_a_public_bucket_is_refused(properties: JsonObject, is_open: bool) -> None:
    bucket = thing("AWS::S3::Bucket", **properties)
    assert bool(found(Shop=bucket)) is is_open
    assert found("Shop", Shop=bucket) == []  # on purpose, with a reason


def policy(principal: Any, condition: Any = None, kind: str = "AWS::S3::BucketPolicy") -> Any:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "*", "Resource": "*"}
    if condition:
        statement["Condition"] = condition
    target = {"Bucket": {"Ref": "Bucket"}} if "S3" in kind else {"Queues": [{"Ref": "Queue"}]}
    return thing(kind, PolicyDocument={"Statement": [statement]}, **target)


@pytest.mark.parametrize(
    ("principal", "condition"),
    [
        ("*", None),
        ({"AWS": "*"}, None),
        ({"AWS": ["*"]}, {"Bool": {"aws:SecureTransport": "true"}}),
        ("*", {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        ("*", {"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}}),
        ("*", {"ForAllValues:StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        ("*", {"StringNotEquals": {"aws:SourceAccount": ACCOUNT}}),
        ({"AWS": "999999999999"}, None),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/notes-stage-victim-role"}, None),
        ({"Service": "cloudfront.amazonaws.com"}, None),
        ({"Service": "cloudfront.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": "9"}}),
        *(({"Service": "cloudfront.amazonaws.com"}, {"StringLike": {"AWS:SourceArn": arn}})
          for arn in ("arn:aws:cloudfront::999999999999:distribution/E1",
                      "arn:aws:cloudfront::*:distribution/*",
                      f"arn:aws:cloudfront::{ACCOUNT}:distribution/*",
                      {"Fn::Sub": "arn:aws:cloudfront::999999999999:distribution/${Cdn}"})),
        *(({"Service": f"{service}.amazonaws.com"},
           {"StringEquals": {"aws:SourceAccount": ACCOUNT}})
          for service in ("cloudfront", "apigateway", "cloudfront.us-east-1")),
        ("*", {"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        ({"Service": "sns.amazonaws.com"},
         {"ArnLike": {"aws:SourceArn": "arn:aws:sns:us-east-1:*:notes-stage-lab-events"}}),
        ({"Service": "sns.amazonaws.com"},
         {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:{HERE}:notes-stage-victim-events"}}),
        ({"Service": "sns.amazonaws.com"}, {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:{HERE}:*"}}),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("kind", ["AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"])
def test_a_policy_that_lets_others_in_is_refused(kind: str, principal: Any, condition: Any) -> None:
    (one,) = found(Policy=policy(principal, condition, kind))
    assert one.startswith("Policy, PolicyDocument, statement 1: lets ")


@pytest.mark.parametrize(
    ("principal", "condition"),
    [
        ({"Service": "cloudfront.amazonaws.com"}, {"StringEquals": {"AWS:SourceArn": CDN}}),
        ({"Service": "sns.amazonaws.com"}, {"ArnEquals": {"aws:SourceArn": {"Ref": "Topic"}}}),
        ({"Service": "logs.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        (
            {"Service": "logs.us-east-1.amazonaws.com"},
            {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        ),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, None),
        ({"CanonicalUser": {"Fn::GetAtt": ["Identity", "S3CanonicalUserId"]}}, None),
        ({"AWS": {"Fn::Sub": "arn:aws:iam::cloudfront:user/CloudFront OAI ${Identity}"}}, None),
    ],
    ids=str,
)
def test_a_policy_for_the_stacks_own_is_left_alone(principal: Any, condition: Any) -> None:
    assert found(Policy=policy(principal, condition)) == []


def test_a_denial_lets_nobody_in() -> None:
    document = {"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*"}]}
    assert found(Policy=thing("AWS::S3::BucketPolicy", PolicyDocument=document)) == []


def test_a_role_that_others_may_take_is_refused() -> None:
    def role(principal: Any) -> JsonObject:
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        return thing("AWS::IAM::Role", AssumeRolePolicyDocument={"Statement": [trust]})

    assert found(Role=role({"Service": "lambda.amazonaws.com"})) == []
    assert found(Role=role({"AWS": "*"}))
    assert found(Role=role({"AWS": "arn:aws:iam::999999999999:root"}))


@pytest.mark.parametrize(
    ("condition", "is_open"),
    [
        (None, True),
        ({"StringEquals": {"cognito-identity.amazonaws.com:aud": {"Ref": "Guests"}}}, False),
        ({"StringLike": {"cognito-identity.amazonaws.com:aud": {"Ref": "Guests"}}}, True),
        ({"StringEquals": {"cognito-identity.amazonaws.com:aud": "us-east-1:0-1-2-3"}}, True),
        ({"StringEqualsIfExists": {"cognito-identity.amazonaws.com:aud": {"Ref": "Guests"}}}, True),
        ({"ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"}}, True),
    ],
    ids=str,
)
def test_a_role_for_users_is_for_those_of_the_stacks_own_identity_pool(
    condition: Any, is_open: bool
) -> None:
    """Anybody can make an identity pool, and be its user."""
    trust: JsonObject = {
        "Effect": "Allow",
        "Principal": {"Federated": "cognito-identity.amazonaws.com"},
        "Action": "sts:AssumeRoleWithWebIdentity",
    } | ({"Condition": condition} if condition else {})
    role = thing("AWS::IAM::Role", AssumeRolePolicyDocument={"Statement": [trust]})
    guests = thing("AWS::Cognito::IdentityPool", AllowUnauthenticatedIdentities=True)
    assert bool(found(Role=role, Guests=guests)) is is_open


@pytest.mark.parametrize(
    "resource",
    [
        thing("AWS::SNS::TopicPolicy", Topics=[{"Ref": "Topic"}], PolicyDocument={"Statement": {
            "Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": "*"}}),
        thing("AWS::Events::EventBusPolicy", Principal="*", Action="events:PutEvents"),
        thing("AWS::SecretsManager::ResourcePolicy", ResourcePolicy={"Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "999999999999"}, "Action": "*"}]}),
        thing("AWS::KMS::Key", KeyPolicy={"Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*"}]}),
        thing("AWS::Logs::ResourcePolicy", PolicyDocument=(
            '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "logs:*"}]}')),
        thing("AWS::DynamoDB::Table", ResourcePolicy={"PolicyDocument": {"Statement": [
            {"Effect": "Allow", "NotPrincipal": {"AWS": "1"}, "Action": "*"}]}}),
        thing("AWS::Lambda::LayerVersionPermission", Principal="*"),
    ],
    ids=lambda resource: resource["Type"],
)  # fmt: skip
def test_any_other_policy_that_lets_everybody_in_is_refused(resource: JsonObject) -> None:
    assert len(found(Open=resource)) == 1


# Functions ----------------------------------------------------------------------------------------

API = {"Fn::Sub": f"arn:aws:execute-api:{HERE}:${{Api}}/v1/GET/x"}


@pytest.mark.parametrize(
    ("properties", "is_open"),
    [
        ({"Principal": "*"}, True),
        ({"Principal": "apigateway.amazonaws.com"}, True),
        ({"Principal": "apigateway.amazonaws.com", "SourceArn": API}, False),
        ({"Principal": "apigateway.amazonaws.com",
          "SourceArn": f"arn:aws:execute-api:{HERE}:*/*"}, True),
        ({"Principal": "s3.amazonaws.com", "SourceAccount": ACCOUNT}, False),
        ({"Principal": "apigateway.amazonaws.com", "SourceAccount": ACCOUNT}, True),
        ({"Principal": "cloudfront.amazonaws.com", "SourceArn": CDN}, False),
        ({"Principal": "cloudfront.amazonaws.com", "SourceAccount": ACCOUNT,
          "SourceArn": "arn:aws:cloudfront::*:distribution/*"}, True),
        ({"Principal": "s3.amazonaws.com", "SourceAccount": "999999999999"}, True),
        ({"Principal": "s3.amazonaws.com", "SourceAccount": ACCOUNT,
          "SourceArn": "arn:aws:s3:::notes-data-stage-victim-123456789012"}, True),
        ({"Principal": "sns.amazonaws.com", "SourceArn": {"Ref": "Topic"}}, False),
        ({"Principal": "999999999999"}, True),
        ({"Principal": ACCOUNT}, False),
    ],
    ids=str,
)  # fmt: skip
def test_a_function_that_others_may_call_is_refused(properties: JsonObject, is_open: bool) -> None:
    permission = thing("AWS::Lambda::Permission", FunctionName={"Ref": "Function"}, **properties)
    assert bool(found(Permission=permission)) is is_open


def test_a_functions_address_is_open_only_on_purpose() -> None:
    target = {"Fn::GetAtt": ["Function", "Arn"]}
    url = thing("AWS::Lambda::Url", AuthType="NONE", TargetFunctionArn=target)
    public = thing("AWS::Lambda::Permission", Principal="*", FunctionUrlAuthType="NONE")
    (one,) = found(Address=url, Public=public)
    assert one.startswith("Address, AuthType: everybody may call the function")
    assert found("Function", Address=url, Public=public) == []
    assert found(Address=thing("AWS::Lambda::Url", AuthType="AWS_IAM")) == []


# APIs ---------------------------------------------------------------------------------------------


def api(paths: JsonObject, trusts: Any = POOL, **more: Any) -> JsonObject:
    """A REST API whose definition has an authorizer `Users`."""
    authorizer = {"type": "cognito_user_pools", "providerARNs": [trusts]}
    schemes = {"Users": {"type": "apiKey", "x-amazon-apigateway-authorizer": authorizer}}
    body = {"swagger": "2.0", "securityDefinitions": schemes, "paths": paths, **more}
    return thing("AWS::ApiGateway::RestApi", Body=body)


SECURE = {"security": [{"Users": []}]}


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        (SECURE, None),
        ({}, "has no authorizer while the API has one"),
        ({"security": []}, "has no authorizer"),
        ({"security": [{"Users": []}, {}]}, "makes signing in optional"),
        ({"security": [{"Usres": []}]}, "is not there or authorizes nobody"),
    ],
    ids=str,
)
def test_a_route_without_the_authorizer_is_refused(operation: JsonObject, what: str | None) -> None:
    secured = api({"/me": {"get": SECURE}, "/x": {"post": operation, "options": {}}})
    one = found(Http=secured)
    assert [what in text for text in one] == ([True] if what else [])
    assert found("POST /x", Http=secured) == []


def test_security_at_the_root_of_a_definition_protects_nothing() -> None:
    """API Gateway ignores it."""
    assert found(Http=api({"/x": {"get": {}}}, security=[{"Users": []}]))


def test_an_api_without_signing_in_is_left_alone() -> None:
    body = {"swagger": "2.0", "paths": {"/x": {"get": {}}}}
    assert found(Http=thing("AWS::ApiGateway::RestApi", Body=body)) == []


def test_a_definition_that_lies_elsewhere_is_refused() -> None:
    assert found(Http=thing("AWS::ApiGateway::RestApi", BodyS3Location={"Bucket": "b"}))


@pytest.mark.parametrize(
    "pool", [f"arn:aws:cognito-idp:{HERE}:userpool/us-east-1_Victim123", {"Fn::ImportValue": "x"}]
)
def test_an_authorizer_that_trusts_another_pool_is_refused(pool: Any) -> None:
    assert "which is not this tenant's" in found(Http=api({"/x": {"get": SECURE}}, pool))[0]
    by_itself = thing("AWS::ApiGateway::Authorizer", RestApiId={"Ref": "Api"},
                      Type="COGNITO_USER_POOLS", ProviderARNs=[pool])  # fmt: skip
    assert found(Users=by_itself)


@pytest.mark.parametrize(
    ("issuer", "is_own"),
    [
        ({"Fn::Sub": "https://cognito-idp.us-east-1.amazonaws.com/${Pool}"}, True),
        ("https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Victim123", False),
        ({"Fn::Sub": "https://evil.example/${Pool}"}, False),
        ("https://login.example.com/", False),
    ],
)
def test_an_issuer_has_to_be_the_stacks_own_pool(issuer: Any, is_own: bool) -> None:
    http = thing("AWS::ApiGatewayV2::Api")
    users = thing("AWS::ApiGatewayV2::Authorizer", ApiId={"Ref": "Http"}, AuthorizerType="JWT",
                  JwtConfiguration={"Issuer": issuer, "Audience": ["x"]})  # fmt: skip
    assert (found(Http=http, Users=users) == []) is is_own


def test_routes_that_are_resources_are_looked_at_too() -> None:
    def method(**given: Any) -> JsonObject:
        return thing("AWS::ApiGateway::Method", RestApiId={"Ref": "Api"}, HttpMethod="GET",
                     ResourceId={"Ref": "Item"}, **given)  # fmt: skip

    more = {
        "Items": thing("AWS::ApiGateway::Resource", RestApiId={"Ref": "Api"}, PathPart="items"),
        "Item": thing("AWS::ApiGateway::Resource", RestApiId={"Ref": "Api"}, PathPart="{id}",
                      ParentId={"Ref": "Items"}),
        "Users": thing("AWS::ApiGateway::Authorizer", RestApiId={"Ref": "Api"},
                       Type="COGNITO_USER_POOLS", ProviderARNs=[POOL]),
    }  # fmt: skip
    secured = method(AuthorizationType="COGNITO_USER_POOLS", AuthorizerId={"Ref": "Users"})
    assert found(One=secured, **more) == []
    (one,) = found(One=method(AuthorizationType="NONE"), **more)
    assert one.startswith("Api, GET /items/{id}: has no authorizer")


def test_a_lambda_authorizer_has_to_be_the_stacks_own_function() -> None:
    def users(function: Any) -> JsonObject:
        prefix = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
        uri = {"Fn::Join": ["", [prefix, function, "/invocations"]]}
        return thing("AWS::ApiGateway::Authorizer", RestApiId={"Ref": "Api"}, Type="TOKEN",
                     AuthorizerUri=uri)  # fmt: skip

    assert found(Users=users({"Fn::GetAtt": ["Function", "Arn"]})) == []
    assert found(Users=users(f"arn:aws:lambda:{HERE}:function:notes-stage-victim-auth"))
