"""Procedures, drafts and notebooks."""

import json
from typing import Any

import pytest

CONTENT = {"sopId": "blood", "title": "Monday", "data": {"tube": 1}}


# Procedures -----------------------------------------------------------------------------------


def test_procedures_in_both_formats(tenant: Any, user: Any) -> None:
    tenant.put("FORMS_BUCKET", "sops/blood.yaml", "title: Blood\nsince: 2026-01-01\n")
    tenant.put("FORMS_BUCKET", "sops/urine.json", '{"title": "Urine"}')
    tenant.put("FORMS_BUCKET", "sops/notes.txt", "not a procedure")
    tenant.put("FORMS_BUCKET", "sops/old/blood.yaml", "archived")
    tenant.put("FORMS_BUCKET", "private/secret.json", "{}")
    listed = tenant.call("GET", "/api/sops", user("CLINICIANS")).body["items"]
    assert [(item["id"], item["format"]) for item in listed] == [
        ("blood", "yaml"),
        ("urine", "json"),
    ]
    blood = tenant.call("GET", "/api/sops/blood", user("CLINICIANS"))
    assert blood.body["content"] == {"title": "Blood", "since": "2026-01-01"}
    assert tenant.call("GET", "/api/sops/urine", user("CLINICIANS")).body["format"] == "json"
    assert tenant.call("GET", "/api/sops/secret", user("CLINICIANS")).status == 404


@pytest.mark.parametrize("name", ["broken.json", "broken.yaml"])
def test_an_unreadable_procedure(tenant: Any, user: Any, name: str) -> None:
    tenant.put("FORMS_BUCKET", f"sops/{name}", "{patient: [Smith")
    answer = tenant.call("GET", "/api/sops/broken", user("CLINICIANS"))
    assert (answer.status, answer.code) == (502, "UnreadableDocument")
    assert "Smith" not in json.dumps(answer.body)


def test_pages(tenant: Any, user: Any) -> None:
    for number in range(5):
        tenant.put("FORMS_BUCKET", f"sops/p{number}.json", "{}")
    seen: list[str] = []
    after = ""
    for _ in range(3):
        page = tenant.call("GET", f"/api/sops?limit=2{after}", user("ADMINS")).body
        seen += [item["id"] for item in page["items"]]
        after = f"&after={page['next']}"
    assert seen == ["p0", "p1", "p2", "p3", "p4"]
    assert page["next"] is None


# Drafts ---------------------------------------------------------------------------------------


def test_the_life_of_a_draft(tenant: Any, user: Any) -> None:
    me = user("RESEARCHERS", sub="me")
    created = tenant.call("POST", "/api/drafts", me, CONTENT)
    assert created.status == 201
    path = f"/api/drafts/{created.body['id']}"
    assert tenant.keys("DRAFTS_BUCKET") == [f"drafts/me/{created.body['id']}.json"]
    assert tenant.call("GET", path, me).body == created.body
    changed = tenant.call("PUT", path, me, {**CONTENT, "title": "Tuesday"})
    assert changed.status == 200
    assert changed.body["createdAt"] == created.body["createdAt"]
    assert tenant.call("GET", path, me).body["title"] == "Tuesday"
    assert [item["id"] for item in tenant.call("GET", "/api/drafts", me).body["items"]] == [
        created.body["id"]
    ]
    assert tenant.call("DELETE", path, me).status == 204
    assert tenant.call("DELETE", path, me).status == 404
    assert tenant.keys("DRAFTS_BUCKET") == []


@pytest.mark.parametrize("group", ["ADMINS", "RESEARCHERS"])
def test_a_draft_is_its_owners(tenant: Any, user: Any, group: str) -> None:
    owner, other = user("RESEARCHERS", sub="owner"), user(group, sub="other")
    path = f"/api/drafts/{tenant.call('POST', '/api/drafts', owner, CONTENT).body['id']}"
    assert tenant.call("GET", path, other).status == 404
    assert tenant.call("PUT", path, other, CONTENT).status == 404
    assert tenant.call("DELETE", path, other).status == 404
    assert tenant.call("GET", "/api/drafts", other).body["items"] == []
    assert tenant.call("GET", path, owner).body["title"] == "Monday"


def test_one_owners_name_is_not_anothers_prefix(tenant: Any, user: Any) -> None:
    tenant.call("POST", "/api/drafts", user("RESEARCHERS", sub="ann-1"), CONTENT)
    listed = tenant.call("GET", "/api/drafts", user("RESEARCHERS", sub="ann"))
    assert listed.body["items"] == []


def test_an_owner_in_the_body_is_refused(tenant: Any, user: Any) -> None:
    body = {**CONTENT, "owner": "somebody"}
    assert tenant.call("POST", "/api/drafts", user("RESEARCHERS"), body).status == 400


def test_a_draft_changed_meanwhile_is_not_overwritten(
    tenant: Any, user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = user("RESEARCHERS", sub="me")
    path = f"/api/drafts/{tenant.call('POST', '/api/drafts', me, CONTENT).body['id']}"
    s3, read = tenant.services.s3, tenant.services.s3.get_object

    def read_then_lose(**request: Any) -> Any:
        answer = read(**request)
        if request["Key"].startswith("drafts/"):
            s3.put_object(Bucket=request["Bucket"], Key=request["Key"], Body=b'{"title": "theirs"}')
        return answer

    monkeypatch.setattr(s3, "get_object", read_then_lose)
    answer = tenant.call("PUT", path, me, {**CONTENT, "title": "mine"})
    assert (answer.status, answer.code) == (409, "Conflict")
    monkeypatch.undo()
    assert tenant.call("GET", path, me).body == {"title": "theirs"}


# Notebooks ------------------------------------------------------------------------------------


def test_a_notebook_is_submitted_once(tenant: Any, user: Any) -> None:
    author = user("CLINICIANS", sub="author")
    first = tenant.call("POST", "/api/elns", author, {**CONTENT, "id": "eln-1"})
    assert first.status == 201
    for again in (author, user("ADMINS", sub="other")):
        second = tenant.call("POST", "/api/elns", again, {**CONTENT, "id": "eln-1", "title": "x"})
        assert (second.status, second.code) == (409, "Conflict")
    assert tenant.call("GET", "/api/elns/eln-1", author).body == first.body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_notebook_has_no_other_verbs(tenant: Any, user: Any, method: str) -> None:
    admin = user("ADMINS")
    tenant.call("POST", "/api/elns", admin, {**CONTENT, "id": "eln-1"})
    assert tenant.call(method, "/api/elns/eln-1", admin, CONTENT).status == 405


def test_who_reads_notebooks(tenant: Any, user: Any) -> None:
    author = user("CLINICIANS", sub="author")
    tenant.call("POST", "/api/elns", author, {**CONTENT, "id": "eln-1"})
    assert tenant.call("GET", "/api/elns/eln-1", author).body["author"] == "author"
    assert tenant.call("GET", "/api/elns/eln-1", user("CLINICIANS", sub="other")).status == 404
    reader = user("RESEARCHERS", sub="reader")
    assert tenant.call("GET", "/api/elns/eln-1", reader).status == 200
    assert [item["id"] for item in tenant.call("GET", "/api/elns", reader).body["items"]] == [
        "eln-1"
    ]


def test_an_author_in_the_body_is_refused(tenant: Any, user: Any) -> None:
    body = {**CONTENT, "author": "somebody"}
    assert tenant.call("POST", "/api/elns", user("CLINICIANS"), body).status == 400
    assert tenant.keys("ELN_BUCKET") == []
