"""The emulator's state, saved while it runs, and a journal of what was started.

By itself it saves on SIGTERM only, so a SIGKILL or a power cut takes all but the objects of S3.
Runs in the emulator's own environment: standard library and `ministack` only.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from local.names import JOURNAL, SAVED
from local.rewriting import emulator_module, install

LOOK_SECONDS = 20.0
"""How often the state is compared with what was saved."""

PAUSE_SECONDS = 2.0
"""The pause before each save: what ends together is saved together, and not too often."""

_BULKY = frozenset({"lambda", "cloudwatch", "cloudwatch_logs"})
"""Not compared: code, which changes only with what describes it, and what only counts."""

_wanted = threading.Event()


def save_while_running(state_dir: Path) -> None:
    """Save whenever an execution has started or ended, on SIGUSR1, and when anything else has
    changed for a while. `state_dir`: the laptop's."""
    stepfunctions = emulator_module("services.stepfunctions")
    name = "_emit_execution_status_event"
    emits: Callable[..., Any] = getattr(stepfunctions, name)

    def noted(execution: Any, *more: Any, **named: Any) -> Any:
        _note(state_dir, execution)
        _wanted.set()
        return emits(execution, *more, **named)

    install(name, noted, [stepfunctions])
    signal.signal(signal.SIGUSR1, lambda *_: _wanted.set())
    threading.Thread(target=_saving, args=(state_dir,), daemon=True, name="saving").start()


def _note(state_dir: Path, execution: Any) -> None:
    """One line for each execution that starts: known also if the state of then is lost."""
    if execution.get("status") != "RUNNING":
        return
    line = {"execution_arn": execution["executionArn"], "started_at": execution.get("startDate")}
    with (state_dir / JOURNAL).open("a") as journal:
        journal.write(json.dumps(line) + "\n")


def _saving(state_dir: Path) -> None:
    saved: dict[str, str] = {}
    while True:
        wanted = _wanted.wait(LOOK_SECONDS)
        time.sleep(PAUSE_SECONDS)  # so that what ends together is saved together
        _wanted.clear()
        try:
            saved = _save(state_dir, saved, always=wanted)
        except Exception as error:  # noqa: BLE001 - the next look saves; the emulator goes on
            print(f"state not saved: {type(error).__name__}: {error}", flush=True)


def _save(state_dir: Path, before: dict[str, str], *, always: bool) -> dict[str, str]:
    """Save the services that have changed; gives a digest of each, to compare with `before`.

    All are read before any is written: the table must not know what Step Functions does not.
    """
    app, persistence = emulator_module("app"), emulator_module("core.persistence")
    at = datetime.now(UTC)
    services = app._build_persistence_save_dict()
    now = {name: _digest(get, persistence) for name, get in services.items()}
    changed = {name for name, digest in now.items() if digest != before.get(name)}
    if not always and not changed - _BULKY:
        return before
    texts = {
        name: _encoded(
            lambda name=name: {  # type: ignore[misc]
                "__ministack_format__": persistence._state_format_version(name),
                "payload": services[name](),
            },
            persistence._json_default,
        )
        for name in changed
    }
    for name, text in texts.items():
        _write(Path(persistence.STATE_DIR) / f"{name}.json", text)
    _write(
        state_dir / SAVED,
        json.dumps({"at": at.isoformat(timespec="seconds"), "pid": os.getpid()}),
    )
    return now


def _digest(get: Callable[[], Any], persistence: Any) -> str:
    """What says whether a service's state has changed, without encoding its packages of code:
    bytes never change in place, so which object it is says the same."""

    def default(value: Any) -> Any:
        if isinstance(value, bytes | bytearray):
            return [id(value), len(value)]
        return persistence._json_default(value)

    return sha256(_encoded(get, default).encode()).hexdigest()


def _encoded(get: Callable[[], Any], default: Callable[[Any], Any]) -> str:
    """A state as JSON. One that changes while it is read is read again."""
    for attempt in range(20):
        try:
            return json.dumps(get(), default=default)
        except RuntimeError:  # a dictionary changed its size
            if attempt == 19:
                raise
            time.sleep(0.05)  # before it is read again
    raise AssertionError("unreachable")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    fresh.replace(path)
