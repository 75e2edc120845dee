"""What a build is, and the files below the state directory in which builds survive a restart."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

Status = Literal["IN_PROGRESS", "SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"]


class Context(BaseModel):
    """Why a phase did not succeed, as AWS says it."""

    statusCode: str
    message: str


class PhaseRecord(BaseModel):
    """Times are seconds since 1970, as in the protocol."""

    phaseType: str
    startTime: float
    endTime: float | None = None
    phaseStatus: str | None = None
    contexts: list[Context] = Field(default_factory=list)

    def as_aws(self) -> dict[str, Any]:
        answer = self.model_dump(exclude_none=True)
        if not self.contexts:
            # A phase that went well has one empty context on AWS; none once it is COMPLETED.
            answer["contexts"] = (
                [] if self.phaseStatus is None else [{"statusCode": "", "message": ""}]
            )
        if self.endTime is not None:
            answer["durationInSeconds"] = int(self.endTime - self.startTime)
        return answer


class Build(BaseModel):
    """One build. Field names are the protocol's, so that what is stored is what is answered."""

    id: str
    arn: str
    buildNumber: int
    projectName: str
    startTime: float
    endTime: float | None = None
    currentPhase: str = "SUBMITTED"
    buildStatus: Status = "IN_PROGRESS"
    phases: list[PhaseRecord] = Field(default_factory=list)
    source: dict[str, Any]
    artifacts: dict[str, Any]
    cache: dict[str, Any]
    environment: dict[str, Any]
    serviceRole: str
    timeoutInMinutes: int
    logs: dict[str, Any]
    initiator: str = "local"
    # Not part of the protocol:
    buildspec: str | None = None
    idempotency_token: str | None = None
    request_digest: str = ""

    @property
    def complete(self) -> bool:
        return self.buildStatus != "IN_PROGRESS"

    @property
    def uuid(self) -> str:
        return self.id.rpartition(":")[2]

    def as_aws(self) -> dict[str, Any]:
        hidden = {"phases", "buildspec", "idempotency_token", "request_digest"}
        return self.model_dump(exclude=hidden, exclude_none=True) | {
            "phases": [phase.as_aws() for phase in self.phases],
            "buildComplete": self.complete,
            "queuedTimeoutInMinutes": 480,
        }

    def enter(self, phase: str) -> None:
        """Begin a phase; COMPLETED has neither an end nor a status."""
        self.currentPhase = phase
        self.phases.append(PhaseRecord(phaseType=phase, startTime=time.time()))

    def leave(self, status: str, context: Context | None = None) -> None:
        """End the phase that runs."""
        phase = self.phases[-1]
        phase.endTime = time.time()
        phase.phaseStatus = status
        phase.contexts = [context] if context else []

    def finish(self, status: Status) -> None:
        self.enter("COMPLETED")
        self.buildStatus = status
        self.endTime = time.time()


class Store:
    """All builds, in memory and as one JSON file each. Safe for use by several threads, as long as
    only one of them changes a build."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._builds: dict[str, Build] = {}
        for path in sorted(directory.glob("*.json")):
            build = Build.model_validate_json(path.read_text())
            self._builds[build.id] = build
        for build in self._builds.values():
            if not build.complete:
                self._report_lost(build)

    def save(self, build: Build) -> None:
        """Store a build. What readers get is this state of it, not what it becomes later."""
        path = self._directory / f"{build.uuid}.json"
        with self._lock:
            self._builds[build.id] = build.model_copy(deep=True)
            temporary = path.with_suffix(".new")
            temporary.write_text(build.model_dump_json())
            os.replace(temporary, path)

    def get(self, build_id: str) -> Build | None:
        """By id or ARN; a copy."""
        with self._lock:
            found = self._builds.get(build_id.rpartition(":build/")[2] or build_id)
            return found.model_copy(deep=True) if found else None

    def all(self) -> list[Build]:
        """Every build, oldest first; copies."""
        with self._lock:
            builds = [build.model_copy(deep=True) for build in self._builds.values()]
        return sorted(builds, key=lambda build: build.startTime)

    def _report_lost(self, build: Build) -> None:
        """A build that ran when the endpoint died has ended, and nobody can say how: FAILED."""
        lost = Context(statusCode="INTERNAL_ERROR", message="The build endpoint stopped meanwhile.")
        if build.phases and build.phases[-1].endTime is None:
            build.leave("FAILED", lost)
        build.finish("FAILED")
        self.save(build)
