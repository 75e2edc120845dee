"""What stored overrides may say, and what a drift check says of a live configuration."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from control_plane.errors import InvalidRequest
from control_plane.events import LiveConfig
from control_plane.manifest import ConfigTable
from control_plane.models import Env, Tenant
from control_plane.rules.config_decisions import config_findings
from control_plane.rules.config_rules import DEPTH_LIMIT, SIZE_LIMIT, check_overrides

TABLE = ConfigTable(
    directory="config",
    bucket="notes-{env}-{org}",
    key="config.json",
    outputs={"auth.pool.id": "PoolId", "url": "Url"},
)
BELOW = {
    "title": "Notes",
    "auth": {"on": True, "pool": {"id": "old", "size": 1}},
    "limits": {"page": 10, "hosts": ["a"]},
}


def refusal(overrides: Any) -> tuple[str, str]:
    """The field and the reason of a refusal."""
    with pytest.raises(InvalidRequest) as found:
        check_overrides(overrides, BELOW, TABLE)
    return found.value.details[0]["field"], found.value.details[0]["reason"]


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels else {"a": 1}


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"title": "Alpha"},
        {"title": 1},
        {"title": ["a"]},
        {"limits": {"hosts": "a"}},
        {"new": {"key": {"x": 1}}},
        {"title": None, "limits": None},
        {"auth": {"on": False, "pool": {"size": 2}}},
        {"auth": None},
        {"auth": {"pool": None}},
        {"a.b": 1},
        {"n": 10**37},
        {"n": 0.5},
        nested(DEPTH_LIMIT - 1),
        {"t": "x" * (SIZE_LIMIT - len('{"t":""}'))},
    ],
)
def test_what_can_be_meant_is_taken(overrides: dict[str, Any]) -> None:
    check_overrides(overrides, BELOW, TABLE)


@pytest.mark.parametrize(
    ("overrides", "field", "told"),
    [
        ({"url": "x"}, "url", "is set by the stack's output Url: an override would have no effect"),
        ({"url": None}, "url", "the stack's output Url"),
        ({"auth": {"pool": {"id": "x"}}}, "auth.pool.id", "the stack's output PoolId"),
        ({"auth": {"pool": {"id": {"x": 1}}}}, "auth.pool.id", "the stack's output PoolId"),
        ({"auth": {"pool": "x"}}, "auth.pool", "PoolId sets auth.pool.id in it"),
        ({"auth": [1]}, "auth", "must be an object"),
        ({"limits": 1}, "limits", "is an object in the layers below, and a number here"),
        ({"limits": ["a"]}, "limits", "an object in the layers below, and an array"),
        (
            {"limits": {"page": {"x": 1}}},
            "limits.page",
            "a number in the layers below, and an obj",
        ),
        ({"title": {}}, "title", "is a text in the layers below, and an object here"),
        ({"auth": {"on": {"x": 1}}}, "auth.on", "is true or false in the layers below"),
        ({"limits": {"hosts": {"x": 1}}}, "limits.hosts", "is an array in the layers below"),
        ({"": 1}, "overrides", "has an empty key"),
        ({"a": {"": 1}}, "a", "has an empty key"),
        ({"a": [{"": 1}]}, "a.0", "has an empty key"),
        ({"a": float("nan")}, "a", "is no number of JSON"),
        ({"a": [float("inf")]}, "a.0", "is no number of JSON"),
        ({"a": 10**38}, "a", "is a number of more than 38 digits"),
        ({"a": 1e-50}, "a", "is a number of more than 38 digits"),
        ({"a": "\ud800"}, "a", "half a character"),
        ({"\ud800": 1}, "overrides", "half a character"),
        (nested(DEPTH_LIMIT), ".".join("a" * (DEPTH_LIMIT + 1)), "deeper than 20 levels"),
        ({"t": "x" * SIZE_LIMIT}, "overrides", f"{SIZE_LIMIT} are allowed"),
        ({"t": "ä" * (SIZE_LIMIT // 2)}, "overrides", f"{SIZE_LIMIT} are allowed"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_path(
    overrides: dict[str, Any], field: str, told: str
) -> None:
    found, reason = refusal(overrides)
    assert found == field
    assert told in reason


# Drift --------------------------------------------------------------------------------------------

ALPHA = Tenant(application="notes", env=Env.STAGE, org="alpha")
DEPLOYED = {"bucket": "b", "key": "k", "sha256": "1" * 64, "overrides_version": 2}
CONTENT = {"title": "Alpha", "auth": {"secret": "deployed-value"}}


def live(**changes: Any) -> LiveConfig:
    known = {
        "bucket": "b", "key": "k", "version_id": "v", "size": 9, "sha256": "2" * 64,
        "last_modified": datetime(2026, 11, 22, tzinfo=UTC),
    }  # fmt: skip
    return LiveConfig(**{**known, **changes})


@pytest.mark.parametrize(
    ("found", "version", "details"),
    [
        (live(sha256="1" * 64, version_id="another"), 2, []),
        (
            live(content={**CONTENT, "auth": {"secret": "edited-value"}}),
            2,
            ["1 path differs: auth.secret"],
        ),
        (live(content={"title": 1}), 2, ["2 paths differ: auth.secret, title"]),
        (live(content=CONTENT), 2, ["written differently, with the same values"]),
        (live(problem="k is not JSON"), 2, ["cannot be read by the application: k is not JSON"]),
        (None, 2, ["the configuration is missing"]),
        (live(sha256="1" * 64), 3, ["stored overrides version 3 are not deployed yet"]),
        (None, 3, ["is missing", "version 3 are not deployed yet"]),
    ],
)
def test_a_drift_check_says_what_differs_and_never_a_value(
    found: LiveConfig | None, version: int, details: list[str]
) -> None:
    findings = config_findings(ALPHA, DEPLOYED, CONTENT, found, None, version)
    assert len(findings) == len(details)
    for finding, detail in zip(findings, details, strict=True):
        assert set(finding) == {"kind", "resource", "detail", "deployment_would"}
        assert finding["kind"] == "config"
        assert detail in finding["detail"]
    assert "-value" not in json.dumps(findings)


def test_a_deployment_would_lose_an_edit_and_apply_what_is_stored() -> None:
    edited, stored = config_findings(ALPHA, DEPLOYED, CONTENT, live(content={}), None, 3)
    assert edited["resource"] == "s3://b/k"
    assert edited["deployment_would"] == ("upload the merged configuration again: the edit is lost")
    assert stored["resource"] == "stored overrides of notes-stage-alpha"
    assert stored["deployment_would"] == "apply them"


def test_a_deployment_from_before_there_were_overrides_had_none() -> None:
    before = {"bucket": "b", "key": "k", "sha256": "1" * 64}
    assert config_findings(ALPHA, before, CONTENT, live(sha256="1" * 64), None, 0) == []
