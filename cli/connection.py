"""How the command reaches a control plane: AWS by the standard credentials, or the laptop's."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from cli.failure import Failed, Refused
from control_plane import aws
from control_plane.services.client import ApiError, Client, NoCredentials
from local import lifecycle, operator_user
from local.laptop import Laptop

ROOT = Path(__file__).resolve().parent.parent
"""The checkout that this command belongs to."""

LOCAL_STACK = "control-plane-dev-local"
DEFAULT_STACK = "control-plane-prod-main"
STACK_VARIABLE = "SYNDI_STACK"

_BAD_CREDENTIALS = (
    "InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken", "ExpiredTokenException",
    "SignatureDoesNotMatch", "InvalidAccessKeyId", "IncompleteSignature", "InvalidToken",
)  # fmt: skip
_SIGN_IN = "sign in again ('aws sso login'), or choose others with AWS_PROFILE"

_COMMAND = re.compile(r"'syndi (?!--local)")


def laptop() -> Laptop:
    """This checkout's laptop AWS."""
    return Laptop.at(ROOT)


def stack_name(local: bool) -> str:
    """The control plane's own stack; SYNDI_STACK names another one."""
    return os.environ.get(STACK_VARIABLE) or (LOCAL_STACK if local else DEFAULT_STACK)


def act_as_operator() -> None:
    """Make this process talk to the laptop's AWS as its operator, who may only call the API.

    Raises Refused when it does not run; another program that listens on its port is not asked.
    """
    emulator = lifecycle.status(laptop())[0]
    if not emulator.healthy:
        raise Refused(
            f"the laptop's AWS does not answer at {emulator.endpoint}: run 'syndi --local up'"
        )
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
    """The control plane's API, as the command line wants it: refusals and failures apart.

    `local`: it is the laptop's, and so are the commands that it tells to type.
    """

    url: str
    region: str
    local: bool = False

    @property
    def client(self) -> Client:
        """The client that calls it."""
        return Client(self.url, self.region)

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON. Raises Refused for a 4xx and Failed for anything else."""
        with told(self.local):
            answer = self.client.call(method, path, body, headers)
        if not self.local:
            return answer
        found: dict[str, Any] = json.loads(for_laptop(json.dumps(answer)))
        return found


def for_laptop(text: str) -> str:
    """The commands in a text, as they are typed here: without --local they would be AWS's."""
    return _COMMAND.sub("'syndi --local ", text.replace("'syndi install", "'syndi up"))


@contextmanager
def told(local: bool = False) -> Iterator[None]:
    """Say what the API answered in the command line's words."""
    try:
        yield
    except NoCredentials as error:
        raise Refused(f"{error}: configure them, or use --local") from error
    except ApiError as error:
        kind = Refused if 400 <= error.status < 500 else Failed
        message = for_laptop(str(error)) if local else str(error)
        raise kind(message, error.code, error.details) from error


def connect(local: bool) -> Api:
    """The API of the installed control plane. Raises Refused when there is none."""
    if local:
        act_as_operator()
    name = stack_name(local)
    hint = "syndi --local up" if local else "syndi install"
    try:
        stack = aws.cloudformation().describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            raise Refused(f"there is no control plane {name}: run '{hint}'") from error
        if aws.error_code(error) in _BAD_CREDENTIALS:
            raise Refused(
                f"AWS does not accept these credentials ({aws.error_code(error)}): {_SIGN_IN}"
            ) from error
        raise Failed(f"the control plane {name} cannot be found: {error}") from error
    except (NoCredentialsError, PartialCredentialsError, TokenRetrievalError) as error:
        raise Refused(f"there are no AWS credentials to use ({error}): {_SIGN_IN}") from error
    except NoRegionError as error:
        raise Refused("no AWS region is set: set AWS_REGION, or a profile's region") from error
    except (BotoCoreError, ResponseParserError, KeyError, IndexError) as error:
        # The last three: something answers there that is not AWS.
        told = "is the laptop's AWS up? run 'syndi --local up'" if local else "see AWS_ENDPOINT_URL"
        reason = " ".join(str(error).split())[:300]
        raise Refused(f"AWS cannot be reached: {type(error).__name__}: {reason}; {told}") from error
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
    if "ApiUrl" not in outputs:
        raise Refused(f"{name} is {stack['StackStatus']} and has no API: run '{hint}'")
    return Api(outputs["ApiUrl"], aws.cloudformation().meta.region_name, local)
