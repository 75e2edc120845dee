"""Users that exist for one test: created, signed in with a real JWT, and always removed."""

from types import TracebackType
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.services.secrets import generated_password

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.type_defs import AdminInitiateAuthResponseTypeDef


class SignInRefused(Exception):
    """A pool did not sign its own user in: a result of the tests, not the end of them."""


class TemporaryUser:
    """A signed-in user of a pool: `email` and `token` (an ID token). A context manager.

    The address is below `.invalid` (RFC 2606), so that no message can ever reach anybody.
    """

    def __init__(self, pool: str, client: str, deployment_id: str, group: str | None = None):
        self.email = f"syndi-test-{deployment_id}@tests.invalid"
        self.token = ""
        self._pool, self._client, self._group = pool, client, group

    def __enter__(self) -> "TemporaryUser":
        cognito, password = aws.cognito(), generated_password()
        self._remove()  # an earlier attempt of this step may have been cut off
        cognito.admin_create_user(
            UserPoolId=self._pool,
            Username=self.email,
            UserAttributes=[
                {"Name": "email", "Value": self.email},
                {"Name": "email_verified", "Value": "true"},
            ],
            MessageAction="SUPPRESS",
        )
        try:
            cognito.admin_set_user_password(
                UserPoolId=self._pool, Username=self.email, Password=password, Permanent=True
            )
            if self._group:
                cognito.admin_add_user_to_group(
                    UserPoolId=self._pool, Username=self.email, GroupName=self._group
                )
            answer = self._sign_in(password)
            if "AuthenticationResult" not in answer:
                challenge = answer.get("ChallengeName")
                raise SignInRefused(f"the pool asks for {challenge} instead of signing in")
            self.token = answer["AuthenticationResult"]["IdToken"]
        except BaseException:
            self._remove()
            raise
        return self

    def _sign_in(self, password: str) -> "AdminInitiateAuthResponseTypeDef":
        try:
            return aws.cognito().admin_initiate_auth(
                UserPoolId=self._pool,
                ClientId=self._client,
                AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": self.email, "PASSWORD": password},
            )
        except ClientError as error:
            if aws.is_busy(error):
                raise
            raise SignInRefused(f"the pool does not sign its own user in: {error}") from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        cognito = aws.cognito()
        try:
            cognito.admin_delete_user(UserPoolId=self._pool, Username=self.email)
        except cognito.exceptions.UserNotFoundException:
            return
