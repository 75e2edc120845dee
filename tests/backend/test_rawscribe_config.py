"""Each tier of the configuration, what happens when S3 fails, and when a new document arrives."""

import json
import logging
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pydantic import ValidationError
from rawscribe.config import ConfigStore
from rawscribe.settings import Settings

BUCKET = "rawscribe-lambda-stage-alpha-123456789012"
S3_ENVIRON = {"CONFIG_S3_BUCKET": BUCKET, "CONFIG_S3_KEY": "config.json"}
CONFIG_DIRECTORY = Path(__file__).parents[2] / "backend" / "config"


class Clock:
    """A clock that is set by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class BrokenS3:
    """Fails every read."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_object(self, **_kwargs: Any) -> Any:
        raise self.error


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text('{"organization": "bundled", "frontend": {"title": "bundled", "only": 1}}')
    return path


def upload(s3: Any, text: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="config.json", Body=text.encode())


def test_defaults_are_the_lowest_tier(clock: Clock, tmp_path: Path) -> None:
    loaded = ConfigStore({}, Mock(), clock, tmp_path / "none").current()
    assert loaded.source == "defaults"
    assert loaded.settings == Settings()
    assert loaded.settings.auth.enabled, "nobody may lose authentication by losing a file"


def test_bundled_wins_over_defaults(clock: Clock, bundled: Path) -> None:
    loaded = ConfigStore({}, Mock(), clock, bundled).current()
    assert (loaded.source, loaded.problem) == ("bundled", "absent")
    assert loaded.settings.organization == "bundled"
    assert loaded.settings.environment == "local"


def test_s3_wins_over_bundled_and_replaces_it(s3: Any, clock: Clock, bundled: Path) -> None:
    upload(s3, '{"organization": "from-s3", "frontend": {"title": "s3"}}')
    loaded = ConfigStore(S3_ENVIRON, lambda: s3, clock, bundled).current()
    assert (loaded.source, loaded.problem) == ("s3", None)
    assert loaded.settings.organization == "from-s3"
    assert loaded.settings.frontend == {"title": "s3"}, "a key deleted in S3 must stay deleted"


def test_environment_wins_over_s3(s3: Any, clock: Clock, bundled: Path) -> None:
    upload(s3, '{"organization": "s3", "environment": "s3", "auth": {"enabled": false}}')
    environ = {**S3_ENVIRON, "ORG": "environment", "AUTH_ENABLED": "true"}
    settings = ConfigStore(environ, lambda: s3, clock, bundled).current().settings
    assert settings.organization == "environment"
    assert settings.environment == "s3", "what the environment does not say comes from S3"
    assert settings.auth.enabled


def test_empty_variable_says_nothing(s3: Any, clock: Clock, bundled: Path) -> None:
    upload(s3, '{"auth": {"cognito": {"userPoolId": "us-east-1_x"}}}')
    environ = {**S3_ENVIRON, "COGNITO_USER_POOL_ID": ""}
    settings = ConfigStore(environ, lambda: s3, clock, bundled).current().settings
    assert settings.auth.cognito.user_pool_id == "us-east-1_x"


def test_every_variable_arrives(clock: Clock, tmp_path: Path) -> None:
    environ = {
        "ENV": "prod",
        "ORG": "o",
        "AUTH_ENABLED": "false",
        "COGNITO_REGION": "eu-west-1",
        "COGNITO_USER_POOL_ID": "eu-west-1_p",
        "COGNITO_CLIENT_ID": "c",
        "FORMS_BUCKET": "f",
        "DRAFTS_BUCKET": "d",
        "ELN_BUCKET": "e",
        "ALLOWED_ORIGIN": "https://o",
    }
    settings = ConfigStore(environ, Mock(), clock, tmp_path / "none").current().settings
    assert settings.model_dump() == {
        "environment": "prod",
        "organization": "o",
        "auth": {
            "enabled": False,
            "cognito": {"region": "eu-west-1", "user_pool_id": "eu-west-1_p", "client_id": "c"},
        },
        "storage": {
            "forms": {"bucket": "f", "prefix": "sops/"},
            "drafts": {"bucket": "d", "prefix": "drafts/"},
            "elns": {"bucket": "e", "prefix": "elns/"},
        },
        "limits": {"document_bytes": 262_144, "page_size": 100},
        "api": {"endpoint": "", "allowed_origin": "https://o"},
        "frontend": {},
    }


def test_a_section_in_s3_keeps_the_defaults_of_its_other_keys(
    s3: Any, clock: Clock, bundled: Path
) -> None:
    upload(s3, '{"storage": {"forms": {"bucket": "b"}}}')
    settings = ConfigStore(S3_ENVIRON, lambda: s3, clock, bundled).current().settings
    assert settings.storage.forms.prefix == "sops/"


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (refused("AccessDenied"), "AccessDenied"),
        (refused("NoSuchBucket"), "NoSuchBucket"),
        (refused("SlowDown"), "SlowDown"),
        (EndpointConnectionError(endpoint_url="s3"), "EndpointConnectionError"),
    ],
)
def test_an_error_is_not_an_absence(
    error: Exception,
    problem: str,
    clock: Clock,
    bundled: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken: Any = BrokenS3(error)
    logging.getLogger("rawscribe").propagate = True
    loaded = ConfigStore(S3_ENVIRON, lambda: broken, clock, bundled).current()
    assert (loaded.source, loaded.problem) == ("bundled", problem)
    assert loaded.settings.organization == "bundled"
    assert [record.message for record in caplog.records] == ["config not read from S3"]


def test_an_absence_is_not_an_error(
    s3: Any, clock: Clock, bundled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = ConfigStore(S3_ENVIRON, lambda: s3, clock, bundled).current()
    assert (loaded.source, loaded.problem) == ("bundled", "absent")
    assert not caplog.records


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "ValueError"),
        ('{"limits": {"documentBytes": -1}}', "ValidationError"),
        ('{"storage": {"drafts": {"prefix": "../other/"}}}', "ValidationError"),
    ],
)
def test_a_broken_document_falls_back(
    text: str, problem: str, s3: Any, clock: Clock, bundled: Path
) -> None:
    upload(s3, text)
    loaded = ConfigStore(S3_ENVIRON, lambda: s3, clock, bundled).current()
    assert (loaded.source, loaded.problem) == ("bundled", problem)


def test_a_nonsensical_environment_is_not_hidden(clock: Clock, bundled: Path) -> None:
    store = ConfigStore({"AUTH_ENABLED": "perhaps"}, Mock(), clock, bundled)
    with pytest.raises(ValidationError):
        store.current()


def test_a_new_document_reaches_a_warm_function(s3: Any, clock: Clock, bundled: Path) -> None:
    upload(s3, '{"organization": "one"}')
    store = ConfigStore(S3_ENVIRON, lambda: s3, clock, bundled, refresh_seconds=30)
    store.current()
    upload(s3, '{"organization": "two"}')
    clock.now += 29
    assert store.current().settings.organization == "one"
    clock.now += 1
    assert store.current().settings.organization == "two"


def test_an_unchanged_document_is_not_read_again(s3: Any, clock: Clock, bundled: Path) -> None:
    upload(s3, '{"organization": "one"}')
    store = ConfigStore(S3_ENVIRON, lambda: s3, clock, bundled, refresh_seconds=0)
    first = store.current()
    second = store.current()
    assert second.settings is first.settings
    assert second.problem is None


def test_the_last_good_document_survives_an_outage(s3: Any, clock: Clock, bundled: Path) -> None:
    upload(s3, '{"organization": "good"}')
    clients: list[Any] = [s3]
    store = ConfigStore(S3_ENVIRON, lambda: clients[0], clock, bundled, refresh_seconds=0)
    store.current()
    clients[0] = BrokenS3(refused("InternalError"))
    loaded = store.current()
    assert (loaded.source, loaded.problem) == ("s3", "InternalError")
    assert loaded.settings.organization == "good"
    clients[0] = s3
    assert store.current().problem is None


def test_a_removed_document_is_gone(s3: Any, clock: Clock, bundled: Path) -> None:
    upload(s3, '{"organization": "good"}')
    store = ConfigStore(S3_ENVIRON, lambda: s3, clock, bundled, refresh_seconds=0)
    store.current()
    s3.delete_object(Bucket=BUCKET, Key="config.json")
    loaded = store.current()
    assert (loaded.source, loaded.problem) == ("bundled", "absent")


LAYERS = sorted(set(CONFIG_DIRECTORY.glob("*.json")) - {CONFIG_DIRECTORY / "schema.json"})


@pytest.mark.parametrize("path", LAYERS, ids=lambda p: p.name)
def test_the_files_of_the_source_are_valid(path: Path) -> None:
    document = json.loads(path.read_text())
    known = {name for field in Settings.model_fields.values() for name in [field.alias]}
    assert set(document) <= known, "a key that the code does not know has no effect"
    Settings.model_validate(document)
