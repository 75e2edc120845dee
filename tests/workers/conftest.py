"""moto's AWS around every worker test; nothing of the shell's reaches them."""

import os
from collections.abc import Iterator

import boto3
import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import Cloud
from codebuild_answers import CodeBuild
from joserfc import jwk
from moto import mock_aws
from moto.utilities.utils import load_resource
from new_version import NewVersion
from people import People

from cli.context import current
from control_plane import aws
from control_plane.api import routes
from control_plane.rules import request_limits
from control_plane.settings import forget_settings


@pytest.fixture(scope="session", autouse=True)
def _own_clients() -> Iterator[None]:
    """Clients are made once, since making one takes longer than most tests."""
    yield
    aws.forget_clients()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in build.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    forget_settings()
    routes.front.cache_clear()
    if aws.s3().meta.endpoint_url != "https://s3.amazonaws.com":  # another directory's client
        aws.forget_clients()
        boto3.setup_default_session()


@pytest.fixture(autouse=True)
def _requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second has enough for a test that makes many steps in it."""
    monkeypatch.setattr(request_limits, "A_SECOND", dict.fromkeys(request_limits.Service, 1000))


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> People:
    """Those who are told what happened, instead of the event bus."""
    told = People()
    monkeypatch.setattr("control_plane.services.notifications.send", told.send)
    return told


@pytest.fixture(scope="session")
def _signing_key() -> jwk.RSAKey:
    return jwk.RSAKey.import_key(load_resource("cognitoidp/resources/jwks-private.json"))


@pytest.fixture
def world(_signing_key: jwk.RSAKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The table, the artifact bucket, and the state machine."""
    # All of moto's pools sign with this key, and each one takes a quarter of a second to read it.
    monkeypatch.setattr(jwk.RSAKey, "import_key", lambda _: _signing_key)
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
def source(world: None) -> str:
    """The SHA-256 of `notes`, pushed and current in stage."""
    return build.push_source()


@pytest.fixture
def script(world: None) -> Iterator[scripted.Scripted]:
    """For what moto cannot answer, or answers otherwise than AWS."""
    answers = scripted.Scripted()
    yield answers
    answers.forget()


@pytest.fixture
def cloud(script: scripted.Scripted) -> Cloud:
    """CloudFormation, whose stacks have no events yet."""
    found = Cloud(script)
    found.has_events()
    return found


@pytest.fixture
def codebuild(script: scripted.Scripted) -> CodeBuild:
    """CodeBuild, where nobody stops a build."""
    return CodeBuild(script)


@pytest.fixture
def stoppable(codebuild: CodeBuild) -> CodeBuild:
    """CodeBuild, where builds can be stopped."""
    codebuild.can_stop()
    return codebuild


@pytest.fixture
def version(world: None, monkeypatch: pytest.MonkeyPatch) -> NewVersion:
    """A new version of the control plane, on trial: its API, which may deploy the trial."""
    found = NewVersion()
    monkeypatch.setattr("urllib3.request", found.request)
    monkeypatch.setenv("APPLICATION_PREFIXES", "notes,syndi-trial")
    forget_settings()
    return found


@pytest.fixture(autouse=True)
def _no_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command with --local leaves that to no other test."""
    monkeypatch.setattr(current, "local", False)
