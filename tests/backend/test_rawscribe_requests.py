"""Bad requests, failing storage, health: what is answered, and what is never said."""

import hashlib
import json
import logging
from typing import Any

import pytest

CONTENT = {"sopId": "blood", "title": "Monday", "data": {"tube": 1}}
ID_PATHS = ["/api/sops/{}", "/api/drafts/{}", "/api/elns/{}"]


@pytest.mark.parametrize("path", ID_PATHS)
@pytest.mark.parametrize(
    "bad", ["..", "a.json", "a%20b", "%2e%2e%2fx", "-a", "a" * 65, "a%0a", "%C3%A4", "a%00"]
)
def test_ids_that_are_not_ids(tenant: Any, user: Any, path: str, bad: str) -> None:
    answer = tenant.call("GET", path.format(bad), user("ADMINS"))
    assert answer.status in (400, 404)
    assert answer.code == ("InvalidRequest" if answer.status == 400 else "NotFound")
    if "%2f" not in bad:
        assert answer.status == 400, "refused, not looked up"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sopId": "../x"}, "body.sopId"),
        ({"sopId": None}, "body.sopId"),
        ({"title": ""}, "body.title"),
        ({"title": "x" * 201}, "body.title"),
        ({"data": []}, "body.data"),
        ({"extra": 1}, "body.extra"),
        ({"id": "a/b"}, "body.id"),
    ],
)
def test_fields_are_named(tenant: Any, user: Any, changes: dict[str, Any], field: str) -> None:
    answer = tenant.call("POST", "/api/elns", user("ADMINS"), {**CONTENT, **changes})
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert [detail["field"] for detail in answer.body["error"]["details"]] == [field]
    assert tenant.keys("ELN_BUCKET") == []


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "",
        '{"sopId": "a", "title": "t", "data": {"x": NaN}}',
        '{"sopId": "a", "title": "t", "data": {"x": "\\ud800"}}',
        '{"sopId": "a", "title": "t", "data": {"x": ' + "[" * 100_000 + "]" * 100_000 + "}}",
    ],
    ids=["cut", "array", "empty", "nan", "half a character", "deep"],
)
def test_bodies_that_are_not_json_objects(tenant: Any, user: Any, body: str) -> None:
    answer = tenant.call("POST", "/api/elns", user("ADMINS"), body)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert tenant.keys("ELN_BUCKET") == []


@pytest.mark.parametrize("path", ["/api/drafts", "/api/elns"])
def test_too_large(tenant: Any, user: Any, path: str) -> None:
    tenant.put("CONFIG_S3_BUCKET", "config.json", '{"limits": {"documentBytes": 1024}}')
    body = {**CONTENT, "data": {"x": "y" * 1_024}}
    answer = tenant.call("POST", path, user("ADMINS"), body)
    assert (answer.status, answer.code) == (413, "TooLarge")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after="])
def test_page_parameters(tenant: Any, user: Any, query: str) -> None:
    assert tenant.call("GET", f"/api/sops?{query}", user("ADMINS")).status == 400


def test_the_configured_page_size_is_the_most(tenant: Any, user: Any) -> None:
    tenant.put("CONFIG_S3_BUCKET", "config.json", '{"limits": {"pageSize": 1}}')
    for name in ("a", "b"):
        tenant.put("FORMS_BUCKET", f"sops/{name}.json", "{}")
    assert len(tenant.call("GET", "/api/sops?limit=9", user("ADMINS")).body["items"]) == 1


@pytest.mark.parametrize("path", ["/", "/api", "/docs", "/openapi.json", "/api/sops/a/b"])
def test_unknown_paths(tenant: Any, path: str) -> None:
    answer = tenant.call("GET", path)
    assert (answer.status, answer.code) == (404, "NotFound")


def test_a_bug_is_answered_without_its_message(
    tenant: Any, user: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_request: Any) -> None:
        raise RuntimeError("patient Smith")

    logging.getLogger("rawscribe").propagate = True
    monkeypatch.setattr(tenant.services.s3, "put_object", fail)
    answer = tenant.call("POST", "/api/elns", user("ADMINS"), CONTENT)
    assert (answer.status, answer.code) == (500, "InternalError")
    logged = json.dumps([vars(record) for record in caplog.records], default=str)
    assert "RuntimeError" in logged
    assert "Smith" not in logged + json.dumps(answer.body)


def test_no_payload_in_the_log(tenant: Any, user: Any, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("rawscribe").propagate = True
    caplog.set_level(logging.INFO, "rawscribe")
    tenant.call("POST", "/api/elns", user("ADMINS"), {**CONTENT, "title": "patient Smith"})
    tenant.call("POST", "/api/elns", user("ADMINS"), {**CONTENT, "sopId": "patient Smith"})
    requests: list[Any] = [record for record in caplog.records if record.message == "request"]
    assert [(record.route, record.status) for record in requests] == [
        ("/api/elns", 201),
        ("/api/elns", 400),
    ]
    assert "Smith" not in json.dumps([vars(record) for record in caplog.records], default=str)


def test_only_the_frontend_may_call_from_a_browser(tenant: Any) -> None:
    theirs = tenant.call("GET", "/health", headers={"Origin": "https://evil.example"})
    ours = tenant.call("GET", "/health", headers={"Origin": "https://frontend.example"})
    assert "access-control-allow-origin" not in theirs.headers
    assert ours.headers["access-control-allow-origin"] == "https://frontend.example"


# Health and runtime configuration -------------------------------------------------------------


def test_healthy(tenant: Any) -> None:
    answer = tenant.call("GET", "/health")
    used = answer.body["dependencies"]["config"].pop("sha256")
    assert used == hashlib.sha256(b'{"frontend": {"title": "Alpha"}}').hexdigest(), "the bucket's"
    assert answer.body == {
        "status": "ok",
        "environment": "stage",
        "organization": "alpha",
        "build": "f1n9e4",
        "dependencies": {
            "config": {"status": "ok", "source": "s3"},
            "forms": {"status": "ok"},
            "drafts": {"status": "ok"},
            "elns": {"status": "ok"},
        },
    }


def test_degraded_names_the_dependency_but_no_account(tenant: Any) -> None:
    tenant.s3.delete_bucket(Bucket=tenant.environ["ELN_BUCKET"])
    answer = tenant.call("GET", "/health")
    assert (answer.status, answer.body["status"]) == (200, "degraded")
    assert answer.body["dependencies"]["elns"] == {"status": "error", "reason": "NoSuchBucket"}
    assert answer.body["dependencies"]["drafts"] == {"status": "ok"}
    assert "123456789012" not in json.dumps(answer.body)


def test_degraded_without_its_config(tenant: Any) -> None:
    tenant.s3.delete_object(Bucket=tenant.environ["CONFIG_S3_BUCKET"], Key="config.json")
    config = tenant.call("GET", "/health").body["dependencies"]["config"]
    assert config["status"] == "absent"


def test_config_that_cannot_be_read_is_not_absent(tenant: Any) -> None:
    tenant.put("CONFIG_S3_BUCKET", "config.json", "{")
    config = tenant.call("GET", "/health").body["dependencies"]["config"]
    assert (config["status"], config["reason"]) == ("error", "JSONDecodeError")


def test_a_bucket_that_is_not_configured(tenant_with: Any, user: Any) -> None:
    tenant = tenant_with(FORMS_BUCKET=None)
    forms = tenant.call("GET", "/health").body["dependencies"]["forms"]
    assert forms == {"status": "error", "reason": "NotConfigured"}
    answer = tenant.call("GET", "/api/sops", user("ADMINS"))
    assert (answer.status, answer.code) == (503, "StorageUnavailable")


def test_runtime_config_names_the_pool(tenant: Any) -> None:
    assert tenant.call("GET", "/api/config/runtime").body == {
        "authEnabled": True,
        "userPoolId": "us-east-1_Alpha0001",
        "clientId": "client-of-alpha",
        "region": "us-east-1",
        "environment": "stage",
        "organization": "alpha",
        "frontend": {"title": "Alpha"},
    }


def test_runtime_config_without_authentication_names_none(tenant_with: Any) -> None:
    body = tenant_with(AUTH_ENABLED="false").call("GET", "/api/config/runtime").body
    assert body["authEnabled"] is False
    assert (body["userPoolId"], body["clientId"]) == (None, None)


def test_private_config_tells_its_tier(tenant: Any, user: Any) -> None:
    body = tenant.call("GET", "/api/config/private", user("ADMINS")).body
    assert body["source"] == "s3"
    assert body["config"]["storage"]["elns"]["bucket"] == tenant.environ["ELN_BUCKET"]
