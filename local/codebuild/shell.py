"""One shell session in which all commands of a build run.

As in CodeBuild, what one command exports or where it goes with `cd` is there for the next one.
The session is one bash process that sources each command from a file and reports its exit status
on a pipe of its own. A command that ends the shell (`exit 3`, or `set -e` and a failure) is a
command that failed with that status; the next command gets a new shell with the exported
variables and the directory that the old one had.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_GRACE_SECONDS = 3.0

# Three descriptors of the driver, by number: COMMANDS has the file to source next, one per line;
# STATUSES takes its exit status; OUTPUT is where the output goes, for the mark that ends a
# command's output there. They are closed for the command itself, or a process that it leaves in
# the background would hold them open.
_MARK = b"\0syndi-end-of-command\0"
_DRIVER = r"""
trap 'export -p > "$SYNDI_SESSION/exports"; pwd > "$SYNDI_SESSION/cwd"' EXIT
while IFS= read -r -u COMMANDS _syndi_file; do
  . "$_syndi_file" COMMANDS<&- STATUSES>&- OUTPUT>&- </dev/null
  _syndi_status=$?
  printf '\0syndi-end-of-command\0' >&OUTPUT
  echo "$_syndi_status" >&STATUSES
done
"""
_RESTORE = r"""
[ ! -f "$SYNDI_SESSION/exports" ] || . "$SYNDI_SESSION/exports"
[ ! -f "$SYNDI_SESSION/cwd" ] || cd "$(cat "$SYNDI_SESSION/cwd")"
"""


class TimedOut(Exception):
    """The build's time is over; its processes were killed."""


class Stopped(Exception):
    """The build was stopped; its processes were killed."""


class Session:
    """Runs commands one after the other. `output` gets every line the commands print, from a
    thread. `stop` ends the running command when set; `deadline` (time.monotonic) does too."""

    def __init__(
        self,
        *,
        cwd: Path,
        scratch: Path,
        environment: Mapping[str, str],
        output: Callable[[str], None],
        stop: threading.Event,
        deadline: float,
    ) -> None:
        self._cwd, self._scratch, self._output = cwd, scratch, output
        self._stop, self._deadline = stop, deadline
        self._environment = {**environment, "SYNDI_SESSION": str(scratch)}
        self._bash: subprocess.Popen[bytes] | None = None
        self._counter = 0
        scratch.mkdir(parents=True, exist_ok=True)

    def run(self, command: str) -> int:
        """A command's exit status; several lines are one command. Raises TimedOut, Stopped."""
        self._check()
        bash = self._bash or self._start()
        self._counter += 1
        file = self._scratch / f"command-{self._counter}.sh"
        file.write_text(command + "\n")
        with contextlib.suppress(BrokenPipeError):  # it died: noticed below
            os.write(self._commands, f"{file}\n".encode())
        status = b""
        while not status.endswith(b"\n"):
            self._check()
            ready, _, _ = select.select([self._statuses], [], [], 0.1)
            if ready:
                chunk = os.read(self._statuses, 100)
                if not chunk:
                    code = bash.wait()
                    self._end()
                    return code if code >= 0 else 128 - code
                status += chunk
        self._caught_up.wait(1.0)  # what the command printed comes before what is said about it
        self._caught_up.clear()
        return int(status)

    def close(self) -> None:
        """End the shell and whatever it left behind."""
        self._end()

    def _check(self) -> None:
        if self._stop.is_set():
            self._end()
            raise Stopped
        if time.monotonic() >= self._deadline:
            self._end()
            raise TimedOut

    def _start(self) -> subprocess.Popen[bytes]:
        commands_read, self._commands = os.pipe()
        self._statuses, statuses_write = os.pipe()
        output_read, output_write = os.pipe()
        script = (_RESTORE if self._counter else "") + _DRIVER
        for name, fd in (
            ("COMMANDS", commands_read), ("STATUSES", statuses_write), ("OUTPUT", output_write)
        ):  # fmt: skip
            script = script.replace(name, str(fd))
        self._bash = subprocess.Popen(
            ["bash", "-c", script], cwd=self._cwd, env=self._environment,
            stdin=subprocess.DEVNULL, stdout=output_write, stderr=output_write,
            pass_fds=(commands_read, statuses_write, output_write), start_new_session=True,
        )  # fmt: skip
        for fd in (commands_read, statuses_write, output_write):
            os.close(fd)
        self._caught_up = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(output_read,), daemon=True)
        self._reader.start()
        return self._bash

    def _read(self, fd: int) -> None:
        """Hands on whole lines; a command's last line even when it has no end."""
        rest = b""
        while chunk := os.read(fd, 65536):
            *commands, rest = (rest + chunk).split(_MARK)
            for text in commands:
                self._print(text.removesuffix(b"\n").split(b"\n") if text else [])
                self._caught_up.set()
            *lines, rest = rest.split(b"\n")
            self._print(lines)
        self._print([rest] if rest else [])
        os.close(fd)

    def _print(self, lines: list[bytes]) -> None:
        for line in lines:
            self._output(line.decode(errors="replace"))

    def _end(self) -> None:
        if self._bash is None:
            return
        bash, self._bash = self._bash, None
        os.close(self._commands)  # an idle shell ends by itself, and its exit trap runs
        if bash.poll() is None and not self._stop.is_set() and time.monotonic() < self._deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                bash.wait(_GRACE_SECONDS)
        _kill_group(bash)
        os.close(self._statuses)
        self._reader.join(2.0)


def _kill_group(leader: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL, for the leader and every process it left in its group."""
    for number, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, 0.5)):
        deadline = time.monotonic() + seconds
        try:
            os.killpg(leader.pid, number)
            while time.monotonic() < deadline:
                leader.poll()  # reaps it: a zombie still counts as a member of its group
                os.killpg(leader.pid, 0)
                time.sleep(0.02)  # between two looks whether somebody is left
        except (ProcessLookupError, PermissionError):
            break  # nobody is left (macOS says EPERM when only zombies are)
    leader.wait()
