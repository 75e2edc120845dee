"""Requests, as CodeBuild's JSON 1.1 protocol writes them, and the build they ask for.

Only what this endpoint can do is accepted. A member that it does not know is refused, so that a
deployment cannot rely on something here that then has no effect.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.codebuild.records import Build
from local.laptop import Laptop


class ServiceError(Exception):
    """An error in AWS's shape; `code` becomes `__type`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid(message: str) -> ServiceError:
    return ServiceError("InvalidInputException", message)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Variable(_Request):
    name: str = Field(min_length=1)
    value: str
    type: Literal["PLAINTEXT"] = "PLAINTEXT"


class ArtifactsOverride(_Request):
    type: Literal["S3", "NO_ARTIFACTS"]
    location: str | None = None
    path: str = ""
    name: str | None = None
    namespaceType: Literal["NONE"] = "NONE"
    packaging: Literal["NONE"] = "NONE"
    overrideArtifactName: Literal[False] = False
    encryptionDisabled: bool = False


class CacheOverride(_Request):
    type: Literal["S3", "NO_CACHE"]
    location: str | None = None


class StartBuild(_Request):
    projectName: str
    environmentVariablesOverride: list[Variable] = Field(default_factory=list)
    sourceTypeOverride: Literal["S3", "NO_SOURCE"] | None = None
    sourceLocationOverride: str | None = None
    buildspecOverride: str | None = None
    artifactsOverride: ArtifactsOverride | None = None
    cacheOverride: CacheOverride | None = None
    timeoutInMinutesOverride: int | None = Field(default=None, ge=5, le=2160)
    idempotencyToken: str | None = None


class BuildIds(_Request):
    ids: list[str] = Field(min_length=1, max_length=100)


class BuildId(_Request):
    id: str


_Model = TypeVar("_Model", bound=_Request)


def parse(model: type[_Model], body: object) -> _Model:
    """Raises ServiceError, which names every member that is wrong."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_url=False)
        )
        raise invalid(f"Not possible on this endpoint: {problems}") from error


def new_build(request: StartBuild, project: dict[str, Any], number: int, laptop: Laptop) -> Build:
    """The build that a request asks for: the project's definition with the request's overrides.

    `project` is an element of BatchGetProjects. Raises ServiceError.
    """
    name = project["name"]
    build_uuid = str(uuid.uuid4())
    source = dict(project.get("source") or {})
    source["type"] = request.sourceTypeOverride or source.get("type", "NO_SOURCE")
    if request.sourceLocationOverride:
        source["location"] = request.sourceLocationOverride
    if source["type"] not in ("S3", "NO_SOURCE"):
        raise invalid(f"Source type {source['type']} is not possible on this endpoint.")
    if source["type"] == "S3" and "/" not in source.get("location", ""):
        raise invalid("An S3 source location is bucket/key.zip.")
    artifacts = (
        request.artifactsOverride.model_dump(exclude_none=True)
        if request.artifactsOverride
        else dict(project.get("artifacts") or {"type": "NO_ARTIFACTS"})
    )
    if artifacts["type"] not in ("S3", "NO_ARTIFACTS"):
        raise invalid(f"Artifacts of type {artifacts['type']} are not possible on this endpoint.")
    if artifacts["type"] == "S3":
        if not artifacts.get("location"):
            raise invalid("Artifacts of type S3 need a location, the name of a bucket.")
        prefix = artifact_prefix(artifacts, name)
        artifacts["location"] = f"arn:aws:s3:::{artifacts['location']}/{prefix}".rstrip("/")
    cache = (
        request.cacheOverride.model_dump(exclude_none=True)
        if request.cacheOverride
        else dict(project.get("cache") or {"type": "NO_CACHE"})
    )
    arn = f"arn:aws:codebuild:{laptop.region}:{laptop.account}:build/{name}:{build_uuid}"
    return Build(
        id=f"{name}:{build_uuid}",
        arn=arn,
        buildNumber=number,
        projectName=name,
        startTime=time.time(),
        source=source,
        artifacts=artifacts,
        cache=cache,
        environment=_environment(request, project),
        serviceRole=project.get("serviceRole", ""),
        timeoutInMinutes=request.timeoutInMinutesOverride or project.get("timeoutInMinutes", 60),
        logs=_logs(project, build_uuid, laptop),
        buildspec=request.buildspecOverride or source.get("buildspec"),
        idempotency_token=request.idempotencyToken,
        request_digest=hashlib.sha256(request.model_dump_json().encode()).hexdigest(),
    )


def artifact_prefix(artifacts: dict[str, Any], project_name: str) -> str:
    """Where artifacts go below their bucket: path/name. The name is the project's unless one is
    given; "/" means directly below the path."""
    name = artifacts.get("name") or project_name
    return "/".join(filter(None, (artifacts.get("path", "").strip("/"), name.strip("/"))))


def _environment(request: StartBuild, project: dict[str, Any]) -> dict[str, Any]:
    environment = dict(project.get("environment") or {})
    variables: dict[str, Variable] = {}
    for item in [*environment.get("environmentVariables", []), *(
        variable.model_dump() for variable in request.environmentVariablesOverride
    )]:  # fmt: skip
        variables[item["name"]] = parse(Variable, item)
    environment["environmentVariables"] = [item.model_dump() for item in variables.values()]
    return environment


def _logs(project: dict[str, Any], build_uuid: str, laptop: Laptop) -> dict[str, Any]:
    configured = (project.get("logsConfig") or {}).get("cloudWatchLogs") or {}
    group = configured.get("groupName") or f"/aws/codebuild/{project['name']}"
    stream = "/".join(filter(None, (configured.get("streamName"), build_uuid)))
    return {
        "groupName": group,
        "streamName": stream,
        "cloudWatchLogsArn": (
            f"arn:aws:logs:{laptop.region}:{laptop.account}:log-group:{group}:log-stream:{stream}"
        ),
        "cloudWatchLogs": {"status": "ENABLED", "groupName": group},
        "s3Logs": {"status": "DISABLED"},
    }
