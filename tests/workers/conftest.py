"""moto's AWS around every worker test; nothing of the shell's reaches them."""

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import Cloud
from codebuild_answers import CodeBuild
from new_version import NewVersion
from people import People
from worker_fixtures import _requests as _requests
from worker_fixtures import environment as environment
from worker_fixtures import own_clients as own_clients
from worker_fixtures import script as script
from worker_fixtures import signing_key as signing_key
from worker_fixtures import world as world

from cli.context import current
from control_plane.settings import forget_settings


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> People:
    """Those who are told what happened, instead of the event bus."""
    told = People()
    monkeypatch.setattr("control_plane.services.notifications.send", told.send)
    return told


@pytest.fixture
def source(world: None) -> str:
    """The SHA-256 of `notes`, pushed and current in stage."""
    return build.push_source()


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
