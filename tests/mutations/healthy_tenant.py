"""A tenant that is right in everything, and the AWS around it: each mutation changes one thing.

Its deployment goes through the real workers, in the order of the state machine. moto answers for
S3, Cognito, DynamoDB and Secrets Manager; CloudFormation, CodeBuild and Lambda are doubles that do
what was asked of them: a change set is what its template differs in, and executing it brings the
code that the template names.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import config_calls
import pytest
import record_calls
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import CHANGE_SET_ID, STACK_ID, change, change_set, event, stack
from joserfc import jwk
from pool_builders import new_pool
from tenant_server import Answer, Api, TenantServer
from worker_builders import ACCOUNT, ALPHA, ARTIFACTS, REGION

from control_plane import aws
from control_plane import manifest as manifests
from control_plane.models import JsonObject
from control_plane.settings import forget_settings
from control_plane.store.history import History
from workers.function_code import sha256

ADMIN = "admin@example.com"
STACK = ALPHA.stack_name
URL = f"https://abc123.execute-api.{REGION}.amazonaws.com/stage"
DATA = f"notes-data-stage-alpha-{ACCOUNT}"
CONFIG = config_calls.BUCKET
FUNCTION, WORKER = "notes-stage-alpha-backend", "notes-stage-alpha-worker"
LAYER_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:notes-stage-alpha-layer"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}"
OLD = "notes-stage-alpha"
RETAINED = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}

MANIFEST = (
    build.MANIFEST.replace('commands = ["make generated"]\n', "")
    .replace('dependencies = "requirements.txt"\n', "")
    .replace('dependency_overrides = "overrides/{env}-{org}.txt"\n', "")
    .replace(
        'buckets = ["notes-config-{env}-{org}-{account}"]',
        'buckets = ["notes-config-{env}-{org}-{account}", "notes-data-{env}-{org}-{account}"]',
    )
    .replace('key = "config.json"', 'key = "config.json"\nschema = "schema.json"')
    .replace('fingerprint = "build"', 'fingerprint = "build"\nhealthy = ["ok"]\nconfig = "config"')
    + '[isolation.public]\n"GET /health" = "health"\n"GET /config" = "sign-in"\n'
)
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "title": {"type": "string"},
        "auth": {"type": "object"},
        "api": {"type": "object", "properties": {"url": {"type": "string"}}},
    },
}
SECURE: JsonObject = {"security": [{"Users": []}]}


def source_files() -> dict[str, str]:
    """The source, whose template is built by `template`."""
    return {
        **build.FILES,
        "application.toml": MANIFEST,
        "schema.json": json.dumps(SCHEMA),
        "template.yaml": "Resources: {}",
    }


def template(place: str) -> JsonObject:
    """The template as a build packages it; `place`: where its packages lie."""
    at = f"s3://{ARTIFACTS}/{place}"
    statement = {
        "Sid": "Own",
        "Effect": "Allow",
        "Action": ["s3:GetObject", "dynamodb:GetItem"],
        "Resource": [{"Fn::Sub": "${Data.Arn}/*"}, {"Fn::GetAtt": ["Table", "Arn"]}],
    }
    role = {
        "AssumeRolePolicyDocument": {
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        },
        "Policies": [{"PolicyName": "own", "PolicyDocument": {"Statement": [statement]}}],
    }
    authorizer = {"type": "cognito_user_pools", "providerARNs": [{"Fn::GetAtt": ["Pool", "Arn"]}]}
    body = {
        "securityDefinitions": {
            "Users": {"type": "apiKey", "x-amazon-apigateway-authorizer": authorizer}
        },
        "paths": {
            "/health": {"get": {}},
            "/config": {"get": {}},
            "/me": {"get": dict(SECURE)},
            "/drafts/{id}": {"delete": dict(SECURE)},
        },
    }
    variables = {"TABLE": {"Ref": "Table"}, "BUCKET": {"Ref": "Data"}}
    called_by = {
        "FunctionName": {"Ref": "Function"},
        "Action": "lambda:InvokeFunction",
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": {"Fn::Sub": "arn:aws:execute-api:us-east-1:123456789012:${Api}/*"},
    }
    resources: JsonObject = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        "Function": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "FunctionName": FUNCTION,
                "CodeUri": f"{at}/c0de",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Environment": {"Variables": variables},
                "Layers": [{"Ref": "Layer"}],
            },
        },
        "Worker": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "FunctionName": WORKER,
                "CodeUri": f"{at}/30bed",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            },
        },
        "Layer": {
            "Type": "AWS::Serverless::LayerVersion",
            "Properties": {"ContentUri": f"{at}/1a4e5"},
        },
        "Version": {
            "Type": "AWS::Lambda::Version",
            "Properties": {"FunctionName": {"Ref": "Function"}},
        },
        "Live": {
            "Type": "AWS::Lambda::Alias",
            "Properties": {"FunctionName": {"Ref": "Function"}, "Name": "live"},
        },
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {"TableName": "notes-stage-alpha-table"},
            **RETAINED,
        },
        "Data": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": DATA}, **RETAINED},
        "Pool": {
            "Type": "AWS::Cognito::UserPool",
            "Properties": {"UserPoolName": "notes-stage-alpha"},
            **RETAINED,
        },
        "Client": {
            "Type": "AWS::Cognito::UserPoolClient",
            "Properties": {"UserPoolId": {"Ref": "Pool"}},
        },
        "Api": {
            "Type": "AWS::ApiGateway::RestApi",
            "Properties": {"Name": "notes-stage-alpha", "Body": body},
        },
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "stage"},
        },
        "CalledByApi": {"Type": "AWS::Lambda::Permission", "Properties": called_by},
    }
    names = ("Environment", "Organization", "EnableAuth", "CreateBuckets")
    return {
        "Parameters": {name: {"Type": "String", "Default": "true"} for name in names},
        "Resources": resources,
        "Outputs": {
            "Url": {"Value": {"Fn::Sub": "https://${Api}.execute-api.us-east-1.amazonaws.com"}},
            "PoolId": {"Value": {"Ref": "Pool"}},
            "ClientId": {"Value": {"Ref": "Client"}},
        },
    }


def processed(packaged: JsonObject) -> JsonObject:
    """The same after SAM's transform, as far as these templates need it."""
    found = copy.deepcopy(packaged)
    for resource in found.get("Resources", {}).values():
        given = resource.get("Properties", {})
        for uri, code, kind in (
            ("CodeUri", "Code", "AWS::Lambda::Function"),
            ("ContentUri", "Content", "AWS::Lambda::LayerVersion"),
        ):
            if uri in given:
                bucket, _, key = given.pop(uri).removeprefix("s3://").partition("/")
                given[code] = {"S3Bucket": bucket, "S3Key": key}
                resource["Type"] = kind
    return found


class Tenant:
    """The tenant and its AWS. A mutation changes one of these before the deployment begins, or
    calls a method between two of its steps.

    `files`: the source. `packaged`: changes to the build's template. `outputs`: the stack's, after
    the change set. `replaced`, `imported`: what the change set replaces (how) and adopts (under
    which physical id). `running`: the package that each function runs. `api`: the HTTP side.
    """

    def __init__(
        self,
        script: scripted.Scripted,
        patch: pytest.MonkeyPatch,
        server: TenantServer,
        key: jwk.RSAKey,
    ) -> None:
        self.script, self.patch = script, patch
        config_calls.accept_policies(script)
        tags = {"syndi:stack": STACK}
        self.pool, self.client = self.new_pool("notes-stage-alpha", tags)
        stranger, stranger_client = self.new_pool("stranger", {})
        patch.setenv("STRANGER_POOL_ID", stranger)
        patch.setenv("STRANGER_CLIENT_ID", stranger_client)
        forget_settings()
        for bucket in (DATA,):
            aws.s3().create_bucket(Bucket=bucket)
            aws.s3().put_object(Bucket=bucket, Key="a/note", Body=b"private")
        self.outputs = {"Url": URL, "PoolId": self.pool, "ClientId": self.client}
        self.parameters = {"EnableAuth": "true", "CreateBuckets": "true"}
        self.files = source_files()
        self.edits: list[Callable[[JsonObject], None]] = []
        self.replaced: dict[str, str] = {}
        self.imported: dict[str, str] = {}
        self.public_buckets: set[str] = set()
        self.running: dict[str, bytes] = {}
        self.frozen: set[str] = set()
        self.version, self.alias = 1, 1
        self.versions: dict[int, bytes] = {}
        self.layer = b"layer"
        self.status = "UPDATE_COMPLETE"
        self.events: list[JsonObject] = [event("UPDATE_COMPLETE")]
        self.then: JsonObject | None = None
        self.builds: dict[str, JsonObject] = {}
        self.api = Api(self.pool, key, self.health, self.me, self.runtime)
        self.build_stamp: str | None = None
        self.config_in_use: str | None = None
        self._has_old_build()
        self._answers()
        server.api = self.api
        patch.setattr(
            "control_plane.aws.reachable",
            lambda url: url.replace(f"https://abc123.execute-api.{REGION}.amazonaws.com",
                                    server.address),
        )  # fmt: skip

    # What mutations do ---------------------------------------------------------------------------

    def new_pool(self, name: str, tags: dict[str, str]) -> tuple[str, str]:
        """A user pool with a client and the administrators' group; gives their ids."""
        return new_pool(name, tags)

    def edit(self, change_: Callable[[JsonObject], None]) -> None:
        """Change the template that is built; `change_` is given its resources."""
        self.edits.append(change_)

    def properties(self, name: str, **given: Any) -> None:
        """Change a resource's properties in the template that is built."""
        self.edit(lambda resources: resources[name].setdefault("Properties", {}).update(given))

    def adds(self, name: str, kind: str, **properties: Any) -> None:
        """One more resource in the template that is built."""
        self.edit(lambda found: found.update({name: {"Type": kind, "Properties": properties}}))

    def already_has(self, name: str, resource: JsonObject) -> None:
        """What is deployed has one more resource than what is built."""
        self.now["Resources"][name] = resource

    def health_is(self, answer: Answer) -> None:
        """Whatever the code says, the health path answers this."""
        self.api.health = lambda: answer

    def overwrite_config(self, body: bytes = b"{}") -> None:
        """Somebody writes another configuration into the tenant's bucket."""
        aws.s3().put_object(Bucket=CONFIG, Key="config.json", Body=body)

    def admin(self, call: str, **more: Any) -> None:
        """A call on the administrator in the pool."""
        getattr(aws.cognito(), call)(UserPoolId=self.pool, Username=ADMIN, **more)

    # The application -----------------------------------------------------------------------------

    def health(self) -> Answer:
        """What the code answers: its stamp, and the configuration that it reads."""
        stamp = self.build_stamp or self._stamp(self.running[FUNCTION])
        used = self.config_in_use
        if used is None:
            try:
                body = aws.s3().get_object(Bucket=CONFIG, Key="config.json")["Body"].read()
                used = hashlib.sha256(body).hexdigest()
            except aws.s3().exceptions.NoSuchKey:
                used = "absent"
        return Answer(200, {"build": stamp, "status": "ok", "config": used})

    def me(self, claims: dict[str, Any]) -> Answer:
        """Who the caller is, by the token."""
        groups = claims.get("cognito:groups", [])
        return Answer(200, {"email": claims.get("email"), "groups": groups})

    def runtime(self) -> Answer:
        """Where users sign in."""
        return Answer(200, {"pool": self.pool})

    @staticmethod
    def _stamp(package: bytes) -> str:
        return package.decode().rpartition(":")[2]

    # AWS -----------------------------------------------------------------------------------------

    def _has_old_build(self) -> None:
        for name, body in packages("0" * 64).items():
            aws.s3().put_object(Bucket=ARTIFACTS, Key=f"{OLD}/old-{name}", Body=body)
        before = template(OLD)
        for name, uri in (("Function", "c0de"), ("Worker", "30bed")):
            before["Resources"][name]["Properties"]["CodeUri"] = f"s3://{ARTIFACTS}/{OLD}/old-{uri}"
        before["Resources"]["Layer"]["Properties"]["ContentUri"] = (
            f"s3://{ARTIFACTS}/{OLD}/old-1a4e5"
        )
        self.now = processed(before)
        self._bring(self.now)

    def _bring(self, wanted: JsonObject) -> None:
        """What CloudFormation does with the code of a template."""
        for resource in wanted["Resources"].values():
            given = resource.get("Properties", {})
            code = given.get("Code") or given.get("Content")
            if not isinstance(code, dict) or "S3Key" not in code:
                continue
            body = aws.s3().get_object(Bucket=code["S3Bucket"], Key=code["S3Key"])["Body"].read()
            if resource["Type"] == "AWS::Lambda::LayerVersion":
                if "layer" not in self.frozen:
                    self.layer = body
            elif given.get("FunctionName") not in self.frozen:
                self.running[given["FunctionName"]] = body
        self.version += 1
        self.versions[self.version] = self.running[FUNCTION]
        if "alias" not in self.frozen:
            self.alias = self.version

    def physical(self, name: str) -> str:
        """The physical id of a resource."""
        known = {
            "Function": FUNCTION, "Worker": WORKER, "Data": DATA, "Pool": self.pool,
            "Client": self.client, "Api": "abc123", "Stage": "stage",
            "Table": "notes-stage-alpha-table", "Layer": f"{LAYER_ARN}:2",
            "Version": f"{FUNCTION_ARN}:{self.version}", "Live": f"{FUNCTION_ARN}:live",
        }  # fmt: skip
        return known.get(name, f"id-of-{name}")

    def _answers(self) -> None:
        cloud, functions, codebuild = aws.cloudformation(), aws.lambda_(), aws.codebuild()
        for operation, answer in {
            "DescribeStacks": self._stack,
            "DescribeStackEvents": lambda _: {"StackEvents": list(self.events)},
            "DescribeStackResource": lambda asked: {
                "StackResourceDetail": {
                    "PhysicalResourceId": self.physical(asked["LogicalResourceId"]),
                    "ResourceType": "AWS::Lambda::Function",
                }
            },
            "DescribeStackResources": {"StackResources": []},
            "ListStackResources": self._resources,
            "GetTemplate": self._template,
            "CreateChangeSet": self._create,
            "DescribeChangeSet": self._describe,
            "ExecuteChangeSet": self._execute,
            "DeleteChangeSet": {},
            "DescribeEvents": {"OperationEvents": []},
            "UpdateTerminationProtection": {"StackId": STACK_ID},
        }.items():
            self.script.on(cloud, operation, answer)
        self.script.on(functions, "GetFunctionConfiguration", self._function)
        self.script.on(functions, "UpdateFunctionCode", self._update)
        self.script.on(
            functions, "GetAlias", lambda _: {"FunctionVersion": str(self.alias), "Name": "live"}
        )
        self.script.on(
            functions,
            "GetLayerVersion",
            lambda _: {"Content": {"CodeSha256": sha256(self.layer)}},
        )
        self.script.on(codebuild, "StartBuild", self._build)
        self.script.on(
            codebuild,
            "BatchGetBuilds",
            lambda asked: {"builds": [self.builds[id_] for id_ in asked["ids"]]},
        )
        self.script.on(aws.events(), "PutEvents", {"FailedEntryCount": 0, "Entries": []})

        def nobody(asked: JsonObject) -> JsonObject:
            public = asked["Bucket"] in self.public_buckets
            return {} if public else scripted.failure("AccessDenied")

        for operation in ("ListObjectsV2", "GetObject"):
            self.script.on(aws.anonymous_s3(), operation, nobody)

    def _build(self, asked: JsonObject) -> JsonObject:
        """A build that ends at once, and leaves what it made."""
        given = {item["name"]: item["value"] for item in asked["environmentVariablesOverride"]}
        output = given["ARTIFACT_PREFIX"]
        for name, body in packages(given["FINGERPRINT"]).items():
            aws.s3().put_object(Bucket=ARTIFACTS, Key=f"{output}/{name}", Body=body)
        made = template(output)
        for edit in self.edits:
            edit(made["Resources"])
        body = json.dumps(made).encode()
        aws.s3().put_object(Bucket=ARTIFACTS, Key=f"{output}/template.yaml", Body=body)
        found = {"id": f"syndi-build:{len(self.builds)}", "buildStatus": "SUCCEEDED"}
        self.builds[found["id"]] = found
        return {"build": found}

    def _stack(self, asked: JsonObject) -> JsonObject:
        if asked["StackName"] not in (STACK, STACK_ID):
            return scripted.failure(
                "ValidationError", f"Stack with id {asked['StackName']} does not exist"
            )
        return stack(
            self.status,
            Outputs=[{"OutputKey": k, "OutputValue": v} for k, v in self.outputs.items()],
            Parameters=[
                {"ParameterKey": k, "ParameterValue": v} for k, v in self.parameters.items()
            ],
            Tags=[{"Key": "syndi:stack", "Value": STACK}],
        )

    def _resources(self, asked: JsonObject) -> JsonObject:
        if asked["StackName"] not in (STACK, STACK_ID):
            return {"StackResourceSummaries": []}
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": self.physical(name),
                    "ResourceType": resource["Type"],
                    "ResourceStatus": "UPDATE_COMPLETE",
                }
                for name, resource in self.now["Resources"].items()
            ]
        }

    def _template(self, asked: JsonObject) -> JsonObject:
        found = self.then if asked.get("ChangeSetName") else self.now
        return {"TemplateBody": copy.deepcopy(found)}

    def _create(self, asked: JsonObject) -> JsonObject:
        key = asked["TemplateURL"].partition(f"{ARTIFACTS}/")[2]
        body = aws.s3().get_object(Bucket=ARTIFACTS, Key=key)["Body"].read()
        self.then = processed(json.loads(body))
        self.script.on(aws.cloudformation(), "DescribeChangeSet", self._describe)
        return {"Id": CHANGE_SET_ID, "StackId": STACK_ID}

    def _changes(self) -> Iterator[JsonObject]:
        assert self.then is not None
        now, then = self.now["Resources"], self.then["Resources"]
        for name in sorted(now.keys() | then.keys()):
            if name not in then:
                kept = now[name].get("DeletionPolicy", "Delete")
                action = "Retain" if kept.startswith("Retain") else "Delete"
                yield change("Remove", name, now[name]["Type"], "False", self.physical(name),
                             PolicyAction=action)  # fmt: skip
            elif name in self.imported:
                yield change("Import", name, then[name]["Type"], "False", self.imported[name])
            elif name not in now:
                yield change("Add", name, then[name]["Type"])
            elif now[name] != then[name] or name in self.replaced:
                how = self.replaced.get(name, "False")
                yield change("Modify", name, then[name]["Type"], how, self.physical(name))

    def _describe(self, asked: JsonObject) -> JsonObject:
        if self.then is None:
            return scripted.failure("ChangeSetNotFound", "ChangeSet does not exist")
        found = list(self._changes())
        given = [{"ParameterKey": k, "ParameterValue": v} for k, v in self.parameters.items()]
        return {
            **change_set("CREATE_COMPLETE", changes=found),
            "ExecutionStatus": "AVAILABLE",
            "Parameters": given,
        }

    def _execute(self, asked: JsonObject) -> JsonObject:
        assert self.then is not None
        self.now, self.then = self.then, None
        self._bring(self.now)
        token = asked["ClientRequestToken"]
        self.events.insert(0, event("UPDATE_IN_PROGRESS", token=token))
        self.events.insert(0, event("UPDATE_COMPLETE", token=token))
        return {}

    def _function(self, asked: JsonObject) -> JsonObject:
        found: bytes | None = self.running.get(asked["FunctionName"])
        if asked.get("Qualifier"):
            found = self.versions.get(int(asked["Qualifier"]))
        if found is None:
            return scripted.failure("ResourceNotFoundException")
        return {
            "CodeSha256": sha256(found), "State": "Active", "LastUpdateStatus": "Successful",
        }  # fmt: skip

    def _update(self, asked: JsonObject) -> JsonObject:
        body = aws.s3().get_object(Bucket=asked["S3Bucket"], Key=asked["S3Key"])["Body"].read()
        if asked["FunctionName"] not in self.frozen:
            self.running[asked["FunctionName"]] = body
        return self._function({"FunctionName": asked["FunctionName"]})

    # The deployment ------------------------------------------------------------------------------

    def push(self) -> None:
        """Push the source, of which an older deployment is deployed."""
        before = build.push_source({**source_files(), "old": "1"})
        made = build.opened(build.deployment(source=before, number=0))
        build.take_lock(made)
        facts = {
            "source": before,
            "config_source": before,
            "build": {"fingerprint": "0" * 64, "source": before},
            "running": "0" * 64,
            "stack": {"outputs": {}, "parameters": dict(self.parameters)},
        }
        current = {**facts, "last_good": made.id, "last_status": "SUCCEEDED"}
        arn = made.execution_arn
        History(build.TABLE).succeed(ALPHA, made.id, arn, facts, current, is_whole=True)
        manifests.parse(self.files["application.toml"])
        build.push_source(self.files)

    def begin(self) -> JsonObject:
        """The execution's input, as it reaches PrepareDeployment."""
        given = {"env": "stage", "org": "alpha", "admin_username": ADMIN}
        return {"step": "PrepareDeployment", "execution": record_calls.execution(given)}


def packages(stamp: str) -> dict[str, bytes]:
    """What a build packages: two functions, the first with the stamp, and a layer."""
    return {
        "c0de": f"backend:{stamp}".encode(),
        "30bed": f"worker of {stamp[:8]}".encode(),
        "1a4e5": f"layer of {stamp[:8]}".encode(),
    }
