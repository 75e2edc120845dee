"""The table of permissions, as a table, and as what the routes answer."""

from typing import Any

import pytest
from rawscribe.permissions import GRANTED, Group, Permission, allows

P = Permission
EXPECTED = {
    "ADMINS": set(P),
    "LAB_MANAGERS": set(P),
    "RESEARCHERS": set(P) - {P.READ_PRIVATE_CONFIG},
    "CLINICIANS": {P.READ_SOPS, P.KEEP_DRAFTS, P.SUBMIT_ELNS, P.READ_OWN_ELNS},
    "ANONYMOUS": set(P) - {P.READ_PRIVATE_CONFIG},
    "SOMETHING_ELSE": set(),
}


@pytest.mark.parametrize("group", EXPECTED)
def test_the_table(group: str) -> None:
    assert {permission for permission in P if allows([group], permission)} == EXPECTED[group]


def test_every_permission_and_group_is_in_it() -> None:
    assert set(GRANTED) == set(P)
    assert set(EXPECTED) >= set(Group)


CONTENT = {"sopId": "blood", "title": "Monday"}
ROUTES: list[tuple[str, str, Any, int, set[str]]] = [
    ("GET", "/api/config/private", None, 200, {"ADMINS", "LAB_MANAGERS"}),
    ("GET", "/api/sops", None, 200, {"ADMINS", "LAB_MANAGERS", "RESEARCHERS", "CLINICIANS"}),
    ("GET", "/api/sops/x", None, 404, {"ADMINS", "LAB_MANAGERS", "RESEARCHERS", "CLINICIANS"}),
    ("GET", "/api/drafts", None, 200, {"ADMINS", "LAB_MANAGERS", "RESEARCHERS", "CLINICIANS"}),
    ("POST", "/api/drafts", CONTENT, 201, {"ADMINS", "LAB_MANAGERS", "RESEARCHERS", "CLINICIANS"}),
    ("GET", "/api/drafts/x", None, 404, {"ADMINS", "LAB_MANAGERS", "RESEARCHERS", "CLINICIANS"}),
    ("PUT", "/api/drafts/x", CONTENT, 404, {"ADMINS", "LAB_MANAGERS", "RESEARCHERS", "CLINICIANS"}),
    ("DELETE", "/api/drafts/x", None, 404, {"ADMINS", "LAB_MANAGERS", "RESEARCHERS", "CLINICIANS"}),
    ("POST", "/api/elns", CONTENT, 201, {"ADMINS", "LAB_MANAGERS", "RESEARCHERS", "CLINICIANS"}),
    ("GET", "/api/elns", None, 200, {"ADMINS", "LAB_MANAGERS", "RESEARCHERS"}),
    ("GET", "/api/elns/x", None, 404, {"ADMINS", "LAB_MANAGERS", "RESEARCHERS", "CLINICIANS"}),
]


@pytest.mark.parametrize(
    "group", ["ADMINS", "LAB_MANAGERS", "RESEARCHERS", "CLINICIANS", "STRANGERS", None]
)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
def test_the_routes(tenant: Any, user: Any, route: tuple[Any, ...], group: str | None) -> None:
    method, path, body, granted, groups = route
    answer = tenant.call(method, path, user(*([group] if group else [])), body)
    assert answer.status == (granted if group in groups else 403)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
def test_nothing_without_signing_in(tenant: Any, route: tuple[Any, ...]) -> None:
    assert tenant.call(route[0], route[1], None, route[2]).status == 401


@pytest.mark.parametrize("path", ["/health", "/api/config/runtime"])
def test_what_is_public(tenant: Any, path: str) -> None:
    assert tenant.call("GET", path).status == 200
