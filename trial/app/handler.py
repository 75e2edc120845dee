"""The application of a trial: which build it is, how it is configured, and who asks."""

import json
import os
from pathlib import Path
from typing import Any

import boto3


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """GET /health, GET /config, and GET /me for signed-in users."""
    match event["resource"]:
        case "/health":
            stamp = json.loads((Path(__file__).parent / "build.json").read_text())
            return _answer({"build": stamp["fingerprint"]})
        case "/config":
            return _answer(_configuration())
        case "/me":
            claims = event["requestContext"]["authorizer"]["claims"]
            return _answer({"email": claims["email"], "groups": _groups(claims)})
        case _:
            return {"statusCode": 404, "body": "{}"}


def _configuration() -> dict[str, Any]:
    bucket, key = os.environ["CONFIG_BUCKET"], "config.json"
    body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return dict(json.loads(body))


def _groups(claims: dict[str, Any]) -> list[str]:
    """API Gateway hands a list on as a text, such as `A,B` or `[A, B]`."""
    told = claims.get("cognito:groups", "")
    names = told if isinstance(told, list) else told.strip("[]").replace(",", " ").split()
    return [str(name) for name in names]


def _answer(body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    return {"statusCode": 200, "headers": headers, "body": json.dumps(body)}
