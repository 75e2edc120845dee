"""An API that keeps what the command line asks it, and always gives the same answer."""

from typing import Any

import pytest

from cli.connection import Api
from cli.context import Context


class Asked(Api):
    """`calls`: method, path and body of each."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__("https://api", "us-east-1")
        object.__setattr__(self, "answer", answer)
        object.__setattr__(self, "calls", [])

    answer: dict[str, Any]
    calls: list[tuple[str, str, Any]]

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        self.calls.append((method, path, body))
        return self.answer


def instead(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> Asked:
    """One that every command asks."""
    found = Asked(answer)
    monkeypatch.setattr(Context, "api", lambda _: found)
    return found
