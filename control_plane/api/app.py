"""The API: routes to use cases, errors to HTTP. Every route is one call."""

import json
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse

from control_plane import aws, own, parsing
from control_plane.api import (
    routes_deployments,
    routes_health,
    routes_own,
    routes_rollouts,
    routes_slots,
    routes_tenants,
    routes_traffic,
)
from control_plane.errors import (
    Conflict,
    ControlPlaneError,
    IdempotencyConflict,
    InvalidRequest,
    NotFound,
    RouteRefused,
    RouteTaken,
    ServiceBusy,
)
from control_plane.in_words import reason
from control_plane.models import JsonObject
from control_plane.observability import logger

BODY_LIMIT = 256 * 1024
"""Bytes of a request's body: overrides may have 64 KiB, and in ASCII's JSON a character has six."""

app = APIGatewayRestResolver(enable_validation=True)

app.include_router(routes_deployments.router)
app.include_router(routes_tenants.router)
app.include_router(routes_health.router)
app.include_router(routes_own.router)
app.include_router(routes_slots.router)
app.include_router(routes_rollouts.router)
app.include_router(routes_traffic.router)


def handler(event: dict[str, Any], context: Any) -> JsonObject:
    """Lambda's entry."""
    # No body is an empty request: every field of a deployment may be left out.
    body = event.get("body") or "{}"
    try:
        _check_body(body)
    except ValueError as error:
        return _proxy(_refusal(InvalidRequest.of("body", str(error))))
    return app.resolve({**event, "body": body}, context)


def _check_body(body: str) -> None:
    """Raise ValueError for a body that Powertools would fail to parse, or that would cost much."""
    size = len(body.encode(errors="replace"))
    if size > BODY_LIMIT:
        raise ValueError(f"has {size} bytes; {BODY_LIMIT} are allowed")
    if not isinstance(parsing.json_value(body), dict):
        raise ValueError("must be a JSON object")


_DESCRIPTION: dict[int, OpenAPIResponse] = {
    200: {
        "description": "OpenAPI 3.1",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


@app.get("/health", tags=["service"])
def health() -> JsonObject:
    """Whether the API answers, and which release of the control plane it is."""
    return {"status": "ok", **own.running().model_dump()}


@app.get("/openapi.json", tags=["service"], responses=_DESCRIPTION)
def openapi() -> Response[str]:
    """This description."""
    text = app.get_openapi_json_schema(
        title="syndi", version="1", description="Deploys tenants of serverless applications."
    )
    schema = json.loads(text)
    schema["components"]["schemas"]["Error"] = _ERROR
    refusals = {str(status): _answer(meaning) for status, meaning in _REFUSALS.items()}
    for operations in schema["paths"].values():
        for operation in operations.values():
            # Powertools says 422 for what is wrong with a request; this API answers 400.
            operation["responses"].pop("422", None)
            operation["responses"] |= {**refusals, "403": _FORBIDDEN}
    return Response(200, content_types.APPLICATION_JSON, json.dumps(schema))


_REFUSALS = {
    400: "The request is wrong: `details` names each field.",
    404: "There is no such thing.",
    409: "The request does not fit what is there.",
    503: "AWS is busy: the same request may succeed later.",
}
"""What an answer without success means, by its status."""

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["field", "reason"],
                        "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
                    },
                },
            },
        }
    },
}


_FORBIDDEN = {
    "description": "API Gateway's own: no or a wrong signature, or a policy does not allow it.",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


def _answer(meaning: str) -> JsonObject:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


# Errors ------------------------------------------------------------------------------------------

_HTTP = {
    InvalidRequest: 400, IdempotencyConflict: 409, Conflict: 409, RouteRefused: 409,
    RouteTaken: 409, NotFound: 404, ServiceBusy: 503,
}  # fmt: skip


# Powertools does not type this decorator.
@app.exception_handler(ControlPlaneError)  # type: ignore[untyped-decorator]
def _refusal(error: ControlPlaneError) -> Response[str]:
    details = error.details if isinstance(error, InvalidRequest) else []
    status = _HTTP.get(type(error), 500)
    return _error(status, type(error).__name__, str(error), details)


@app.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]
def _invalid(error: RequestValidationError) -> Response[str]:
    details = [
        {
            # Powertools says where a value came from first: body, path, query, header.
            "field": ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]),
            "reason": reason(item),
        }
        for item in error.errors()
    ]
    told = "; ".join(f"{item['field']}: {item['reason']}" for item in details)
    return _error(400, "InvalidRequest", told, details)


@app.not_found
def _no_route(error: Exception) -> Response[str]:
    return _error(404, "NotFound", "there is no such route: see /openapi.json", [])


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def _unexpected(error: Exception) -> Response[str]:
    if aws.is_busy(error):
        return _error(503, "ServiceBusy", f"AWS is busy, try again: {error}", [])
    # The caller learns that it failed; the log learns why.
    logger().exception("request failed")
    return _error(500, "InternalError", "the request failed: see the API function's log", [])


def _error(status: int, code: str, message: str, details: list[dict[str, str]]) -> Response[str]:
    body = {"error": {"code": code, "message": message, "details": details}}
    return Response(status, content_types.APPLICATION_JSON, json.dumps(body))


def _proxy(response: Response[str]) -> JsonObject:
    """A response in API Gateway's form, without going through the router."""
    headers = {"Content-Type": content_types.APPLICATION_JSON}
    return {"statusCode": response.status_code, "headers": headers, "body": response.body}
