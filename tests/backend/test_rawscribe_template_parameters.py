"""What the template makes for which parameters, and its API."""

import re
from itertools import product
from typing import Any

import pytest
from template_reading import ACCOUNT, Stack, rawscribe

TEMPLATE = rawscribe().template
BUCKETS = {
    "ConfigBucketName": "rawscribe-lambda",
    "FormsBucketName": "rawscribe-forms",
    "ElnBucketName": "rawscribe-eln",
    "DraftsBucketName": "rawscribe-eln-drafts",
    "FrontendBucketName": "syndi-frontend",
}
COGNITO = {
    "CognitoUserPool",
    "CognitoUserPoolClient",
    "CognitoAdminGroup",
    "CognitoLabManagerGroup",
    "CognitoResearcherGroup",
    "CognitoClinicianGroup",
}


def resources(**parameters: str) -> dict[str, Any]:
    return rawscribe(**parameters).section("Resources")


@pytest.mark.parametrize(
    ("auth", "pool", "expected"),
    [
        ("true", "", {"CreateAuth": True, "CreateUserPool": True, "UseExistingUserPool": False}),
        ("true", "p", {"CreateAuth": True, "CreateUserPool": False, "UseExistingUserPool": True}),
        ("false", "", {"CreateAuth": False, "CreateUserPool": False, "UseExistingUserPool": False}),
        (
            "false",
            "p",
            {"CreateAuth": False, "CreateUserPool": False, "UseExistingUserPool": False},
        ),
    ],
)
def test_conditions(auth: str, pool: str, expected: dict[str, bool]) -> None:
    found = rawscribe(EnableAuth=auth, CognitoUserPoolId=pool)
    assert {name: found.condition(name) for name in expected} == expected
    created = COGNITO if expected["CreateUserPool"] else set()
    assert {name for name in found.section("Resources") if name in COGNITO} == created
    outputs = {"CognitoUserPoolId", "CognitoClientId", "CognitoRegion"}
    assert (outputs & set(found.section("Outputs"))) == (outputs if auth == "true" else set())


def test_is_prod() -> None:
    assert rawscribe(Environment="prod").condition("IsProd")
    assert not rawscribe(Environment="stage").condition("IsProd")


@pytest.mark.parametrize(
    "parameters",
    [
        {
            "EnableAuth": auth,
            "CreateBuckets": buckets,
            "CognitoUserPoolId": pool,
            "Environment": env,
        }
        for auth, buckets, pool, env in product(
            ("true", "false"), ("true", "false"), ("", "us-east-1_x"), ("stage", "prod")
        )
    ],
    ids=lambda parameters: "-".join(parameters.values()),
)
def test_every_combination_refers_to_what_exists(parameters: dict[str, str]) -> None:
    found = rawscribe(**parameters)
    found.section("Resources")
    found.section("Outputs")


def test_without_create_buckets_names_remain() -> None:
    found = rawscribe(CreateBuckets="false")
    assert not [name for name in found.section("Resources") if "Bucket" in name]
    outputs = found.section("Outputs")
    found_names = {name: outputs[name]["Value"] for name in BUCKETS}
    assert found_names == {
        name: f"{prefix}-stage-myorg-{ACCOUNT}" for name, prefix in BUCKETS.items()
    }


def test_buckets_are_not_created_by_default() -> None:
    defaults = Stack(TEMPLATE, Environment="stage", Organization="myorg")
    assert not defaults.condition("CreateDataBuckets")
    assert defaults.condition("CreateAuth")


def test_an_existing_pool_is_used() -> None:
    found = rawscribe(CognitoUserPoolId="us-east-1_x", CognitoClientId="c")
    variables = found.section("Resources")["RawscribeLambda"]["Properties"]["Environment"]
    assert variables["Variables"]["COGNITO_USER_POOL_ID"] == "us-east-1_x"
    assert variables["Variables"]["COGNITO_CLIENT_ID"] == "c"
    outputs = found.section("Outputs")
    assert outputs["CognitoUserPoolId"]["Value"] == "us-east-1_x"
    assert outputs["CognitoClientId"]["Value"] == "c"


@pytest.mark.parametrize("org", ["myorg", "a", "lab2", "lab-2", "a-b-c"])
def test_organizations(org: str) -> None:
    assert re.fullmatch(TEMPLATE["Parameters"]["Organization"]["AllowedPattern"], org)


@pytest.mark.parametrize("org", ["", "2lab", "Lab", "lab_2", "-lab", "lab-", "a--b"])
def test_not_organizations(org: str) -> None:
    assert not re.fullmatch(TEMPLATE["Parameters"]["Organization"]["AllowedPattern"], org)


PUBLIC = {("get", "/health"), ("get", "/api/config/runtime")}
VERBS = ("get", "post", "put", "delete", "patch", "head", "options")


def operations(body: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (verb, path): operation
        for path, item in body["paths"].items()
        for verb, operation in item.items()
        if verb in VERBS
    }


def definition(**parameters: str) -> dict[str, Any]:
    body: dict[str, Any] = resources(**parameters)["ApiGateway"]["Properties"]["DefinitionBody"]
    return body


def test_the_api_has_the_applications_routes() -> None:
    from rawscribe.main import create_app
    from rawscribe.services import Services

    def walk(routes: Any, prefix: str = "") -> Any:
        for route in routes:
            if inner := getattr(route, "original_router", None):
                yield from walk(inner.routes)
            else:
                for verb in route.methods:
                    yield verb.lower(), route.path

    app = create_app(Services({}, fingerprint="x"))
    assert set(operations(definition())) == set(walk(app.routes))


def test_the_authorizer_guards_everything_but_the_public() -> None:
    for key, operation in operations(definition()).items():
        expected: Any = None if key in PUBLIC else [{"CognitoAuthorizer": []}]
        assert operation.get("security") == expected, key
    (authorizer,) = definition()["securityDefinitions"].values()
    arns = authorizer["x-amazon-apigateway-authorizer"]["providerARNs"]
    assert arns == ["<CognitoUserPool.Arn>"]


def test_the_authorizer_of_an_existing_pool() -> None:
    body = definition(CognitoUserPoolId="us-east-1_x")
    arns = body["securityDefinitions"]["CognitoAuthorizer"]["x-amazon-apigateway-authorizer"]
    assert arns["providerARNs"] == [f"arn:aws:cognito-idp:us-east-1:{ACCOUNT}:userpool/us-east-1_x"]


def test_no_authorizer_without_authentication() -> None:
    body = definition(EnableAuth="false")
    assert "securityDefinitions" not in body
    assert not [key for key, operation in operations(body).items() if "security" in operation]


def test_switching_authentication_makes_a_new_deployment() -> None:
    """SAM hashes the definition with its resource policy's parameters resolved."""

    def sid(**parameters: str) -> str:
        auth = resources(**parameters)["ApiGateway"]["Properties"]["Auth"]
        (statement,) = auth["ResourcePolicy"]["CustomStatements"]
        return str(statement["Sid"])

    sids = [sid(), sid(EnableAuth="false"), sid(CognitoUserPoolId="us-east-1_x")]
    assert len(set(sids)) == 3
    assert all(re.fullmatch("[A-Za-z0-9]+", name) for name in sids)


def test_browsers_are_let_in_from_the_frontend_only() -> None:
    cors = resources()["ApiGateway"]["Properties"]["Cors"]
    assert cors["AllowOrigin"] == "'https://<CloudFrontDistribution.DomainName>'"
    other = resources(AllowedOrigin="https://x.example")["ApiGateway"]["Properties"]["Cors"]
    assert other["AllowOrigin"] == "'https://x.example'"


def test_users_are_created_by_administrators_only() -> None:
    pool = resources()["CognitoUserPool"]["Properties"]
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert pool["UsernameAttributes"] == ["email"]
    client = resources()["CognitoUserPoolClient"]["Properties"]
    assert client["GenerateSecret"] is False
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert set(client["ExplicitAuthFlows"]) == {
        "ALLOW_ADMIN_USER_PASSWORD_AUTH",
        "ALLOW_USER_SRP_AUTH",
        "ALLOW_REFRESH_TOKEN_AUTH",
    }
