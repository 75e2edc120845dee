"""Small verbs for the tests, so that a test reads like what it checks."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError

from local.laptop import Laptop
from local.processes import wait_until


class Aws:
    """A running laptop, as root."""

    def __init__(self, laptop: Laptop) -> None:
        self.laptop = laptop
        self._clients: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = client(self.laptop, service.replace("_", "-"))
        return self._clients[service]

    def role(self, name: str, service: str, *statements: dict[str, Any]) -> str:
        trust = allow("sts:AssumeRole") | {"Principal": {"Service": service}}
        del trust["Resource"]
        arn: str = self.iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(policy(trust))
        )["Role"]["Arn"]
        if statements:
            document = json.dumps(policy(*statements))
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
        return arn

    def client_of(self, user: str, service: str, *statements: dict[str, Any]) -> Any:
        """A client of a new IAM user who may do what the statements say, and nothing else."""
        self.iam.create_user(UserName=user)
        return self.client_of_existing(user, service, *statements)

    def client_of_existing(self, user: str, service: str, *statements: dict[str, Any]) -> Any:
        """The same, of an IAM user who is there."""
        document = json.dumps(policy(*statements))
        self.iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document)
        key = self.iam.create_access_key(UserName=user)["AccessKey"]
        return client(
            self.laptop, service,
            aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
        )  # fmt: skip

    def client_in(self, session: dict[str, Any], service: str) -> Any:
        """A client with the credentials that AssumeRole gave."""
        return client(
            self.laptop, service,
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )  # fmt: skip

    def function(self, name: str, code: str) -> str:
        """A function with this source, in which `handler` is the handler; its ARN."""
        role = self.role(f"{name}-role", "lambda.amazonaws.com")
        arn: str = client(self.laptop, "lambda").create_function(
            FunctionName=name, Runtime="python3.11", Handler="index.handler", Role=role,
            Timeout=10, Code={"ZipFile": zipped({"index.py": code})},
        )["FunctionArn"]  # fmt: skip
        return arn

    def execute(self, name: str, definition: dict[str, Any]) -> dict[str, Any]:
        """Run a state machine to its end; DescribeExecution's answer."""
        machine = self.machine(name, definition)
        return self.ended(
            self.stepfunctions.start_execution(stateMachineArn=machine)["executionArn"]
        )

    def machine(self, name: str, definition: dict[str, Any]) -> str:
        """A state machine with a role of its own; its ARN."""
        arn: str = self.stepfunctions.create_state_machine(
            name=name, definition=json.dumps(definition),
            roleArn=self.role(f"{name}-role", "states.amazonaws.com"),
        )["stateMachineArn"]  # fmt: skip
        return arn

    def ended(self, execution: str) -> dict[str, Any]:
        """DescribeExecution's answer, once the execution does not run any more."""

        def result() -> dict[str, Any]:
            answer: dict[str, Any] = self.stepfunctions.describe_execution(executionArn=execution)
            return answer

        assert wait_until(lambda: result()["status"] != "RUNNING", 15)
        return result()

    def create_stack(self, name: str, template: dict[str, Any], **options: Any) -> None:
        self.cloudformation.create_stack(
            StackName=name, TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_NAMED_IAM"], **options,
        )  # fmt: skip

    def update_stack(self, name: str, template: dict[str, Any]) -> None:
        self.cloudformation.update_stack(StackName=name, TemplateBody=json.dumps(template))

    def stack(self, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return answer

    def settled(self, stack_id: str) -> dict[str, Any]:
        """The stack as soon as nothing happens to it any more."""
        ended = wait_until(
            lambda: not self.stack(stack_id)["StackStatus"].endswith("_IN_PROGRESS"), 15
        )
        assert ended, self.stack(stack_id)
        return self.stack(stack_id)

    def failures(self, stack_id: str) -> list[tuple[str, str, str]]:
        """(logical id, status, reason) of the resources that failed."""
        events = self.cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
        return [
            (e["LogicalResourceId"], e["ResourceStatus"], e.get("ResourceStatusReason", ""))
            for e in events
            if e["ResourceStatus"].endswith("_FAILED") and e["PhysicalResourceId"] != e["StackId"]
        ]


# Fails where the emulator does not behave as AWS does.
Check = Callable[[Aws], None]


def client(laptop: Laptop, service: str, **key: str) -> Any:
    codebuild = service == "codebuild"
    key = key or {
        "aws_access_key_id": laptop.credentials.access_key_id,
        "aws_secret_access_key": laptop.credentials.secret_access_key,
    }
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=laptop.codebuild_endpoint if codebuild else laptop.endpoint,
        region_name=laptop.region, **key,
    )  # fmt: skip


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def allow(*actions: str, on: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def error_of(call: Any, **arguments: Any) -> tuple[str, str]:
    """(code, message) of the error that a call ends in; fails when it ends well."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("the call was accepted")
