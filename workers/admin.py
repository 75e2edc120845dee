"""The tenant's administrator in its user pool."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import AdminFailed, TestsFailed
from control_plane.models import Deployment, JsonObject
from control_plane.naming import admin_secret
from control_plane.rules.proof import cannot_sign_in
from control_plane.services import ownership, secrets
from control_plane.settings import AdminSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from workers import self_check
from workers.step import Outcome, Step, run

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.type_defs import AdminGetUserResponseTypeDef


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry."""
    if self_check.is_one(event):
        return self_check.loads(settings(AdminSettings))
    return run(event, STEPS, settings(AdminSettings).table_name)


def create_admin(deployment: Deployment, event: JsonObject) -> Outcome:
    """Create the administrator: verified e-mail, permanent password, group. Idempotent.

    A password that was given is set, also on a user who is there. Without one, a new user gets a
    generated one, kept as the tenant's secret, and an existing user who has a password keeps it.
    Raises OutputRefused for a pool that is not the tenant's, TestsFailed for one that refuses, and
    AdminFailed for a user or a password that do not do.
    """
    table, username = deployment.manifest.admin, deployment.options.admin_username
    if table is None or username is None:
        raise AdminFailed("no administrator was asked for, or the application has none")
    tenant, pool = deployment.tenant, event["outputs"].get(table.user_pool)
    if not pool:
        raise AdminFailed(
            f"the stack has no output {table.user_pool}: is its authentication switched off?"
        )
    owned = ownership.resources(tenant.stack_name)
    ownership.check_pool(tenant, table, event["outputs"], owned)
    password = None
    if deployment.admin_secret_arn:
        password = secrets.carried(tenant, deployment.id, deployment.admin_secret_arn, username)
    cognito = aws.of_tenant(tenant).cognito()
    try:
        existing = _create(deployment, pool, username)
        if password is None and not _has_password(existing, username):
            password = secrets.generated_password()
        if password is not None:
            cognito.admin_set_user_password(
                UserPoolId=pool, Username=username, Password=password, Permanent=True
            )
            secrets.keep(tenant, username, password)
        user = cognito.admin_get_user(UserPoolId=pool, Username=username)
        if refusal := cannot_sign_in(user["Enabled"], user["UserStatus"]):
            raise AdminFailed(f"{username} {refusal}")
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=username, GroupName=table.group)
    except ClientError as error:
        if aws.is_busy(error) or aws.is_denied(error):
            raise
        if aws.error_code(error) == "InvalidPasswordException":
            raise AdminFailed(
                "the password does not meet the user pool's policy: give another one"
            ) from error
        message = error.response["Error"].get("Message", "")
        raise TestsFailed(
            f"the pool {pool} does not take the administrator {username}: {message or error}"
        ) from error
    kept = secrets.is_kept(tenant, username)
    admin = {
        "username": username,
        "group": table.group,
        "secret": admin_secret(tenant, username) if kept else "",
        # Whether this deployment knows the password, so that a sign-in can be tried.
        "password_set": password is not None,
    }
    return Outcome({"admin": admin}, f"{username} {'is there' if existing else 'created'}")


def _create(
    deployment: Deployment, pool: str, username: str
) -> "AdminGetUserResponseTypeDef | None":
    """Create the user without a message to them; the user as they were when they were there.

    That this deployment creates them is recorded first: an attempt whose answer is lost, or whose
    worker dies before the password is kept, leaves a user whom the next one takes for its own.
    Raises AdminFailed for one who was disabled: somebody did that on purpose.
    """
    table = settings(AdminSettings).table_name
    ours = {"pool": pool, "username": username}
    attributes = [{"Name": "email", "Value": username}, {"Name": "email_verified", "Value": "true"}]
    cognito = aws.of_tenant(deployment.tenant).cognito()
    user = _found(deployment, pool, username)
    if user is None:
        Progress(table).add_facts(deployment, {"creating_admin": ours})
        # There, although they were not a moment ago: made by the first of two attempts.
        with suppress(cognito.exceptions.UsernameExistsException):
            cognito.admin_create_user(
                UserPoolId=pool,
                Username=username,
                UserAttributes=attributes,  # type: ignore[arg-type]
                MessageAction="SUPPRESS",
            )
        return None
    if not user["Enabled"]:
        raise AdminFailed(f"{username} {cannot_sign_in(enabled=False, status='')}")
    cognito.admin_update_user_attributes(
        UserPoolId=pool,
        Username=username,
        UserAttributes=[attributes[1]],  # type: ignore[list-item]
    )
    record = Listing(table).get(deployment.tenant, deployment.id) or {}
    prefix = "rollback_" if deployment.rolling_back else ""
    return None if record.get(f"{prefix}creating_admin") == ours else user


def _found(
    deployment: Deployment, pool: str, username: str
) -> "AdminGetUserResponseTypeDef | None":
    cognito = aws.of_tenant(deployment.tenant).cognito()
    try:
        return cognito.admin_get_user(UserPoolId=pool, Username=username)
    except cognito.exceptions.UserNotFoundException:
        return None


def _has_password(user: "AdminGetUserResponseTypeDef | None", username: str) -> bool:
    """Whether a user has a password of their own that is kept. Raises AdminFailed.

    FORCE_CHANGE_PASSWORD: an earlier attempt stopped between two calls. UNCONFIRMED: anybody may
    have signed up with that address and a password of theirs, which must not become an
    administrator's.
    """
    if user is None or user["UserStatus"] in ("FORCE_CHANGE_PASSWORD", "UNCONFIRMED"):
        return False
    if refusal := cannot_sign_in(user["Enabled"], user["UserStatus"]):
        raise AdminFailed(f"{username} {refusal}")
    return True


STEPS: dict[str, Step] = {"CreateAdmin": create_admin}
