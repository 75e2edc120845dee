"""Calls to the API as API Gateway makes them."""

import json
from dataclasses import dataclass
from typing import Any

from control_plane.api import app as api

CALLER = "arn:aws:iam::123456789012:user/operator"
"""Who signed the request, as API Gateway tells it."""


@dataclass
class Reply:
    """What the API answered."""

    status: int
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        """The error: code, message, details."""
        return dict(self.body["error"])

    @property
    def fields(self) -> list[str]:
        """The fields that a refusal names."""
        return [item["field"] for item in self.error["details"]]


def call(
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    **query: str,
) -> Reply:
    """One request; a body that is no text is sent as JSON."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {key: [value] for key, value in query.items()} or None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "requestId": "r-1",
            "stage": "v1",
            "path": f"/v1{path}",
            "identity": {"userArn": CALLER},
        },
        "body": body if isinstance(body, str | None) else json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = api.handler(event, None)
    return Reply(answer["statusCode"], json.loads(answer["body"]))
