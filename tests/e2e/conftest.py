"""One laptop's AWS for all end-to-end tests: on free ports, with a state of its own, and stopped.

It is started and installed by the command line, as a user does it.
"""

import json
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

from cli.connection import Api
from control_plane import aws

# The phases of an emulated stack operation: long enough to be seen, short enough to wait for.
STACK_SECONDS = "0.3"
PREFIXES = "rawscribe,syndi-frontend,almanac"


@pytest.fixture(scope="session")
def syndi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syndi]:
    """The `syndi` command on an installed control plane."""
    with started(tmp_path_factory.mktemp("laptop")) as command:
        yield command


@contextmanager
def started(state: Path, **more: str) -> Iterator[Syndi]:
    """A laptop's AWS with its control plane, and its end; `more`: variables of its environment."""
    command = Syndi(
        {
            "SYNDI_LOCAL_DIR": str(state),
            "SYNDI_LOCAL_PORT": str(free_port()),
            "SYNDI_LOCAL_CODEBUILD_PORT": str(free_port()),
            "SYNDI_LOCAL_STACK_SECONDS": STACK_SECONDS,
            "SYNDI_PREFIXES": PREFIXES,
            **more,
        },
        state,
    )
    try:
        command.ok("--local", "up")
        yield command
    finally:
        command.run("--local", "down", "--now")


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
def api(syndi: Syndi, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The API as the operator calls it, from this process."""
    key = json.loads((syndi.state / "operator.json").read_text())
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{syndi.variables['SYNDI_LOCAL_PORT']}",
        "AWS_ACCESS_KEY_ID": key["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": key["secret_access_key"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    aws.forget_clients()
    return Api(syndi.outputs()["ApiUrl"], "us-east-1")


@pytest.fixture
def stacks(syndi: Syndi) -> Stacks:
    """The tenants' stacks, to be changed past the control plane."""
    return Stacks(syndi)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
