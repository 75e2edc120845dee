"""Answers to single AWS operations, for what moto cannot do or does otherwise than AWS."""

from collections.abc import Callable
from typing import Any

from control_plane import aws
from control_plane.models import JsonObject


def failure(code: str, message: str = "…") -> JsonObject:
    """An AWS error, as an answer for `Scripted`."""
    return {"Error": {"Code": code, "Message": message}}


Answer = JsonObject | Callable[[JsonObject], JsonObject]


class Scripted:
    """Answers to single operations of a client, in place of moto's.

    botocore checks the parameters as ever, before the answer is given; `calls` keeps them.
    The last answer of an operation is given again and again; a later `on` replaces an earlier one.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, JsonObject]] = []
        self._undo: list[tuple[str, Callable[[], None]]] = []

    def on(self, client: Any, operation: str, *answers: Answer) -> None:
        """Answer `operation` (`DescribeStacks`): a dict, an error by `failure`, or a function."""
        self._take_back(operation)
        left, given = list(answers), {}
        unregister = client.meta.events.unregister
        service = client.meta.service_model.service_id.hyphenize()

        def remember(params: JsonObject, **_: Any) -> None:
            self.calls.append((operation, dict(params)))
            given["params"] = dict(params)

        def answer(**_: Any) -> tuple[Any, JsonObject] | None:
            found = left.pop(0) if len(left) > 1 else left[0]
            parsed = found(given["params"]) if callable(found) else found
            if parsed is MOTO:
                return None
            return _Status(400 if "Error" in parsed else 200), parsed

        for name, handler in ((PARAMS, remember), (CALL, answer)):
            full = f"{name}.{service}.{operation}"
            client.meta.events.register(full, handler)
            self._undo.append((operation, lambda n=full, h=handler: unregister(n, h)))

    def watch(self, client: Any, operation: str) -> None:
        """Keep the calls of an operation, which moto answers."""
        self.on(client, operation, MOTO)

    def before(self, client: Any, operation: str, act: Callable[..., None]) -> None:
        """Do something before each call of an operation, which moto answers."""
        name = f"{CALL}.{client.meta.service_model.service_id.hyphenize()}.{operation}"
        client.meta.events.register(name, act)
        self._undo.append((operation, lambda: client.meta.events.unregister(name, act)))

    def of(self, operation: str) -> list[JsonObject]:
        """The parameters of every call of an operation."""
        return [params for name, params in self.calls if name == operation]

    def forget(self) -> None:
        """Leave the clients as they were."""
        for operation in {operation for operation, _ in self._undo}:
            self._take_back(operation)

    def _take_back(self, operation: str) -> None:
        for _, undo in [item for item in self._undo if item[0] == operation]:
            undo()
        self._undo = [item for item in self._undo if item[0] != operation]


PARAMS, CALL = "provide-client-params", "before-call"
MOTO: JsonObject = {"moto": "answers"}


class _Status:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class SameClients:
    """The clients of a tenant's session as those of the worker's own role: moto evaluates no
    policies, and what a test scripts of one is scripted of both. Which calls go through a session,
    and what it may, is tests/wiring/test_wiring_tenant_sessions.py's."""

    cognito = staticmethod(aws.cognito)
    lambda_ = staticmethod(aws.lambda_)
    s3 = staticmethod(aws.s3)
    secretsmanager = staticmethod(aws.secretsmanager)
