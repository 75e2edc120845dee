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
from control_plane.services.live import Answer
from control_plane.settings import forget_settings
from workers import verify_isolation
from workers.live_tests import Subject

SECURE = {"security": [{"Users": []}]}
BUCKET = f"notes-data-{build.ACCOUNT}"
REFUSED = [f"every-route-{name}" for name in verify_isolation.TOKENS]


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


class Gateway:
    """The tenant's API. `wrong`: its answer to a kind of token, where that is not a refusal."""

    def __init__(self, stranger: str) -> None:
        self.stranger = stranger
        self.asked: list[tuple[str, str, str | None]] = []
        self.wrong: dict[str, Answer | Exception] = {}

    def send(self, method: str, url: str, token: str | None, seconds: float) -> Answer:
        self.asked.append((method, url.removeprefix(URL), token))
        found = self.wrong.get(self.kind(token), Answer(401, None))
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
    subject = Subject(made, URL, PRINT, pools.outputs(), parameters or ON)
    found = verify_isolation.isolation(subject)
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
    assert tried == {(*route, name) for route in routes for name in verify_isolation.TOKENS}
    assert len(gateway.asked) == len(tried)
    assert pools.users() == []


@pytest.mark.parametrize("name", verify_isolation.TOKENS)
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
