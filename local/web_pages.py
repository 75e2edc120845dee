"""Keeping web pages from acting as the emulator's root. Standard library and `ministack` only."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from local.rewriting import emulator_module, install

_CREDENTIAL = re.compile(r"(?:Credential|AWSAccessKeyId)=([^/,&\s]+)", re.IGNORECASE)
_REFUSAL = b"A web page may not act as root on this laptop."

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def root_key_in(authorization: str, query: str, is_root: Callable[[str], bool]) -> bool:
    """Whether a request is signed, or claims to be, with one of root's access keys."""
    claimed = _CREDENTIAL.findall(authorization) + _CREDENTIAL.findall(unquote(query))
    legacy = re.match(r"AWS ([^:]+):", authorization)
    return any(map(is_root, [*claimed, *(legacy.groups() if legacy else ())]))


def web_pages_are_not_root() -> None:
    """A request that a browser sends for a web page is refused when it uses root's access key.

    Without this any page that a developer visits could create a function and run code on the
    laptop: the emulator lets every origin in and does not check root's signature. Requests without
    an `Origin` (SDKs, the CLI, curl) and requests of users and roles are not touched.
    """
    app = emulator_module("app")
    is_root: Callable[[str], bool] = emulator_module("core.iam_evaluator").is_root_access_key
    serve: Application = app.app

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = {name.lower(): value for name, value in scope["headers"]}
            authorization = headers.get(b"authorization", b"").decode("latin-1")
            query = scope.get("query_string", b"").decode("latin-1")
            if b"origin" in headers and root_key_in(authorization, query, is_root):
                await send({"type": "http.response.start", "status": 403, "headers": []})
                await send({"type": "http.response.body", "body": _REFUSAL})
                return
        await serve(scope, receive, send)

    install("app", guarded, [app])
