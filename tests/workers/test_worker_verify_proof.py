"""The proof of a deployment: what a worker claims is read back, and what is not so is named."""

import hashlib
import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from fake_tenant import PRINT, URL
from function_calls import BUILD, PACKAGE, PACKAGE_KEY, TEMPLATE_KEY, put
from pool_builders import new_pool
from record_calls import passed, succeed
from worker_builders import ARTIFACTS

from control_plane import aws
from control_plane.errors import ProofIncomplete, TenantNotReady
from control_plane.models import Deployment, JsonObject
from control_plane.own import own_tenant
from control_plane.rules import proof
from control_plane.services.secrets import keep
from control_plane.store.progress import Progress
from workers import record, verify
from workers.function_code import sha256

ADMIN, PASSWORD = "admin@example.com", "Correct-Horse-1"
BUCKET = f"notes-config-stage-alpha-{build.ACCOUNT}"
ROOT, NESTED = "notes-stage-alpha", "arn:aws:cloudformation:us-east-1:1:stack/notes-stage-alpha-N/1"
NAME, ARN = "notes-stage-alpha-backend", "arn:aws:lambda:us-east-1:1:function"
LAYER = "arn:aws:lambda:us-east-1:1:layer:notes:3"
GOOD, OTHER = sha256(PACKAGE), sha256(b"other")


class World:
    """A tenant that is deployed as it should be, until a test changes one thing of it."""

    def __init__(self, script: scripted.Scripted) -> None:
        self.status = "CREATE_COMPLETE"
        self.pool, self.client = new_pool()
        self.outputs = {"Url": URL, "PoolId": self.pool, "ClientId": self.client}
        self.made = build.opened(build.deployment(admin_username=ADMIN))
        self.functions: dict[str, JsonObject] = {}
        self.aliases: dict[str, JsonObject] = {}
        self.layers: dict[str, str] = {}
        self.templates: dict[str, JsonObject] = {ROOT: {}, NESTED: {}}
        self.resources: dict[str, list[tuple[str, str, str]]] = {ROOT: [], NESTED: []}
        self.owns("AWS::Cognito::UserPool", "Pool", self.pool)
        self.owns("AWS::ApiGateway::RestApi", "Api", "abc123")
        self.function("Function", NAME)
        put(PACKAGE_KEY, PACKAGE)
        put(TEMPLATE_KEY, b"Resources: {}")
        self.upload({"auth": {"pool": self.pool}, "api": {"url": URL}})
        self.admin()
        self.tests(passed(self.made))
        cloudformation, functions = aws.cloudformation(), aws.lambda_()
        script.on(cloudformation, "ListStackResources", self._listed)
        script.on(cloudformation, "DescribeStacks", self._described)
        script.on(
            cloudformation,
            "GetTemplate",
            lambda asked: {"TemplateBody": {"Resources": self.templates[asked["StackName"]]}},
        )
        script.on(functions, "GetFunctionConfiguration", self._function)
        script.on(functions, "GetAlias", lambda asked: self.aliases[asked["Name"]])
        script.on(
            functions,
            "GetLayerVersion",
            lambda asked: {"Content": {"CodeSha256": self.layers[asked["LayerName"]]}},
        )

    def owns(self, kind: str, logical_id: str, physical_id: str, stack: str = ROOT) -> None:
        self.resources[stack].append((kind, logical_id, physical_id))

    def function(self, logical_id: str, name: str, stack: str = ROOT, **code: Any) -> None:
        code = code or {"S3Bucket": ARTIFACTS, "S3Key": PACKAGE_KEY}
        self.owns("AWS::Lambda::Function", logical_id, name, stack)
        self.templates[stack][logical_id] = {"Properties": {"Code": code}}
        self.functions[name] = active(GOOD)

    def upload(self, content: JsonObject) -> None:
        body = json.dumps(content).encode()
        aws.s3().create_bucket(Bucket=BUCKET)
        aws.s3().put_object(Bucket=BUCKET, Key="config.json", Body=body)
        digest = hashlib.sha256(body).hexdigest()
        self.config = {"bucket": BUCKET, "key": "config.json", "sha256": digest}
        Progress(build.TABLE).add_facts(self.made, {"config": self.config})

    def admin(self) -> None:
        known = {"UserPoolId": self.pool, "Username": ADMIN}
        attributes: Any = [
            {"Name": "email", "Value": ADMIN},
            {"Name": "email_verified", "Value": "true"},
        ]
        aws.cognito().admin_create_user(**known, UserAttributes=attributes)
        aws.cognito().admin_set_user_password(**known, Password=PASSWORD, Permanent=True)
        aws.cognito().admin_add_user_to_group(**known, GroupName="ADMINS")
        keep(self.made.tenant, ADMIN, PASSWORD)

    def tests(self, results: list[JsonObject]) -> None:
        Progress(build.TABLE).add_facts(self.made, {"tests": results})

    def prove(self, **claimed: Any) -> JsonObject:
        """Run the step, with what the state machine claims."""
        event = {
            "build": {
                "fingerprint": PRINT, "source": "5" * 64, "build_id": "b:1",
                "template_key": TEMPLATE_KEY, "reused": False,
            },
            "stack": {"outputs": self.outputs, "parameters": {}},
            "config": self.config,
            "admin": {"username": ADMIN, "password_set": True},
            "patch": {},
        }  # fmt: skip
        return verify.handler(build.event(self.made, "ProveDeployment", **event | claimed), None)

    def _listed(self, asked: JsonObject) -> JsonObject:
        return {
            "StackResourceSummaries": [
                {
                    "ResourceType": kind,
                    "LogicalResourceId": logical_id,
                    "PhysicalResourceId": physical_id,
                    "ResourceStatus": "CREATE_COMPLETE",
                }
                for kind, logical_id, physical_id in self.resources[asked["StackName"]]
            ]
        }

    def _described(self, _: JsonObject) -> JsonObject:
        outputs = [{"OutputKey": k, "OutputValue": v} for k, v in self.outputs.items()]
        stack = {"StackId": "s", "StackName": ROOT, "StackStatus": self.status}
        return {"Stacks": [stack | {"Outputs": outputs}]}

    def _function(self, asked: JsonObject) -> JsonObject:
        qualifier = asked.get("Qualifier")
        name = asked["FunctionName"] + (f":{qualifier}" if qualifier else "")
        found = self.functions.get(name)
        return found or scripted.failure("ResourceNotFoundException")


def active(digest: str, **more: str) -> JsonObject:
    return {"CodeSha256": digest, "State": "Active", "LastUpdateStatus": "Successful"} | more


@pytest.fixture
def world_(script: scripted.Scripted) -> World:
    return World(script)


def test_a_deployment_that_is_through_is_proven_and_the_proof_is_in_its_record(
    world_: World,
) -> None:
    world_.prove()
    found = build.record(world_.made)["proof"]
    assert found["code"] == {"equal": ["Function"], "not_compared": []}
    assert found["config"]["sha256"] == world_.config["sha256"]
    assert (found["admin"]["status"], found["admin"]["signs_in"]) == ("CONFIRMED", "yes")
    assert found["build"] == PRINT
    assert found["isolation"] == {"routes": 0, "buckets": 1}


# Code ---------------------------------------------------------------------------------------------


def test_a_function_with_other_code_is_named(world_: World) -> None:
    world_.functions[NAME] = active(OTHER)
    with pytest.raises(ProofIncomplete, match=f"Function: runs code with the digest {OTHER}"):
        world_.prove()
    assert "proof" not in build.record(world_.made)


def test_every_function_counts_also_in_a_nested_stack(world_: World) -> None:
    world_.owns("AWS::CloudFormation::Stack", "N", NESTED)
    world_.function("Worker", "notes-stage-alpha-N-worker", NESTED)
    world_.prove()
    assert build.record(world_.made)["proof"]["code"]["equal"] == ["Function", "Worker"]
    world_.functions["notes-stage-alpha-N-worker"] = active(OTHER)
    with pytest.raises(ProofIncomplete, match="Worker: runs code"):
        world_.prove()


def test_an_alias_that_stayed_at_an_old_version_is_named(world_: World) -> None:
    world_.owns("AWS::Lambda::Version", "V2", f"{ARN}:{NAME}:2")
    world_.owns("AWS::Lambda::Alias", "Live", f"{ARN}:{NAME}:live")
    world_.functions |= {f"{NAME}:1": active(OTHER), f"{NAME}:2": active(GOOD)}
    world_.aliases["live"] = {"FunctionVersion": "2"}
    world_.prove()
    world_.aliases["live"] = {"FunctionVersion": "1"}
    with pytest.raises(ProofIncomplete, match=r"Live \(alias live\): runs code"):
        world_.prove()
    weights = {"AdditionalVersionWeights": {"1": 0.1}}
    world_.aliases["live"] = {"FunctionVersion": "2", "RoutingConfig": weights}
    with pytest.raises(ProofIncomplete, match=r"Live \(alias live\): runs code"):
        world_.prove()


def test_the_newest_version_counts_and_one_that_is_kept_does_not(world_: World) -> None:
    for number, digest in ((1, OTHER), (2, GOOD)):
        world_.owns("AWS::Lambda::Version", f"V{number}", f"{ARN}:{NAME}:{number}")
        world_.functions[f"{NAME}:{number}"] = active(digest)
    world_.prove()
    world_.functions[f"{NAME}:2"] = active(OTHER)
    with pytest.raises(ProofIncomplete, match=r"V2 \(version 2\)"):
        world_.prove()


def test_a_layer_counts_too(world_: World) -> None:
    world_.owns("AWS::Lambda::LayerVersion", "Layer", LAYER)
    content = {"S3Bucket": ARTIFACTS, "S3Key": PACKAGE_KEY}
    world_.templates[ROOT]["Layer"] = {"Properties": {"Content": content}}
    world_.layers["notes"] = GOOD
    world_.prove()
    world_.layers["notes"] = OTHER
    with pytest.raises(ProofIncomplete, match="Layer: the layer has other content"):
        world_.prove()


def test_the_digest_that_was_recorded_at_the_build_counts_before_the_objects(
    world_: World,
) -> None:
    built = {
        "fingerprint": PRINT, "source": "5" * 64, "build_id": "b:1", "template_key": TEMPLATE_KEY,
        "reused": False, "code_digests": {PACKAGE_KEY: OTHER},
    }  # fmt: skip
    with pytest.raises(ProofIncomplete, match="Function: runs code"):
        world_.prove(build=built)


def test_a_stack_that_stayed_at_another_build_is_named(world_: World) -> None:
    """CloudFormation did nothing, and the step before said that it had."""
    uri = f"s3://{ARTIFACTS}/notes-stage-alpha/newer"
    put(TEMPLATE_KEY, f"Resources: {{Function: {{Properties: {{CodeUri: '{uri}'}}}}}}".encode())
    with pytest.raises(ProofIncomplete, match="does not name the package of the build"):
        world_.prove()


def test_a_plain_function_that_stayed_at_another_build_is_named(world_: World) -> None:
    code = f"{{S3Bucket: {ARTIFACTS}, S3Key: notes-stage-alpha/newer}}"
    put(TEMPLATE_KEY, f"Resources: {{Function: {{Properties: {{Code: {code}}}}}}}".encode())
    with pytest.raises(ProofIncomplete, match="does not name the package of the build"):
        world_.prove()
    code = f"{{S3Bucket: {ARTIFACTS}, S3Key: {PACKAGE_KEY}}}"
    put(TEMPLATE_KEY, f"Resources: {{Function: {{Properties: {{Code: {code}}}}}}}".encode())
    world_.prove()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ({"ZipFile": "pass"}, "inline"),
        ({"ImageUri": "1.dkr.ecr.us-east-1.amazonaws.com/a:latest"}, "a tag, which can be moved"),
        ({"S3Bucket": {"Ref": "Bucket"}, "S3Key": {"Ref": "Key"}}, "named by a parameter"),
    ],
)
def test_what_cannot_be_compared_is_said(world_: World, code: JsonObject, said: str) -> None:
    world_.function("Other", "notes-stage-alpha-other", **code)
    world_.prove()
    (found,) = build.record(world_.made)["proof"]["code"]["not_compared"]
    assert found.startswith("Other: ")
    assert said in found


def test_an_image_is_compared_by_its_digest(world_: World) -> None:
    world_.function("Image", "notes-stage-alpha-image", ImageUri=f"1.dkr/a@sha256:{'d' * 64}")
    world_.functions["notes-stage-alpha-image"] = active("d" * 64)
    world_.prove()
    world_.functions["notes-stage-alpha-image"] = active("e" * 64)
    with pytest.raises(ProofIncomplete, match="Image: runs code"):
        world_.prove()


def test_a_patch_is_compared_with_its_own_digest(world_: World) -> None:
    world_.functions[NAME] = active(OTHER)
    world_.prove(patch={"code_sha256": OTHER})
    with pytest.raises(ProofIncomplete, match="Function: runs code"):
        world_.prove(patch={"code_sha256": GOOD})


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"LastUpdateStatus": "InProgress"}, TenantNotReady),
        ({"State": "Pending"}, TenantNotReady),
        ({"LastUpdateStatus": "Failed"}, ProofIncomplete),
        ({"State": "Failed"}, ProofIncomplete),
    ],
)
def test_a_function_that_is_not_active_does_not_prove_anything(
    world_: World, state: dict[str, str], error: type[Exception]
) -> None:
    world_.functions[NAME] = active(GOOD, **state)
    with pytest.raises(error):
        world_.prove()


def test_a_function_that_is_gone_is_named(world_: World) -> None:
    world_.functions.clear()
    with pytest.raises(ProofIncomplete, match="Function: the function does not exist any more"):
        world_.prove()


# Outputs, configuration, administrator, tests -----------------------------------------------------


def test_outputs_that_the_stack_does_not_have_are_named(world_: World) -> None:
    with pytest.raises(ProofIncomplete, match="other outputs than AwaitStack answered"):
        world_.prove(stack={"outputs": {}, "parameters": {}})


def test_a_stack_that_is_still_being_changed_is_named(world_: World) -> None:
    world_.status = "UPDATE_IN_PROGRESS"
    with pytest.raises(ProofIncomplete, match="the stack is UPDATE_IN_PROGRESS"):
        world_.prove()


def test_an_address_of_another_stack_is_named(world_: World) -> None:
    world_.outputs["Url"] = "https://stranger1.execute-api.us-east-1.amazonaws.com/v1"
    with pytest.raises(ProofIncomplete, match=r"output Url names .* does not belong to the stack"):
        world_.prove()


def test_a_configuration_that_was_not_uploaded_or_was_overwritten_is_named(
    world_: World,
) -> None:
    aws.s3().put_object(Bucket=BUCKET, Key="config.json", Body=b"{}")
    with pytest.raises(ProofIncomplete, match=r"config\.json has other content than was uploaded"):
        world_.prove()
    aws.s3().delete_object(Bucket=BUCKET, Key="config.json")
    with pytest.raises(ProofIncomplete, match="there is no configuration in s3://"):
        world_.prove()
    with pytest.raises(ProofIncomplete, match="no configuration of this deployment is recorded"):
        world_.prove(config={**world_.config, "sha256": "0" * 64})


def test_a_configuration_without_the_stacks_outputs_is_named(world_: World) -> None:
    """SyncConfig did nothing, and answered what UploadConfig had uploaded."""
    world_.upload({"auth": {"pool": "us-east-1_old"}, "api": {"url": URL}})
    with pytest.raises(ProofIncomplete, match=r"'us-east-1_old' at auth.pool, not the output"):
        world_.prove()


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ("admin_delete_user", "is not in us-east-1_"),
        ("admin_disable_user", "is disabled"),
        ("admin_reset_user_password", "is RESET_REQUIRED"),
    ],
)
def test_an_administrator_who_cannot_sign_in_is_named(
    world_: World, operation: str, said: str
) -> None:
    getattr(aws.cognito(), operation)(UserPoolId=world_.pool, Username=ADMIN)
    with pytest.raises(ProofIncomplete, match=f"the administrator {ADMIN} {said}"):
        world_.prove()


def test_an_administrator_without_the_group_or_with_another_password_is_named(
    world_: World,
) -> None:
    keep(world_.made.tenant, ADMIN, "Another-Horse-2")
    with pytest.raises(ProofIncomplete, match=f"{ADMIN} cannot sign in"):
        world_.prove()
    world_.prove(admin={"username": ADMIN, "password_set": False})
    said = build.record(world_.made)["proof"]["admin"]["signs_in"]
    assert said == "not tried: the password is the user's own"
    aws.cognito().admin_remove_user_from_group(
        UserPoolId=world_.pool, Username=ADMIN, GroupName="ADMINS"
    )
    with pytest.raises(ProofIncomplete, match="is not in the group ADMINS"):
        world_.prove()


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([], "no tests of this deployment are recorded"),
        ([{"name": "health", "status": "PASSED"}], "the test sign-in did not run"),
        ([{"name": "sign-in", "status": "SKIPPED"}], "the test sign-in is SKIPPED"),
        ([{"name": "health", "status": "FAILED"}], "the test health failed"),
    ],
)
def test_tests_that_did_not_run_or_were_skipped_are_named(
    world_: World, results: list[JsonObject], said: str
) -> None:
    world_.tests(results)
    with pytest.raises(ProofIncomplete, match=said):
        world_.prove()


NO_ROUTE = "no route has an authorizer"
CLOSED = {
    "securityDefinitions": {
        "Users": {"x-amazon-apigateway-authorizer": {"type": "cognito_user_pools"}}
    },
    "paths": {"/me": {"get": {"security": [{"Users": []}]}}},
}


def with_isolation(made: Deployment, status: str | None, detail: str, *of: str) -> Any:
    """The results, those of `of` with this status and detail; None: left out."""
    there = [item for item in passed(made) if item["name"] not in of]
    more = [] if status is None else [{"name": n, "status": status, "detail": detail} for n in of]
    return [*there, *more]


ROUTE_TESTS = tuple(proof.route_test(token) for token in proof.TOKENS)


@pytest.mark.parametrize("name", proof.ISOLATION)
def test_a_test_of_isolation_that_was_left_out_is_named(world_: World, name: str) -> None:
    world_.tests(with_isolation(world_.made, None, "", name))
    with pytest.raises(ProofIncomplete, match=f"the test {name} did not run"):
        world_.prove()


def test_routes_may_be_skipped_only_where_no_deployed_route_has_an_authorizer(
    world_: World,
) -> None:
    world_.tests(with_isolation(world_.made, "SKIPPED", NO_ROUTE, *ROUTE_TESTS))
    world_.prove()
    world_.templates[ROOT]["Api"] = {
        "Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": CLOSED},
    }  # fmt: skip
    with pytest.raises(ProofIncomplete, match="every-route-no-token is SKIPPED"):
        world_.prove()


def test_a_closed_route_of_a_nested_stack_may_not_be_skipped_either(world_: World) -> None:
    world_.tests(with_isolation(world_.made, "SKIPPED", NO_ROUTE, *ROUTE_TESTS))
    world_.owns("AWS::CloudFormation::Stack", "N", NESTED)
    world_.prove()
    world_.owns("AWS::ApiGateway::RestApi", "Inner", "def456", NESTED)
    world_.templates[NESTED]["Inner"] = {
        "Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": CLOSED},
    }  # fmt: skip
    with pytest.raises(ProofIncomplete, match="every-route-no-token is SKIPPED"):
        world_.prove()


@pytest.mark.parametrize("why", ["", "nothing to do", "authentication is off"])
def test_a_reason_that_is_not_so_is_no_reason_to_skip(world_: World, why: str) -> None:
    world_.tests(with_isolation(world_.made, "SKIPPED", why, *ROUTE_TESTS))
    with pytest.raises(ProofIncomplete, match="is SKIPPED, and it had to run"):
        world_.prove()


def test_the_buckets_may_not_be_skipped_where_there_is_one(world_: World) -> None:
    why = "the tenant has no bucket that is not declared public"
    world_.tests(with_isolation(world_.made, "SKIPPED", why, proof.BUCKETS))
    with pytest.raises(ProofIncomplete, match="buckets-anonymous is SKIPPED"):
        world_.prove()


def test_a_template_that_cannot_be_decided_proves_nothing(
    world_: World, script: scripted.Scripted
) -> None:
    conditions = {f"C{n}": {"Fn::Equals": [{"Ref": f"Unknown{n}"}, "x"]} for n in range(5)}
    undecided = {"Resources": world_.templates[ROOT], "Conditions": conditions}
    script.on(aws.cloudformation(), "GetTemplate", {"TemplateBody": undecided})
    with pytest.raises(ProofIncomplete, match="what a stranger could try is not known: template"):
        world_.prove()


# RecordSuccess ------------------------------------------------------------------------------------


OFF = {"EnableAuth": "false"}


def good(made: Deployment) -> JsonObject:
    return {
        "build": {"fingerprint": BUILD},
        "change_set": {},
        "stack": {"outputs": {}, "parameters": OFF},
        "config": {"sha256": "c0"},
        "tests": passed(made, OFF),
        "admin": {},
        "patch": {},
    }


@pytest.mark.parametrize(
    ("fact", "value", "said"),
    [
        ("proof", None, "left no proof"),
        ("proof", {}, "the proof has no part"),
        (
            "proof",
            {"build": BUILD, "code": {}, "config": None, "admin": None},
            "the proof has no part 'isolation'",
        ),
        ("tests", [], "no tests of this deployment"),
        ("tests", [{"name": "health", "status": "PASSED", "detail": "x"}], "other results than"),
    ],
)
def test_a_success_without_its_proof_is_not_recorded(
    world: None, fact: str, value: Any, said: str
) -> None:
    made = build.opened(build.deployment())
    build.take_lock(made)
    claimed = good(made)
    found = {
        "build": BUILD, "code": {}, "config": {"sha256": "c0"}, "admin": None,
        "isolation": {"routes": 2, "buckets": 1},
    }  # fmt: skip
    Progress(build.TABLE).add_facts(made, {"tests": claimed["tests"], "proof": found, fact: value})
    with pytest.raises(ProofIncomplete, match=said):
        record.handler(build.event(made, "RecordSuccess", **claimed), None)
    assert build.record(made)["status"] == "QUEUED"
    assert build.holder() == made.execution_arn


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"build": {"fingerprint": "9" * 64}}, "the proof is of the build"),
        ({"config": {"sha256": "other"}}, "is not the one that was uploaded"),
    ],
)
def test_a_proof_of_something_else_is_none(world: None, claim: JsonObject, said: str) -> None:
    made = build.opened(build.deployment())
    build.take_lock(made)
    found = {
        "build": BUILD, "code": {}, "config": {"sha256": "c0"}, "admin": None,
        "isolation": {"routes": 2, "buckets": 1},
    }  # fmt: skip
    claimed = good(made)
    Progress(build.TABLE).add_facts(made, {"tests": claimed["tests"], "proof": found})
    with pytest.raises(ProofIncomplete, match=said):
        record.handler(build.event(made, "RecordSuccess", **claimed | claim), None)


@pytest.mark.parametrize(
    ("isolation", "status", "detail", "said"),
    [
        (None, "PASSED", "", "does not say how many"),
        ({"routes": 2}, "PASSED", "", "does not say how many"),
        ({"routes": 0, "buckets": "0"}, "PASSED", "", "does not say how many"),
        ({"routes": 0, "buckets": 0}, "PASSED", "", "no bucket to try, and the configuration"),
        ({"routes": 2, "buckets": 1}, None, "", "every-route-no-token did not run"),
        ({"routes": 2, "buckets": 1}, "SKIPPED", "authentication is off", "token is SKIPPED"),
        ({"routes": 0, "buckets": 1}, "SKIPPED", "no route has an authorizer", "token is SKIPPED"),
        ({"routes": 0, "buckets": 1}, "SKIPPED", "authentication is off", None),
    ],
)
def test_a_success_needs_the_isolation_that_the_proof_found_to_be_tried(
    world: None, isolation: Any, status: str | None, detail: str, said: str | None
) -> None:
    made = build.opened(build.deployment())
    build.take_lock(made)
    found = {
        "build": BUILD, "code": {}, "config": {"sha256": "c0"}, "admin": None,
        "isolation": isolation,
    }  # fmt: skip
    of = {item["name"] for item in passed(made, OFF)} & set(ROUTE_TESTS)
    tests = [item for item in passed(made, OFF) if item["name"] not in of]
    if status is not None:
        tests += [{"name": name, "status": status, "detail": detail} for name in sorted(of)]
    claimed = good(made) | {"tests": tests}
    Progress(build.TABLE).add_facts(made, {"tests": tests, "proof": found})
    event = build.event(made, "RecordSuccess", **claimed)
    if said is None:
        assert record.handler(event, None)["status"] == "SUCCEEDED"
        return
    with pytest.raises(ProofIncomplete, match=said):
        record.handler(event, None)
    assert build.holder() == made.execution_arn


def test_the_control_plane_itself_may_skip_its_isolation_and_no_tenant_may(world: None) -> None:
    """Its API takes AWS credentials only; a worker that says so of a tenant proves nothing."""
    made = build.opened(build.deployment())
    itself = made.model_copy(update={"tenant": own_tenant("control-plane-stage-alpha")})
    reasons = proof.skip_reasons(itself, {}, None)
    assert sorted(reasons) == sorted(proof.ISOLATION)
    results = [{"name": n, "status": "SKIPPED", "detail": why} for n, why in reasons.items()]
    assert proof.test_gaps(proof.ISOLATION, results, reasons) == []
    of_tenant = proof.skip_reasons(made, {}, {"routes": 0, "buckets": 0})
    assert len(proof.test_gaps(proof.ISOLATION, results, of_tenant)) == len(proof.ISOLATION)


def test_a_proof_is_in_the_receipt(world: None) -> None:
    made = build.opened(build.deployment())
    build.take_lock(made)
    succeed(made, **good(made))
    found = build.current()["proof"]
    assert found["code"]["equal"] == ["Function"]
    assert found["isolation"] == {"routes": 2, "buckets": 1}
