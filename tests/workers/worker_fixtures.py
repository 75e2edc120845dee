"""What the workers' tests and the mutations share: moto's AWS, and nothing of the shell's."""

import os
from collections.abc import Iterator

import boto3
import pytest
import scripted_aws as scripted
import worker_builders as build
from joserfc import jwk
from moto import mock_aws
from moto.utilities.utils import load_resource

from control_plane import aws
from control_plane.api import routes
from control_plane.rules import request_limits
from control_plane.settings import forget_settings


@pytest.fixture(scope="session", autouse=True)
def own_clients() -> Iterator[None]:
    """Clients are made once, since making one takes longer than most tests."""
    yield
    aws.forget_clients()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in build.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws, "of_tenant", lambda _: scripted.SameClients())
    forget_settings()
    routes.front.cache_clear()
    if aws.s3().meta.endpoint_url != "https://s3.amazonaws.com":  # another directory's client
        aws.forget_clients()
        boto3.setup_default_session()


@pytest.fixture(autouse=True)
def _requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second has enough for a test that makes many steps in it."""
    monkeypatch.setattr(request_limits, "A_SECOND", dict.fromkeys(request_limits.Service, 1000))


@pytest.fixture(scope="session")
def signing_key() -> jwk.RSAKey:
    return jwk.RSAKey.import_key(load_resource("cognitoidp/resources/jwks-private.json"))


@pytest.fixture
def world(signing_key: jwk.RSAKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The table, the artifact bucket, and the state machine."""
    # All of moto's pools sign with this key, and each one takes a quarter of a second to read it.
    monkeypatch.setattr(jwk.RSAKey, "import_key", lambda _: signing_key)
    with mock_aws():
        build.create_table()
        aws.s3().create_bucket(Bucket=build.ARTIFACTS)
        aws.s3().put_bucket_versioning(
            Bucket=build.ARTIFACTS, VersioningConfiguration={"Status": "Enabled"}
        )
        aws.stepfunctions().create_state_machine(
            name="syndi-deployment", definition="{}", roleArn=build.ROLE
        )
        yield


@pytest.fixture
def script(world: None) -> Iterator[scripted.Scripted]:
    """For what moto cannot answer, or answers otherwise than AWS."""
    answers = scripted.Scripted()
    yield answers
    answers.forget()
