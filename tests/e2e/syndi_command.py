"""The command line as a user has it: a process, its exit code, and its JSON."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
import command_process

from control_plane.models import DeploymentStatus

T = TypeVar("T")
ADMIN = "admin@example.com"
ALPHA_PASSWORD = "Only-for-alpha-7319!"
ROOT = command_process.ROOT


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it printed for programs."""
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Syndi:
    """The command, for one laptop's AWS. `state` is its directory."""

    variables: dict[str, str]
    state: Path

    def run(self, *arguments: str, password: str | None = None) -> Result:
        """Run a command, with nothing of this process's AWS settings."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environment |= self.variables
        if password:
            environment["ADMIN_PASSWORD"] = password
        return Result(*command_process.run(arguments, environment, seconds=600))

    def ok(self, *arguments: str) -> Result:
        """Run a command that must succeed."""
        result = self.run(*arguments)
        assert result.exit_code == 0, f"{arguments}: {result.stdout}\n{result.stderr}"
        return result

    def attempt(self, env: str, org: str, *options: str, password: str | None = None) -> Result:
        """Run a deployment to its end, however it ends."""
        return self.run("--local", "deploy", env, org, *options, "--json", password=password)

    def deploy(
        self, env: str, org: str, *options: str, password: str | None = None
    ) -> dict[str, Any]:
        """A deployment that must succeed; gives its record."""
        result = self.attempt(env, org, *options, password=password)
        assert result.exit_code == 0, f"{result.stdout}\n{result.stderr}"
        record: dict[str, Any] = result.json
        assert record["status"] == "SUCCEEDED", record
        return record

    def fail(self, env: str, org: str, *options: str) -> dict[str, Any]:
        """A deployment that must be tried and fail, its execution too; gives its record."""
        result = self.attempt(env, org, *options)
        assert result.exit_code == 1, f"{result.stdout}\n{result.stderr}"
        record: dict[str, Any] = result.json
        assert record["status"] == "FAILED", record
        assert self.ended_execution(record["execution_arn"])["status"] == "FAILED"
        assert "\n" not in record["reason"]
        assert self.lock(env, org, record["application"]) is None
        return record

    def history(self, env: str, org: str, *options: str) -> list[dict[str, Any]]:
        """A tenant's deployments, newest first."""
        found: list[dict[str, Any]] = self.ok(
            "--local", "history", env, org, *options, "--json"
        ).json
        return found

    def show(self, id_: str) -> dict[str, Any]:
        """A deployment's record, as it is now."""
        record: dict[str, Any] = self.ok("--local", "show", id_, "--json").json
        return record

    def ended(self, id_: str, seconds: float = 90) -> dict[str, Any]:
        """A deployment's record, once it has ended, in whatever way."""

        def end() -> dict[str, Any] | None:
            record = self.show(id_)
            return record if DeploymentStatus(record["status"]).is_final else None

        try:
            return eventually(end, seconds, f"the end of {id_}")
        except AssertionError as error:  # what it was doing says more than how long it took
            raise AssertionError(f"{error}: {self.show(id_)}") from None

    def ended_execution(self, arn: str, seconds: float = 60) -> dict[str, Any]:
        """An execution, once it has ended: its record says so a moment before."""

        def end() -> dict[str, Any] | None:
            found: dict[str, Any] = states.describe_execution(executionArn=arn)
            return found if found["status"] != "RUNNING" else None

        states = self.client("stepfunctions")
        return eventually(end, seconds, f"the end of {arn}")

    def lock(self, env: str, org: str, application: str = "rawscribe") -> Any:
        """The item that holds a tenant, or None."""
        key = {"PK": {"S": f"TENANT#{application}#{env}#{org}"}, "SK": {"S": "LOCK"}}
        return self.client("dynamodb").get_item(TableName=self.outputs()["TableName"], Key=key).get(
            "Item"
        )  # fmt: skip

    def outputs(self) -> dict[str, str]:
        """The outputs of the control plane's own stack."""
        return self.stack("control-plane-dev-local")["outputs"]

    def stack(self, name: str) -> dict[str, Any]:
        """A stack's status, outputs and resources (logical id to physical id)."""
        client = self.client("cloudformation")
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
        resources = client.describe_stack_resources(StackName=name)["StackResources"]
        return {
            "status": stack["StackStatus"],
            "outputs": {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])},
            "parameters": {
                p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])
            },
            "resources": {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources},
        }

    def client(self, service: str, operator: bool = False) -> Any:
        """A boto3 client for this laptop's AWS: as root to look, or as the operator to work."""
        key = {"access_key_id": "test", "secret_access_key": "test"}
        if operator:
            key = json.loads((self.state / "operator.json").read_text())
        port = self.variables[
            "SYNDI_LOCAL_CODEBUILD_PORT" if service == "codebuild" else "SYNDI_LOCAL_PORT"
        ]
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id=key["access_key_id"],
            aws_secret_access_key=key["secret_access_key"],
        )


def eventually(ask: Callable[[], T | None], seconds: float, what: str) -> T:
    """The first answer that is not empty. Fails when there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.5)  # between two questions, not instead of one
    raise AssertionError(f"not within {seconds:.0f} s: {what}")
