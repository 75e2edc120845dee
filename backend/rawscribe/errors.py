"""What can go wrong with a request, and the one shape in which it is answered.

Every error leaves as `{"error": {"code", "message", "details"}}`. Messages never repeat what was
sent: a request may hold patients' data, and errors end up in logs.
"""

import logging
import traceback
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

logger = logging.getLogger("rawscribe")


class ApiError(Exception):
    """A request that is answered with an error; the subclass says which."""

    status = 500
    code = "InternalError"

    def __init__(self, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Invalid(ApiError):
    """The request is wrong; sending it again will not help."""

    status, code = 400, "InvalidRequest"


class Unauthenticated(ApiError):
    """Nobody is signed in, or not with this tenant's user pool."""

    status, code = 401, "Unauthenticated"


class Forbidden(ApiError):
    """Somebody is signed in, but may not do this."""

    status, code = 403, "Forbidden"


class NotFound(ApiError):
    """There is no such thing, or it is somebody else's, which must look the same."""

    status, code = 404, "NotFound"


class Conflict(ApiError):
    """What is there already does not allow this."""

    status, code = 409, "Conflict"


class TooLarge(ApiError):
    """The document is over `limits.documentBytes`."""

    status, code = 413, "TooLarge"


class UnreadableDocument(ApiError):
    """A stored document is not what it should be; somebody has to repair it."""

    status, code = 502, "UnreadableDocument"


class StorageUnavailable(ApiError):
    """The storage did not do its work; the same request may succeed later."""

    status, code = 503, "StorageUnavailable"


HTTP_CODES = {404: "NotFound", 405: "MethodNotAllowed"}


def error_response(status: int, code: str, message: str, details: Any = None) -> JSONResponse:
    """The one shape of an error."""
    body = {"error": {"code": code, "message": message, "details": details}}
    return JSONResponse(body, status_code=status)


def where(error: BaseException) -> list[str]:
    """The frames of a traceback, innermost last, without the message: it may quote a document."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-6:]]


def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    if error.status >= 500:
        facts = {"error": error.code, "details": error.details, "at": where(error)}
        logger.error("request failed", extra=facts)
    return error_response(error.status, error.code, error.message, error.details)


def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "InvalidRequest")
    return error_response(error.status_code, code, str(error.detail))


def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    details = [
        {"field": ".".join(str(part) for part in item["loc"]), "reason": item["msg"]}
        for item in error.errors()
    ]
    return error_response(400, "InvalidRequest", "the request is not valid", details)


def unexpected(error: Exception) -> JSONResponse:
    """A bug, or something nobody thought of: logged with its place, answered without it."""
    logger.error("request failed", extra={"error": type(error).__name__, "at": where(error)})
    return error_response(500, "InternalError", "the request failed; see the function's log")


def install(app: FastAPI) -> None:
    """Let `app` answer every error in the one shape."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
