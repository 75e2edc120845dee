"""The IAM user as whom a person works on the laptop's AWS.

Root may do everything, so with root nobody would notice a policy that lacks something. The operator
has exactly the policy that is given here, and the emulator enforces it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.errors import OperatorFailed
from local.laptop import AccessKey, Laptop

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

USER_NAME = "syndi-operator"
_POLICY_NAME = "syndi-operator"


def key_file(laptop: Laptop) -> Path:
    """Where the operator's access key is stored, readable by its owner only."""
    return laptop.state_dir / "operator.json"


def ensure_operator(laptop: Laptop, policy: Mapping[str, Any]) -> AccessKey:
    """Create the operator or bring it up to date; running it again changes nothing.

    `policy` is a policy document; it replaces what the user had. Returns the access key, the stored
    one as long as the emulator knows it. Raises OperatorFailed.
    """
    iam = boto3.client("iam", endpoint_url=laptop.endpoint, region_name=laptop.region,
                       aws_access_key_id=laptop.credentials.access_key_id,
                       aws_secret_access_key=laptop.credentials.secret_access_key)  # fmt: skip
    try:
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_user(UserName=USER_NAME)
        iam.put_user_policy(
            UserName=USER_NAME, PolicyName=_POLICY_NAME, PolicyDocument=json.dumps(policy)
        )
        return _valid_key(iam, laptop) or _new_key(iam, laptop)
    except (ClientError, BotoCoreError, OSError) as error:
        raise OperatorFailed(f"The user {USER_NAME} could not be set up: {error}") from error


def stored_key(laptop: Laptop) -> AccessKey | None:
    """The operator's access key from its file; None when there is none yet, or it is damaged."""
    try:
        data = json.loads(key_file(laptop).read_text())
        return AccessKey(str(data["access_key_id"]), str(data["secret_access_key"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _known_keys(iam: IAMClient) -> list[str]:
    listed = iam.list_access_keys(UserName=USER_NAME)["AccessKeyMetadata"]
    return [item["AccessKeyId"] for item in listed]


def _valid_key(iam: IAMClient, laptop: Laptop) -> AccessKey | None:
    key = stored_key(laptop)
    return key if key and key.access_key_id in _known_keys(iam) else None


def _new_key(iam: IAMClient, laptop: Laptop) -> AccessKey:
    for lost in _known_keys(iam):  # nobody has their secret any more, and two are the limit
        iam.delete_access_key(UserName=USER_NAME, AccessKeyId=lost)
    created = iam.create_access_key(UserName=USER_NAME)["AccessKey"]
    key = AccessKey(created["AccessKeyId"], created["SecretAccessKey"])
    path = key_file(laptop)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    # Created with its final mode: no moment at which others could read it.
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(
            {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key}, file
        )
    temporary.replace(path)
    return key
