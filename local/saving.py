"""The emulator's state, saved while it runs, and a journal of what was started.

By itself it saves on SIGTERM only, so a SIGKILL or a power cut takes all but the objects of S3.
Runs in the emulator's own environment: standard library and `ministack` only.
"""

from __future__ import annotations

import copy
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
    saved = ""
    while True:
        wanted = _wanted.wait(LOOK_SECONDS)
        time.sleep(PAUSE_SECONDS)  # so that what ends together is saved together
        _wanted.clear()
        try:
            saved = _save(state_dir, saved, always=wanted)
        except Exception as error:  # noqa: BLE001 - the next look saves; the emulator goes on
            print(f"state not saved: {type(error).__name__}: {error}", flush=True)


def _save(state_dir: Path, before: str, *, always: bool) -> str:
    """Save all services as they are at one moment; gives what says whether something changed.

    All states are taken before any is written: the table must not know what Step Functions does
    not. A state that changes while it is copied is taken again.
    """
    app, persistence = emulator_module("app"), emulator_module("core.persistence")
    at = datetime.now(UTC)
    states = {name: _taken(get) for name, get in app._build_persistence_save_dict().items()}
    states = {name: state for name, state in states.items() if state is not None}
    now = sha256()
    for name in sorted(states.keys() - _BULKY):
        text = json.dumps(states[name], default=persistence._json_default, sort_keys=False)
        now.update(text.encode())
    if not always and now.hexdigest() == before:
        return before
    for name, state in states.items():
        persistence.save_state(name, state)
    mark = state_dir / f"{SAVED}.new"
    mark.write_text(json.dumps({"at": at.isoformat(timespec="seconds"), "pid": os.getpid()}))
    mark.replace(state_dir / SAVED)
    return now.hexdigest()


def _taken(get: Callable[[], Any]) -> Any:
    for attempt in range(20):
        try:
            return copy.deepcopy(get())
        except TypeError:  # something in it cannot be copied
            return get()
        except RuntimeError:  # it changed size while it was copied
            if attempt == 19:
                raise
            time.sleep(0.05)  # before it is taken again
    raise AssertionError("unreachable")
