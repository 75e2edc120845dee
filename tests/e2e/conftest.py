"""One laptop's AWS for all end-to-end tests: on free ports, with a state of its own, and stopped.

It is started and installed by the command line, as a user does it.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sources
import vault
from sources import ALMANAC, APPLICATION
from stacks import Stacks
from syndi_command import ADMIN, ALPHA_PASSWORD, Syndi

# The phases of an emulated stack operation: long enough to be seen, short enough to wait for.
STACK_SECONDS = "0.3"
PREFIXES = "rawscribe,syndi-frontend,almanac"


@pytest.fixture(scope="session")
def syndi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syndi]:
    """The `syndi` command on an installed control plane."""
    with started(tmp_path_factory.mktemp("laptop")) as command:
        yield command


@contextmanager
def started(state: Path) -> Iterator[Syndi]:
    """A laptop's AWS with its control plane, and its end."""
    command = Syndi(
        {
            "SYNDI_LOCAL_DIR": str(state),
            "SYNDI_LOCAL_PORT": str(_free_port()),
            "SYNDI_LOCAL_CODEBUILD_PORT": str(_free_port()),
            "SYNDI_LOCAL_STACK_SECONDS": STACK_SECONDS,
            "SYNDI_PREFIXES": PREFIXES,
        },
        state,
    )
    try:
        command.ok("--local", "up")
        yield command
    finally:
        command.run("--local", "down")


@pytest.fixture(scope="session")
def alpha(syndi: Syndi) -> dict[str, object]:
    """`stage/alpha`, deployed for the first time, with an administrator whose password is given."""
    return syndi.deploy("stage", "alpha", "--admin-username", ADMIN, password=ALPHA_PASSWORD)


@pytest.fixture(scope="session")
def almanac(syndi: Syndi) -> dict[str, object]:
    """`dev/lighthouse` of the second application, deployed for the first time."""
    sources.push(syndi, ALMANAC, "dev")
    return syndi.deploy("dev", "lighthouse", *APPLICATION)


@pytest.fixture(scope="session")
def vaulted(
    syndi: Syndi, almanac: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, ...]:
    """The options that deploy the almanac with a vault."""
    pushed = vault.push(syndi, tmp_path_factory.mktemp("vaulted"))
    return (*APPLICATION, "--source", pushed)


@pytest.fixture
def stacks(syndi: Syndi) -> Stacks:
    """The tenants' stacks, to be changed past the control plane."""
    return Stacks(syndi)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
