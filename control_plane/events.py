"""Wire models: what the API and an execution are given. Unknown fields are refused."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field, SecretStr, ValidationError

from control_plane.errors import InvalidRequest
from control_plane.in_words import reason
from control_plane.models import (
    EXPRESSION_PATTERN,
    Application,
    DeploymentId,
    Env,
    Export,
    Frozen,
    JsonObject,
    LogicalId,
    Mode,
    OnConflict,
    Options,
    Org,
    Priority,
    Sha256,
    Tenant,
    Timezone,
)

STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"
"""The member of an input by which the console leads from an execution to those that it started
(Step Functions guide, "Associate workflow executions")."""


class Trigger(StrEnum):
    """What started a deployment."""

    API = "api"
    SCHEDULE = "schedule"
    ROLLOUT = "rollout"
    INSTALL = "install"  # by hand, past the state machine: the control plane itself
    MANUAL = "manual"  # StartExecution: by hand, in the console, by another program
    EXECUTION = "execution"  # the same, as earlier releases wrote it


class Target(Options):
    """What to deploy: the part of a request that is the same however it arrives.

    `create`: the tenant may be a new one, where the installation wants that said.
    """

    application: Application | None = None
    source: Sha256 | None = None
    create: bool = False


class DeploymentRequest(Target):
    """The body of `POST /envs/{env}/orgs/{org}/deployments`. Every field may be left out.

    The password goes into a secret and nowhere else.
    """

    admin_password: SecretStr | None = Field(default=None, max_length=256)


class RollbackRequest(Frozen):
    """The body of `POST …/rollback`: to the previous good deployment, or to the one named `to`."""

    application: Application | None = None
    to: DeploymentId | None = None
    on_conflict: OnConflict = OnConflict.WAIT
    priority: Priority = Priority.NORMAL
    allow_replacement: tuple[LogicalId, ...] = ()
    approval: bool = False
    dry_run: bool = False


class SelfUpdateRequest(Frozen):
    """The body of `POST /control-plane/deployments`: its source, or its last build again."""

    mode: Literal[Mode.FULL, Mode.DEPLOY_ONLY] = Mode.FULL
    source: Sha256 | None = None
    on_conflict: OnConflict = OnConflict.WAIT
    allow_replacement: tuple[LogicalId, ...] = ()
    approval: bool = False
    dry_run: bool = False


class OffboardRequest(Frozen):
    """The body of `DELETE /envs/{env}/orgs/{org}`. `confirm` is the stack's name, typed out."""

    application: Application | None = None
    confirm: str = Field(max_length=128)
    export: tuple[Export, ...] = ()
    purge: bool = False
    approval: bool = False
    on_conflict: OnConflict = OnConflict.WAIT


class DriftRequest(Frozen):
    """The body of `POST …/drift`."""

    application: Application | None = None
    on_conflict: OnConflict = OnConflict.WAIT


class RetryRequest(Frozen):
    """The body of `POST …/deployments/{id}/retry`: the password is kept nowhere to be reused."""

    admin_password: SecretStr | None = Field(default=None, max_length=256)


class Decision(Frozen):
    """The body of `POST …/deployments/{id}/approve` and `…/reject`."""

    comment: str = Field(default="", max_length=500)


class ExecutionInput(Target):
    """The input of an execution. By hand `{"env": "stage", "org": "myorg"}` is enough."""

    env: Env
    org: Org
    admin_secret_arn: str | None = None
    trigger: Trigger = Trigger.MANUAL
    requested_by: str | None = Field(default=None, max_length=300)
    retry_of: DeploymentId | None = None
    rollout: str | None = Field(default=None, max_length=60)
    started_by: str | None = Field(default=None, alias=STARTED_BY)


def facts_of(request: ExecutionInput, source: str) -> JsonObject:
    """What a new record says of the request: what was asked for, by whom, and for which source."""
    apart = {
        "env", "org", "trigger", "admin_secret_arn", "requested_by", "retry_of", "rollout",
        "started_by",
    }  # fmt: skip
    asked = request.model_dump(mode="json", exclude=apart, exclude_none=True, exclude_defaults=True)
    return {
        "request": asked,
        "mode": request.mode,
        "source": source,
        "trigger": request.trigger,
        "requested_by": request.requested_by,
        "retry_of": request.retry_of,
        "rollout": request.rollout,
    }


class ScheduleRequest(Target):
    """The body of `PUT …/schedule`: when, and what each deployment is asked for."""

    expression: str = Field(pattern=EXPRESSION_PATTERN, max_length=256)
    timezone: Timezone = "UTC"
    enabled: bool = True


class ConfigRequest(Frozen):
    """The body of `PUT …/config`: all of the overrides, and the version they were made from."""

    application: Application | None = None
    overrides: JsonObject
    base_version: int = Field(ge=0)
    comment: str = Field(default="", max_length=500)


class LiveConfigQuestion(Frozen):
    """What the API asks the config worker for; `source`: whose manifest says where it lies."""

    tenant: Tenant
    source: Sha256
    bucket: str
    key: str


class LiveConfig(Frozen):
    """A tenant's live configuration as it lies in its bucket; without `content` there is a
    `problem`. `size` in bytes. `invalid`: what does not fit the application's schema."""

    bucket: str
    key: str
    version_id: str
    size: int
    last_modified: datetime
    sha256: str | None = None
    content: JsonObject | None = None
    problem: str | None = None
    invalid: tuple[str, ...] = ()


class SlotsRequest(Frozen):
    """The body of `PUT /slots`: how many deployments may work at the same time."""

    limit: int = Field(ge=1, le=400)


class SourceRequest(Frozen):
    """The body of `PUT /envs/{env}/sources/{sha256}`: what the environment shall deploy."""

    application: Application
    size: int = Field(gt=0, le=50 * 1024 * 1024, description="bytes of the zip")


class SourcesRequest(SourceRequest):
    """The same with the environments that shall deploy it from now on: the control plane's own, and
    the trial of an earlier release."""

    environments: list[Env] = Field(default_factory=list)


def invalid(error: ValidationError, where: str) -> InvalidRequest:
    """A validation error as a refusal that names each field and what is wrong with it."""
    details = [
        {"field": ".".join(str(part) for part in item["loc"]) or where, "reason": reason(item)}
        for item in error.errors(include_input=False, include_url=False)
    ]
    told = "; ".join(f"{item['field']}: {item['reason']}" for item in details)
    return InvalidRequest(f"{where}: {told}", details)
