"""The laptop's AWS stops in the middle of a deployment, in order and by SIGKILL: nothing stays
open, nothing is lost without a word, and the next deployment succeeds."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from live import reaches
from sources import ALMANAC, APPLICATION, copied, push, updates_slowly
from syndi_command import Result, Syndi, eventually


@pytest.fixture(scope="module")
def slow(syndi: Syndi, almanac: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The options that deploy an almanac whose stack waits for a signal."""
    copy = copied(ALMANAC, tmp_path_factory.mktemp("slow"))
    updates_slowly(copy)
    pushed = push(syndi, copy, "dev")
    push(syndi, ALMANAC, "dev")  # which stays what others deploy
    return (*APPLICATION, "--source", pushed)


def at_work(syndi: Syndi, org: str, slow: tuple[str, ...]) -> dict[str, Any]:
    """A deployment that is in the middle of its stack's operation."""
    made: dict[str, Any] = syndi.attempt("dev", org, *slow, "--no-wait").json
    reaches(syndi, made, "AwaitStack")
    return made


def is_closed(syndi: Syndi, made: dict[str, Any], status: str) -> None:
    """Its record has ended, what it held is free, and a cancel of it is answered."""
    (record,) = syndi.history("dev", made["org"], *APPLICATION)
    assert (record["id"], record["status"]) == (made["id"], status), record
    assert syndi.lock("dev", made["org"], "almanac") is None
    assert syndi.ok("--local", "slots", "show", "--json").json["taken"] == 0
    cancelled = syndi.run("--local", "cancel", made["id"])
    assert f"{made['id']} ended {status} already" in cancelled.stderr


def pid_of(state: Path) -> int:
    return int(json.loads((state / "emulator.pid").read_text())["pid"])


def test_down_in_mid_deployment_lists_it_and_leaves_nothing_open(
    syndi: Syndi, slow: tuple[str, ...]
) -> None:
    made = at_work(syndi, "stuck", slow)
    bounded = syndi.run("--local", "down", "--wait", "1")
    assert bounded.exit_code == 0, bounded.stderr
    assert "waiting for deployment dev-stuck-" in bounded.stderr + bounded.stdout
    assert f"interrupted: deployment dev-stuck-{made['id']}" in bounded.stderr
    syndi.ok("--local", "up")
    is_closed(syndi, made, "CANCELLED")
    assert syndi.deploy("dev", "stuck", *APPLICATION)["status"] == "SUCCEEDED"


def test_after_a_sigkill_up_says_what_was_cut_off_and_lost(
    syndi: Syndi, slow: tuple[str, ...]
) -> None:
    made = at_work(syndi, "killed", slow)
    saved = syndi.state / "saved.json"
    before = saved.stat().st_mtime_ns
    os.kill(pid_of(syndi.state), signal.SIGUSR1)
    eventually(lambda: saved.stat().st_mtime_ns > before, 30, "the state is saved")
    # As if one more had begun after that: only the journal knows of it.
    lost = made["execution_arn"].replace("killed", "ghost")
    with (syndi.state / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"execution_arn": lost, "started_at": "now"}) + "\n")
    os.kill(pid_of(syndi.state), signal.SIGKILL)
    told: Result = syndi.ok("--local", "up")
    assert "was killed or lost power: its state is that of " in told.stderr
    assert f"lost, with its record: execution dev-ghost-{made['id']}" in told.stderr
    assert f"interrupted, and closed now: {made['id']}" in told.stderr
    is_closed(syndi, made, "FAILED")
    assert syndi.deploy("dev", "killed", *APPLICATION)["status"] == "SUCCEEDED"
