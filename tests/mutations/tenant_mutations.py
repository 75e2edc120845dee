"""What can be wrong with a tenant: each is one change of the healthy one, and who refuses it.

To add one: a line in the table of its kind. `change` is given the tenant before the deployment
begins, or after the step `after`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import scripted_aws as scripted
from healthy_tenant import (
    ADMIN,
    CONFIG,
    DATA,
    FUNCTION,
    RETAINED,
    URL,
    WORKER,
    Tenant,
)
from tenant_server import Answer
from worker_builders import ACCOUNT, ARTIFACTS, REGION

from control_plane import aws
from control_plane.models import JsonObject
from control_plane.services import live

VICTIM = "notes-stage-beta"
TABLE_ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"
STRANGERS_POOL = f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{REGION}_Stranger1"


@dataclass(frozen=True)
class Mutation:
    """One change, and the step that must refuse it, with words of its reason."""

    name: str
    change: Callable[[Tenant], Any]
    step: str
    reason: str
    kind: str = ""
    after: str = ""


CHANGES, TESTS, PROOF = "AwaitChangeSet", "RunTests", "ProveDeployment"


def _of(kind: str, *mutations: Mutation) -> list[Mutation]:
    return [Mutation(m.name, m.change, m.step, m.reason, kind, m.after) for m in mutations]


# Data ---------------------------------------------------------------------------------------------


def _without(name: str) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.edit(lambda resources: resources.pop(name))


def _renamed(tenant: Tenant) -> None:
    tenant.edit(lambda found: found.update(Notes=found.pop("Table")))


def _set(name: str, **given: Any) -> Callable[[Tenant], None]:
    """Attributes of a resource, such as DeletionPolicy; None removes one."""

    def change(resources: JsonObject) -> None:
        resources[name].update(given)
        for key in [key for key, value in given.items() if value is None]:
            del resources[name][key]

    return lambda tenant: tenant.edit(change)


def _replaced(name: str, how: str) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.replaced.update({name: how})


def _held(kind: str) -> Callable[[Tenant], None]:
    """What is deployed has a resource of a type that no manifest lists; the build has none."""
    return lambda tenant: tenant.already_has("Held", {"Type": kind, "Properties": {}})


def _adopts(kind: str, name: str, make: Callable[[str], Any]) -> Callable[[Tenant], None]:
    """The stack adopts what is there under a name."""

    def change(tenant: Tenant) -> None:
        make(name)
        tenant.imported["Adopted"] = name
        properties = {"BucketName" if kind.endswith("Bucket") else "TableName": name}
        tenant.edit(
            lambda found: found.update(Adopted={"Type": kind, "Properties": properties, **RETAINED})
        )

    return change


def _bucket(owner: str | None) -> Callable[[str], None]:
    def make(name: str) -> None:
        aws.s3().create_bucket(Bucket=name)
        if owner:
            tags: Any = {"TagSet": [{"Key": "syndi:stack", "Value": owner}]}
            aws.s3().put_bucket_tagging(Bucket=name, Tagging=tags)

    return make


def _table(owner: str) -> Callable[[str], None]:
    return lambda name: aws.dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        Tags=[{"Key": "syndi:stack", "Value": owner}],
    )


def _nested(tenant: Tenant) -> None:
    """A stack that is nested in the deployed one goes, and nobody can say what is in it."""
    tenant.already_has("Inner", {"Type": "AWS::CloudFormation::Stack", "Properties": {}})
    tenant.script.on(aws.cloudformation(), "ListStackResources", _with_a_table_inside(tenant))


def _with_a_table_inside(tenant: Tenant) -> Callable[[JsonObject], JsonObject]:
    inside = {
        "LogicalResourceId": "Ledger", "PhysicalResourceId": "notes-stage-alpha-ledger",
        "ResourceType": "AWS::DynamoDB::Table", "ResourceStatus": "CREATE_COMPLETE",
    }  # fmt: skip

    def answer(asked: JsonObject) -> JsonObject:
        is_inner = asked["StackName"] == tenant.physical("Inner")
        return {"StackResourceSummaries": [inside]} if is_inner else tenant._resources(asked)

    return answer


DATA_MUTATIONS = _of(
    "data",
    Mutation("table removed", _without("Table"), CHANGES, "Table .*removed"),
    Mutation("table under another logical id", _renamed, CHANGES, "Table .*removed"),
    Mutation("table replaced", _replaced("Table", "True"), CHANGES, "Table .*replaced"),
    Mutation("table perhaps replaced", _replaced("Table", "Conditional"), CHANGES, "Table .*repl"),
    Mutation("user pool replaced", _replaced("Pool", "True"), CHANGES, "Pool .*replaced"),
    Mutation("bucket removed", _without("Data"), CHANGES, "Data .*removed"),
    Mutation(
        "table without DeletionPolicy",
        _set("Table", DeletionPolicy=None), CHANGES, "Table .*lose its protection",
    ),
    Mutation(
        "bucket's DeletionPolicy weakened",
        _set("Data", DeletionPolicy="Delete"), CHANGES, "Data .*lose its protection",
    ),
    Mutation(
        "table's UpdateReplacePolicy weakened",
        _set("Table", UpdateReplacePolicy="Delete"), CHANGES, "Table .*lose its protection",
    ),
    Mutation(
        "database that no manifest lists removed",
        _held("AWS::RDS::DBInstance"), CHANGES, "Held .*removed",
    ),
    Mutation("key removed", _held("AWS::KMS::Key"), CHANGES, "Held .*removed"),
    Mutation("unknown type removed", _held("Acme::Data::Vault"), CHANGES, "Held .*Acme"),
    Mutation("custom resource removed", _held("Custom::Migration"), CHANGES, "Held .*Custom"),
    Mutation("nested stack with a table removed", _nested, CHANGES, "Inner/Ledger"),
    Mutation(
        "table became a topic",
        _set("Table", Type="AWS::SNS::Topic"), CHANGES, "Table ",
    ),
)  # fmt: skip


# Ownership ----------------------------------------------------------------------------------------


def _output(**outputs: str) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.outputs.update(outputs)


def _neighbours_pool(tenant: Tenant) -> None:
    pool, client = tenant.new_pool("beta", {"syndi:stack": VICTIM})
    tenant.outputs |= {"PoolId": pool, "ClientId": client}


def _untagged_pool(tenant: Tenant) -> None:
    pool, client = tenant.new_pool("nobody's", {})
    tenant.outputs |= {"PoolId": pool, "ClientId": client}


def _others_client(tenant: Tenant) -> None:
    tenant.outputs["ClientId"] = tenant.new_pool("beta", {"syndi:stack": VICTIM})[1]


BUCKET_OF_BETA = "notes-stage-beta-files"
OWNERSHIP_MUTATIONS = _of(
    "ownership",
    Mutation("pool of another tenant as output", _neighbours_pool, "SyncConfig", "PoolId .*beta"),
    Mutation("pool that nobody tagged as output", _untagged_pool, "SyncConfig", "PoolId .*not tag"),
    Mutation("pool that does not exist", _output(PoolId=f"{REGION}_Nowhere01"), "SyncConfig",
             "does not exist"),
    Mutation("client of another pool", _others_client, "CreateAdmin", "no client of the pool"),
    Mutation("API of another tenant as address",
             _output(Url=f"https://victim1.execute-api.{REGION}.amazonaws.com/stage"),
             "SyncConfig", "does not belong to the stack"),
    Mutation("address of a server outside",
             _output(Url="https://collector.example.com/stage"), TESTS, "has it"),
    Mutation("address with the API's host as a user name",
             _output(Url=f"https://abc123.execute-api.{REGION}.amazonaws.com@evil.example.com"),
             TESTS, "does not belong"),
    Mutation("API of another region",
             _output(Url="https://abc123.execute-api.eu-west-1.amazonaws.com/stage"),
             "SyncConfig", "does not belong"),
    Mutation("adopts another tenant's bucket",
             _adopts("AWS::S3::Bucket", "notes-files", _bucket(VICTIM)), CHANGES,
             "another tenant's"),
    Mutation("adopts another tenant's table",
             _adopts("AWS::DynamoDB::Table", "notes-ledger", _table(VICTIM)), CHANGES,
             "another tenant's"),
    Mutation("adopts a bucket that could be anybody's",
             _adopts("AWS::S3::Bucket", "notes-files", _bucket(None)), CHANGES, "has no tag"),
    Mutation("adopts a bucket of a longer name",
             _adopts("AWS::S3::Bucket", "notes-stage-alpha2", _bucket(None)), CHANGES,
             "has no tag"),
    Mutation("bucket of the configuration is another tenant's",
             lambda t: _bucket(VICTIM)(CONFIG), "UploadConfig", "another tenant's"),
    Mutation("forged owner tag",
             lambda t: t.properties("Table", Tags=[{"Key": "syndi:stack", "Value": VICTIM}]),
             CHANGES, "tag syndi:stack"),
    Mutation("forged tag in other letters",
             lambda t: t.properties("Data", Tags=[{"Key": "Syndi:Stack", "Value": VICTIM}]),
             CHANGES, "tag Syndi:Stack"),
)  # fmt: skip


# Isolation ----------------------------------------------------------------------------------------


def _may(action: Any, resource: Any, **more: Any) -> Callable[[Tenant], None]:
    """One more statement in the role of the functions."""
    statement = {"Sid": "More", "Effect": "Allow", "Action": action, "Resource": resource, **more}

    def change(resources: JsonObject) -> None:
        policies = resources["Role"]["Properties"]["Policies"]
        policies[0]["PolicyDocument"]["Statement"].append(statement)

    return lambda tenant: tenant.edit(change)


def _variable(value: Any) -> Callable[[Tenant], None]:
    def change(resources: JsonObject) -> None:
        resources["Function"]["Properties"]["Environment"]["Variables"]["OTHER"] = value

    return lambda tenant: tenant.edit(change)


def _path(path: str, method: str, operation: JsonObject) -> Callable[[Tenant], None]:
    def change(resources: JsonObject) -> None:
        resources["Api"]["Properties"]["Body"]["paths"][path] = {method: operation}

    return lambda tenant: tenant.edit(change)


def _authorizer(**given: Any) -> Callable[[Tenant], None]:
    def change(resources: JsonObject) -> None:
        users = resources["Api"]["Properties"]["Body"]["securityDefinitions"]["Users"]
        users["x-amazon-apigateway-authorizer"].update(given)

    return lambda tenant: tenant.edit(change)


def _adds(kind: str, **properties: Any) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.adds("Extra", kind, **properties)


def _policy(principal: Any, **more: Any) -> JsonObject:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject",
                 "Resource": {"Fn::Sub": "${Data.Arn}/*"}, **more}  # fmt: skip
    return {"Bucket": {"Ref": "Data"}, "PolicyDocument": {"Statement": [statement]}}


ISOLATION_MUTATIONS = _of(
    "isolation",
    Mutation("role that reads every bucket", _may("s3:GetObject", "*"), CHANGES, "reaches"),
    Mutation("role that may do everything", _may("*", "*"), CHANGES, "reaches"),
    Mutation("role that reads the application's buckets",
             _may("s3:GetObject", "arn:aws:s3:::notes-*"), CHANGES, "reaches"),
    Mutation("role that reads a neighbour's table",
             _may("dynamodb:Scan", f"{TABLE_ARN}/{VICTIM}-table"), CHANGES, "beta"),
    Mutation("role that reaches a tenant whose name begins alike",
             _may("dynamodb:Scan", f"{TABLE_ARN}/notes-stage-alpha*"), CHANGES, "reaches"),
    Mutation("role that reaches alpha-2 by a wildcard",
             _may("dynamodb:Scan", f"{TABLE_ARN}/notes-stage-alpha-*"), CHANGES, "reaches"),
    Mutation("role that reads every secret", _may("secretsmanager:GetSecretValue", "*"), CHANGES,
             "reaches"),
    Mutation("role that invokes a neighbour's function",
             _may("lambda:InvokeFunction",
                  f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{VICTIM}-backend"), CHANGES, "beta"),
    Mutation("role with NotAction", lambda t: t.edit(lambda r: r["Role"]["Properties"].update(
             Policies=[{"PolicyName": "x", "PolicyDocument": {"Statement": [
                 {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}}])), CHANGES, "Role"),
    Mutation("role with a condition that narrows nothing",
             _may("s3:GetObject", "*", Condition={"Bool": {"aws:SecureTransport": "true"}}),
             CHANGES, "reaches"),
    Mutation("role with an administrator's policy",
             lambda t: t.properties("Role",
                                    ManagedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"]),
             CHANGES, "AdministratorAccess"),
    Mutation("role that another account may assume",
             lambda t: t.properties("Role", AssumeRolePolicyDocument={"Statement": {
                 "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
                 "Action": "sts:AssumeRole"}}), CHANGES, "999999999999"),
    Mutation("neighbour's bucket in a variable", _variable(f"notes-data-stage-beta-{ACCOUNT}"),
             CHANGES, "beta"),
    Mutation("neighbour's table in a variable", _variable(f"{VICTIM}-table"), CHANGES, "beta"),
    Mutation("neighbour's secret in a variable", _variable(f"syndi/{VICTIM}/admin/a@b.c"), CHANGES,
             "beta"),
    Mutation("neighbour's function in a variable",
             _variable(f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{VICTIM}-backend"), CHANGES,
             "beta"),
    Mutation("the control plane's table in a variable",
             _variable("control-plane-prod-main-history"), CHANGES, "control-plane"),
    Mutation("another environment's bucket in a variable",
             _variable(f"notes-data-prod-alpha-{ACCOUNT}"), CHANGES, "prod-alpha"),
    Mutation("another account's queue in a variable",
             _variable("arn:aws:sqs:us-east-1:999999999999:notes"), CHANGES, "another account"),
    Mutation("pool of nobody in a variable", _variable(f"{REGION}_Stranger1"), CHANGES,
             "not tagged"),
    Mutation("layer of another account",
             lambda t: t.properties("Worker", Layers=[
                 "arn:aws:lambda:us-east-1:999999999999:layer:x:1"]), CHANGES, "another account"),
    Mutation("bucket with a public ACL",
             lambda t: t.properties("Data", AccessControl="PublicRead"), CHANGES, "everybody in"),
    Mutation("bucket as a website",
             lambda t: t.properties("Data", WebsiteConfiguration={"IndexDocument": "i"}), CHANGES,
             "is public"),
    Mutation("bucket without its public access block",
             lambda t: t.properties("Data", PublicAccessBlockConfiguration={
                 "BlockPublicAcls": False}), CHANGES, "make it public"),
    Mutation("bucket policy for everybody", _adds("AWS::S3::BucketPolicy", **_policy("*")), CHANGES,
             "lets everybody in"),
    Mutation("bucket policy for a neighbour's role",
             _adds("AWS::S3::BucketPolicy",
                   **_policy({"AWS": f"arn:aws:iam::{ACCOUNT}:role/{VICTIM}-role"})), CHANGES,
             "beta"),
    Mutation("bucket policy for a service on everybody's behalf",
             _adds("AWS::S3::BucketPolicy", **_policy({"Service": "logs.amazonaws.com"})), CHANGES,
             "lets logs.amazonaws.com in"),
    Mutation("function address without sign-in",
             _adds("AWS::Lambda::Url", TargetFunctionArn={"Ref": "Worker"}, AuthType="NONE"),
             CHANGES, "everybody may call"),
    Mutation("function that everybody may call",
             _adds("AWS::Lambda::Permission", FunctionName={"Ref": "Worker"},
                   Action="lambda:InvokeFunction", Principal="*"), CHANGES, "everybody may call"),
    Mutation("function that every bucket may call",
             _adds("AWS::Lambda::Permission", FunctionName={"Ref": "Worker"},
                   Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"), CHANGES,
             "everybody's resources"),
    Mutation("authorizer of another pool", _authorizer(providerARNs=[STRANGERS_POOL]), CHANGES,
             "trusts .*Stranger1"),
    Mutation("authorizer that trusts nobody", _authorizer(providerARNs=[]), CHANGES, "trusts nobo"),
    Mutation("route that lost its authorizer", _path("/me", "get", {}), CHANGES,
             "GET /me: has no authorizer"),
    Mutation("new route without an authorizer", _path("/all", "get", {}), CHANGES, "GET /all"),
    Mutation("route with an optional sign-in",
             _path("/me", "get", {"security": [{"Users": []}, {}]}), CHANGES, "GET /me"),
    Mutation("route with an authorizer that is not there",
             _path("/me", "get", {"security": [{"Nobody": []}]}), CHANGES, "GET /me"),
    Mutation("value that is only known afterwards",
             _may("s3:GetObject", {"Fn::ImportValue": "somebodys-bucket"}), CHANGES,
             "cannot be decided"),
    Mutation("role with another boundary",
             lambda t: t.properties("Role", PermissionsBoundary="arn:aws:iam::aws:policy/Boss"),
             CHANGES, "has the permissions boundary"),
)  # fmt: skip


# The network: strangers at the live tenant --------------------------------------------------------


def _accepts(what: str) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.api.accepts.add(what)


def _opened(route: str) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.api.open.add(route)


def _drips(tenant: Tenant) -> None:
    whole = live.within
    tenant.patch.setattr(live, "within", lambda _, action: whole(1.0, action))
    tenant.health_is(Answer(200, drips=True))


NETWORK_MUTATIONS = _of(
    "network",
    Mutation("lets in without a token", _accepts("none"), TESTS, "no-token"),
    Mutation("accepts an altered signature", _accepts("altered"), TESTS, "altered-token"),
    Mutation("accepts alg=none", _accepts("unsigned"), TESTS, "unsigned-token"),
    Mutation("accepts a token of another pool", _accepts("stranger"), TESTS, "stranger-token"),
    Mutation("one route is open that the template protects", _opened("DELETE /drafts"), TESTS,
             r"DELETE /drafts/\{id\}: expected 401, got 204"),
    Mutation("anonymous reads of a bucket", lambda t: t.public_buckets.add(DATA), TESTS,
             "anybody may"),
    Mutation("anonymous reads of the configuration", lambda t: t.public_buckets.add(CONFIG), TESTS,
             "anybody may"),
)  # fmt: skip


# Green: the health, and who answers ---------------------------------------------------------------


def _health(**changed: Any) -> Callable[[Tenant], None]:
    """The health as the code gives it, with something changed."""

    def change(tenant: Tenant) -> None:
        right = tenant.health
        tenant.api.health = lambda: Answer(200, {**right().body, **changed})

    return change


def _answers(answer: Answer) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.health_is(answer)


def _me(body: Any, status: int = 200) -> Callable[[Tenant], None]:
    return lambda tenant: setattr(tenant.api, "me", lambda _: Answer(status, body))


GREEN_MUTATIONS = _of(
    "green",
    Mutation("health degraded", _health(status="degraded"), TESTS, "status is 'degraded'|degraded"),
    Mutation("health without a status", lambda t: setattr(t.api, "health", lambda: Answer(
        200, {k: v for k, v in t.health().body.items() if k != "status"})), TESTS,
        "has no status"),
    Mutation("health is true instead of ok", _health(status=True), TESTS, "status"),
    Mutation("health of another build", _health(build="9" * 64), TESTS, "expected build"),
    Mutation("health without a build", _health(build=None), TESTS, "expected build"),
    Mutation("health answers 500", _answers(Answer(500, {})), TESTS, "expected 200, got 500"),
    Mutation("health redirects", _answers(Answer(302, {}, {"Location": f"{URL}/login"})), TESTS,
             "got 302"),
    Mutation("health is HTML", _answers(Answer(200, b"<html>ok</html>")), TESTS, "not JSON"),
    Mutation("health is a list", _answers(Answer(200, ["ok"])), TESTS, "expected build"),
    Mutation("health drips", _drips, TESTS, "did not answer in full"),
    Mutation("a signed-in user is somebody else",
             _me({"email": ADMIN, "groups": ["ADMINS"]}), TESTS, "sign-in: expected user"),
    Mutation("a signed-in user gets no answer", _me({}, 500), TESTS, "sign-in"),
    Mutation("a signed-in user has no groups",
             lambda t: setattr(t.api, "me", lambda claims: Answer(
                 200, {"email": claims.get("email"), "groups": []})), TESTS, "expected group"),
    Mutation("users are sent to another pool",
             lambda t: setattr(t.api, "runtime", lambda: Answer(200, {"pool": "us-east-1_x"})),
             TESTS, "runtime-config"),
    Mutation("no address among the outputs", lambda t: t.outputs.pop("Url"), TESTS,
             "no output Url"),
)  # fmt: skip


# Configuration ------------------------------------------------------------------------------------


def _base(**content: Any) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.files.update({"config/base.json": json.dumps(content)})


CONFIG_MUTATIONS = _of(
    "config",
    Mutation("misspelled key", _base(titel="Notes"), "PrepareDeployment", "titel"),
    Mutation("wrong type",
             lambda t: t.files.update({"config/stage-alpha.json": '{"title": 7}'}),
             "PrepareDeployment", "title"),
    Mutation("file that is no JSON", lambda t: t.files.update({"config/base.json": "{"}),
             "PrepareDeployment", "base.json"),
    Mutation("overwritten after the upload", lambda t: t.overwrite_config(), PROOF,
             "other content than was uploaded", after=TESTS),
    Mutation("removed after the upload",
             lambda t: aws.s3().delete_object(Bucket=CONFIG, Key="config.json"), PROOF,
             "no configuration in", after=TESTS),
    Mutation("overwritten before the tests", lambda t: t.overwrite_config(), TESTS,
             "expected the configuration", after="SyncConfig"),
    Mutation("code uses another configuration",
             lambda t: setattr(t, "config_in_use", "e" * 64), TESTS, "expected the configuration"),
    Mutation("code does not say which configuration",
             lambda t: setattr(t, "config_in_use", ""), TESTS, "expected the configuration"),
    Mutation("stack lacks an output that the configuration needs",
             lambda t: t.outputs.pop("PoolId"), "CreateAdmin", "no output PoolId"),
)  # fmt: skip


# Code ---------------------------------------------------------------------------------------------


def _runs(function: str, body: Callable[[Tenant], bytes]) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.running.update({function: body(tenant)})


def _same_stamp(tenant: Tenant) -> bytes:
    return b"patched " + tenant.running[FUNCTION]


def _frozen(name: str) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.frozen.add(name)


def _package_changed(tenant: Tenant) -> None:
    (key,) = [
        resource["Properties"]["Code"]["S3Key"]
        for name, resource in tenant.now["Resources"].items()
        if name == "Worker"
    ]
    aws.s3().put_object(Bucket=ARTIFACTS, Key=key, Body=b"swapped")
    tenant.running[WORKER] = b"swapped"


CODE_MUTATIONS = _of(
    "code",
    Mutation("right stamp, other code", _runs(FUNCTION, _same_stamp), PROOF, "Function: runs code",
             after="ReconcileFunction"),
    Mutation("one of two functions was not updated", _frozen(WORKER), PROOF, "Worker: runs code"),
    Mutation("the named function was not updated", _frozen(FUNCTION), "ReconcileFunction",
             "did not come to an end|Lambda|PatchFailed"),
    Mutation("alias serves an old version", _frozen("alias"), PROOF, "alias live"),
    Mutation("layer of another build", _frozen("layer"), PROOF, "Layer: the layer has other"),
    Mutation("function is gone", lambda t: t.running.pop(WORKER), PROOF, "does not exist any more",
             after="AwaitStack"),
    Mutation("package and function swapped after the build", _package_changed, PROOF,
             "Worker: runs code", after="AwaitStack"),
    Mutation("published version has other code",
             lambda t: t.versions.update({t.version: b"other"}), PROOF, "runs code",
             after="AwaitStack"),
    Mutation("stack is changed again during the tests",
             lambda t: setattr(t, "status", "UPDATE_IN_PROGRESS"), PROOF, "UPDATE_IN_PROGRESS",
             after=TESTS),
    Mutation("outputs change during the tests", lambda t: t.outputs.update(More="x"), PROOF,
             "other outputs", after=TESTS),
)  # fmt: skip


# Users --------------------------------------------------------------------------------------------


def _call(call: str, **more: Any) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.admin(call, **more)


def _disabled_before(tenant: Tenant) -> None:
    tenant.admin("admin_create_user")
    tenant.admin("admin_disable_user")


def _no_group(tenant: Tenant) -> None:
    aws.cognito().delete_group(UserPoolId=tenant.pool, GroupName="ADMINS")


def _pool_signs_nobody_in(tenant: Tenant) -> None:
    refusal = scripted.failure("InvalidParameterException", "Auth flow not enabled")

    def answer(asked: JsonObject) -> JsonObject:
        return refusal if asked["UserPoolId"] == tenant.pool else scripted.MOTO

    tenant.script.on(aws.cognito(), "AdminInitiateAuth", answer)


USER_MUTATIONS = _of(
    "users",
    Mutation("administrator was disabled before", _disabled_before, "CreateAdmin", "disabled"),
    Mutation("administrator is disabled afterwards", _call("admin_disable_user"), PROOF,
             "is disabled", after="CreateAdmin"),
    Mutation("administrator has to reset the password", _call("admin_reset_user_password"), PROOF,
             "RESET_REQUIRED", after="CreateAdmin"),
    Mutation("administrator is deleted afterwards", _call("admin_delete_user"), PROOF,
             "is not in", after="CreateAdmin"),
    Mutation("administrator left the group",
             _call("admin_remove_user_from_group", GroupName="ADMINS"), PROOF,
             "not in the group", after="CreateAdmin"),
    Mutation("administrator has another password",
             _call("admin_set_user_password", Password="Another-Horse-2", Permanent=True), PROOF,
             "cannot sign in", after="CreateAdmin"),
    Mutation("administrators' group is missing", _no_group, "CreateAdmin",
             "does not take the administrator"),
    Mutation("group is removed before the tests", _no_group, TESTS, "into the group ADMINS",
             after="CreateAdmin"),
    Mutation("pool signs nobody in", _pool_signs_nobody_in, TESTS, "sign-in"),
    Mutation("pool is gone before the tests",
             lambda t: aws.cognito().delete_user_pool(UserPoolId=t.pool), TESTS, "does not exist",
             after="CreateAdmin"),
)  # fmt: skip


MUTATIONS = [
    *DATA_MUTATIONS, *OWNERSHIP_MUTATIONS, *ISOLATION_MUTATIONS, *NETWORK_MUTATIONS,
    *GREEN_MUTATIONS, *CONFIG_MUTATIONS, *CODE_MUTATIONS, *USER_MUTATIONS,
]  # fmt: skip


# What nobody can see ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unseen:
    """One change of which no deployment can tell, and why."""

    name: str
    change: Callable[[Tenant], Any]
    why: str
    after: str = ""


def _inline(tenant: Tenant) -> None:
    def change(resources: JsonObject) -> None:
        given = resources["Worker"]["Properties"]
        del given["CodeUri"]
        given["Code"] = {"ZipFile": "pass"}

    tenant.edit(change)
    tenant.running[WORKER] = b"whatever Lambda made of it"


def _image(tenant: Tenant) -> None:
    def change(resources: JsonObject) -> None:
        given = resources["Worker"]["Properties"]
        del given["CodeUri"]
        given["Code"] = {"ImageUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/notes:latest"}

    tenant.edit(change)
    tenant.running[WORKER] = b"another image under the same tag"


def _declared(tenant: Tenant) -> None:
    manifest = tenant.files["application.toml"]
    tenant.files["application.toml"] = manifest + '"GET /all" = "a list for everybody"\n'
    _path("/all", "get", {})(tenant)


UNSEEN = [
    Unseen("function with inline code runs other code", _inline,
           "Lambda packs inline code itself, so its digest is not known; the proof says so"),
    Unseen("image under a tag is another one", _image,
           "a tag can be moved at any time; the proof says that it was not compared"),
    Unseen("authorizer accepts expired tokens", _accepts("expired"),
           "a token of the tenant's own pool is valid for at least 5 minutes: none expires within "
           "a deployment, and nobody else can sign one"),
    Unseen("route without a sign-in that the manifest declares public", _declared,
           "it is declared, with its reason, in a file that is reviewed"),
    Unseen("an old version of a function has other code", lambda t: t.versions.update({1: b"old"}),
           "no alias leads there; versions that are kept are of earlier builds by nature"),
    Unseen("a bucket that is neither in the stack nor in the manifest is public",
           lambda t: t.public_buckets.add("notes-elsewhere"),
           "nothing says that it is the tenant's"),
    Unseen("configuration overwritten after the proof", lambda t: t.overwrite_config(),
           "it happens after the deployment: drift and check find it", PROOF),
    Unseen("administrator disabled after the proof", _call("admin_disable_user"),
           "it happens after the deployment", PROOF),
]  # fmt: skip
