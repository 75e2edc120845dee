"""A live tenant's HTTP side: right in everything, unless a test makes it wrong in one thing."""

import base64
import json
from typing import Any

from control_plane.errors import TenantNotReady
from control_plane.services.live import Answer

URL = "https://abc123.execute-api.us-east-1.amazonaws.com/stage"
PRINT = "f" * 64


def claims_of(token: str) -> dict[str, Any] | None:
    """The claims of a JWT, or None: this tenant trusts moto's pools without their keys."""
    try:
        part = token.split(".")[1]
        return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
    except (ValueError, IndexError):
        return None


class FakeTenant:
    """Answers `get(url, token)` as the `notes` application does.

    `wrong` replaces the answer to one kind of request: health, no-token, bad-token,
    stranger-token, sign-in, runtime-config. An exception is raised.
    """

    def __init__(self, pool: str) -> None:
        self.pool = pool
        self.wrong: dict[str, Answer | Exception] = {}
        self.asked: list[str] = []

    def get(self, url: str, token: str | None = None) -> Answer:
        kind, answer = self._answer(url.removeprefix(URL), token)
        self.asked.append(kind)
        found = self.wrong.get(kind, answer)
        if isinstance(found, Exception):
            raise found
        return found

    def _answer(self, path: str, token: str | None) -> tuple[str, Answer]:
        refused = Answer(401, {"message": "Unauthorized"})
        match path:
            case "/health":
                return "health", Answer(200, {"build": PRINT})
            case "/config":
                return "runtime-config", Answer(200, {"pool": self.pool})
            case "/me" if token is None:
                return "no-token", refused
            case "/me":
                claims = claims_of(token) or {}
                issuer = str(claims.get("iss", ""))
                if not issuer:
                    return "bad-token", refused
                if not issuer.endswith(f"/{self.pool}"):
                    return "stranger-token", refused
                me = {"email": claims.get("email"), "groups": claims.get("cognito:groups", [])}
                return "sign-in", Answer(200, me)
        return "unknown", Answer(404, None)


SILENCE = TenantNotReady(f"{URL} does not answer: NewConnectionError")
