"""How the command reaches a control plane: AWS by the standard credentials, or the laptop's."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError

from cli.failure import Failed, Refused
from control_plane import aws
from local import operator_user
from local.laptop import Laptop

ROOT = Path(__file__).resolve().parent.parent
"""The checkout that this command belongs to."""

LOCAL_STACK = "control-plane-dev-local"
DEFAULT_STACK = "control-plane-prod-main"
STACK_VARIABLE = "SYNDI_STACK"


def laptop() -> Laptop:
    """This checkout's laptop AWS."""
    return Laptop.at(ROOT)


def stack_name(local: bool) -> str:
    """The control plane's own stack; SYNDI_STACK names another one."""
    return os.environ.get(STACK_VARIABLE) or (LOCAL_STACK if local else DEFAULT_STACK)


def act_as_operator() -> None:
    """Make this process talk to the laptop's AWS as its operator, who may only call the API."""
    key = operator_user.stored_key(laptop())
    if key is None:
        raise Refused("the laptop's control plane is not installed: run 'syndi --local up'")
    os.environ.update(laptop().aws_environment(key))
    aws.forget_clients()


def act_as_root() -> None:
    """Make this process talk to the laptop's AWS as root, to install the control plane."""
    os.environ.update(laptop().aws_environment())
    aws.forget_clients()


@dataclass(frozen=True)
class Api:
    """The control plane's API, called with Signature Version 4."""

    url: str
    region: str

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON. Raises Refused for a 4xx and Failed for anything else."""
        url = aws.reachable(self.url) + path
        data = json.dumps(body).encode() if body is not None else None
        request = AWSRequest(method, url, data=data, headers=dict(headers or {}))
        if data is not None:
            request.headers["Content-Type"] = "application/json"
        credentials = boto3.Session().get_credentials()
        if credentials is None:
            raise Refused("there are no AWS credentials: configure them, or use --local")
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", self.region).add_auth(
            request
        )
        try:
            answer = urllib3.request(
                method, url, body=data, headers=dict(request.headers), timeout=35.0, retries=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise Failed(f"the control plane does not answer at {url}: {error}") from error
        try:
            content = json.loads(answer.data)
        except ValueError as error:
            raise Failed(f"{method} {path} answered {answer.status} without JSON") from error
        if answer.status < 400:
            return dict(content)
        raise _refusal(answer.status, method, path, content)


def _refusal(status: int, method: str, path: str, content: dict[str, Any]) -> Exception:
    told = content.get("error")
    if not isinstance(told, dict):  # API Gateway itself, such as a missing permission
        message = content.get("message") or content.get("Message") or "no reason"
        return Refused(f"{method} {path} was refused with {status}: {message}", "Forbidden")
    kind = Refused if status < 500 else Failed
    return kind(told["message"], told["code"], told.get("details", []))


def connect(local: bool) -> Api:
    """The API of the installed control plane. Raises Refused when there is none."""
    if local:
        act_as_operator()
    name = stack_name(local)
    hint = "syndi --local up" if local else "syndi install"
    try:
        stacks = aws.cloudformation().describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            raise Refused(f"there is no control plane {name}: run '{hint}'") from error
        raise Failed(f"the control plane {name} cannot be found: {error}") from error
    except BotoCoreError as error:
        told = "is the laptop's AWS up? run 'syndi --local up'" if local else "see AWS credentials"
        raise Refused(f"AWS cannot be reached: {error}; {told}") from error
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stacks[0].get("Outputs", [])}
    if "ApiUrl" not in outputs:
        raise Refused(f"{name} is {stacks[0]['StackStatus']} and has no API: run '{hint}'")
    return Api(outputs["ApiUrl"], aws.cloudformation().meta.region_name)
