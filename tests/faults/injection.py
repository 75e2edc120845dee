"""Faults in the AWS calls of a step, one call after the other, by a hook around every client."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError


class Fault(StrEnum):
    """What may happen to a call, or to the worker that makes it."""

    THROTTLED = "throttled"
    ERROR_500 = "500"
    ERROR_503 = "503"
    RESET = "connection reset"
    HANGING = "hanging"
    SLOW = "slow"
    LOST_CLIENT = "answer lost, client asks again"
    LOST_STEP = "answer lost, step runs again"
    DENIED = "access denied"
    KILLED = "worker killed"


BUSY = (Fault.THROTTLED, Fault.ERROR_500, Fault.ERROR_503, Fault.RESET, Fault.HANGING)
"""What a client is told, or not told, before anything was done: all of them mean "not now"."""

CUT_OFF = (Fault.LOST_CLIENT, Fault.LOST_STEP, Fault.KILLED)
"""What happens after something was done."""


_here = threading.local()


@contextmanager
def as_aws() -> Iterator[None]:
    """What a scenario does here meets no fault: it is done by AWS, or by another function."""
    before, _here.inside = getattr(_here, "inside", False), True
    try:
        yield
    finally:
        _here.inside = before


class Killed(BaseException):
    """The worker's process is gone: no `except Exception` of it runs any more."""


_CODES = {
    Fault.THROTTLED: (400, "ThrottlingException", {"cloudformation": "Throttling", "s3": "SlowDown",
                                                   "cognito-idp": "TooManyRequestsException"}),
    Fault.ERROR_500: (500, "InternalFailure", {"cognito-idp": "InternalErrorException",
                                               "secretsmanager": "InternalServiceError",
                                               "lambda": "ServiceException",
                                               "dynamodb": "InternalServerError",
                                               "s3": "InternalError"}),
    Fault.ERROR_503: (503, "ServiceUnavailable", {}),
    Fault.DENIED: (403, "AccessDeniedException", {"cloudformation": "AccessDenied",
                                                  "s3": "AccessDenied", "iam": "AccessDenied"}),
}  # fmt: skip
"""The status and code of each fault that is an answer; by service where they differ (the services'
API references, "Errors")."""

READS = ("Get", "List", "Describe", "Query", "Scan", "Head", "BatchGet")
_IGNORED = ("Body", "Password", "SecretString", "ClientRequestToken", "ClientToken",
            "AuthParameters", "ExpressionAttributeValues", "Delete", "CallerReference")  # fmt: skip
_VARIES = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+(?:\+00:00|Z)?|\d{8}-\d{6}-[0-9a-z]+|\d{10,}|[0-9a-f]{8}-[0-9a-f-]{27}"
    r"|us-east-1_\w+"
)


@dataclass
class Clock:
    """time.monotonic, that may leap."""

    ahead: float = 0.0


@dataclass
class Injection:
    """Faults in the calls of one attempt after the other: each distinct call meets one, once.

    `only`: the one call that meets one. `share`: which calls do, of all.
    `calls`: those of the last attempt, in their order.
    """

    fault: Fault | None = None
    only: str | None = None
    share: Callable[[str], bool] = lambda _: True
    met: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    fired: str | None = None
    _active: bool = False
    _dead: bool = False
    _lock: Any = field(default_factory=threading.Lock)
    _clock: Clock = field(default_factory=Clock)

    def _meets(self, key: str) -> bool:
        """Whether a call of this attempt meets the fault."""
        if self.fault is None:
            return False
        if self.fault == Fault.SLOW:
            return True  # all of them, in one attempt
        if self.fired:
            return False
        if self.only is not None:
            return key == self.only
        # Of a read nobody knows whether it was answered, and nothing depends on it.
        if self.fault in CUT_OFF and not is_write(key):
            return False
        return key not in self.met and self.share(key)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Be around every client's calls from now on."""
        original, monotonic = BaseClient._make_api_call, time.monotonic

        def call(client: Any, operation: str, params: dict[str, Any]) -> Any:
            if not self._active or getattr(_here, "inside", False):
                return original(client, operation, params)  # of a fake, which is AWS itself
            with as_aws():
                return self._met_by(client, operation, params, original)

        patch.setattr(BaseClient, "_make_api_call", call)
        patch.setattr(time, "monotonic", lambda: monotonic() + self._clock.ahead)
        patch.setattr(time, "sleep", lambda _: None)

    def begin(self) -> None:
        """An attempt of the step begins."""
        self.calls, self.fired, self._dead, self._active = [], None, False, True

    def end(self) -> str | None:
        """It is over; the call that met a fault."""
        self._active = False
        if self.fired:
            self.met.add(self.fired)
        return self.fired

    def _met_by(self, client: Any, operation: str, params: dict[str, Any], original: Any) -> Any:
        key = _key(client, operation, params)
        with self._lock:
            if self._dead:
                raise Killed
            self.calls.append(key)
            here = self.fault if self._meets(key) else None
            if here is not None and here != Fault.SLOW:
                self.fired = key
                self._dead = here == Fault.KILLED
        match here:
            case None:
                return original(client, operation, params)
            case Fault.RESET:
                raise ConnectionClosedError(endpoint_url="https://aws")
            case Fault.HANGING:
                self._clock.ahead += 31
                raise ReadTimeoutError(endpoint_url="https://aws")
            case Fault.SLOW:
                self._clock.ahead += 20
                return original(client, operation, params)
            case Fault.LOST_CLIENT:
                original(client, operation, params)
                return original(client, operation, params)  # with the same tokens, as botocore does
            case Fault.LOST_STEP:
                original(client, operation, params)
                raise _error(client, operation, Fault.ERROR_500)
            case Fault.KILLED:
                original(client, operation, params)
                raise Killed
            case _:
                raise _error(client, operation, here)


def is_write(key: str) -> bool:
    """Whether a call may change something."""
    return not key.split(".", 1)[1].startswith(READS)


def _error(client: Any, operation: str, fault: Fault) -> Exception:
    status, code, by_service = _CODES[fault]
    code = by_service.get(client.meta.service_model.service_name, code)
    answer = {
        "Error": {"Code": code, "Message": f"injected: {fault}"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return client.exceptions.from_code(code)(answer, operation)  # type: ignore[no-any-return]


def _key(client: Any, operation: str, params: dict[str, Any]) -> str:
    """What makes two calls of a step the same call: not their times and tokens."""
    asked = {name: value for name, value in params.items() if name not in _IGNORED}
    if "Item" in asked:
        asked["Item"] = [asked["Item"][name]["S"] for name in ("PK", "SK")]
    if "TransactItems" in asked:
        asked["TransactItems"] = [
            [kind, write.get("Key") or [write["Item"][name] for name in ("PK", "SK")]]
            for item in asked["TransactItems"]
            for kind, write in item.items()
        ]
    text = _VARIES.sub("…", json.dumps(asked, sort_keys=True, default=str))
    return f"{client.meta.service_model.service_name}.{operation}{text}"
