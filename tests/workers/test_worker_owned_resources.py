"""Nothing is sent to, read from or passed on that is another stack's, whatever an output or a
manifest names: a signed request, a password, a neighbour's log."""

from collections.abc import Iterator
from typing import Any

import pytest
import route_calls as calls
import scripted_aws as scripted
import worker_builders as build
from api_calls import call
from function_calls import Function
from pool_builders import new_pool, owns
from route_calls import Traffic
from worker_builders import ALPHA

from cli import checking
from cli.failure import Refused
from control_plane import aws
from control_plane.errors import OutputRefused, PatchFailed, RouteRefused
from control_plane.manifest import parse
from control_plane.models import JsonObject
from control_plane.services import owned_addresses, ownership
from workers import code

VICTIMS = "notes-stage-victim"
BUCKET, FUNCTION = "AWS::S3::Bucket", "AWS::Lambda::Function"

# A function that the manifest names ---------------------------------------------------------------


@pytest.mark.parametrize("step", ["health", "CheckFunction", "ReconcileFunction"])
def test_what_is_no_function_of_the_stack_is_not_touched(
    world: None, script: scripted.Scripted, step: str
) -> None:
    """A custom resource answers with any physical id: that of a neighbour's function, whose numbers
    and code would be read, and replaced."""
    Function(script)
    custom = {"PhysicalResourceId": VICTIMS, "ResourceType": "Custom::Thing"}
    script.on(aws.cloudformation(), "DescribeStackResource", {"StackResourceDetail": custom})
    question = {"tenant": ALPHA.model_dump(mode="json"), "function": "Function", "hours": 1}
    event = {"health": question}
    if step != "health":
        event = build.event(build.opened(build.deployment()), step)
    with pytest.raises(PatchFailed, match="names Function, which is no function"):
        code.handler(event, None)
    assert script.of("GetFunctionConfiguration") == []


# Where traffic goes -------------------------------------------------------------------------------


@pytest.fixture
def traffic(
    world: None, script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Traffic]:
    for found in calls.begin(script, monkeypatch):
        call("PUT", "/envs/stage/orgs/alpha/route", {"weights": {"alpha": 100}})
        yield found


@pytest.mark.parametrize(
    ("api", "why"), [("another1", "does not belong to the stack"), ("", "has no stack any more")]
)
def test_no_traffic_is_led_to_an_address_of_another_stack(
    traffic: Traffic, api: str, why: str
) -> None:
    """Its users would be sent to a neighbour, with what they type."""
    traffic.apis["notes-stage-alpha-blue"] = api
    with pytest.raises(RouteRefused, match=f"notes-stage-alpha-blue.*{why}"):
        calls.prepared(traffic, steps=[10, 100])


def test_a_tenant_is_not_tested_at_an_address_of_another_stack(
    traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = calls.prepared(traffic, steps=[10, 100])
    traffic.apis["notes-stage-alpha-blue"] = "another1"
    sent: list[str] = []
    monkeypatch.setattr("workers.route_checks.get", sent.append)
    with pytest.raises(RouteRefused, match="does not belong to the stack"):
        calls.step("CheckShift", shift, reached=0, bakes_until="")
    assert sent == []


# `syndi check --jwt` ------------------------------------------------------------------------------


@pytest.fixture
def signing_in(world: None, script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The check of a tenant whose pool has this id, by its outputs."""
    monkeypatch.setenv("ADMIN_PASSWORD", "correct-horse")
    script.on(aws.cognito(), "AdminInitiateAuth", scripted.failure("NotAuthorizedException"))
    manifest = parse(build.MANIFEST).model_dump(mode="json", by_alias=True)

    def check(pool: str, client: str, endpoint: str) -> JsonObject:
        outputs = {"PoolId": pool, "ClientId": client, "Url": endpoint}
        tenant = {**ALPHA.model_dump(), "stack_name": ALPHA.stack_name, "outputs": outputs}
        (found,) = checking._sign_in({**tenant, "endpoint": endpoint}, manifest, endpoint, "a@b.c")
        return dict(found)

    return check


URL = "https://mine1.execute-api.us-east-1.amazonaws.com/v1"


@pytest.mark.parametrize("foreign", ["pool", "endpoint", ""])
def test_a_password_is_only_sent_to_the_tenants_own_pool(
    signing_in: Any, script: scripted.Scripted, foreign: str
) -> None:
    tag = VICTIMS if foreign == "pool" else ALPHA.stack_name
    pool, client = new_pool(tags={"syndi:stack": tag})
    api = "another1" if foreign == "endpoint" else "mine1"
    owns(script, ("AWS::ApiGateway::RestApi", api))
    found = signing_in(pool, client, URL)
    if foreign:
        assert (found["name"], found["status"]) == ("outputs", "FAILED")
        assert "does not belong to the stack notes-stage-alpha" in found["detail"]
    else:
        assert found["detail"] == "the pool does not let a@b.c in"
    assert bool(script.of("AdminInitiateAuth")) is not bool(foreign)


def test_a_pool_of_which_it_cannot_be_read_whose_it_is_gets_no_password(
    signing_in: Any, script: scripted.Scripted
) -> None:
    pool, client = new_pool(tags={"syndi:stack": ALPHA.stack_name})
    denied = scripted.failure("AccessDenied", "no ListStackResources for you")
    script.on(aws.cloudformation(), "ListStackResources", denied)
    with pytest.raises(Refused, match="cannot be read, so nothing is sent there"):
        signing_in(pool, client, URL)
    assert script.of("AdminInitiateAuth") == []


# What outputs name --------------------------------------------------------------------------------


@pytest.fixture
def stacks(world: None, script: scripted.Scripted) -> scripted.Scripted:
    """The tenant has a bucket and a function; a neighbour has, too, and an API with a stage."""
    owns(script, (BUCKET, "my-files"), (FUNCTION, "my-function"))
    theirs = [
        {"StackName": VICTIMS, "ResourceType": kind, "PhysicalResourceId": name}
        for kind, name in (
            (BUCKET, "their-files"),
            (FUNCTION, "their-function"),
            ("AWS::ApiGateway::Stage", "v1"),
        )
    ]

    def answer(asked: JsonObject) -> JsonObject:
        names = {str(one["PhysicalResourceId"]) for one in theirs}
        if asked["PhysicalResourceId"] not in names:
            return scripted.failure("ValidationError", "Stack for it does not exist")
        return {"StackResources": theirs}

    script.on(aws.cloudformation(), "DescribeStackResources", answer)
    return script


def check(value: str) -> None:
    ownership.check_values(ALPHA, ["Named"], {"Named": value})


HERE = f"us-east-1:{build.ACCOUNT}"


@pytest.mark.parametrize(
    "value",
    [
        "their-files",
        "arn:aws:s3:::their-files",
        "arn:aws:s3:::their-files/*",
        "s3://their-files/key",
        "their-function",
        f"arn:aws:lambda:{HERE}:function:their-function",
        f"arn:aws:lambda:{HERE}:function:their-function:live",
        f"arn:aws:lambda:{HERE}:function:nobodys",
    ],
)
def test_a_bucket_or_a_function_of_another_stack_is_not_passed_on(
    stacks: scripted.Scripted, value: str
) -> None:
    with pytest.raises(OutputRefused, match=r"output Named names .* does not belong to the stack"):
        check(value)


@pytest.mark.parametrize(
    "value",
    [
        "my-files",
        "arn:aws:s3:::my-files/*",
        f"arn:aws:lambda:{HERE}:function:my-function:live",
        "brought-by-an-operator",
        "v1",  # the name of somebody's stage is everybody's word
        "some text with words",
        "https://example.com/their-files",
    ],
)
def test_own_names_and_plain_texts_are_passed_on(stacks: scripted.Scripted, value: str) -> None:
    check(value)


def test_a_busy_aws_is_no_answer_whose_a_bucket_is(stacks: scripted.Scripted) -> None:
    busy = scripted.failure("Throttling")
    stacks.on(aws.cloudformation(), "DescribeStackResources", busy)
    with pytest.raises(Exception, match="Throttling"):
        check("their-files")


# Load balancers -----------------------------------------------------------------------------------

BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
ARN = f"arn:aws:elasticloadbalancing:{HERE}:loadbalancer/app/mine/50dc6c495c0c9188"


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("mine-123.us-east-1.elb.amazonaws.com", True),
        ("dualstack.Mine-123.us-east-1.elb.amazonaws.com", True),
        ("mine-124.us-east-1.elb.amazonaws.com", False),
        ("nlb-1.elb.us-east-1.amazonaws.com", False),
    ],
)
def test_a_load_balancer_is_the_tenants_when_its_stack_has_it(
    world: None, script: scripted.Scripted, host: str, is_own: bool
) -> None:
    """What a route leads to, as docs/routes.md recommends."""
    found = {"DNSName": "mine-123.us-east-1.elb.amazonaws.com", "LoadBalancerArn": ARN}
    script.on(aws.load_balancing(), "DescribeLoadBalancers", {"LoadBalancers": [found]})
    owns(script, (BALANCER, ARN))
    owned = ownership.resources(ALPHA.stack_name)
    if is_own:
        owned_addresses.check_address(ALPHA, "Url", f"https://{host}", owned)
    else:
        with pytest.raises(OutputRefused, match="does not belong to the stack"):
            owned_addresses.check_address(ALPHA, "Url", f"https://{host}", owned)
