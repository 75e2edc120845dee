"""The API and a tenant's configuration: what is live, why it is so, and how it is changed."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import CALLER, Reply, call
from config_calls import BUCKET, accept_policies, content, succeed, sync, upload
from lambda_calls import answer_with_the_worker
from worker_builders import ALPHA, TABLE

from control_plane import aws
from control_plane.models import Deployment
from control_plane.store.overrides import Overrides

HERE = "/envs/stage/orgs/alpha"


@pytest.fixture(autouse=True)
def _world(script: scripted.Scripted) -> None:
    accept_policies(script)
    answer_with_the_worker(script)


def deployed(source: str, number: int = 1) -> Deployment:
    """A deployment of alpha that uploaded its configuration and succeeded."""
    made = build.opened(build.deployment(number=number, source=source))
    version = upload(made)["config"]["overrides_version"]
    receipt = sync(made, version, PoolId="pool-1", Url="https://x")["config"]
    succeed(
        made, config=receipt, last_good=made.id, source=source,
        outputs={"PoolId": "pool-1", "Url": "https://x"},
    )  # fmt: skip
    return made


def put(overrides: Any, base_version: int = 0, **more: Any) -> Reply:
    body = {"overrides": overrides, "base_version": base_version, **more}
    return call("PUT", f"{HERE}/config", body)


def versions() -> list[dict[str, Any]]:
    return list(call("GET", f"{HERE}/config/history").body["versions"])


# What is live -------------------------------------------------------------------------------------


def test_what_is_live_is_read_back_and_compared(source: str) -> None:
    made = deployed(source)
    shown = call("GET", f"{HERE}/config").body
    assert shown["content"] == content()
    assert (shown["live"], shown["as_deployed"], shown["waiting"]) == (True, True, False)
    assert (shown["bucket"], shown["key"]) == (BUCKET, "config.json")
    assert shown["version_id"] == shown["deployed"]["version_id"]
    body = aws.s3().get_object(Bucket=BUCKET, Key="config.json")["Body"].read()
    assert shown["size"] == len(body)
    assert shown["deployed"]["deployment"] == made.id
    assert shown["deployed"]["config_source"] == source
    assert "explain" not in shown


def test_an_edit_by_hand_is_shown_with_the_paths_that_differ(source: str) -> None:
    deployed(source)
    edited = {**content(), "title": "by hand", "new": 1}
    aws.s3().put_object(Bucket=BUCKET, Key="config.json", Body=json.dumps(edited))
    shown = call("GET", f"{HERE}/config").body
    assert (shown["as_deployed"], shown["differs"]) == (False, ["new", "title"])
    assert shown["uploaded_by"] is None
    assert shown["content"] == edited


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"{", "is not JSON"), (b"[]", "must hold a JSON object"), (b"\xff", "is no text")],
)
def test_a_live_document_that_is_no_configuration_says_so(
    source: str, body: bytes, told: str
) -> None:
    deployed(source)
    aws.s3().put_object(Bucket=BUCKET, Key="config.json", Body=body)
    shown = call("GET", f"{HERE}/config").body
    assert (shown["as_deployed"], "content" in shown) == (False, False)
    assert told in shown["problem"]


def test_a_document_that_is_gone_is_missing_and_no_error(source: str) -> None:
    deployed(source)
    aws.s3().delete_object(Bucket=BUCKET, Key="config.json")
    reply = call("GET", f"{HERE}/config")
    assert (reply.status, reply.body["live"], reply.body["as_deployed"]) == (200, False, False)
    assert "content" not in reply.body


def test_a_document_that_may_not_be_read_is_an_error_and_never_missing(
    source: str, script: scripted.Scripted
) -> None:
    deployed(source)
    script.on(aws.s3(), "GetObject", _denied_in(BUCKET))
    reply = call("GET", f"{HERE}/config")
    assert (reply.status, reply.error["code"]) == (500, "LiveConfigUnreadable")
    assert f"s3://{BUCKET}/config.json" in reply.error["message"]
    assert "AccessDenied" in reply.error["message"]


def _denied_in(bucket: str) -> Any:
    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        return scripted.failure("AccessDenied") if asked["Bucket"] == bucket else scripted.MOTO

    return answer


def test_a_worker_that_does_not_answer_is_an_error_with_its_reason(
    source: str, script: scripted.Scripted
) -> None:
    deployed(source)
    script.on(aws.lambda_(), "Invoke", scripted.failure("AccessDeniedException", "no permission"))
    reply = call("GET", f"{HERE}/config")
    assert (reply.status, reply.error["code"]) == (500, "LiveConfigUnreadable")
    assert "no permission" in reply.error["message"]


# Why it is so -------------------------------------------------------------------------------------


def test_the_layers_and_the_winner_of_each_path_are_told(source: str) -> None:
    deployed(source)
    put({"title": "Mine", "auth": {"on": None}})
    shown = call("GET", f"{HERE}/config", explain="true").body
    assert shown["waiting"] is True
    assert shown["source"] == source
    assert shown["layers"] == [
        "config/base.json", "config/stage-alpha.json", "stored overrides", "stack outputs"
    ]  # fmt: skip
    files = ["config/base.json", "config/stage-alpha.json"]
    assert shown["explain"] == [
        {"path": "api.url", "value": "https://x", "layer": "stack outputs", "overrode": []},
        {"path": "auth.on", "deleted": True, "layer": "stored overrides", "overrode": files[:1]},
        {"path": "auth.pool", "value": "pool-1", "layer": "stack outputs", "overrode": []},
        {"path": "title", "value": "Mine", "layer": "stored overrides", "overrode": files},
    ]


def test_before_a_first_deployment_only_the_layers_can_be_shown(source: str) -> None:
    assert call("GET", f"{HERE}/config").status == 404
    put({"title": "Mine"})
    shown = call("GET", f"{HERE}/config", explain="true").body
    assert (shown["live"], shown["deployed"], shown["source"]) == (False, None, source)
    assert shown["overrides"]["content"] == {"title": "Mine"}
    assert [winner["path"] for winner in shown["explain"]] == ["auth.on", "title"]


# Changing it --------------------------------------------------------------------------------------


def test_overrides_are_stored_as_versions_that_all_stay(source: str) -> None:
    deployed(source)
    before = content()
    first = put({"title": "One", "rate": 0.5}, comment="a try")
    assert (first.status, first.body["version"]) == (200, 1)
    assert put({"title": "Two"}, 1).body["version"] == 2
    assert content() == before, "what is live changes by a deployment only"
    newer, older = versions()
    assert (newer["version"], newer["changed"]) == (2, ["rate", "title"])
    assert older["content"] == {"title": "One", "rate": 0.5}
    assert (older["comment"], older["changed_by"]) == ("a try", CALLER)
    assert older["changed_at"].endswith("Z")
    assert call("GET", f"{HERE}/config/history", limit="1").body["versions"] == [newer]


def test_of_two_changes_of_the_same_version_one_is_told(source: str) -> None:
    assert put({"title": "One"}).status == 200
    second = put({"title": "Two"})
    assert (second.status, second.error["code"]) == (409, "Conflict")
    assert second.error["message"] == ("somebody else changed it: version 1; show it and try again")
    assert put({"title": "Two"}, 7).status == 409
    assert [one["content"] for one in versions()] == [{"title": "One"}]


def test_of_two_changes_at_once_one_is_told(source: str, script: scripted.Scripted) -> None:
    """The other one is stored between the look and the write."""

    def meanwhile(asked: dict[str, Any]) -> dict[str, Any]:
        script.on(aws.dynamodb(), "PutItem", scripted.MOTO)
        Overrides(TABLE).put(ALPHA, {"title": "Else"}, 0, None, "")
        return scripted.MOTO

    script.on(aws.dynamodb(), "PutItem", meanwhile)
    reply = put({"title": "Mine"})
    assert (reply.status, reply.error["code"]) == (409, "Conflict")
    assert [one["content"] for one in versions()] == [{"title": "Else"}]


def test_the_same_overrides_again_are_no_new_version(source: str) -> None:
    put({"title": "One"})
    assert put({"title": "One"}, 1).body["version"] == 1
    assert len(versions()) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"overrides": {"auth": {"pool": "x"}}, "base_version": 0}, "auth.pool"),
        ({"overrides": {"auth": 1}, "base_version": 0}, "auth"),
        ({"overrides": {"title": {"x": 1}}, "base_version": 0}, "title"),
        ({"overrides": {"a": "x" * 64 * 1024}, "base_version": 0}, "overrides"),
        ({"overrides": [], "base_version": 0}, "overrides"),
        ({"overrides": {}, "base_version": -1}, "base_version"),
        ({"overrides": {}}, "base_version"),
        ({"overrides": {}, "base_version": 0, "else": 1}, "else"),
        ({"overrides": {}, "base_version": 0, "application": "unknown"}, "application"),
        ('{"overrides": {"a": NaN}, "base_version": 0}', "body"),
    ],
)
def test_wrong_overrides_are_refused_and_none_are_stored(
    source: str, body: Any, field: str
) -> None:
    reply = call("PUT", f"{HERE}/config", body)
    assert (reply.status, reply.fields) == (400, [field])
    assert versions() == []


def test_overrides_are_checked_against_the_source_that_will_be_deployed(source: str) -> None:
    deployed(source)
    newer = {**build.FILES, "config/stage.json": json.dumps({"limits": {"page": 1}})}
    assert put({"limits": 1}).status == 200
    build.push_source(newer)
    reply = put({"limits": 2}, 1)
    assert (reply.status, reply.fields) == (400, ["limits"])


def test_a_source_with_a_broken_layer_is_said_to_be_broken(source: str) -> None:
    build.push_source({**build.FILES, "config/stage.json": "{"})
    reply = put({"title": "x"})
    assert (reply.status, reply.fields) == (400, ["source"])
    assert "config/stage.json is not JSON" in reply.error["message"]


def test_an_application_without_configuration_has_none(world: None) -> None:
    build.push_source({"application.toml": build.PLAIN_MANIFEST})
    body = {"overrides": {}, "base_version": 0, "application": "plain"}
    for reply in (
        call("PUT", f"{HERE}/config", body),
        call("GET", f"{HERE}/config", application="plain"),
        call("GET", f"{HERE}/config/history", application="plain"),
    ):
        assert reply.status == 404
        assert "plain has no configuration" in reply.error["message"]


def test_a_throttled_table_is_never_taken_for_no_overrides(
    source: str, script: scripted.Scripted
) -> None:
    script.on(aws.dynamodb(), "Query", scripted.failure("ThrottlingException"))
    assert put({"title": "x"}).status == 503
    assert call("GET", f"{HERE}/config/history").status == 503
