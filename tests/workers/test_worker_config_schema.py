"""A configuration that does not fit the application's schema gets through no door, and is seen."""

import hashlib
import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import Reply, call
from config_calls import BUCKET, accept_policies, content, succeed, sync, upload
from lambda_calls import answer_with_the_worker
from record_calls import BARE, prepare
from worker_builders import ALPHA, ARTIFACTS, TABLE

from cli.checking import check_config
from cli.connection import Api
from cli.failure import Refused
from cli.source import pack
from control_plane import aws, naming
from control_plane.errors import ConfigInvalid, InvalidRequest
from control_plane.models import Deployment, Env
from control_plane.store.overrides import Overrides
from control_plane.store.progress import Progress
from control_plane.store.sources import SourceArchive
from control_plane.use_cases.config_checking import check_source
from workers import config as worker

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title", "auth", "api"],
    "properties": {
        "title": {"type": "string", "enum": ["Notes", "Alpha", "Beta"]},
        "size": {"type": "integer"},
        "auth": {
            "type": "object",
            "additionalProperties": False,
            "required": ["on", "pool"],
            "properties": {"on": {"type": "boolean"}, "pool": {"pattern": "^pool-"}},
        },
        "api": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"url": {"type": "string"}},
        },
    },
}
MANIFEST = build.MANIFEST.replace(
    'key = "config.json"', 'key = "config.json"\nschema = "schema.json"'
)
FILES = {**build.FILES, "application.toml": MANIFEST, "schema.json": json.dumps(SCHEMA)}
HERE = "/envs/stage/orgs/alpha"
KINDS = [
    ({"size": "5"}, "size", "must be a whole number, is a text"),
    ({"titel": "Alpha"}, "titel", "did you mean title?"),
    ({"title": "Gamma"}, "title", 'must be one of "Notes", "Alpha", "Beta"'),
    ({"title": None}, "title", "is required, and missing"),
    ({"auth": {"on": None}}, "auth.on", "is required, and missing"),
]


@pytest.fixture(autouse=True)
def _world(script: scripted.Scripted) -> None:
    accept_policies(script)
    answer_with_the_worker(script)


@pytest.fixture
def pushed(world: None) -> str:
    return build.push_source(FILES)


def opened(source: str, number: int = 1, **more: Any) -> Deployment:
    manifest = build.manifest.parse(MANIFEST)
    return build.opened(build.deployment(number=number, source=source, manifest=manifest, **more))


def stored(overrides: dict[str, Any]) -> None:
    """Overrides as they were right for an earlier source."""
    Overrides(TABLE).put(ALPHA, overrides, 0, None, "")


def nothing_uploaded() -> bool:
    return BUCKET not in [bucket["Name"] for bucket in aws.s3().list_buckets()["Buckets"]]


# Storing overrides --------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "field", "reason"), KINDS)
def test_overrides_that_do_not_fit_are_not_stored(
    pushed: str, wrong: Any, field: str, reason: str
) -> None:
    reply = call("PUT", f"{HERE}/config", {"overrides": wrong, "base_version": 0})
    assert (reply.status, reply.fields) == (400, [field])
    assert reason in reply.error["message"]
    assert call("GET", f"{HERE}/config/history").body["versions"] == []


def test_overrides_that_fit_are_stored_though_no_stack_is_there(pushed: str) -> None:
    body = {"overrides": {"title": "Beta", "size": 3}, "base_version": 0}
    assert call("PUT", f"{HERE}/config", body).status == 200


def test_a_key_that_a_newer_source_does_not_know_can_be_taken_back(pushed: str) -> None:
    stored({"old": 1})
    assert call("PUT", f"{HERE}/config", {"overrides": {}, "base_version": 1}).status == 200


# Pushing a source ---------------------------------------------------------------------------------


def push(files: dict[str, str], *environments: str) -> Reply:
    """Push a source for environments, one after the other, as the command line does."""
    content = build.zipped(files)
    sha256 = hashlib.sha256(content).hexdigest()
    body = {"application": "notes", "size": len(content)}
    for env in environments:
        key = naming.source_key(Env(env), sha256)
        aws.s3().put_object(Bucket=ARTIFACTS, Key=key, Body=content)
        reply = call("PUT", f"/envs/{env}/sources/{sha256}", body)
        if reply.status != 200:
            break
    return reply


def test_a_source_that_fits_is_registered(world: None) -> None:
    for environments in (["stage"], ["dev", "test", "stage", "prod"]):
        assert push(FILES, *environments).body.get("state") == "REGISTERED"


@pytest.mark.parametrize("file", ["base", "dev", "stage", "stage-alpha", "prod-new-org"])
@pytest.mark.parametrize(("wrong", "field", "reason"), KINDS)
def test_a_source_whose_files_do_not_fit_is_refused_and_its_file_named(
    world: None, file: str, wrong: Any, field: str, reason: str
) -> None:
    name = f"config/{file}.json"
    merged = {**json.loads(FILES["config/base.json"]), **wrong} if file == "base" else wrong
    if file == "base" and field == "title":
        merged = {**wrong, "auth": {"on": True}}
    reply = push({**FILES, "config/stage-alpha.json": "{}", name: json.dumps(merged)}, "stage")
    assert reply.status == 400, reply.body
    assert field in reply.fields
    assert reason in reply.error["message"]
    assert name in reply.error["message"]
    assert call("GET", "/sources").body["sources"] == []


def test_a_wrong_value_in_the_base_is_told_once(world: None) -> None:
    reply = push({**FILES, "config/base.json": '{"title": 5, "auth": {"on": true}}'}, "dev", "test")
    assert len(reply.fields) == 2  # its type, and that it is none of the words


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ({"schema.json": "{"}, "schema.json"),
        ({"schema.json": '{"type": "objekt"}'}, "schema.json"),
        ({"schema.json": '{"$ref": "https://example.com/x"}'}, "schema.json"),
        ({"schema.json": None}, "config.schema"),
        ({"config/base.json": None}, "source"),
        ({"config/base.json": "{,}"}, "config/base.json"),
        ({"config/stage-alpha.json": "[]"}, "config/stage-alpha.json"),
    ],
)
def test_a_source_that_could_never_be_deployed_is_refused(
    world: None, files: dict[str, Any], field: str
) -> None:
    changed = {name: text for name, text in {**FILES, **files}.items() if text is not None}
    reply = push(changed, "stage")
    assert (reply.status, reply.fields) == (400, [field]), reply.body
    assert call("GET", "/sources").body["sources"] == []


def test_a_key_that_every_organization_brings_need_not_be_in_the_environment(world: None) -> None:
    files = {**FILES, "config/base.json": '{"auth": {"on": true}}'}
    assert push(files, "stage").body.get("state") == "REGISTERED"
    assert push(files, "dev").status == 400  # where no organization brings it


# Starting -----------------------------------------------------------------------------------------


def test_a_start_is_refused_before_anything_begins(pushed: str) -> None:
    stored({"old": 1})
    reply = call("POST", f"{HERE}/deployments", {})
    assert (reply.status, reply.fields) == (400, ["old"])
    assert "from stored overrides" in reply.error["message"]
    assert call("GET", f"{HERE}/deployments").body["deployments"] == []


def test_an_execution_by_hand_is_refused_before_its_build(pushed: str) -> None:
    stored({"old": 1})
    with pytest.raises(InvalidRequest, match=r"old .*not a known key"):
        prepare(BARE)


# Uploading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "field", "reason"), KINDS)
def test_nothing_is_uploaded_that_does_not_fit(
    pushed: str, wrong: Any, field: str, reason: str
) -> None:
    stored(wrong)
    with pytest.raises(ConfigInvalid, match=field):
        upload(opened(pushed))
    assert nothing_uploaded()


def test_a_first_upload_lacks_what_the_stack_will_set_and_its_sync_does_not(pushed: str) -> None:
    made = opened(pushed)
    upload(made)
    assert "pool" not in content()["auth"]
    sync(made, PoolId="pool-1", Url="https://x")
    assert content()["auth"]["pool"] == "pool-1"


@pytest.mark.parametrize("outputs", [{"Url": "https://x"}, {"PoolId": "other", "Url": "https://x"}])
def test_what_the_stack_set_must_fit_too(pushed: str, outputs: dict[str, str]) -> None:
    made = opened(pushed)
    upload(made)
    before = content()
    with pytest.raises(ConfigInvalid, match=r"auth\.pool"):
        sync(made, **outputs)
    assert content() == before


def test_the_code_that_runs_decides_what_it_can_read(pushed: str) -> None:
    """deploy-only: the last build, with the files of a newer source."""
    newer = {**SCHEMA, "properties": {**SCHEMA["properties"], "theme": {}}}  # type: ignore[dict-item]
    files = {"schema.json": json.dumps(newer), "config/stage.json": '{"theme": "dark"}'}
    files_of = build.push_source({**FILES, **files})
    upload(opened(files_of))
    with pytest.raises(ConfigInvalid, match=r"theme .*not a known key"):
        upload(opened(pushed, 2, config_source=files_of, mode="deploy-only"))


def test_a_way_back_is_not_held_up_by_what_was_good(pushed: str) -> None:
    made = opened(pushed)
    upload(made)
    stored({"old": 1})
    back = made.model_copy(update={"rolling_back": True})
    Progress(TABLE).open_way_back(back)
    upload(back)
    assert content()["old"] == 1


# What is live -------------------------------------------------------------------------------------


def live(source: str, edited: str | None = None) -> Deployment:
    """A deployment of alpha; `edited`: what somebody made of its configuration since."""
    made = opened(source)
    version = upload(made)["config"]["overrides_version"]
    receipt = sync(made, version, PoolId="pool-1", Url="https://x")["config"]
    succeed(made, config=receipt, last_good=made.id, source=source)
    if edited:
        aws.s3().put_object(Bucket=BUCKET, Key="config.json", Body=edited.encode())
    return made


WRONG = '{"title": "Alpha", "size": "secret", "auth": {"on": true, "pool": "pool-1"}, "api": {}}'


def test_a_live_configuration_that_does_not_fit_is_told_by_the_api_and_by_check(
    pushed: str,
) -> None:
    live(pushed)
    manifest = {"config": {"schema": "schema.json"}}
    assert call("GET", f"{HERE}/config").body["invalid"] == []
    assert [item["status"] for item in check_config(Here(), "/", manifest)] == ["PASSED"]
    aws.s3().put_object(Bucket=BUCKET, Key="config.json", Body=WRONG.encode())
    told = "size: must be a whole number, is a text (by schema.json)"
    assert call("GET", f"{HERE}/config").body["invalid"] == [told]
    (found,) = check_config(Here(), "/", manifest)
    assert (found["status"], found["detail"]) == ("FAILED", told)


class Here(Api):
    """The API as the command line calls it."""

    def __init__(self) -> None:
        super().__init__("https://api", "us-east-1")

    def call(self, *_: Any, **__: Any) -> dict[str, Any]:
        return dict(call("GET", f"{HERE}/config").body)


def test_check_does_not_take_what_it_cannot_read_for_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Refused("403")

    monkeypatch.setattr(Api, "call", refuse)
    (found,) = check_config(Api("https://x", "r"), "/", {"config": {"schema": "s.json"}})
    assert found["status"] == "FAILED"
    assert check_config(Api("https://x", "r"), "/", {"config": {}}) == []


def test_drift_names_what_does_not_fit(pushed: str) -> None:
    made = live(pushed, WRONG)
    later = opened(made.source, 9, mode="drift")
    findings = worker.handler(build.event(later, "CheckConfig"), None)["drift"]["findings"]
    (found,) = [item for item in findings if "does not fit" in item["detail"]]
    assert found["kind"] == "config"
    assert "size: must be a whole number" in found["detail"]
    assert "secret" not in found["detail"]


def test_the_example_applications_fit_their_own_schemas(world: None) -> None:
    """What is pushed on a laptop, and by `make demo`."""
    for directory in ("backend", "tests/applications/almanac", "trial", "."):
        archive = SourceArchive(pack(build.ROOT / directory).content)
        check_source(archive, archive.manifest(), list(Env))
