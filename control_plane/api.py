"""The API: routes to use cases, errors to HTTP. Every route is one call."""

import json
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query

from control_plane import deployments, pushes, schedules
from control_plane.admission import tenant_of
from control_plane.deployments import Front
from control_plane.errors import ControlPlaneError, IdempotencyConflict, InvalidRequest, NotFound
from control_plane.events import (
    DeploymentRequest,
    ScheduleRequest,
    SourceRequest,
    Target,
    reason,
)
from control_plane.history import History
from control_plane.listing import Listing
from control_plane.models import ORG_PATTERN, SHA256_PATTERN, Env, JsonObject, Tenant
from control_plane.naming import console_url
from control_plane.observability import logger
from control_plane.settings import ApiSettings, settings
from control_plane.sources import Sources

BODY_LIMIT = 16 * 1024
"""Bytes of a request's body: the largest valid one is far below."""

app = APIGatewayRestResolver(enable_validation=True)

OrgPath = Annotated[str, Path(pattern=ORG_PATTERN, max_length=40, description="organization")]
ApplicationQuery = Annotated[
    str | None,
    Query(pattern=ORG_PATTERN, max_length=30, description="default: its own"),
]
KeyHeader = Annotated[str | None, Header(max_length=200, description="one key, one start")]
Digest = Annotated[str, Path(pattern=SHA256_PATTERN, description="the SHA-256 of the zip")]
Limit = Annotated[int, Query(ge=1, le=100)]


def handler(event: dict[str, Any], context: Any) -> JsonObject:
    """Lambda's entry."""
    body = event.get("body") or ""
    if len(body.encode()) > BODY_LIMIT:
        told = f"has {len(body.encode())} bytes; {BODY_LIMIT} are allowed"
        return _proxy(_refusal(InvalidRequest.of("body", told)))
    # No body is an empty request: every field of a deployment may be left out.
    return app.resolve({**event, "body": body or "{}"}, context)


@app.get("/health", tags=["service"])
def health() -> JsonObject:
    """Whether the API answers."""
    return {"status": "ok"}


@app.get("/openapi.json", tags=["service"])
def openapi() -> Response[str]:
    """This description."""
    schema = app.get_openapi_json_schema(
        title="syndi", version="1", description="Deploys tenants of serverless applications."
    )
    return Response(200, content_types.APPLICATION_JSON, schema)


@app.post("/envs/<env>/orgs/<org>/deployments", tags=["deployments"])
def start_deployment(
    env: Env, org: OrgPath, request: DeploymentRequest, idempotency_key: KeyHeader = None
) -> tuple[JsonObject, int]:
    """Start a deployment of a tenant."""
    record = deployments.start(_front(), env, org, request, idempotency_key)
    return _presented(record), 202


@app.get("/envs/<env>/orgs/<org>/deployments", tags=["deployments"])
def list_deployments(
    env: Env, org: OrgPath, application: ApplicationQuery = None, limit: Limit = 20
) -> JsonObject:
    """The newest deployments of a tenant, newest first."""
    found = _front().listing.deployments(_tenant(env, org, application), limit)
    return {"deployments": [_presented(record) for record in found]}


@app.get("/envs/<env>/orgs/<org>/deployments/<deployment_id>", tags=["deployments"])
def get_deployment(
    env: Env, org: OrgPath, deployment_id: str, application: ApplicationQuery = None
) -> JsonObject:
    """One deployment: request, steps, changes, tests, reason, receipt."""
    tenant = _tenant(env, org, application)
    record = _front().listing.get(tenant, deployment_id)
    if record is None:
        raise NotFound(f"{tenant.stack_name} has no deployment {deployment_id}")
    return _presented(record)


@app.get("/deployments/<deployment_id>", tags=["deployments"])
def find_deployment(deployment_id: str) -> JsonObject:
    """One deployment, by its id alone."""
    record = _front().listing.find(deployment_id)
    if record is None:
        raise NotFound(f"there is no deployment {deployment_id}")
    return _presented(record)


@app.get("/tenants", tags=["tenants"])
def list_tenants() -> JsonObject:
    """Every tenant: its last good state and its last deployment."""
    return {"tenants": list(_front().listing.tenants())}


@app.get("/envs/<env>/orgs/<org>", tags=["tenants"])
def get_tenant(env: Env, org: OrgPath, application: ApplicationQuery = None) -> JsonObject:
    """The tenant's last good state."""
    tenant = _tenant(env, org, application)
    current = _front().listing.current(tenant) or {}
    if "last_good" not in current:
        raise NotFound(f"{tenant.stack_name} was never deployed with success")
    return current


@app.get("/envs/<env>/orgs/<org>/config", tags=["tenants"])
def get_config(env: Env, org: OrgPath, application: ApplicationQuery = None) -> JsonObject:
    """The configuration that the tenant runs with, and where it lies."""
    tenant = _tenant(env, org, application)
    current = _front().listing.current(tenant) or {}
    if not current.get("config"):
        raise NotFound(f"{tenant.stack_name} has no configuration: it was never deployed")
    record = _front().listing.get(tenant, current["last_good"]) or {}
    return {**current["config"], "content": record.get("config_content", {})}


@app.get("/envs/<env>/orgs/<org>/schedule", tags=["schedules"])
def get_schedule(env: Env, org: OrgPath, application: ApplicationQuery = None) -> JsonObject:
    """The tenant's schedule."""
    return schedules.show(_front(), _tenant(env, org, application))


@app.put("/envs/<env>/orgs/<org>/schedule", tags=["schedules"])
def put_schedule(env: Env, org: OrgPath, request: ScheduleRequest) -> JsonObject:
    """Deploy the tenant by a schedule."""
    return schedules.put(_front(), env, org, request)


@app.delete("/envs/<env>/orgs/<org>/schedule", tags=["schedules"])
def delete_schedule(env: Env, org: OrgPath, application: ApplicationQuery = None) -> JsonObject:
    """Stop deploying the tenant by a schedule."""
    schedules.delete(_front(), _tenant(env, org, application))
    return {"deleted": True}


@app.get("/sources", tags=["sources"])
def list_sources(application: ApplicationQuery = None) -> JsonObject:
    """The sources of an application, and which one each environment deploys."""
    front = _front()
    return front.sources.listed(application or front.settings.default_application)


@app.put("/sources/<sha256>", tags=["sources"])
def put_source(sha256: Digest, request: SourceRequest) -> JsonObject:
    """Register a source, or be told where to upload it first."""
    return pushes.put(_front(), sha256, request)


# Errors ------------------------------------------------------------------------------------------

_HTTP = {InvalidRequest: 400, IdempotencyConflict: 409, NotFound: 404}


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


# -------------------------------------------------------------------------------------------------


def _presented(record: JsonObject) -> JsonObject:
    """A record for a reader: the steps that were entered, and the execution's page."""
    record = {name: value for name, value in record.items() if name != "config_content"}
    steps = {name: step for name, step in record.get("steps", {}).items() if step["attempts"]}
    return {**record, "steps": steps, "console_url": console_url(record["execution_arn"])}


def _tenant(env: Env, org: str, application: str | None) -> Tenant:
    name = application or settings(ApiSettings).default_application
    return tenant_of(env, org, Target(), name)


@cache
def _front() -> Front:
    known = settings(ApiSettings)
    return Front(
        known, History(known.table_name), Listing(known.table_name), Sources(known.table_name)
    )
