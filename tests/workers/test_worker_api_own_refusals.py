"""Nothing but the control plane's own routes changes the control plane."""

from typing import Any

import pytest
import worker_builders as build
from api_calls import call
from record_calls import prepare
from test_worker_api_own import (
    APPLICATION,
    AS_A_TENANT,
    FILES,
    HERE,
    NO_ID,
    OWN,
    RATE,
    WITHOUT_TRIAL,
)
from test_worker_api_starts import nothing_started

from control_plane.api import routes
from control_plane.errors import InvalidRequest
from control_plane.models import Env
from control_plane.settings import forget_settings


@pytest.fixture
def release(source: str) -> str:
    """A source of the control plane, current where this one runs and in its neighbour."""
    return build.push_source(FILES, (Env.PROD, Env.DEV))


_ID = f"{AS_A_TENANT}/deployments/{NO_ID}"
CHANGES: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("POST", f"{AS_A_TENANT}/deployments", {}, "POST /control-plane/deployments"),
    ("POST", f"{AS_A_TENANT}/rollback", {}, "POST /control-plane/rollback"),
    ("POST", f"{AS_A_TENANT}/drift", {}, "no drift checks"),
    ("DELETE", AS_A_TENANT, {"confirm": OWN.stack_name}, "syndi uninstall"),
    ("PUT", f"{AS_A_TENANT}/config", {"overrides": {}, "base_version": 0}, "configuration"),
    ("PUT", f"{AS_A_TENANT}/schedule", RATE, "PUT /control-plane/schedule"),
    ("DELETE", f"{AS_A_TENANT}/schedule", None, "DELETE /control-plane/schedule"),
    ("POST", f"{_ID}/cancel", None, "POST /control-plane/deployments/{id}/cancel"),
    ("POST", f"{_ID}/approve", None, "POST /control-plane/deployments/{id}/approve"),
    ("POST", f"{_ID}/reject", None, "POST /control-plane/deployments/{id}/reject"),
    ("POST", f"{_ID}/retry", None, "POST /control-plane/deployments/{id}/retry"),
    ("PUT", f"{AS_A_TENANT}/labels", {"labels": {"a": "b"}}, "no labels"),
    ("PUT", f"{AS_A_TENANT}/route", {"weights": {"main": 1}}, "no routes"),
    ("POST", f"{AS_A_TENANT}/route/shift", {"to": "main", "steps": [100]}, "no routes"),
    ("POST", f"{AS_A_TENANT}/route/reverse", {}, "no routes"),
    ("POST", "/envs/prod/rollouts", {}, "no fleet"),
    ("PUT", "/envs/prod/rollout-schedule", RATE, "no fleet"),
    ("PUT", f"/sources/{'a' * 64}", {"size": 1}, "PUT /control-plane/sources/{sha256}"),
    ("PUT", f"/envs/prod/sources/{'a' * 64}", {"size": 1}, "PUT /control-plane/sources/{sha256}"),
]  # fmt: skip


OF_NO_TENANT = ("/slots", "/envs/{env}/rollouts/{rollout_id}")
"""Below these nothing of a tenant's own is changed: a rollout was of tenants from its start."""


def test_every_changing_route_of_a_tenant_is_in_the_list() -> None:
    described = call("GET", "/openapi.json").body["paths"]
    routes_ = {
        (method, path.replace("<", "{").replace(">", "}"))
        for path, methods in described.items()
        for method in methods
    }
    changing = {
        (method, path)
        for method, path in routes_
        if method != "get"
        and not path.startswith((HERE, *OF_NO_TENANT))
        and (method, path) != ("delete", "/envs/{env}/rollout-schedule")  # there can be none
    }
    assert len(changing) == len(CHANGES)


@pytest.mark.parametrize(("method", "path", "body", "instead"), CHANGES)
def test_a_tenants_route_never_changes_the_control_plane_and_names_the_right_one(
    release: str, method: str, path: str, body: dict[str, Any] | None, instead: str
) -> None:
    before = build.everything()
    if body is None:
        reply = call(method, path, application=APPLICATION)
    else:
        reply = call(method, path, {**body, "application": APPLICATION})
    assert (reply.status, reply.fields) == (400, ["application"])
    assert instead in reply.error["message"]
    assert nothing_started()
    assert build.everything() == before


def test_neither_does_one_that_means_it_by_default(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFAULT_APPLICATION", APPLICATION)
    forget_settings()
    routes.front.cache_clear()
    reply = call("POST", f"{AS_A_TENANT}/deployments", {})
    assert (reply.status, reply.fields) == (400, ["application"])
    assert nothing_started()


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that accepts starts by hand in the control plane's own environment."""
    monkeypatch.setenv("MANUAL_START_ENVIRONMENTS", "dev,prod")
    forget_settings()


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"env": "dev", "org": "x"}, "application"),
        ({"env": "prod", "org": "other"}, "application"),
        ({"env": "prod", "org": "main", "mode": "function"}, "mode"),
        ({"env": "prod", "org": "main", "mode": "drift"}, "mode"),
        (
            {"env": "prod", "org": "main", "mode": "offboard", "confirm": OWN.stack_name},
            "mode",
        ),
        ({"env": "prod", "org": "main", "rollback_on_failure": False}, "rollback_on_failure"),
    ],
)
def test_an_execution_by_hand_that_the_api_would_refuse_is_refused(
    release: str, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare({"application": APPLICATION, **given})
    assert [item["field"] for item in refused.value.details] == [field]


@pytest.mark.usefixtures("by_hand")
def test_an_execution_by_hand_updates_it_too(release: str) -> None:
    made = prepare({"application": APPLICATION, "env": "prod", "org": "main"})
    assert (made.tenant, made.source) == (OWN, release)


def test_nobody_updates_it_by_hand_unless_the_installation_says_so(release: str) -> None:
    with pytest.raises(InvalidRequest, match="prod accepts no deployment that was started by hand"):
        prepare({"application": APPLICATION, "env": "prod", "org": "main"})


@pytest.mark.usefixtures("by_hand")
def test_a_release_that_would_not_be_tried_is_refused(release: str) -> None:
    untried = build.push_source({"application.toml": WITHOUT_TRIAL}, (Env.PROD,))
    reply = call("POST", f"{HERE}/deployments", {})
    assert (reply.status, reply.fields) == (400, ["source"])
    with pytest.raises(InvalidRequest, match=r"no \[trial\].*put it back"):
        prepare({"application": APPLICATION, "env": "prod", "org": "main", "source": untried})
    assert nothing_started()
    assert call("POST", f"{HERE}/deployments", {"source": release}).status == 202
