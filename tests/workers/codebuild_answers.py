"""CodeBuild under a test's control, and the build worker's two steps."""

from typing import Any

import scripted_aws as scripted
import worker_builders as build
from worker_builders import ARTIFACTS, BETA

from control_plane import aws
from control_plane.models import Deployment, Tenant
from workers import build as worker

TEMPLATE = "Function: {CodeUri: s3://%s/%s/c0de}\n"


class CodeBuild:
    """CodeBuild under the test's control: every build it was asked for, and how each one goes."""

    def __init__(self, script: scripted.Scripted) -> None:
        self.started: list[dict[str, Any]] = []
        self.builds: dict[str, dict[str, Any]] = {}
        self.script = script
        self.nested = False  # whether what is built has a nested stack with a layer
        script.on(aws.codebuild(), "StartBuild", self._start)
        script.on(aws.codebuild(), "BatchGetBuilds", self._get)

    def _start(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.started.append(asked)
        made = {"id": f"syndi-build:{len(self.started)}", "buildStatus": "IN_PROGRESS"}
        self.builds[made["id"]] = made
        return {"build": made}

    def _get(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"builds": [self.builds[id_] for id_ in asked["ids"] if id_ in self.builds]}

    def can_stop(self) -> None:
        """Builds may be stopped from now on; stopping ends none by itself."""
        self.script.on(aws.codebuild(), "StopBuild", lambda asked: {"build": {"id": asked["id"]}})

    def ends(self, number: int = 1, status: str = "SUCCEEDED", **more: Any) -> None:
        """A build ends; one that succeeded has left its template and artifact."""
        found = self.builds[f"syndi-build:{number}"]
        found.update(buildStatus=status, **more)
        if status == "SUCCEEDED":
            given = self.variables(number)
            output = given["ARTIFACT_PREFIX"]
            put(f"{output}/c0de", "code")
            template = TEMPLATE % (ARTIFACTS, output)
            if self.nested:
                put(f"{output}/1a4e5", "layer")
                put(
                    f"{output}/n.template",
                    f"Layer: {{ContentUri: s3://{ARTIFACTS}/{output}/1a4e5}}\n",
                )
                template += f"Nested: {{TemplateURL: https://s3.amazonaws.com/{ARTIFACTS}/{output}/n.template}}\n"
            put(f"{output}/template.yaml", template)

    def variables(self, number: int = 1) -> dict[str, str]:
        given = self.started[number - 1]["environmentVariablesOverride"]
        return {item["name"]: item["value"] for item in given}


def put(key: str, text: str) -> None:
    aws.s3().put_object(Bucket=ARTIFACTS, Key=key, Body=text.encode())


def text(key: str) -> str:
    return aws.s3().get_object(Bucket=ARTIFACTS, Key=key)["Body"].read().decode()


def keys(prefix: str) -> list[str]:
    found = aws.s3().list_objects_v2(Bucket=ARTIFACTS, Prefix=prefix)
    return [item["Key"] for item in found.get("Contents", [])]


def another(source: str, tenant: Tenant = BETA, number: int = 2) -> Deployment:
    return build.opened(build.deployment(tenant, number, source=source))


def start(made: Deployment) -> dict[str, Any]:
    return worker.handler(build.event(made, "StartBuild"), None)


def wait(made: Deployment, started: dict[str, Any]) -> dict[str, Any]:
    given = {name: started[name] for name in ("fingerprint", "reused")}
    return worker.handler(build.event(made, "AwaitBuild", **given), None)
