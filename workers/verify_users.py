"""Users that exist for one test: created, signed in with a real JWT, and always removed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import Tenant
from control_plane.services.secrets import generated_password
from workers.live_tests import TenantRefused


class TemporaryUser:
    """A signed-in user of a pool: `email` and `token` (an ID token). A context manager.

    `tenant`: in whose session the pool is reached; IAM allows its pools, and the control plane's.

    `ours`: the pool is the control plane's, so that its failures are not the tenant's. Of any other
    pool a refusal is raised as TenantRefused. The address is below `.invalid` (RFC 2606), so that
    no message can ever reach anybody.
    """

    def __init__(
        self,
        tenant: Tenant,
        pool: str,
        client: str,
        deployment_id: str,
        group: str | None = None,
        *,
        ours: bool = False,
    ):
        self.email = f"syndi-test-{deployment_id}@tests.invalid"
        self.token = ""
        self._tenant, self._pool, self._client = tenant, pool, client
        self._group, self._ours = group, ours

    def __enter__(self) -> "TemporaryUser":
        cognito, password = aws.of_tenant(self._tenant).cognito(), generated_password()
        self._remove()  # an earlier attempt of this step may have been cut off
        # That the user is there, just after it was removed, means that the first of two attempts
        # made it and its answer was lost: the name is this deployment's alone.
        with (
            self._refusals("does not take a user"),
            suppress(cognito.exceptions.UsernameExistsException),
        ):
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
            with self._refusals("does not take its user's password"):
                cognito.admin_set_user_password(
                    UserPoolId=self._pool, Username=self.email, Password=password, Permanent=True
                )
            if self._group:
                with self._refusals(f"does not take its user into the group {self._group}"):
                    cognito.admin_add_user_to_group(
                        UserPoolId=self._pool, Username=self.email, GroupName=self._group
                    )
            self.token = self._sign_in(password)
        except BaseException:
            with suppress(TenantRefused):  # the first reason counts
                self._remove()
            raise
        return self

    def _sign_in(self, password: str) -> str:
        with self._refusals("does not sign its own user in"):
            answer = (
                aws.of_tenant(self._tenant)
                .cognito()
                .admin_initiate_auth(
                    UserPoolId=self._pool,
                    ClientId=self._client,
                    AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                    AuthParameters={"USERNAME": self.email, "PASSWORD": password},
                )
            )
        token = answer.get("AuthenticationResult", {}).get("IdToken")
        if not token:
            challenge = answer.get("ChallengeName", "something else")
            raise self._refused(f"asks for {challenge} instead of signing in")
        return token

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        cognito = aws.of_tenant(self._tenant).cognito()
        with self._refusals("does not give its test user up"):
            try:
                cognito.admin_delete_user(UserPoolId=self._pool, Username=self.email)
            except cognito.exceptions.UserNotFoundException:
                return

    @contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        """A refusal by the tenant's pool as such; throttling and our own missing permissions stay
        what they are."""
        try:
            yield
        except ClientError as error:
            if self._ours or aws.is_busy(error) or aws.is_denied(error):
                raise
            raise self._refused(f"{what}: {error}") from error

    def _refused(self, what: str) -> Exception:
        if self._ours:
            return RuntimeError(f"the control plane's own pool {self._pool} {what}")
        return TenantRefused(f"the pool {self._pool} {what}")
