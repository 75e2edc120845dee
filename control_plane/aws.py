"""The one door to AWS: cached, typed clients, and how this process reaches an endpoint.

What belongs to one tenant is reached by `of_tenant`: in a session that IAM holds to that tenant.

Clients retry throttling and passing faults themselves (botocore's `adaptive` mode); a call that
still fails for such a reason is a `ServiceBusy`, which the state machine retries as a whole step.
"""

import os
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
)
from botocore.exceptions import (
    ConnectionError as AwsConnectionError,
)

from control_plane import naming, retrying
from control_plane.models import Tenant

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

# `adaptive` also slows down before it is throttled: DescribeStacks allows a few calls a second per
# account. Path-style addressing because CloudFormation's TemplateURL is path-style everywhere.
_CONFIG = Config(
    retries={"mode": "adaptive", "max_attempts": 6},
    connect_timeout=5,
    read_timeout=30,
    s3={"addressing_style": "path"},
)

_BUSY = frozenset(
    {
        "AccountLimitExceededException",
        "InternalError",
        "InternalErrorException",
        "InternalFailure",
        "InternalServerError",
        "InternalServerErrorException",
        "InternalServiceError",
        "LimitExceededException",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)

_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)

# A transaction that met another one, or a throttle, on one of its items.
_BUSY_REASONS = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)


FAILURES = (ClientError, BotoCoreError)
"""What a call of AWS raises, whatever the reason."""


@cache
def _client(service: str) -> Any:
    return _made(boto3.client, service)


def _made(make: Any, service: str) -> Any:
    # Presigned URLs of S3 would be signed with version 2 in the oldest regions, which binds an
    # upload neither to its checksum nor to its length.
    config = _CONFIG.merge(Config(signature_version="s3v4")) if service == "s3" else _CONFIG
    client: Any = make(service, config=config)
    retrying.watch(client)
    return client


def cloudformation() -> "CloudFormationClient":
    """Stacks and change sets."""
    client: CloudFormationClient = _client("cloudformation")
    return client


def cloudfront() -> Any:
    """Distributions. Untyped: there are no stubs for it here."""
    return _client("cloudfront")


def load_balancing() -> Any:
    """Load balancers. Untyped: there are no stubs for it here."""
    return _client("elbv2")


def cloudwatch() -> Any:
    """Alarms and metrics. Untyped: there are no stubs for it here."""
    return _client("cloudwatch")


def codebuild() -> "CodeBuildClient":
    """Builds."""
    client: CodeBuildClient = _client("codebuild")
    return client


def cognito() -> "CognitoIdentityProviderClient":
    """User pools."""
    client: CognitoIdentityProviderClient = _client("cognito-idp")
    return client


def dynamodb() -> "DynamoDBClient":
    """The table."""
    client: DynamoDBClient = _client("dynamodb")
    return client


def ecr() -> Any:
    """Repositories of container images. Untyped: there are no stubs for it here."""
    return _client("ecr")


def efs() -> Any:
    """File systems. Untyped: there are no stubs for it here."""
    return _client("efs")


def events() -> Any:
    """The account's event bus. Untyped: there are no stubs for it here."""
    return _client("events")


def iam() -> "IAMClient":
    """Roles."""
    client: IAMClient = _client("iam")
    return client


def kms() -> Any:
    """Keys. Untyped: there are no stubs for it here."""
    return _client("kms")


def lambda_() -> "LambdaClient":
    """Functions."""
    client: LambdaClient = _client("lambda")
    return client


def logs() -> "CloudWatchLogsClient":
    """Logs of builds and functions."""
    client: CloudWatchLogsClient = _client("logs")
    return client


def route53() -> Any:
    """Records of a hosted zone. Untyped: there are no stubs for it here."""
    return _client("route53")


def s3() -> "S3Client":
    """Sources, artifacts, configuration."""
    client: S3Client = _client("s3")
    return client


@cache
def anonymous_s3() -> "S3Client":
    """S3 as somebody without credentials uses it."""
    client: S3Client = boto3.client("s3", config=_CONFIG.merge(Config(signature_version=UNSIGNED)))
    retrying.watch(client)
    return client


def scheduler() -> "EventBridgeSchedulerClient":
    """Schedules."""
    client: EventBridgeSchedulerClient = _client("scheduler")
    return client


def secretsmanager() -> "SecretsManagerClient":
    """Administrators' passwords."""
    client: SecretsManagerClient = _client("secretsmanager")
    return client


def sns() -> Any:
    """Topics. Untyped: there are no stubs for it here."""
    return _client("sns")


def sqs() -> Any:
    """Queues. Untyped: there are no stubs for it here."""
    return _client("sqs")


def ssm() -> Any:
    """Parameters. Untyped: there are no stubs for it here."""
    return _client("ssm")


def stepfunctions() -> "SFNClient":
    """Executions."""
    client: SFNClient = _client("stepfunctions")
    return client


def sts() -> "STSClient":
    """Who this process is."""
    client: STSClient = _client("sts")
    return client


def tagging() -> Any:
    """Resources by their tags, of whatever service. Untyped: there are no stubs for it here."""
    return _client("resourcegroupstaggingapi")


class TenantClients:
    """Clients in a session of the function's tenant role, which is tagged as one tenant's.

    The role's policy (template.yaml, `…TenantRole`) compares these tags with those of a resource,
    or with its name: an address that names another tenant's is denied by AWS itself. The
    credentials are fetched at the first call, and again before they expire.
    """

    def __init__(self, role_arn: str, stack_name: str) -> None:
        session = botocore.session.get_session()
        provider = _TenantCredentials(role_arn, stack_name)
        session.register_component("credential_provider", CredentialResolver([provider]))
        self._session = boto3.Session(botocore_session=session)
        self._clients: dict[str, Any] = {}

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = _made(self._session.client, service)
        return self._clients[service]

    def cognito(self) -> "CognitoIdentityProviderClient":
        """The tenant's user pools."""
        client: CognitoIdentityProviderClient = self._client("cognito-idp")
        return client

    def lambda_(self) -> "LambdaClient":
        """The tenant's functions."""
        client: LambdaClient = self._client("lambda")
        return client

    def s3(self) -> "S3Client":
        """The tenant's buckets."""
        client: S3Client = self._client("s3")
        return client

    def secretsmanager(self) -> "SecretsManagerClient":
        """The passwords of the tenant's administrators."""
        client: SecretsManagerClient = self._client("secretsmanager")
        return client


class _TenantCredentials(CredentialProvider):
    METHOD = "tenant-role"

    def __init__(self, role_arn: str, stack_name: str) -> None:
        super().__init__()
        self._role_arn, self._stack_name = role_arn, stack_name

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(self._assumed, self.METHOD)

    def _assumed(self) -> dict[str, Any]:
        found = sts().assume_role(
            RoleArn=self._role_arn,
            RoleSessionName=self._stack_name[:64],  # in CloudTrail, for each call
            Tags=[{"Key": k, "Value": v} for k, v in naming.owner_tags(self._stack_name).items()],
        )["Credentials"]
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }


def of_tenant(tenant: Tenant) -> TenantClients:
    """Clients that reach what is this tenant's, and nothing of another one.

    Only in functions that have a tenant role (TENANT_ROLE_ARN, which their settings ask for).
    """
    return _tenant_clients(os.environ["TENANT_ROLE_ARN"], tenant.stack_name)


# A function works for one tenant at a time, for hundreds in its life: clients take megabytes.
@lru_cache(maxsize=4)
def _tenant_clients(role_arn: str, stack_name: str) -> TenantClients:
    return TenantClients(role_arn, stack_name)


def forget_clients() -> None:
    """Make the next use of a client a new one: for tests that change the environment."""
    _client.cache_clear()
    anonymous_s3.cache_clear()
    _tenant_clients.cache_clear()


def error_code(error: ClientError) -> str:
    """The code of an AWS error, such as `ThrottlingException`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_busy(error: BaseException) -> bool:
    """Whether AWS said "not now" rather than "no": such a call says nothing about its object."""
    if isinstance(error, ClientError):
        return (
            error_code(error) in _BUSY
            or is_fault(error)
            or _BUSY_REASONS.issuperset(_reasons(error) or {""})
        )
    return isinstance(error, BotoCoreError) and isinstance(
        error, AwsConnectionError | HTTPClientError
    )


def is_denied(error: ClientError) -> bool:
    """Whether the caller lacks a permission or its credentials: its own lack, not its object's."""
    return error_code(error) in _DENIED


def is_fault(error: ClientError) -> bool:
    """Whether AWS failed (a status of 500 and above): what was asked for may have been done.

    Whatever its code is: each service has names of its own for it. 501 is an answer.
    """
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status >= 500 and status != 501


def _reasons(error: ClientError) -> set[str]:
    """Why a transaction of DynamoDB was cancelled; empty for any other error."""
    reasons = error.response.get("CancellationReasons", [])
    return {reason.get("Code", "None") for reason in reasons} - {"None"}


_EXECUTE_API = re.compile(
    r"^https://(?P<api>[a-z0-9]+)\.execute-api\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/(?P<rest>.*)$"
)


def reachable(url: str) -> str:
    """The URL by which this process reaches an API Gateway endpoint.

    On AWS that is the endpoint itself. With `AWS_ENDPOINT_URL` set (the SDK's own variable: an
    emulated AWS) the endpoint's host does not resolve, and the same API answers below that URL.
    """
    emulator = os.environ.get("AWS_ENDPOINT_URL")
    match = _EXECUTE_API.match(url)
    if not emulator or not match:
        return url
    return f"{emulator.rstrip('/')}/_aws/execute-api/{match['api']}/{match['rest']}"
