"""The API's question to a worker: moto runs no functions, so the worker is called here."""

import io
import json
from collections.abc import Callable
from typing import Any

import scripted_aws as scripted

from control_plane import aws
from workers import config


def answer_with_the_worker(
    script: scripted.Scripted, handler: Callable[[Any, object], Any] = config.handler
) -> None:
    """Answer Invoke as Lambda would: the handler's answer, or its error by the class's name."""

    def invoke(asked: dict[str, Any]) -> dict[str, Any]:
        try:
            told: Any = handler(json.loads(asked["Payload"]), None)
        except Exception as error:  # noqa: BLE001 - as Lambda's runtime does
            told = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": _body(told)}
        return {"StatusCode": 200, "Payload": _body(told)}

    script.on(aws.lambda_(), "Invoke", invoke)


def _body(told: Any) -> io.BytesIO:
    return io.BytesIO(json.dumps(told).encode())
