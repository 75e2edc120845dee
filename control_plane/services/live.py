"""Requests to a live tenant: every answer is a fact, errors too; only silence is an exception."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import urllib3

from control_plane import aws
from control_plane.errors import TenantNotReady

_SECONDS = 35.0
"""How long one answer may take: a cold start, and API Gateway's own limit of 29 s."""


@dataclass(frozen=True)
class Answer:
    """A status and, where it is JSON, a body (otherwise None)."""

    status: int
    body: Any


@cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=_SECONDS, retries=False)


def get(url: str, token: str | None = None) -> Answer:
    """GET an endpoint of the tenant. Raises TenantNotReady when nothing answers."""
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        answer = _pool().request("GET", aws.reachable(url), headers=headers)
    except urllib3.exceptions.HTTPError as error:
        raise TenantNotReady(f"{url} does not answer: {type(error).__name__}") from error
    try:
        body = json.loads(answer.data)
    except ValueError:
        body = None
    return Answer(answer.status, body)


def at(body: Any, path: str | None) -> Any:
    """The value at a dotted path of an answer, or None."""
    for part in (path or "").split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return body
