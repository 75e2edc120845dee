"""The administrators' passwords: in Secrets Manager, and nowhere else.

A password that was given travels to its deployment in a secret of that deployment, which is removed
when the deployment ends. Only when the user pool took a password does it become the user's secret.
"""

import json
import secrets
import string
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import AdminFailed
from control_plane.models import Tenant
from control_plane.naming import OWNER_TAG, admin_secret, given_secret
from control_plane.services.secrets_reading import read

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.type_defs import CreateSecretRequestTypeDef

_SYMBOLS = "!#$%*+-=?@^_"


def generated_password() -> str:
    """24 random characters with one of each kind that Cognito's strictest policy asks for."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, _SYMBOLS)
    characters = [secrets.choice(kind) for kind in kinds]
    characters += [secrets.choice("".join(kinds)) for _ in range(20)]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def of_user(
    tenant: Tenant, name: str, username: str, password: str
) -> "CreateSecretRequestTypeDef":
    """What CreateSecret is given for a secret of the tenant's that holds a user's password."""
    return {
        "Name": name,
        "SecretString": _value(username, password),
        "Description": f"An administrator of {tenant.stack_name}",
        "Tags": [{"Key": OWNER_TAG, "Value": tenant.stack_name}],
    }


def carried(tenant: Tenant, deployment_id: str, secret_arn: str, username: str) -> str:
    """The password that a secret carries for `username`.

    Raises AdminFailed for a secret of another tenant or deployment, or of another user: an
    execution that is started by hand may name any ARN.
    """
    name = secret_arn.split(":secret:")[-1]
    own = given_secret(tenant, deployment_id)
    if name != own and name.rpartition("-")[0] != own:
        raise AdminFailed(f"admin_secret_arn is not the secret of deployment {deployment_id}")
    kept = read(tenant, secret_arn)
    if kept is None:
        raise AdminFailed("the secret with the password does not exist any more")
    if kept["username"] != username:
        raise AdminFailed("the secret holds another administrator's password")
    return kept["password"]


def keep(tenant: Tenant, username: str, password: str) -> None:
    """Store the password that a user of the tenant now has."""
    name, manager = admin_secret(tenant, username), aws.of_tenant(tenant).secretsmanager()
    try:
        manager.create_secret(**of_user(tenant, name, username, password))
    except ClientError as error:
        if aws.error_code(error) != "ResourceExistsException":
            raise
        manager.put_secret_value(SecretId=name, SecretString=_value(username, password))


def is_kept(tenant: Tenant, username: str) -> bool:
    """Whether the user's password is kept."""
    return read(tenant, admin_secret(tenant, username)) is not None


def _value(username: str, password: str) -> str:
    return json.dumps({"username": username, "password": password})
