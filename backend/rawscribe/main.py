"""The Lambda function: an API Gateway proxy event in, an HTTP answer out.

Importing this does nothing; the application is built on the first event.
"""

import logging
import os
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from mangum import Mangum

from rawscribe import errors, logs
from rawscribe.routes import config, drafts, elns, health, me, sops
from rawscribe.services import Services

if TYPE_CHECKING:
    from mangum.types import LambdaContext, LambdaEvent

logger = logging.getLogger("rawscribe")
Next = Callable[[Request], Awaitable[Response]]


def create_app(services: Services) -> FastAPI:
    """The application, for these services."""
    # The API's routes are the template's; its interactive documentation is not among them.
    app = FastAPI(title="rawscribe", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.services = services
    errors.install(app)
    app.middleware("http")(_observe)
    if origin := services.environ.get("ALLOWED_ORIGIN"):
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[origin],
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    for module in (health, config, me, sops, drafts, elns):
        app.include_router(module.router)
    return app


async def _observe(request: Request, call_next: Next) -> Response:
    """Log what was asked and answered (never with what), and answer bugs in the one shape."""
    started = time.perf_counter()
    try:
        response = await call_next(request)
    except Exception as error:  # noqa: BLE001 the edge: nothing above would answer
        response = errors.unexpected(error)
    response.headers["Cache-Control"] = "no-store"
    context = (request.scope.get("aws.event") or {}).get("requestContext") or {}
    route = request.scope.get("route")
    logger.info(
        "request",
        extra={
            "method": request.method,
            "route": getattr(route, "path", None),
            "status": response.status_code,
            "milliseconds": round((time.perf_counter() - started) * 1000),
            "request_id": context.get("requestId"),
        },
    )
    return response


@lru_cache(maxsize=1)
def _adapter() -> Mangum:
    logs.configure()
    return Mangum(create_app(Services(os.environ)), lifespan="off")


def handler(event: "LambdaEvent", context: "LambdaContext") -> dict[str, Any]:
    """Answer one request."""
    return _adapter()(event, context)
