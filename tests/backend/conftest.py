"""A tenant of rawscribe on moto's S3, called the way API Gateway calls it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from mangum import Mangum
from moto import mock_aws
from rawscribe.main import create_app
from rawscribe.services import Services

POOL = "us-east-1_Alpha0001"
CLIENT = "client-of-alpha"
ISSUER = f"https://cognito-idp.us-east-1.amazonaws.com/{POOL}"
BUCKETS = {
    "CONFIG_S3_BUCKET": "rawscribe-lambda-stage-alpha-123456789012",
    "FORMS_BUCKET": "rawscribe-forms-stage-alpha-123456789012",
    "ELN_BUCKET": "rawscribe-eln-stage-alpha-123456789012",
    "DRAFTS_BUCKET": "rawscribe-eln-drafts-stage-alpha-123456789012",
}
ENVIRON = {
    "ENV": "stage",
    "ORG": "alpha",
    "CONFIG_S3_KEY": "config.json",
    "AUTH_ENABLED": "true",
    "COGNITO_REGION": "us-east-1",
    "COGNITO_USER_POOL_ID": POOL,
    "COGNITO_CLIENT_ID": CLIENT,
    "ALLOWED_ORIGIN": "https://frontend.example",
    **BUCKETS,
}


@dataclass
class Answer:
    """What the function answered."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.body["error"]["code"])


def claims(*groups: str, sub: str = "5ub-of-somebody", **changes: Any) -> dict[str, Any]:
    """What the authorizer passes on for a user of alpha's pool in `groups`."""
    found = {
        "sub": sub,
        "email": f"{sub}@example.com",
        "token_use": "id",
        "iss": ISSUER,
        "aud": CLIENT,
        **({"cognito:groups": ",".join(groups)} if groups else {}),
        **changes,
    }
    return {key: value for key, value in found.items() if value is not None}


@dataclass
class Tenant:
    """A running function. `call` is API Gateway; `s3` is the tenant's storage."""

    s3: Any
    environ: dict[str, str] = field(default_factory=lambda: dict(ENVIRON))

    def __post_init__(self) -> None:
        self.services = Services(self.environ, fingerprint="f1n9e4")
        self.services.s3 = self.s3  # making a client takes longer than most tests
        self._handler = Mangum(create_app(self.services), lifespan="off")

    def call(
        self,
        method: str,
        url: str,
        claims: dict[str, Any] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request; `body` as it is when it is text, else as JSON."""
        parts = urlsplit(url)
        query = dict(item.split("=", 1) for item in parts.query.split("&") if item)
        event = {
            "resource": parts.path,
            "path": unquote(parts.path),
            "httpMethod": method,
            "headers": {"Content-Type": "application/json", "Host": "api", **(headers or {})},
            "queryStringParameters": query or None,
            "multiValueQueryStringParameters": {key: [value] for key, value in query.items()},
            "requestContext": {
                "requestId": "request-1",
                "authorizer": {"claims": claims} if claims else None,
                "identity": {"sourceIp": "192.0.2.1"},
            },
            "body": body if isinstance(body, str | None) else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = self._handler(event, None)  # type: ignore[arg-type]
        text = answer["body"]
        return Answer(
            answer["statusCode"], json.loads(text) if text else None, dict(answer["headers"])
        )

    def put(self, variable: str, key: str, content: str) -> None:
        """An object in the bucket that the environment variable names."""
        self.s3.put_object(Bucket=self.environ[variable], Key=key, Body=content.encode())

    def keys(self, variable: str) -> list[str]:
        """What is in that bucket."""
        listing = self.s3.list_objects_v2(Bucket=self.environ[variable])
        return [item["Key"] for item in listing.get("Contents", [])]


@lru_cache(maxsize=1)
def _s3_client() -> Any:
    return boto3.client("s3", aws_access_key_id="testing", aws_secret_access_key="testing")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """moto's S3 with alpha's buckets, and nothing that could reach a real account."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        client = _s3_client()
        for bucket in BUCKETS.values():
            client.create_bucket(Bucket=bucket)
        yield client


@pytest.fixture
def tenant(s3: Any) -> Tenant:
    """stage/alpha with authentication, and its configuration uploaded."""
    tenant = Tenant(s3)
    tenant.put("CONFIG_S3_BUCKET", "config.json", '{"frontend": {"title": "Alpha"}}')
    return tenant


@pytest.fixture
def user() -> Any:
    """`claims`, for tests that need users."""
    return claims


@pytest.fixture
def tenant_with(s3: Any) -> Any:
    """A tenant whose environment differs in some variables (None: without it)."""

    def build(**changes: str | None) -> Tenant:
        merged = {**ENVIRON, **changes}
        return Tenant(s3, {key: value for key, value in merged.items() if value is not None})

    return build
