"""The administrators' passwords, as far as they are kept: the part that only reads them."""

import json

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import Tenant
from control_plane.naming import admin_secret


def kept(tenant: Tenant, username: str) -> str | None:
    """The user's password as it is kept, or None."""
    found = read(tenant, admin_secret(tenant, username))
    return found["password"] if found and found["username"] == username else None


def read(tenant: Tenant, secret_id: str) -> dict[str, str] | None:
    """The user name and the password in a secret of the tenant; None when there is none."""
    try:
        answer = aws.of_tenant(tenant).secretsmanager().get_secret_value(SecretId=secret_id)
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        return None
    kept: dict[str, str] = json.loads(answer["SecretString"])
    return kept
