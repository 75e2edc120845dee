"""Wire models: what the API and an execution are given. Unknown fields are refused."""

from enum import StrEnum

from pydantic import Field, SecretStr, ValidationError

from control_plane.errors import InvalidRequest
from control_plane.models import Application, Env, Frozen, Options, Org, Sha256


class Trigger(StrEnum):
    """What started a deployment."""

    API = "api"
    SCHEDULE = "schedule"
    EXECUTION = "execution"  # StartExecution: by hand, in the console, by another program


class Target(Options):
    """What to deploy: the part of a request that is the same however it arrives."""

    application: Application | None = None
    source: Sha256 | None = None


class DeploymentRequest(Target):
    """The body of `POST /envs/{env}/orgs/{org}/deployments`. Every field may be left out.

    The password goes into a secret and nowhere else.
    """

    admin_password: SecretStr | None = Field(default=None, max_length=256)


class ExecutionInput(Target):
    """The input of an execution. By hand `{"env": "stage", "org": "myorg"}` is enough."""

    env: Env
    org: Org
    admin_secret_arn: str | None = None
    trigger: Trigger = Trigger.EXECUTION


class ScheduleRequest(Target):
    """The body of `PUT …/schedule`: when, and what each deployment is asked for."""

    expression: str = Field(pattern=r"^(rate|cron)\(.+\)$", max_length=256)
    timezone: str = Field(default="UTC", max_length=50)
    enabled: bool = True


class SourceRequest(Frozen):
    """The body of `PUT /sources/{sha256}`: the environments that shall deploy this source."""

    application: Application
    environments: list[Env] = Field(default_factory=list)
    size: int = Field(gt=0, le=50 * 1024 * 1024, description="bytes of the zip")


def invalid(error: ValidationError, where: str) -> InvalidRequest:
    """A validation error as a refusal that names each field and what is wrong with it."""
    details = [
        {"field": ".".join(str(part) for part in item["loc"]) or where, "reason": item["msg"]}
        for item in error.errors(include_input=False, include_url=False)
    ]
    told = "; ".join(f"{item['field']}: {item['reason']}" for item in details)
    return InvalidRequest(f"{where}: {told}", details)
