"""A buildspec, version 0.2: the part of it that this project's builds use.

What is not understood is refused, not ignored: a build that silently leaves something out would
pass here and fail on AWS, or the other way round.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError


class BuildspecInvalid(Exception):
    """The buildspec cannot be used; the message names the place and the reason."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_text(value: Any) -> Any:
    """YAML turns `yes` and `3` into other types; an environment variable is always text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Commands = Annotated[list[str], BeforeValidator(_as_list)]
Text = Annotated[str, BeforeValidator(_as_text)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Env(_Part):
    shell: Literal["bash", "/bin/bash", "sh", "/bin/sh"] = "bash"
    variables: dict[str, Text] = Field(default_factory=dict)


class Phase(_Part):
    """`runtime_versions` is accepted and has no effect: a laptop has the versions it has."""

    commands: Commands = Field(default_factory=list)
    finally_: Commands = Field(default_factory=list, alias="finally")
    on_failure: Literal["ABORT", "CONTINUE"] | None = Field(default=None, alias="on-failure")
    runtime_versions: dict[str, Text] = Field(default_factory=dict, alias="runtime-versions")


class Phases(_Part):
    install: Phase | None = None
    pre_build: Phase | None = None
    build: Phase | None = None
    post_build: Phase | None = None


class Artifacts(_Part):
    files: Commands
    base_directory: str = Field(default=".", alias="base-directory")
    discard_paths: Literal["no", False] = Field(default="no", alias="discard-paths")
    name: str | None = None


class Cache(_Part):
    paths: Commands = Field(default_factory=list)


class Buildspec(_Part):
    version: Annotated[Literal["0.2"], BeforeValidator(_as_text)]
    env: Env = Env()
    phases: Phases
    artifacts: Artifacts | None = None
    cache: Cache = Cache()


def parse(text: str) -> Buildspec:
    """Reads YAML. Raises BuildspecInvalid."""
    try:
        return Buildspec.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise BuildspecInvalid(f"the buildspec is not YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'buildspec'}: {item['msg']}"
            for item in error.errors(include_url=False)
        )
        raise BuildspecInvalid(problems) from error
