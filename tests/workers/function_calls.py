"""A function in Lambda under a test's control, its stack and build; the code worker's steps."""

from typing import Any

import scripted_aws as scripted
import worker_builders as build
from worker_builders import ALPHA, ARTIFACTS, TABLE

from control_plane import aws
from control_plane.models import Deployment, JsonObject
from control_plane.store.history import History
from workers import code, function_code

MANIFEST = build.MANIFEST.replace('stamp = "build.json"', 'stamp = "code/build.json"').replace(
    "[stack]\n", '[package]\ncode = "code"\ninto = "notes"\n[stack]\n'
)
TEMPLATE = "Resources: {Function: {Type: AWS::Serverless::Function, Properties: {CodeUri: code/}}}"
FILES = {
    **build.FILES,
    "application.toml": MANIFEST,
    "template.yaml": TEMPLATE,
    "code/main.py": "1",
}
BUILD = "b" * 64
NAME = "notes-stage-alpha-backend"
PACKAGE_KEY = "notes-stage-alpha/c0de"
PACKAGE = build.zipped({"notes/main.py": "1", "notes/build.json": "{}", "notes/generated": "x"})
TEMPLATE_KEY = f"notes-stage-alpha/builds/{BUILD}/template.yaml"


class Function:
    """Lambda and CloudFormation, as far as the code worker asks them."""

    def __init__(self, script: scripted.Scripted) -> None:
        self.script = script
        self.code = {"S3Bucket": ARTIFACTS, "S3Key": PACKAGE_KEY}
        self.state: JsonObject = {
            "CodeSha256": function_code.sha256(PACKAGE),
            "State": "Active",
            "LastUpdateStatus": "Successful",
        }
        script.on(aws.lambda_(), "GetFunctionConfiguration", lambda _: dict(self.state))
        script.on(aws.lambda_(), "UpdateFunctionCode", self._update)
        script.on(
            aws.cloudformation(),
            "DescribeStackResource",
            {
                "StackResourceDetail": {
                    "PhysicalResourceId": NAME,
                    "ResourceType": function_code.FUNCTION,
                }
            },
        )
        script.on(
            aws.cloudformation(),
            "GetTemplate",
            lambda _: {
                "TemplateBody": {"Resources": {"Function": {"Properties": {"Code": self.code}}}}
            },
        )
        put(PACKAGE_KEY, PACKAGE)
        packaged = f"Resources: {{Function: {{Properties: {{CodeUri: 's3://{ARTIFACTS}/"
        put(TEMPLATE_KEY, f"{packaged}{PACKAGE_KEY}'}}}}}}".encode())

    def _update(self, asked: JsonObject) -> JsonObject:
        found = aws.s3().get_object(Bucket=asked["S3Bucket"], Key=asked["S3Key"])["Body"].read()
        self.state |= {
            "CodeSha256": function_code.sha256(found),
            "State": "Pending",
            "LastUpdateStatus": "InProgress",
        }
        return dict(self.state)

    def settles(self, status: str = "Successful", **more: str) -> None:
        """The update ends."""
        self.state |= {"State": "Active", "LastUpdateStatus": status, **more}

    @property
    def updates(self) -> list[JsonObject]:
        """What Lambda was asked to update."""
        return self.script.of("UpdateFunctionCode")


def put(key: str, body: bytes) -> None:
    """An object in the artifact bucket."""
    aws.s3().put_object(Bucket=ARTIFACTS, Key=key, Body=body)


def running_build(source: str) -> JsonObject:
    """The build that the stack runs."""
    return {
        "fingerprint": BUILD,
        "source": source,
        "build_id": "syndi-build:1",
        "template_key": TEMPLATE_KEY,
        "reused": False,
    }


def deployed(source: str, **more: Any) -> Deployment:
    """`notes-stage-alpha`, deployed with success from a source."""
    made = build.opened(build.deployment(source=source))
    build.take_lock(made)
    facts = {
        "build": running_build(source),
        "running": BUILD,
        "source": source,
        "config_source": source,
        "stack": {"outputs": {"Url": "https://x"}, "parameters": {"EnableAuth": "true"}},
        "config": {"sha256": "c1", "overrides_version": 2},
        **more,
    }
    current = {**facts, "last_good": made.id, "last_status": "SUCCEEDED"}
    History(TABLE).succeed(ALPHA, made.id, made.execution_arn, facts, current, is_whole=True)
    return made


def step(made: Deployment, name: str) -> JsonObject:
    """One call of the code worker."""
    return code.handler(build.event(made, name), None)


def note(made: Deployment, name: str) -> str:
    """What the history says of a step."""
    return str(build.record(made)["steps"][name]["note"])
