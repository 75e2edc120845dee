"""One emulator for all of these tests, on free ports, beside whatever else runs."""

import json
import socket
import urllib.request
from collections.abc import Iterator

import pytest
from rehearsal import ROOT, Stage

from local.laptop import Laptop
from local.lifecycle import down, up

WAIT_SCALE = 0.05
"""Waits and the pauses between retries take a twentieth of their time: their lengths are tested in
tests/wiring, here it matters that they end."""


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _shorten_waits(laptop: Laptop) -> None:
    wanted = {"stepfunctions._SFN_WAIT_SCALE": WAIT_SCALE}
    request = urllib.request.Request(
        f"{laptop.endpoint}/_ministack/config",
        data=json.dumps(wanted).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert json.load(response)["applied"] == wanted


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The state machine with scripted workers."""
    port, codebuild_port = _free_ports(2)
    state_dir = tmp_path_factory.mktemp("workflow")
    laptop = Laptop(root=ROOT, state_dir=state_dir, port=port, codebuild_port=codebuild_port)
    journals = tmp_path_factory.mktemp("journals")
    up(laptop)
    try:
        _shorten_waits(laptop)
        yield Stage(laptop, journals)
    finally:
        down(laptop)
