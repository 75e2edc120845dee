"""What the endpoint's four operations do."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.codebuild.clients import Root
from local.codebuild.records import Build, Store
from local.codebuild.requests import (
    BuildId,
    BuildIds,
    ServiceError,
    StartBuild,
    invalid,
    new_build,
    parse,
)
from local.codebuild.runner import Runner
from local.laptop import Laptop

AT_ONCE = 2
_TOKEN_SECONDS = 300.0  # how long AWS remembers an idempotency token


class CodeBuild:
    """Starts, describes and stops builds; at most two run at once, the others are QUEUED."""

    def __init__(self, laptop: Laptop) -> None:
        self._laptop = laptop
        self._store = Store(laptop.state_dir / "build-records")
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="build")
        self._starting = threading.Lock()
        self._stops: dict[str, threading.Event] = {}
        self._closing = False

    def start_build(self, body: object) -> dict[str, Any]:
        """StartBuild. The same idempotency token is the same build, for five minutes."""
        request = parse(StartBuild, body)
        with self._starting:
            if self._closing:
                raise ServiceError("ServiceUnavailableException", "The endpoint is stopping.")
            project = self._project(request.projectName)
            earlier = self._store.all()
            number = sum(build.projectName == project["name"] for build in earlier) + 1
            build = new_build(request, project, number, self._laptop)
            if request.idempotencyToken and (same := _with_token(earlier, build)):
                return {"build": same.as_aws()}
            build.enter("SUBMITTED")
            build.leave("SUCCEEDED")
            build.enter("QUEUED")
            self._store.save(build)
            stop = self._stops[build.id] = threading.Event()
            answer = {"build": build.as_aws()}
            self._pool.submit(self._run, build, stop)
        return answer

    def batch_get_builds(self, body: object) -> dict[str, Any]:
        """BatchGetBuilds."""
        ids = parse(BuildIds, body).ids
        found = {build_id: self._store.get(build_id) for build_id in ids}
        return {
            "builds": [build.as_aws() for build in found.values() if build],
            "buildsNotFound": [build_id for build_id, build in found.items() if not build],
        }

    def stop_build(self, body: object) -> dict[str, Any]:
        """StopBuild. Answers at once; the build is STOPPED when its processes are gone. Stopping a
        build that has ended is no error."""
        build_id = parse(BuildId, body).id
        build = self._store.get(build_id)
        if build is None:
            raise ServiceError("ResourceNotFoundException", f"Build {build_id} does not exist")
        if stop := self._stops.get(build.id):
            stop.set()
        return {"build": build.as_aws()}

    def close(self) -> None:
        """Stop every build and wait for their processes to end."""
        with self._starting:
            self._closing = True
        for stop in list(self._stops.values()):
            stop.set()
        self._pool.shutdown(wait=True)

    def _run(self, build: Build, stop: threading.Event) -> None:
        try:
            build.leave("SUCCEEDED")  # QUEUED
            Runner(build, self._laptop, self._store.save, stop).run()
        finally:
            self._stops.pop(build.id, None)

    def _project(self, name: str) -> dict[str, Any]:
        """From the emulator, where the control plane's stack made it."""
        try:
            projects = Root(self._laptop).projects().batch_get_projects(names=[name])["projects"]
        except (ClientError, BotoCoreError) as error:
            raise ServiceError("ServiceUnavailableException", f"The emulator: {error}") from error
        if not projects:
            arn = f"arn:aws:codebuild:{self._laptop.region}:{self._laptop.account}:project/{name}"
            raise ServiceError("ResourceNotFoundException", f"Project cannot be found: {arn}")
        return dict(projects[0])


def _with_token(builds: list[Build], new: Build) -> Build | None:
    for build in builds:
        if (
            build.idempotency_token == new.idempotency_token
            and build.projectName == new.projectName
            and time.time() - build.startTime < _TOKEN_SECONDS
        ):
            if build.request_digest != new.request_digest:
                raise invalid("The idempotency token was used with other parameters.")
            return build
    return None
