"""Processes that outlive the command that started them, and are never mistaken for others.

A pid is reused by the system sooner or later. A pid file therefore also holds when the process
started, and nothing is signalled unless both agree. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

POLL_SECONDS = 0.03


@dataclass(frozen=True)
class Process:
    """A process's identity: `started` is whatever the system says, only ever compared."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this pid now; None when there is none (a zombie is none)."""
        started = _start_time(pid)
        return None if started is None else cls(pid, started)

    @property
    def alive(self) -> bool:
        return Process.of(self.pid) == self

    def stop(self, grace_seconds: float, *, group: bool = False) -> bool:
        """SIGTERM, wait up to `grace_seconds` for the exit, then SIGKILL.

        `group` signals the whole process group that this process leads. Returns True when SIGTERM
        was enough. Raises TimeoutError when even SIGKILL did not end it within 5 seconds.
        """
        self._signal(signal.SIGTERM, group)
        if wait_until(lambda: not self.alive, grace_seconds):
            return True
        self._signal(signal.SIGKILL, group)
        if not wait_until(lambda: not self.alive, 5.0):
            raise TimeoutError(f"process {self.pid} survived SIGKILL")
        return False

    def _signal(self, number: int, group: bool) -> None:
        if not self.alive:
            return
        try:
            if group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            pass  # it ended by itself in between: that is what was wanted


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll `condition` until it holds (True) or `seconds` have passed (False)."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)  # between two looks
    return True


def start_detached(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, pid_file: Path
) -> Process:
    """Start a process in a session of its own (Ctrl-C in this terminal does not reach it), with
    its output in `log`; the log of the run before is kept beside it. Writes `pid_file`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    _children.append(child)
    process = Process.of(child.pid) or Process(child.pid, "exited at once")
    try:
        write_pid_file(pid_file, process)
    except BaseException:  # without the file nothing could ever stop it
        child.kill()
        raise
    return process


# Children of this very process become zombies when they exit; keeping the handles lets
# `_start_time` reap them. A process that another command started is reaped by init.
_children: list[subprocess.Popen[bytes]] = []


def write_pid_file(path: Path, process: Process) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(process)))
    temporary.replace(path)


def read_pid_file(path: Path) -> Process | None:
    """The process named by a pid file; None when there is no file or it makes no sense."""
    try:
        data = json.loads(path.read_text())
        return Process(int(data["pid"]), str(data["started"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log, for an error message; empty when there is no log."""
    try:
        text = path.read_bytes()[-20_000:].decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _start_time(pid: int) -> str | None:
    for child in _finished_children():
        _children.remove(child)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _start_time_from_ps(pid)
    # The command name in the second field may hold spaces and brackets: count after the last one.
    fields = stat.rpartition(")")[2].split()
    state, threads, start_ticks = fields[0], int(fields[17]), fields[19]
    # A zombie is gone once its last thread is: until then it still holds its ports.
    return None if state in "ZX" and threads <= 1 else start_ticks


def _start_time_from_ps(pid: int) -> str | None:
    """For systems without /proc (macOS). LC_ALL keeps the answer comparable between terminals."""
    answer = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)],
        capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
    )  # fmt: skip
    state, _, started = answer.stdout.strip().partition(" ")
    return None if answer.returncode or state.startswith("Z") else started.strip()


def _finished_children() -> Iterator[subprocess.Popen[bytes]]:
    return iter([child for child in _children if child.poll() is not None])
