"""boto3 clients for the emulator: as root for what AWS does itself, as the project's service role
for everything a build does, so that its policy is enforced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from local.laptop import Laptop

if TYPE_CHECKING:
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts.type_defs import CredentialsTypeDef

_CONFIG = Config(
    connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 3},
    s3={"addressing_style": "path"},
)  # fmt: skip


class Root:
    """Calls that on AWS the service makes in its own name."""

    def __init__(self, laptop: Laptop) -> None:
        self._laptop = laptop
        key = laptop.credentials
        self._session = boto3.Session(
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            region_name=laptop.region,
        )

    def projects(self) -> CodeBuildClient:
        """The emulator's CodeBuild, which has the projects that CloudFormation made."""
        return self._session.client("codebuild", endpoint_url=self._laptop.endpoint, config=_CONFIG)

    def assume(self, role_arn: str, session_name: str) -> Role:
        """Raises botocore's ClientError when the role does not exist or does not trust
        CodeBuild. The credentials are good for an hour."""
        sts = self._session.client("sts", endpoint_url=self._laptop.endpoint, config=_CONFIG)
        answer = sts.assume_role(RoleArn=role_arn, RoleSessionName=session_name)
        return Role(self._laptop, answer["Credentials"])


class Role:
    """The project's service role, for the length of one build."""

    def __init__(self, laptop: Laptop, credentials: CredentialsTypeDef) -> None:
        self._laptop, self._credentials = laptop, credentials
        self._session = boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            region_name=laptop.region,
        )

    def s3(self) -> S3Client:
        return self._session.client("s3", endpoint_url=self._laptop.endpoint, config=_CONFIG)

    def logs(self) -> CloudWatchLogsClient:
        return self._session.client("logs", endpoint_url=self._laptop.endpoint, config=_CONFIG)

    def environment(self) -> dict[str, str]:
        """The variables with which a build's commands act as this role."""
        return self._laptop.aws_environment() | {
            "AWS_ACCESS_KEY_ID": self._credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self._credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": self._credentials["SessionToken"],
        }
