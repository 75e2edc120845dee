"""What routes have in common: their parameters, the front door they call, who calls."""

from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse

from control_plane.errors import InvalidRequest, NotFound
from control_plane.events import Target
from control_plane.models import (
    DEPLOYMENT_ID_PATTERN,
    ORG_PATTERN,
    SHA256_PATTERN,
    Env,
    JsonObject,
    Mode,
    Tenant,
)
from control_plane.naming import console_url
from control_plane.own import APPLICATION
from control_plane.settings import ApiSettings, settings
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.sources import Sources
from control_plane.use_cases.admission import tenant_of
from control_plane.use_cases.deployments import Front

OrgPath = Annotated[str, Path(pattern=ORG_PATTERN, max_length=40, description="organization")]
IdPath = Annotated[str, Path(pattern=DEPLOYMENT_ID_PATTERN, description="deployment")]
ApplicationQuery = Annotated[
    str | None,
    Query(pattern=ORG_PATTERN, max_length=30, description="default: its own"),
]
KeyHeader = Annotated[str | None, Header(max_length=200, description="one key, one start")]
Digest = Annotated[str, Path(pattern=SHA256_PATTERN, description="the SHA-256 of the zip")]
ModeQuery = Annotated[Mode, Query(description="drift: the schedule of its drift checks")]
Limit = Annotated[int, Query(ge=1, le=100)]
VersionLimit = Annotated[int, Query(ge=1, le=50)]  # of 64 KiB each, and an answer may have 6 MB

ACCEPTED: dict[int, OpenAPIResponse] = {
    202: {
        "description": "It has begun: the answer says where it stands.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
"""What a route answers that starts something, or asks for its end."""


@cache
def front() -> Front:
    """What the routes work with."""
    known = settings(ApiSettings)
    return Front(
        known, History(known.table_name), Listing(known.table_name), Sources(known.table_name)
    )


def tenant(env: Env, org: str, application: str | None) -> Tenant:
    """The tenant that a path and a query name."""
    name = application or settings(ApiSettings).default_application
    return tenant_of(env, org, Target(), name)


def changed_tenant(env: Env, org: str, application: str | None, instead: str) -> Tenant:
    """The tenant that a request changes. Raises InvalidRequest for the control plane itself."""
    refuse_own(application, instead)
    return tenant(env, org, application)


def refuse_own(application: str | None, instead: str) -> None:
    """Raise InvalidRequest when a tenant's route is asked to change the control plane itself.

    Whoever may do that is an administrator of the account in effect, and has routes of their own.
    `instead`: which one, or what else to do.
    """
    if (application or settings(ApiSettings).default_application) == APPLICATION:
        told = f"{APPLICATION} is changed by the routes below /{APPLICATION}/ only: {instead}"
        raise InvalidRequest.of("application", told)


def caller(event: Any) -> str | None:
    """The ARN of whoever signed the request, as API Gateway verified it."""
    return event.request_context.identity.user_arn or None


def record_of(of: Tenant, deployment_id: str) -> JsonObject:
    """A deployment's record. Raises NotFound."""
    record = front().listing.get(of, deployment_id)
    if record is None:
        raise NotFound(f"{of.stack_name} has no deployment {deployment_id}")
    return record


_KEPT_BACK = ("config_content", "rollback_config_content")


def presented(record: JsonObject) -> JsonObject:
    """A record for a reader: the steps that were entered, the execution's page, and no token."""
    shown = {name: value for name, value in record.items() if name not in _KEPT_BACK}
    for steps in ("steps", "rollback_steps"):
        if steps in shown:
            shown[steps] = {n: step for n, step in shown[steps].items() if step["attempts"]}
    if "approval" in shown:
        shown["approval"] = {k: v for k, v in shown["approval"].items() if k != "token"}
    return {**shown, "console_url": console_url(record["execution_arn"])}
