"""Requests to a live tenant: every answer is a fact, errors too; only silence is an exception.

The tenant is not trusted: an answer is bounded in time and size, and a redirect is not followed.
"""

import http.client
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import urllib3

from control_plane import aws, parsing
from control_plane.errors import TenantNotReady

SECONDS = 35.0
"""How long one answer may take, its last byte included: a cold start, and API Gateway's own limit
of 29 s."""

LARGEST = 10 * 1024 * 1024
"""Bytes of an answer: API Gateway's own limit."""

_CHUNK = 64 * 1024

NO_ANSWER = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, UnicodeError)
"""What a request raises when no answer comes: DNS, TLS, a reset, a malformed response or URL."""


@dataclass(frozen=True)
class Answer:
    """A status and, where it is JSON, a body (otherwise None).

    `problem`: why there is no body (too large, not JSON); `location`: where a redirect leads to.
    """

    status: int
    body: Any
    problem: str = ""
    location: str = ""


@cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=SECONDS, retries=False)


def get(url: str, token: str | None = None) -> Answer:
    """GET an endpoint of the tenant. Raises TenantNotReady when nothing answers."""
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return fetch(url, aws.reachable(url), headers)


def send(method: str, url: str, token: str | None, seconds: float) -> Answer:
    """The answer to a request without a body. Raises TenantNotReady when nothing answers in
    `seconds`."""
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return fetch(url, aws.reachable(url), headers, method, seconds)


def fetch(
    url: str,
    address: str,
    headers: Mapping[str, str],
    method: str = "GET",
    seconds: float = SECONDS,
) -> Answer:
    """The answer to a request of `address`; `url` is what an error calls it.

    Raises TenantNotReady when nothing answers, or not within `seconds`.
    """
    asked = {"Accept-Encoding": "identity", **headers}  # kilobytes could unpack to gigabytes

    def request() -> Answer:
        response = _pool().request(
            method,
            address,
            headers=asked,
            preload_content=False,
            decode_content=False,
            timeout=seconds,
        )
        try:
            content = _read(response)
        finally:
            response.close()
        redirected = 300 <= response.status < 400
        location = response.headers.get("Location", "") if redirected else ""
        return answer_of(response.status, content, str(location)[:200])

    try:
        return within(seconds, request)
    except TimeoutError as error:
        raise TenantNotReady(f"{url} did not answer in full within {seconds:.0f} s") from error
    except NO_ANSWER as error:
        raise TenantNotReady(f"{url} does not answer: {_kind(error)}") from error


def within(seconds: float, action: Callable[[], Answer]) -> Answer:
    """The action's result. Raises what it raises, and TimeoutError when it takes too long.

    A socket's timeout begins anew with each byte, so it bounds neither headers nor a body that
    drip. The thread is left behind then; it ends with its socket's own timeout.
    """
    done: list[Answer] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            done.append(action())
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError
    return done[0]


def answer_of(status: int, content: bytes | None, location: str = "") -> Answer:
    """The answer that was read; None: it was larger than LARGEST."""
    if content is None:
        return Answer(status, None, f"the answer is larger than {LARGEST} bytes", location)
    try:
        return Answer(status, parsing.json_value(content), location=location)
    except ValueError:
        return Answer(status, None, "the answer is not JSON", location)


def _read(response: urllib3.BaseHTTPResponse) -> bytes | None:
    """The body; None when it is too large."""
    content = bytearray()
    while chunk := response.read1(_CHUNK):
        content += chunk
        if len(content) > LARGEST:
            return None
    return bytes(content)


def _kind(error: BaseException) -> str:
    """What went wrong, by the error's class; of a failed TLS handshake the reason too."""
    name = type(error).__name__
    return f"{name} ({error})"[:200] if isinstance(error, urllib3.exceptions.SSLError) else name


def at(body: Any, path: str | None) -> Any:
    """The value at a dotted path of an answer, or None."""
    for part in (path or "").split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return body
