"""Who somebody is comes from the authorizer's claims, and from nowhere else."""

from typing import Any

import pytest
from rawscribe.identity import ANONYMOUS, parse_groups


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        (None, ()),
        ("", ()),
        ("ADMINS", ("ADMINS",)),
        ("ADMINS,RESEARCHERS", ("ADMINS", "RESEARCHERS")),
        ("[ADMINS RESEARCHERS]", ("ADMINS", "RESEARCHERS")),
        (["ADMINS", "CLINICIANS"], ("ADMINS", "CLINICIANS")),
    ],
)
def test_groups_in_every_spelling(claim: object, groups: tuple[str, ...]) -> None:
    assert parse_groups(claim) == groups


def test_a_user_is_the_claims(tenant: Any, user: Any) -> None:
    answer = tenant.call("GET", "/api/me", user("LAB_MANAGERS", "RESEARCHERS", sub="abc-1"))
    assert answer.status == 200
    assert answer.body["subject"] == "abc-1"
    assert answer.body["email"] == "abc-1@example.com"
    assert answer.body["groups"] == ["LAB_MANAGERS", "RESEARCHERS"]
    assert answer.body["authenticated"] is True


def test_nobody_without_claims(tenant: Any) -> None:
    forged = {"Authorization": "Bearer x", "X-User": "admin", "X-Groups": "ADMINS"}
    answer = tenant.call("GET", "/api/me", headers=forged)
    assert (answer.status, answer.code) == (401, "Unauthenticated")


OTHER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Beta00001"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": OTHER},
        {"iss": None},
        {"iss": "https://evil.example/us-east-1_Alpha0001"},
        {"token_use": "access"},
        {"token_use": None},
        {"aud": "client-of-beta"},
        {"sub": ""},
        {"sub": "../other"},
    ],
    ids=str,
)
def test_claims_of_somebody_elses(tenant: Any, user: Any, changes: dict[str, Any]) -> None:
    answer = tenant.call("GET", "/api/me", user("ADMINS", **changes))
    assert (answer.status, answer.code) == (401, "Unauthenticated")


def test_no_pool_configured_lets_nobody_in(tenant_with: Any, user: Any) -> None:
    tenant = tenant_with(COGNITO_USER_POOL_ID=None)
    claims = user("ADMINS", iss="https://cognito-idp.us-east-1.amazonaws.com/")
    assert tenant.call("GET", "/api/me", claims).status == 401


def test_authentication_disabled_is_said_plainly(tenant_with: Any) -> None:
    tenant = tenant_with(AUTH_ENABLED="false")
    answer = tenant.call("GET", "/api/me")
    assert answer.status == 200
    assert answer.body["subject"] == "anonymous"
    assert answer.body["email"] is None
    assert answer.body["authenticated"] is False
    assert not ANONYMOUS.authenticated


def test_a_group_called_anonymous_means_nothing(tenant: Any, user: Any) -> None:
    assert tenant.call("GET", "/api/sops", user("ANONYMOUS")).status == 403
