"""The API, called with Signature Version 4: by the command line, and by a worker.

Errors are answers here; what they mean is the caller's business.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from control_plane import aws, parsing
from control_plane.models import JsonObject
from control_plane.services.live import Answer, fetch

_SECONDS = 35.0
"""How long one answer may take: API Gateway's own limit is 29 s."""

_UPLOAD_SECONDS = 120.0
_SERVICE = "execute-api"


class ApiError(Exception):
    """What the API answered instead of a result. `status` 0: it did not answer."""

    def __init__(self, status: int, code: str, message: str, details: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.status, self.code, self.details = status, code, list(details)


class NoCredentials(Exception):
    """There are no AWS credentials to sign with."""


@dataclass(frozen=True)
class Client:
    """The API of one control plane. `url`: its endpoint with the stage."""

    url: str
    region: str

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JsonObject:
        """The answer's JSON. Raises ApiError for any other answer and for none, NoCredentials."""
        data = json.dumps(body).encode() if body is not None else None
        status, content = _signed(method, self.url + path, self.region, data, headers)
        try:
            answer = parsing.json_value(content)
        except ValueError as error:
            told = f"{method} {path} answered {status} without JSON"
            raise ApiError(status, "NoJson", told) from error
        if not isinstance(answer, dict):
            raise ApiError(status, "NoJson", f"{method} {path} answered {status} without an object")
        if status < 400:
            return answer
        raise _refusal(status, method, path, answer)


def signed_get(url: str, region: str) -> Answer:
    """GET an endpoint that wants AWS credentials. Raises TenantNotReady when nothing answers."""
    address, headers = _signature("GET", url, region, None, None)
    return fetch(url, address, headers)


def push(
    client: Client, content: bytes, sha256: str, application: str, environments: Sequence[str]
) -> JsonObject:
    """Upload a source where it is not there already, and make it the environments' current one,
    one after the other. Gives the answer with all of them. Raises ApiError."""
    done: list[str] = []
    answer: JsonObject = {}
    for env in environments:
        body = {"application": application, "size": len(content)}
        try:
            answer = _push(client, content, f"/envs/{env}/sources/{sha256}", body)
        except ApiError as error:
            if len(environments) == 1:
                raise
            so_far = f"; it is the source of {', '.join(done)} now" if done else ""
            told = f"{env}: {error}{so_far}"
            raise ApiError(error.status, error.code, told, error.details) from error
        done.append(env)
    return {**answer, "environments": done}


def push_to(
    client: Client,
    content: bytes,
    path: str,
    application: str,
    environments: Sequence[str],
) -> JsonObject:
    """Upload a source where the body names its environments: the control plane's own, and the trial
    of an earlier release. Raises ApiError."""
    body = {"application": application, "environments": list(environments), "size": len(content)}
    return _push(client, content, path, body)


def _push(client: Client, content: bytes, path: str, body: JsonObject) -> JsonObject:
    answer = client.call("PUT", path, body)
    if answer["state"] != "UPLOAD":
        return answer
    upload = answer["upload"]
    try:
        reply = urllib3.request(
            "PUT", upload["url"], body=content, headers=upload["headers"], timeout=_UPLOAD_SECONDS
        )
    except urllib3.exceptions.HTTPError as error:
        raise ApiError(0, "NoAnswer", f"the upload failed: {error}") from error
    if reply.status != 200:
        told = f"the upload was refused with {reply.status}: {reply.data[:300]!r}"
        raise ApiError(reply.status, "UploadRefused", told)
    return client.call("PUT", path, body)


def _signed(
    method: str, url: str, region: str, data: bytes | None, headers: Mapping[str, str] | None
) -> tuple[int, bytes]:
    """Status and body of a request that is signed with this process's credentials."""
    url, signed = _signature(method, url, region, data, headers)
    try:
        answer = urllib3.request(
            method, url, body=data, headers=signed, timeout=_SECONDS, retries=False
        )
    except urllib3.exceptions.HTTPError as error:
        raise ApiError(0, "NoAnswer", f"{url} does not answer: {error}") from error
    return answer.status, answer.data


def _signature(
    method: str, url: str, region: str, data: bytes | None, headers: Mapping[str, str] | None
) -> tuple[str, dict[str, str]]:
    """Where a request goes, and its headers with the signature. Raises NoCredentials."""
    url = aws.reachable(url)
    request = AWSRequest(method, url, data=data, headers=dict(headers or {}))
    if data is not None:
        request.headers["Content-Type"] = "application/json"
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise NoCredentials("there are no AWS credentials")
    SigV4Auth(credentials.get_frozen_credentials(), _SERVICE, region).add_auth(request)
    return url, dict(request.headers)


def _refusal(status: int, method: str, path: str, answer: Mapping[str, Any]) -> ApiError:
    told = answer.get("error")
    if isinstance(told, Mapping) and isinstance(told.get("message"), str):
        details = told.get("details")
        return ApiError(
            status,
            str(told.get("code", "Unknown")),
            told["message"],
            details if isinstance(details, list) else [],
        )
    # API Gateway itself, such as a missing permission or a function that broke.
    message = answer.get("message") or answer.get("Message") or "no reason"
    code = "Forbidden" if status < 500 else "InternalError"
    return ApiError(status, code, f"{method} {path} was refused with {status}: {message}")
