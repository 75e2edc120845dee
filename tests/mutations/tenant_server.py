"""The HTTP side of a tenant: an API with an authorizer, and the application behind it.

A real server, since what a tenant may answer is anything: redirects, HTML, a drip of bytes.
"""

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwk, jwt
from joserfc.errors import JoseError


@dataclass
class Answer:
    """What is sent. `body`: JSON, or bytes as they are; `drips`: a byte at a time, without end."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drips: bool = False


@dataclass
class Api:
    """An API of the tenant. Its authorizer lets in who has a token of `pool`, and what `accepts`
    names: none, altered, unsigned, stranger, expired. `open`: routes whose authorizer was lost.
    `health`, `me` and `runtime` are the application's answers.
    """

    pool: str
    key: jwk.RSAKey
    health: Callable[[], Answer]
    me: Callable[[dict[str, Any]], Answer]
    runtime: Callable[[], Answer]
    accepts: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)

    def answer(self, method: str, path: str, token: str | None) -> Answer:
        """The answer to one request."""
        if (method, path) == ("GET", "/health"):
            return self.health()
        if (method, path) == ("GET", "/config"):
            return self.runtime()
        claims = self._claims(token)
        if claims is None and f"{method} {path.rpartition('/')[0] or path}" not in self.open:
            return Answer(401, {"message": "Unauthorized"})
        return self.me(claims or {}) if path == "/me" else Answer(204)

    def _claims(self, token: str | None) -> dict[str, Any] | None:
        """Who the authorizer lets in, or None."""
        if token is None:
            return {} if "none" in self.accepts else None
        try:
            head, payload = (_part(part) for part in token.split(".")[:2])
        except (ValueError, IndexError):
            return None
        if head.get("alg") == "none":
            return payload if "unsigned" in self.accepts else None
        try:
            jwt.decode(token, self.key, algorithms=["RS256"])
        except (JoseError, ValueError):
            return payload if "altered" in self.accepts else None
        if payload.get("exp", 0) < time.time() and "expired" not in self.accepts:
            return None
        is_own = str(payload.get("iss", "")).endswith(f"/{self.pool}")
        return payload if is_own or "stranger" in self.accepts else None


def _part(text: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


class TenantServer:
    """Serves the API that is `api` at the moment, below its own address. A context manager."""

    def __init__(self) -> None:
        self.api: Api | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                assert outer.api is not None
                path = self.path.removeprefix("/stage")
                given = self.headers.get("Authorization", "")
                token = given.removeprefix("Bearer ") or None
                outer.send(self, outer.api.answer(self.command, path, token))

            do_GET = do_POST = do_DELETE = do_PUT = _serve

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @staticmethod
    def send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        """Write an answer."""
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if not answer.drips:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if not answer.drips:
            handler.wfile.write(body)
            return
        for _ in range(100):  # for longer than the test waits
            try:
                handler.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.05)  # a byte now and then: the answer never ends

    @property
    def address(self) -> str:
        """Where it answers."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> "TenantServer":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
