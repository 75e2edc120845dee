"""For how long the calls of a step are tried again, when AWS throttles them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from control_plane.errors import ServiceBusy

_until: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def retrying_for(seconds: float) -> Iterator[None]:
    """Within it, calls are tried again for so long only, all of them together.

    One that would be tried again later raises ServiceBusy. `control_plane/aws.py` says how often
    otherwise, and pauses for 20 seconds at most between two tries.
    """
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def watch(client: Any) -> None:
    """Have a client's calls keep to it."""
    client.meta.events.register("request-created", _give_up)


def _give_up(request: Any, **_: Any) -> None:
    """Before a call is sent, for the first time or again."""
    until, tries = _until.get(), request.context.get("retries", {}).get("attempt", 1)
    if until is not None and tries > 1 and time.monotonic() > until:
        raise ServiceBusy("AWS is busy, and there is no time left to ask again")
