"""Starting, stopping and clearing a laptop's AWS.

Two processes: the emulator and the CodeBuild endpoint. Each has a log and a pid file below the
state directory. Only what `up` started is ever stopped. Standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.environment import emulator_environment, endpoint_environment
from local.errors import Busy, PortTaken, StartFailed, StopFailed, ToolsMissing
from local.laptop import (
    CODEBUILD_PORT_VARIABLE,
    DIRECTORY_VARIABLE,
    PORT_VARIABLE,
    ROOT,
    AccessKey,
    Laptop,
)
from local.names import JOURNAL, SAVED
from local.processes import Process, read_pid_file, start_detached, tail, wait_until

__all__ = [
    "ROOT", "AccessKey", "Laptop", "ServiceStatus", "Stopped", "down", "forget_journal", "reset",
    "save", "saved_at", "status", "up", "was_cut_off",
]  # fmt: skip


KILLED = "killed"
"""The file that says that `down` had to kill the emulator."""


@dataclass(frozen=True)
class ServiceStatus:
    """One of the two processes. `running`: it was started by `up` and lives; `healthy`: it also
    answers on its port."""

    name: str
    endpoint: str
    pid: int | None
    running: bool
    healthy: bool
    log: Path


@dataclass(frozen=True)
class Stopped:
    """What `down` did: names of services that ended by themselves, and of those that had to be
    killed (the emulator's unsaved state is then lost)."""

    stopped: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)


_BUSY = 15.0
"""Seconds in which a service that runs must answer: with dozens of deployments at work it is slow,
and one that is called dead would be started again by its user."""


@dataclass(frozen=True)
class _Service:
    name: str
    laptop: Laptop
    port: int
    port_variable: str
    health_path: str
    command: tuple[str, ...]
    environment: Callable[[Laptop], dict[str, str]]

    @property
    def pid_file(self) -> Path:
        return self.laptop.state_dir / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        return self.laptop.logs_dir / f"{self.name}.log"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def process(self) -> Process | None:
        """The living process that `up` started; None when there is none."""
        process = read_pid_file(self.pid_file)
        return process if process is not None and process.alive else None

    def answers(self, patience: float = 2) -> bool:
        try:
            with urllib.request.urlopen(
                self.endpoint + self.health_path, timeout=patience
            ) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError, ValueError):
            return False

    def status(self) -> ServiceStatus:
        process = self.process()
        return ServiceStatus(
            name=self.name,
            endpoint=self.endpoint,
            pid=process.pid if process else None,
            running=process is not None,
            healthy=process is not None and self.answers(_BUSY),
            log=self.log,
        )


def _services(laptop: Laptop) -> list[_Service]:
    emulator_python = laptop.tools_dir / "ministack" / "bin" / "python"
    return [
        _Service(
            "emulator", laptop, laptop.port, PORT_VARIABLE, "/_ministack/health",
            (str(emulator_python), "-m", "local.emulator"), emulator_environment,
        ),
        _Service(
            "codebuild", laptop, laptop.codebuild_port, CODEBUILD_PORT_VARIABLE, "/health",
            (sys.executable, "-m", "local.codebuild"), endpoint_environment,
        ),
    ]  # fmt: skip


def was_cut_off(laptop: Laptop) -> bool:
    """Whether the emulator ended without saving its state: it was killed, or the machine stopped.

    Answered before `up`, which starts another one.
    """
    process = read_pid_file(laptop.state_dir / "emulator.pid")
    killed = process is not None and not process.alive  # `down` removes the file
    return killed or (laptop.state_dir / KILLED).exists()


def saved_at(laptop: Laptop) -> str | None:
    """When the emulator last saved its state while it ran; None when it never did."""
    try:
        return str(json.loads((laptop.state_dir / SAVED).read_text())["at"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def save(laptop: Laptop, *, timeout: float = 15.0) -> bool:
    """Have the emulator save its state now; False when it did not within `timeout` seconds."""
    process = read_pid_file(laptop.state_dir / "emulator.pid")
    if process is None or not process.alive:
        return False
    mark = laptop.state_dir / SAVED
    before = mark.stat().st_mtime_ns if mark.exists() else 0
    os.kill(process.pid, signal.SIGUSR1)
    return wait_until(lambda: mark.exists() and mark.stat().st_mtime_ns > before, timeout)


def up(laptop: Laptop, *, timeout: float = 30.0) -> bool:
    """Start what does not run yet and wait until all of it is healthy.

    Returns False when everything ran already. `timeout`: seconds for each process to become
    healthy. Raises ToolsMissing, PortTaken (nothing was started), StartFailed (with the end of the
    log), Busy. Whatever this call started is stopped again when it fails or is interrupted.
    """
    with _exclusively(laptop):
        services = [service for service in _services(laptop) if not service.status().healthy]
        if not services:
            return False
        _check_tools(laptop)
        for service in services:  # one that runs but does not answer, or a stale pid file
            _stop(service, grace_seconds=5.0)
        for service in services:
            _check_port(service)
        # Left-overs of functions and builds that were killed; nothing that is kept lives there.
        if any(service.name == "emulator" for service in services):
            shutil.rmtree(laptop.state_dir / "tmp", ignore_errors=True)
        (laptop.state_dir / "tmp").mkdir(parents=True, exist_ok=True)
        started: list[_Service] = []
        try:
            for service in services:
                started.append(service)
                process = start_detached(
                    service.command, cwd=laptop.root, env=service.environment(laptop),
                    log=service.log, pid_file=service.pid_file,
                )  # fmt: skip
                _await_healthy(service, process, timeout)
        except BaseException:
            for service in started:
                _stop(service, grace_seconds=5.0)
            raise
        return True


def down(laptop: Laptop, *, timeout: float = 20.0) -> Stopped:
    """Stop both processes with SIGTERM, which makes the emulator save its state.

    `timeout`: seconds that each of them gets before it is killed. Stopping what does not run is no
    error. Raises StopFailed, Busy.
    """
    if not laptop.state_dir.exists():
        return Stopped()
    with _exclusively(laptop):
        stopped = _stop_all(laptop, timeout)
        if "emulator" in stopped.killed:  # the next `up` says what that took
            (laptop.state_dir / KILLED).touch()
        elif "emulator" in stopped.stopped:
            forget_journal(laptop)
        return stopped


def forget_journal(laptop: Laptop) -> None:
    """What was started until now is in the state, or was reported as lost."""
    for name in (KILLED, JOURNAL):
        (laptop.state_dir / name).unlink(missing_ok=True)


def reset(laptop: Laptop, *, timeout: float = 20.0) -> Stopped:
    """`down`, and remove the state directory with everything in it. Raises StopFailed, Busy."""
    if not laptop.state_dir.exists():
        return Stopped()
    with _exclusively(laptop):
        stopped = _stop_all(laptop, timeout)
        shutil.rmtree(laptop.state_dir)
        return stopped


def status(laptop: Laptop) -> list[ServiceStatus]:
    """The emulator and the CodeBuild endpoint as they are now; never raises."""
    return [service.status() for service in _services(laptop)]


def _stop_all(laptop: Laptop, timeout: float) -> Stopped:
    result = Stopped()
    # The endpoint first: a build that ends now still finds the emulator to write its log to.
    for service in reversed(_services(laptop)):
        match _stop(service, timeout):
            case "stopped":
                result.stopped.append(service.name)
            case "killed":
                result.killed.append(service.name)
    return result


def _stop(service: _Service, grace_seconds: float) -> str | None:
    """Ends the process that the pid file names, if it is still the same one, and removes the file.
    "stopped", "killed", or None when nothing ran."""
    process = service.process()
    outcome = None
    if process is not None:
        try:
            outcome = "stopped" if process.stop(grace_seconds) else "killed"
        except TimeoutError as error:
            raise StopFailed(f"{service.name} (pid {process.pid}) could not be stopped.") from error
    service.pid_file.unlink(missing_ok=True)
    return outcome


def _await_healthy(service: _Service, process: Process, timeout: float) -> None:
    if not wait_until(lambda: not process.alive or service.answers(), timeout):
        raise StartFailed(
            f"{service.name} did not answer on {service.endpoint} within {timeout:.0f} s.\n"
            f"The end of {service.log}:\n{tail(service.log)}"
        )
    if not process.alive:
        raise StartFailed(
            f"{service.name} stopped while starting.\n"
            f"The end of {service.log}:\n{tail(service.log)}"
        )


def _check_tools(laptop: Laptop) -> None:
    for tool, program in (("ministack", "python"), ("sam", "sam"), ("uv", "uv")):
        if not (laptop.tools_dir / tool / "bin" / program).exists():
            raise ToolsMissing(f"{laptop.tools_dir / tool} is not installed: run `make tools`.")


def _check_port(service: _Service) -> None:
    with socket.socket() as probe:
        # As a server does: a connection that only just closed must not count as "taken".
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", service.port))
        except OSError as error:
            raise PortTaken(
                f"Port {service.port} (for {service.name}) is taken by another program. Stop it, "
                f"or choose another port: {service.port_variable}=<port>."
            ) from error


@contextmanager
def _exclusively(laptop: Laptop) -> Iterator[None]:
    laptop.state_dir.mkdir(parents=True, exist_ok=True)
    with (laptop.state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(
                f"Another command is starting or stopping {laptop.state_dir}. Wait for it, or "
                f"choose another directory: {DIRECTORY_VARIABLE}=<path>."
            ) from error
        yield
