"""The tenant's administrator in its user pool."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import AdminFailed
from control_plane.models import Deployment, JsonObject
from control_plane.naming import admin_secret
from control_plane.services import secrets
from control_plane.settings import AdminSettings, settings
from workers import self_check
from workers.step import Outcome, Step, run


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry."""
    if self_check.is_one(event):
        return self_check.loads(settings(AdminSettings))
    return run(event, STEPS, settings(AdminSettings).table_name)


def create_admin(deployment: Deployment, event: JsonObject) -> Outcome:
    """Create the administrator: verified e-mail, permanent password, group. Idempotent.

    A password that was given is set, also on a user who is there. Without one, a new user gets a
    generated one, kept as the tenant's secret, and an existing user keeps theirs.
    Raises AdminFailed.
    """
    table, username = deployment.manifest.admin, deployment.options.admin_username
    if table is None or username is None:
        raise AdminFailed("no administrator was asked for, or the application has none")
    pool = event["outputs"].get(table.user_pool)
    if not pool:
        raise AdminFailed(
            f"the stack has no output {table.user_pool}: is its authentication switched off?"
        )
    password = None
    if deployment.admin_secret_arn:
        password = secrets.carried(
            deployment.tenant, deployment.id, deployment.admin_secret_arn, username
        )
    try:
        existing = _create(pool, username)
        if password is None and not existing:
            password = secrets.generated_password()
        if password is not None:
            aws.cognito().admin_set_user_password(
                UserPoolId=pool, Username=username, Password=password, Permanent=True
            )
            secrets.keep(deployment.tenant, username, password)
        aws.cognito().admin_add_user_to_group(
            UserPoolId=pool, Username=username, GroupName=table.group
        )
    except ClientError as error:
        match aws.error_code(error):
            case "InvalidPasswordException":
                raise AdminFailed(
                    "the password does not meet the user pool's policy: give another one"
                ) from error
            case "InvalidParameterException" | "ResourceNotFoundException":
                message = error.response["Error"].get("Message", "")
                raise AdminFailed(f"{username} in {pool}: {message}") from error
            case _:
                raise
    kept = secrets.is_kept(deployment.tenant, username)
    admin = {
        "username": username,
        "group": table.group,
        "secret": admin_secret(deployment.tenant, username) if kept else "",
    }
    return Outcome({"admin": admin}, f"{username} {'is there' if existing else 'created'}")


def _create(pool: str, username: str) -> bool:
    """Create the user without a message to them. True when they were there, with a password."""
    attributes = [{"Name": "email", "Value": username}, {"Name": "email_verified", "Value": "true"}]
    try:
        aws.cognito().admin_create_user(
            UserPoolId=pool,
            Username=username,
            UserAttributes=attributes,  # type: ignore[arg-type]
            MessageAction="SUPPRESS",
        )
    except ClientError as error:
        if aws.error_code(error) != "UsernameExistsException":
            raise
    else:
        return False
    aws.cognito().admin_update_user_attributes(
        UserPoolId=pool,
        Username=username,
        UserAttributes=[attributes[1]],  # type: ignore[list-item]
    )
    user = aws.cognito().admin_get_user(UserPoolId=pool, Username=username)
    # Still to choose a password: an earlier attempt stopped between the two calls.
    return user.get("UserStatus") != "FORCE_CHANGE_PASSWORD"


STEPS: dict[str, Step] = {"CreateAdmin": create_admin}
