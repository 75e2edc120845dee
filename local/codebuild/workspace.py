"""The directories of one build, and the environment of its commands."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.codebuild.records import Build
from local.codebuild.spec import Buildspec, BuildspecInvalid
from local.laptop import Laptop


@dataclass(frozen=True)
class Workspace:
    """`<state dir>/builds/<id>/`, of one build and no other, removed when it ends."""

    path: Path

    @property
    def source(self) -> Path:
        return self.path / "src"

    @property
    def home(self) -> Path:
        return self.path / "home"

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    def create(self) -> None:
        """Raises FileExistsError rather than build in a directory that was used before."""
        for directory in (self.path, self.source, self.home, self.temporary):
            directory.mkdir(parents=directory == self.path)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def buildspec_text(self, given: str | None) -> str:
        """The buildspec: `given` itself when it is YAML, the file that it names, or buildspec.yml.
        Raises BuildspecInvalid."""
        if given and ("\n" in given or given.lstrip().startswith(("version:", "{"))):
            return given
        file = (self.source / (given or "buildspec.yml")).resolve()
        if not file.is_relative_to(self.source.resolve()) or not file.is_file():
            raise BuildspecInvalid(f"YAML file does not exist: {given or 'buildspec.yml'}")
        return file.read_text()


def build_environment(
    build: Build,
    spec: Buildspec,
    laptop: Laptop,
    space: Workspace,
    role: Mapping[str, str],
    inherited: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What a build's commands see, later lines winning: this endpoint's environment without
    anything of an AWS or Python of its own; the buildspec's variables; the project's and the
    request's; the variables that CodeBuild sets; the service role's temporary credentials.

    HOME and TMPDIR are the build's own. uv's cache is the one directory that builds share: it is
    made for that, and a layer then takes seconds instead of minutes.
    """
    inherited = os.environ if inherited is None else inherited
    clean = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(("AWS_", "PYTHON", "SYNDI_", "TENANT_"))
        and name not in ("VIRTUAL_ENV", "STACK_NAME")
    }
    tools = laptop.tools_dir
    path = [str(tools / tool / "bin") for tool in ("sam", "uv", "ministack")]
    given = {
        item["name"]: item["value"] for item in build.environment.get("environmentVariables", [])
    }
    environment: dict[str, str] = (
        clean
        | {
            "PATH": os.pathsep.join([*path, clean.get("PATH", os.defpath)]),
            "UV_CACHE_DIR": str(tools / "cache" / "uv"),
            "SAM_CLI_TELEMETRY": "0",
            "CI": "true",
        }
        | spec.env.variables
        | given
        | {
            "HOME": str(space.home),
            "TMPDIR": str(space.temporary),
            "CODEBUILD_BUILD_ID": build.id,
            "CODEBUILD_BUILD_ARN": build.arn,
            "CODEBUILD_BUILD_NUMBER": str(build.buildNumber),
            "CODEBUILD_SRC_DIR": str(space.source),
            "CODEBUILD_INITIATOR": build.initiator,
            "CODEBUILD_BUILD_SUCCEEDING": "1",
        }
        | dict(role)
    )
    return environment
