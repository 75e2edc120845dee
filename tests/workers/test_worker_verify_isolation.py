"""Strangers at a live tenant: every route with an authorizer and every bucket refuses them."""

import base64
import json

import pytest
import scripted_aws as scripted
import worker_builders as build
from fake_tenant import PRINT, URL, claims_of
from verify_calls import OFF, ON, Pools

from control_plane import aws
from control_plane.errors import TenantNotReady
from control_plane.models import Deployment, JsonObject
from control_plane.own import own_tenant
from control_plane.rules import proof
from control_plane.services import ownership
from control_plane.services.live import Answer
from control_plane.settings import forget_settings
from workers import verify_isolation
from workers.live_tests import Subject

SECURE = {"security": [{"Users": []}]}
BUCKET = f"notes-data-{build.ACCOUNT}"
REFUSED = [proof.route_test(name) for name in proof.TOKENS]


def template() -> JsonObject:
    """A stack with an API, whose authorizer goes with authentication, and a bucket."""
    authorizer = {"type": "cognito_user_pools", "providerARNs": [{"Fn::GetAtt": ["Pool", "Arn"]}]}
    schemes = {"Users": {"type": "apiKey", "x-amazon-apigateway-authorizer": authorizer}}
    body = {
        "securityDefinitions": schemes,
        "paths": {
            "/health": {"get": {}},
            "/me": {"get": {"Fn::If": ["On", SECURE, {}]}},
            "/drafts/{id}": {"delete": {"Fn::If": ["On", SECURE, {}]}},
        },
    }
    stage = {"RestApiId": {"Ref": "Api"}, "StageName": "stage"}
    return {
        "Parameters": {"EnableAuth": {"Type": "String"}},
        "Conditions": {"On": {"Fn::Equals": [{"Ref": "EnableAuth"}, "true"]}},
        "Resources": {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": body}},
            "Stage": {"Type": "AWS::ApiGateway::Stage", "Properties": stage},
            "Pool": {"Type": "AWS::Cognito::UserPool"},
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": BUCKET}},
        },
    }


INNER, DEEP = (
    f"arn:aws:cloudformation:us-east-1:{build.ACCOUNT}:stack/{build.ALPHA.stack_name}-{name}/1"
    for name in ("Inner-1X", "Inner-1X-Deep-2Y")
)
HIDDEN = f"notes-stage-alpha-hidden-{build.ACCOUNT}"


class Nested:
    """The stack, with a stack nested in it, and another in that one.

    The root makes an API. `Inner` adds a route to it, by the id that is passed on, and has an
    API of its own; `Deep` has that one's stage, and a bucket. `parameters`: the nested stacks'.
    """

    def __init__(self, script: scripted.Scripted) -> None:
        stack, root = "AWS::CloudFormation::Stack", template()
        outer = build.ALPHA.stack_name
        root["Resources"]["Inner"] = {
            "Type": stack,
            "Properties": {"Parameters": {"Api": {"Ref": "Api"}, "Auth": {"Ref": "EnableAuth"}}},
        }
        body = {
            "securityDefinitions": {
                "Users": {"x-amazon-apigateway-authorizer": {"type": "cognito_user_pools"}}
            },
            "paths": {"/inner": {"get": {"Fn::If": ["On", SECURE, {}]}}},
        }
        self.templates: dict[str, JsonObject] = {
            outer: root,
            INNER: {
                "Parameters": {name: {"Type": "String"} for name in ("Api", "Root", "Auth")},
                "Conditions": {"On": {"Fn::Equals": [{"Ref": "Auth"}, "true"]}},
                "Resources": {
                    "Own": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": body}},
                    "Part": {
                        "Type": "AWS::ApiGateway::Resource",
                        "Properties": {
                            "RestApiId": {"Ref": "Api"},
                            "ParentId": {"Ref": "Root"},
                            "PathPart": "admin",
                        },
                    },
                    "Admin": {
                        "Type": "AWS::ApiGateway::Method",
                        "Condition": "On",
                        "Properties": {
                            "RestApiId": {"Ref": "Api"},
                            "ResourceId": {"Ref": "Part"},
                            "HttpMethod": "PUT",
                            "AuthorizationType": "AWS_IAM",
                        },
                    },
                    "Deep": {
                        "Type": stack,
                        "Properties": {"Parameters": {"Api": {"Ref": "Own"}}},
                    },
                },
            },
            DEEP: {
                "Parameters": {"Api": {"Type": "String"}},
                "Resources": {
                    "Stage": {
                        "Type": "AWS::ApiGateway::Stage",
                        "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "v2"},
                    },
                    "Hidden": {"Type": "AWS::S3::Bucket"},
                },
            },
        }
        self.physical = {
            "Api": "abc123", "Bucket": BUCKET, "Inner": INNER, "Deep": DEEP, "Own": "def456",
            "Part": "res789", "Hidden": HIDDEN, "Admin": "method", "Stage": "stage",
            "Pool": "us-east-1_pool00000",
        }  # fmt: skip
        self.parameters = {
            INNER: {"Api": "abc123", "Root": "r00t", "Auth": "true"}, DEEP: {"Api": "def456"},
        }  # fmt: skip
        aws.s3().create_bucket(Bucket=HIDDEN)
        cloud = aws.cloudformation()
        script.on(
            cloud, "GetTemplate", lambda of: {"TemplateBody": self.templates[of["StackName"]]}
        )
        script.on(cloud, "ListStackResources", self._listed)
        script.on(cloud, "DescribeStacks", self._described)

    def _listed(self, asked: JsonObject) -> JsonObject:
        resources = self.templates[asked["StackName"]]["Resources"].items()
        return {
            "StackResourceSummaries": [
                {"LogicalResourceId": name, "ResourceType": resource["Type"],
                 "PhysicalResourceId": self.physical[name], "ResourceStatus": "CREATE_COMPLETE"}
                for name, resource in resources
            ]
        }  # fmt: skip

    def _described(self, asked: JsonObject) -> JsonObject:
        given = self.parameters[asked["StackName"]].items()
        name = asked["StackName"].split("/")[1]
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given]
        stack = {"StackId": asked["StackName"], "StackName": name, "Parameters": parameters}
        return {"Stacks": [stack | {"StackStatus": "CREATE_COMPLETE"}]}


class Gateway:
    """The tenant's API. `wrong`: its answer to a kind of token, where that is not a refusal."""

    def __init__(self, stranger: str) -> None:
        self.stranger = stranger
        self.asked: list[tuple[str, str, str | None]] = []
        self.wrong: dict[str, Answer | Exception] = {}
        self.open_paths: set[str] = set()

    def send(self, method: str, url: str, token: str | None, seconds: float) -> Answer:
        self.asked.append((method, url.removeprefix(URL), token))
        found = self.wrong.get(self.kind(token), Answer(401, None))
        if url.removeprefix(URL) in self.open_paths:
            found = Answer(200, None)
        if isinstance(found, Exception):
            raise found
        return found

    def kind(self, token: str | None) -> str:
        if token is None:
            return "no-token"
        head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
        if head["alg"] == "none":
            return "unsigned-token"
        issuer = str((claims_of(token) or {}).get("iss"))
        return "stranger-token" if issuer.endswith(self.stranger) else "altered-token"


@pytest.fixture
def pools(world: None, script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Pools:
    found = Pools(script)
    monkeypatch.setenv("STRANGER_POOL_ID", found.stranger)
    monkeypatch.setenv("STRANGER_CLIENT_ID", found.stranger_client)
    forget_settings()
    return found


@pytest.fixture
def gateway(pools: Pools, script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    found = Gateway(pools.stranger)
    monkeypatch.setattr("control_plane.services.live.send", found.send)
    script.on(aws.cloudformation(), "GetTemplate", {"TemplateBody": template()})
    there = [
        {"LogicalResourceId": name, "ResourceType": kind, "PhysicalResourceId": physical,
         "ResourceStatus": "CREATE_COMPLETE"}
        for name, kind, physical in (("Api", "AWS::ApiGateway::RestApi", "abc123"),
                                     ("Bucket", "AWS::S3::Bucket", BUCKET))
    ]  # fmt: skip
    script.on(aws.cloudformation(), "ListStackResources", {"StackResourceSummaries": there})
    aws.s3().create_bucket(Bucket=BUCKET)
    aws.s3().put_object(Bucket=BUCKET, Key="some/object", Body=b"x")
    for operation in ("ListObjectsV2", "GetObject"):
        script.on(aws.anonymous_s3(), operation, scripted.failure("AccessDenied"))
    return found


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment())


def checked(
    made: Deployment, pools: Pools, parameters: dict[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    """The results: status and detail, by name."""
    owned = ownership.resources(made.tenant.stack_name)
    subject = Subject(made, URL, PRINT, pools.outputs(), parameters or ON, owned)
    found = verify_isolation.isolation(subject)
    assert sorted(item["name"] for item in found) == sorted(proof.ISOLATION), "one result each"
    return {item["name"]: (item["status"], item["detail"]) for item in found}


def test_every_route_with_an_authorizer_is_tried_with_every_token(
    made: Deployment, pools: Pools, gateway: Gateway
) -> None:
    found = checked(made, pools)
    assert {name: status for name, (status, _) in found.items()} == dict.fromkeys(
        [*REFUSED, "buckets-anonymous"], "PASSED"
    )
    tried = {(method, path, gateway.kind(token)) for method, path, token in gateway.asked}
    routes = (("GET", "/me"), ("DELETE", "/drafts/syndi-isolation-test"))
    assert tried == {(*route, name) for route in routes for name in proof.TOKENS}
    assert len(gateway.asked) == len(tried)
    assert pools.users() == []


@pytest.mark.parametrize("name", proof.TOKENS)
@pytest.mark.parametrize("status", [200, 403, 404, 500])
def test_a_route_that_takes_one_of_them_fails_exactly_that_test(
    made: Deployment, pools: Pools, gateway: Gateway, name: str, status: int
) -> None:
    gateway.wrong[name] = Answer(status, None)
    found = checked(made, pools)
    failed = {test: detail for test, (result, detail) in found.items() if result == "FAILED"}
    assert list(failed) == [f"every-route-{name}"]
    assert f"GET /me: expected 401, got {status}" in failed[f"every-route-{name}"]
    assert f"DELETE /drafts/{{id}}: expected 401, got {status}" in failed[f"every-route-{name}"]


def test_a_route_that_does_not_answer_is_not_green(
    made: Deployment, pools: Pools, gateway: Gateway
) -> None:
    gateway.wrong["no-token"] = TenantNotReady("does not answer")
    assert checked(made, pools)["every-route-no-token"][0] == "FAILED"


def test_what_was_not_tried_in_time_is_not_green(
    made: Deployment, pools: Pools, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_isolation, "_SECONDS", 0.0)
    found = checked(made, pools)
    assert {found[name][0] for name in REFUSED} == {"FAILED"}
    assert "not tried" in found["every-route-no-token"][1]


def test_no_manifest_can_leave_a_route_out(world: None, pools: Pools, gateway: Gateway) -> None:
    """What is tried is what the API has, whatever the manifest says of tests and users."""
    plain = build.manifest.parse(build.PLAIN_MANIFEST)
    made = build.opened(build.deployment(manifest=plain))
    gateway.wrong["no-token"] = Answer(200, None)
    assert checked(made, pools)["every-route-no-token"][0] == "FAILED"


@pytest.mark.parametrize("stage", ["stage", None])
def test_a_stage_that_a_deployment_makes_is_tried_and_none_at_all_is_not_green(
    made: Deployment, pools: Pools, gateway: Gateway, script: scripted.Scripted, stage: str | None
) -> None:
    found = template()
    given = {"RestApiId": {"Ref": "Api"}} | ({"StageName": stage} if stage else {})
    found["Resources"]["Stage"] = {"Type": "AWS::ApiGateway::Deployment", "Properties": given}
    script.on(aws.cloudformation(), "GetTemplate", {"TemplateBody": found})
    results = checked(made, pools)
    wanted = "PASSED" if stage else "FAILED"
    assert {results[name][0] for name in REFUSED} == {wanted}
    assert bool(gateway.asked) is bool(stage)


INNER_URL = "https://def456.execute-api.us-east-1.amazonaws.com/v2/inner"


def test_routes_and_buckets_of_nested_stacks_are_tried_too(
    made: Deployment, pools: Pools, gateway: Gateway, script: scripted.Scripted
) -> None:
    """An API may have its stage and its routes in other stacks than itself."""
    Nested(script)
    found = checked(made, pools)
    assert {status for status, _ in found.values()} == {"PASSED"}, found
    tried = {(method, path) for method, path, _ in gateway.asked}
    assert tried == {
        ("GET", "/me"), ("DELETE", "/drafts/syndi-isolation-test"), ("PUT", "/admin"),
        ("GET", INNER_URL),
    }  # fmt: skip
    assert len(gateway.asked) == len(tried) * len(proof.TOKENS)
    assert {asked["Bucket"] for asked in script.of("GetObject")} == {BUCKET, HIDDEN}


@pytest.mark.parametrize("path", ["/admin", INNER_URL])
def test_a_route_of_a_nested_stack_that_takes_a_token_is_not_green(
    made: Deployment, pools: Pools, gateway: Gateway, script: scripted.Scripted, path: str
) -> None:
    Nested(script)
    gateway.open_paths.add(path)
    assert {checked(made, pools)[name][0] for name in REFUSED} == {"FAILED"}


def test_a_bucket_of_a_nested_stack_that_anybody_may_read_fails(
    made: Deployment, pools: Pools, gateway: Gateway, script: scripted.Scripted
) -> None:
    Nested(script)

    def nobody(asked: JsonObject) -> JsonObject:
        return {} if asked["Bucket"] == HIDDEN else scripted.failure("AccessDenied")

    script.on(aws.anonymous_s3(), "GetObject", nobody)
    status, detail = checked(made, pools)["buckets-anonymous"]
    assert (status, detail) == ("FAILED", f"{HIDDEN}: anybody may read it")


def test_what_a_condition_of_a_nested_stack_took_away_is_not_tried(
    made: Deployment, pools: Pools, gateway: Gateway, script: scripted.Scripted
) -> None:
    """By the parameters that the nested stack has: it was given another value than the root."""
    nested = Nested(script)
    nested.parameters[INNER]["Auth"] = "false"
    del nested.templates[INNER]["Resources"]["Admin"]
    assert {status for status, _ in checked(made, pools).values()} == {"PASSED"}
    assert {path for _, path, _ in gateway.asked} == {"/me", "/drafts/syndi-isolation-test"}


def test_a_condition_that_nobody_knows_is_decided_by_what_the_stack_has(
    made: Deployment, pools: Pools, gateway: Gateway, script: scripted.Scripted
) -> None:
    """Otherwise an API that is not there would be one whose address is not known."""
    nested = Nested(script)
    nested.templates[INNER]["Resources"]["Own"]["Condition"] = "Secret"
    secret = {"Fn::Equals": [{"Ref": "Hush"}, "x"]}
    nested.templates[INNER]["Conditions"]["Secret"] = secret
    nested.templates[INNER]["Parameters"]["Hush"] = {"Type": "String", "NoEcho": True}
    listed = nested._listed

    def without(asked: JsonObject) -> JsonObject:
        items = listed(asked)["StackResourceSummaries"]
        return {"StackResourceSummaries": [i for i in items if i["LogicalResourceId"] != "Own"]}

    script.on(aws.cloudformation(), "ListStackResources", without)
    assert {status for status, _ in checked(made, pools).values()} == {"PASSED"}
    assert ("PUT", "/admin") in {(method, path) for method, path, _ in gateway.asked}
    assert INNER_URL not in {path for _, path, _ in gateway.asked}


def test_a_template_that_cannot_be_decided_fails_every_test(
    made: Deployment, pools: Pools, gateway: Gateway, script: scripted.Scripted
) -> None:
    nested = Nested(script)
    nested.templates[DEEP]["Conditions"] = {
        f"C{number}": {"Fn::Equals": [{"Ref": f"Unknown{number}"}, "x"]} for number in range(5)
    }
    found = checked(made, pools)
    assert {status for status, _ in found.values()} == {"FAILED"}
    assert "Inner/Deep/template: conditions depend on" in found["buckets-anonymous"][1]


def test_without_a_route_that_has_an_authorizer_and_without_a_bucket_both_say_so(
    world: None, pools: Pools, gateway: Gateway, script: scripted.Scripted
) -> None:
    made = build.opened(build.deployment(manifest=build.manifest.parse(build.PLAIN_MANIFEST)))
    found = template()
    del found["Resources"]["Bucket"]
    found["Resources"]["Api"]["Properties"]["Body"]["paths"] = {"/health": {"get": {}}}
    script.on(aws.cloudformation(), "GetTemplate", {"TemplateBody": found})
    results = checked(made, pools)
    assert {results[name] for name in REFUSED} == {("SKIPPED", "no route has an authorizer")}
    assert results["buckets-anonymous"][0] == "SKIPPED"
    assert gateway.asked == []


def test_of_the_control_plane_itself_every_test_is_skipped(
    world: None, pools: Pools, gateway: Gateway
) -> None:
    made = build.deployment().model_copy(update={"tenant": own_tenant("control-plane-dev-main")})
    assert {status for status, _ in checked(made, pools).values()} == {"SKIPPED"}


def test_without_authentication_the_routes_are_skipped_with_the_reason(
    made: Deployment, pools: Pools, gateway: Gateway
) -> None:
    found = checked(made, pools, OFF)
    assert {name: found[name] for name in REFUSED} == dict.fromkeys(
        REFUSED, ("SKIPPED", "authentication is off")
    )
    assert found["buckets-anonymous"][0] == "PASSED"
    assert gateway.asked == []


@pytest.mark.parametrize(("operation", "what"), [("ListObjectsV2", "list"), ("GetObject", "read")])
def test_a_bucket_that_anybody_may_read_fails(
    made: Deployment,
    pools: Pools,
    gateway: Gateway,
    script: scripted.Scripted,
    operation: str,
    what: str,
) -> None:
    script.on(aws.anonymous_s3(), operation, {})
    status, detail = checked(made, pools)["buckets-anonymous"]
    assert (status, detail) == ("FAILED", f"{BUCKET}: anybody may {what} it")


def test_an_object_that_is_there_is_what_is_tried(
    made: Deployment, pools: Pools, gateway: Gateway, script: scripted.Scripted
) -> None:
    """S3 refuses to say whether an absent one is there, also where anybody may read."""
    checked(made, pools)
    assert script.of("GetObject")[-1]["Key"] == "some/object"


def test_a_bucket_that_cannot_be_looked_into_is_no_absent_one(
    made: Deployment, pools: Pools, gateway: Gateway, script: scripted.Scripted
) -> None:
    script.on(aws.s3(), "ListObjectsV2", scripted.failure("AccessDenied", "not for you"))
    with pytest.raises(Exception, match="not for you"):
        checked(made, pools)


def test_an_altered_token_differs_in_its_signature_only() -> None:
    assert verify_isolation.altered("h.p.AbC") == "h.p.BbC"
    assert verify_isolation.altered("h.p.xbC") == "h.p.AbC"
    head, payload, signature = verify_isolation.unsigned("h.p.s").split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "none", "typ": "JWT"}
    assert (payload, signature) == ("p", "")
