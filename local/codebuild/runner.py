"""Runs one build from its source to its artifacts."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from local.codebuild.bundle import (
    BundleInvalid,
    artifact_files,
    pack_cache,
    unpack_cache,
    unpack_source,
)
from local.codebuild.clients import Role, Root
from local.codebuild.logs import BuildLog
from local.codebuild.records import Build, Context, Status
from local.codebuild.shell import Session, Stopped, TimedOut
from local.codebuild.spec import Buildspec, BuildspecInvalid, Phase, parse
from local.codebuild.workspace import Workspace, build_environment
from local.laptop import Laptop

_AWS_ERRORS = (ClientError, BotoCoreError, Boto3Error)


class PhaseFailed(Exception):
    """A phase failed; why, in AWS's words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.context = Context(statusCode=code, message=message)


class Runner:
    """One build, in a thread of its own. `save` is called at every change of `build`."""

    def __init__(
        self, build: Build, laptop: Laptop, save: Callable[[Build], None], stop: threading.Event
    ) -> None:
        self._build, self._laptop, self._save, self._stop = build, laptop, save, stop
        self._space = Workspace(laptop.state_dir / "builds" / build.uuid)
        self._log: BuildLog | None = None
        self._role: Role | None = None

    def run(self) -> None:
        """From PROVISIONING to COMPLETED. Never raises: whatever goes wrong ends in the record."""
        self._deadline = time.monotonic() + self._build.timeoutInMinutes * 60
        try:
            status = self._run()
        except Stopped:
            status = self._cut_short("STOPPED", "Build was stopped.")
        except TimedOut:
            minutes = self._build.timeoutInMinutes
            status = self._cut_short("TIMED_OUT", f"Build timed out after {minutes} minutes.")
        except Exception as error:  # noqa: BLE001
            # A fault of this endpoint, not of the build: said as such, and never left running.
            status = self._cut_short("FAULT", f"{type(error).__name__}: {error}")
        finally:
            self._space.remove()
            if self._log:
                self._log.close()
        self._build.finish(status)
        self._save(self._build)

    def _cut_short(self, status: Status, message: str) -> Status:
        self._say(message)
        if self._build.phases and self._build.phases[-1].endTime is None:
            self._build.leave(status, Context(statusCode=status, message=message))
        return status

    def _run(self) -> Status:
        try:
            with self._phase("PROVISIONING"):
                self._provision()
            with self._phase("DOWNLOAD_SOURCE"):
                spec = self._download()
        except PhaseFailed:
            return self._finalize(ok=False)
        return self._finalize(ok=self._run_phases(spec) and self._upload(spec))

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._check_time()
        self._build.enter(name)
        self._save(self._build)
        self._say(f"Entering phase {name}")
        try:
            yield
        except (PhaseFailed, *_AWS_ERRORS, BundleInvalid, OSError) as error:
            failed = error if isinstance(error, PhaseFailed) else PhaseFailed(*_explain(error))
            self._say(f"Phase complete: {name} State: FAILED")
            self._say(f"Phase context status code: {failed.context.statusCode} "
                      f"Message: {failed.context.message}")  # fmt: skip
            self._build.leave("FAILED", failed.context)
            raise failed from error
        self._say(f"Phase complete: {name} State: SUCCEEDED")
        self._build.leave("SUCCEEDED")

    def _check_time(self) -> None:
        if self._stop.is_set():
            raise Stopped
        if time.monotonic() >= self._deadline:
            raise TimedOut

    def _say(self, text: str) -> None:
        if self._log:
            self._log.container(text)

    def _provision(self) -> None:
        build = self._build
        self._role = Root(self._laptop).assume(build.serviceRole, f"AWSCodeBuild-{build.uuid}")
        names = build.logs["groupName"], build.logs["streamName"]
        self._log = BuildLog(self._role.logs(), *names)
        self._space.create()

    def _download(self) -> Buildspec:
        assert self._role is not None
        if self._build.source["type"] == "S3":
            bucket, _, key = (
                self._build.source["location"].removeprefix("arn:aws:s3:::").partition("/")
            )
            archive = self._space.path / "source.zip"
            self._role.s3().download_file(bucket, key, str(archive))
            unpack_source(archive, self._space.source)
        try:
            spec = parse(self._space.buildspec_text(self._build.buildspec))
        except BuildspecInvalid as error:
            raise PhaseFailed("YAML_FILE_ERROR", str(error)) from error
        self._restore_cache(spec)
        return spec

    def _run_phases(self, spec: Buildspec) -> bool:
        """install, pre_build, build, post_build. The first two stop the build when they fail;
        post_build runs after a failed build too, as in CodeBuild."""
        assert self._role is not None
        assert self._log is not None
        session = Session(
            cwd=self._space.source,
            scratch=self._space.path / "session",
            environment=build_environment(
                self._build, spec, self._laptop, self._space, self._role.environment()
            ),
            output=self._log.line,
            stop=self._stop,
            deadline=self._deadline,
        )
        succeeded = True
        try:
            for name in ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD"):
                phase = getattr(spec.phases, name.lower()) or Phase()
                try:
                    with self._phase(name):
                        self._run_commands(session, phase)
                except PhaseFailed:
                    succeeded = False
                    default = "CONTINUE" if name == "BUILD" else "ABORT"
                    if (phase.on_failure or default) == "ABORT":
                        break
                    session.run("export CODEBUILD_BUILD_SUCCEEDING=0")
        finally:
            session.close()
        return succeeded

    def _run_commands(self, session: Session, phase: Phase) -> None:
        failure: PhaseFailed | None = None
        for commands in (phase.commands, phase.finally_):
            for command in commands:
                self._say(f"Running command {command}")
                if status := session.run(command):
                    message = (
                        f"Error while executing command: {command}. Reason: exit status {status}"
                    )
                    self._say(f"Command did not exit successfully {command} exit status {status}")
                    failure = failure or PhaseFailed("COMMAND_EXECUTION_ERROR", message)
                    break
        if failure:
            raise failure

    def _upload(self, spec: Buildspec) -> bool:
        """Artifacts and cache. Only of a build that succeeded: what a failed one left behind must
        not be found where a good build's result is looked for."""
        assert self._role is not None
        try:
            with self._phase("UPLOAD_ARTIFACTS"):
                if self._build.artifacts["type"] == "S3":
                    if spec.artifacts is None:
                        raise PhaseFailed("CLIENT_ERROR", "The buildspec names no artifacts.")
                    location = self._build.artifacts["location"].removeprefix("arn:aws:s3:::")
                    bucket, _, prefix = location.partition("/")
                    s3 = self._role.s3()
                    for path, name in artifact_files(spec.artifacts, self._space.source):
                        self._check_time()
                        s3.upload_file(str(path), bucket, f"{prefix}/{name}".lstrip("/"))
                self._save_cache(spec)
        except PhaseFailed:
            return False
        return True

    def _finalize(self, *, ok: bool) -> Status:
        with self._phase("FINALIZING"):
            shutil.rmtree(self._space.source, ignore_errors=True)
        return "SUCCEEDED" if ok else "FAILED"

    def _cache_place(self, spec: Buildspec) -> tuple[str, str] | None:
        cache = self._build.cache
        if cache.get("type") != "S3" or not spec.cache.paths:
            return None
        bucket, _, prefix = cache["location"].removeprefix("arn:aws:s3:::").partition("/")
        return bucket, f"{prefix.strip('/')}/{self._build.projectName}.tar.gz".lstrip("/")

    def _restore_cache(self, spec: Buildspec) -> None:
        """A cache only saves time: without one, or with a bad one, the build goes on."""
        assert self._role is not None
        if place := self._cache_place(spec):
            archive: Path = self._space.path / "cache.tar.gz"
            try:
                self._role.s3().download_file(*place, str(archive))
                unpack_cache(archive, self._space.source)
                self._say(f"Restored the cache from {'/'.join(place)}")
            except (*_AWS_ERRORS, BundleInvalid) as error:
                self._say(f"No cache was restored from {'/'.join(place)}: {error}")

    def _save_cache(self, spec: Buildspec) -> None:
        assert self._role is not None
        if place := self._cache_place(spec):
            archive = self._space.path / "cache.tar.gz"
            for ignored in pack_cache(spec.cache.paths, self._space.source, archive):
                self._say(f"Not cached, because it is outside of the source: {ignored}")
            try:
                self._role.s3().upload_file(str(archive), *place)
            except _AWS_ERRORS as error:
                self._say(f"The cache was not saved to {'/'.join(place)}: {error}")


def _explain(error: Exception) -> tuple[str, str]:
    if isinstance(error, Boto3Error) and isinstance(error.__context__, ClientError):
        error = error.__context__  # a file transfer hides what AWS answered
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        denied = code in ("AccessDenied", "AccessDeniedException", "403")
        return ("ACCESS_DENIED" if denied else "CLIENT_ERROR"), str(error)
    return "CLIENT_ERROR", f"{type(error).__name__}: {error}" if str(error) else repr(error)
