"""The administrators' passwords: in Secrets Manager, and nowhere else."""

import json
import secrets
import string

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import AdminFailed
from control_plane.models import Tenant
from control_plane.naming import OWNER_TAG, admin_secret

_SYMBOLS = "!#$%*+-=?@^_"


def generated_password() -> str:
    """24 random characters with one of each kind that Cognito's strictest policy asks for."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, _SYMBOLS)
    characters = [secrets.choice(kind) for kind in kinds]
    characters += [secrets.choice("".join(kinds)) for _ in range(20)]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def keep_admin_password(tenant: Tenant, username: str, password: str) -> str:
    """Store a tenant's administrator as its secret; gives the secret's ARN."""
    name = admin_secret(tenant)
    value = json.dumps({"username": username, "password": password})
    client = aws.secretsmanager()
    try:
        return client.create_secret(
            Name=name,
            SecretString=value,
            Description=f"The administrator of {tenant.stack_name}",
            Tags=[{"Key": OWNER_TAG, "Value": tenant.stack_name}],
        )["ARN"]
    except ClientError as error:
        if aws.error_code(error) != "ResourceExistsException":
            raise
    return client.put_secret_value(SecretId=name, SecretString=value)["ARN"]


def is_kept(tenant: Tenant, username: str) -> bool:
    """Whether the tenant's secret holds that user's password."""
    try:
        answer = aws.secretsmanager().get_secret_value(SecretId=admin_secret(tenant))
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        return False
    return bool(json.loads(answer["SecretString"])["username"] == username)


def admin_password(tenant: Tenant, secret_arn: str, username: str) -> str:
    """The password that a secret holds for `username`.

    Raises AdminFailed when the secret is not this tenant's own or belongs to another user: an
    execution started by hand may name any ARN.
    """
    name = secret_arn.split(":secret:")[-1]
    if name != admin_secret(tenant) and name.rpartition("-")[0] != admin_secret(tenant):
        raise AdminFailed(f"admin_secret_arn is not the secret of {tenant.stack_name}")
    try:
        answer = aws.secretsmanager().get_secret_value(SecretId=secret_arn)
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        raise AdminFailed("the secret of the administrator does not exist any more") from error
    kept = json.loads(answer["SecretString"])
    if kept["username"] != username:
        raise AdminFailed("the secret holds another administrator's password")
    return str(kept["password"])
