"""CodeBuild's JSON 1.1 protocol over HTTP, on the loopback interface."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.codebuild.requests import ServiceError, invalid
from local.codebuild.service import CodeBuild

_TARGET = "CodeBuild_20161006."
_MAX_BODY = 1_000_000  # bytes


class Server(ThreadingHTTPServer):
    """Serves one CodeBuild."""

    daemon_threads = True
    # A second endpoint on the same port must fail, not take half of the requests.
    allow_reuse_port = False

    def __init__(self, port: int, service: CodeBuild) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.operations: dict[str, Callable[[object], dict[str, Any]]] = {
            "StartBuild": service.start_build,
            "BatchGetBuilds": service.batch_get_builds,
            "StopBuild": service.stop_build,
        }


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that an idle connection is kept

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, {"status": "ok"})
        else:
            self._answer(404, {"message": "Not found"})

    def do_POST(self) -> None:
        try:
            self._answer(200, self._dispatch())
        except ServiceError as error:
            unavailable = error.code == "ServiceUnavailableException"
            status = 503 if unavailable else 403 if "Authentication" in error.code else 400
            self._answer(status, {"__type": error.code, "message": str(error)})
        except Exception as error:  # noqa: BLE001
            self.log_error("%s: %s", type(error).__name__, error)
            self._answer(500, {"__type": "InternalFailure", "message": type(error).__name__})

    def _dispatch(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY:
            self.close_connection = True
            raise invalid("The request is too large.")
        raw = self.rfile.read(length)
        # A build runs commands. A web page that a developer happens to visit must not start one:
        # these headers cannot be sent from a page without a permission that is never given, and a
        # page whose name was pointed at 127.0.0.1 gives itself away by its host.
        host = self.headers.get("Host", "").partition(":")[0]
        target = self.headers.get("X-Amz-Target", "")
        if "Credential=" not in self.headers.get("Authorization", "") or host not in (
            "127.0.0.1", "localhost",
        ):  # fmt: skip
            raise ServiceError("MissingAuthenticationTokenException", "The request is not signed.")
        operation = self.server.operations.get(target.removeprefix(_TARGET))
        if operation is None or not target.startswith(_TARGET):
            raise ServiceError("UnknownOperationException", f"Not on this endpoint: {target!r}")
        try:
            body = json.loads(raw or b"{}")
        except ValueError as error:
            raise ServiceError("SerializationException", "The request is not JSON.") from error
        return operation(body)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Only errors are worth a line; a build is polled all the time."""

    def log_error(self, format: str, *args: Any) -> None:
        super().log_message(format, *args)
