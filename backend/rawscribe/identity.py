"""Who is asking: the claims that API Gateway's authorizer verified, and nothing else.

No header, query or body is ever looked at. The claims are checked once more against this stack's
pool: an API that was wired to a neighbour's authorizer by mistake must not let its users in.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rawscribe.errors import Unauthenticated
from rawscribe.permissions import Group
from rawscribe.settings import Auth

# Cognito's own form; it becomes part of object keys, so nothing else is taken.
SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}")


@dataclass(frozen=True)
class Identity:
    """A user. `subject` is the pool's immutable id; the e-mail address may change."""

    subject: str
    email: str | None
    groups: tuple[str, ...]
    authenticated: bool = True


ANONYMOUS = Identity("anonymous", None, (Group.ANONYMOUS,), authenticated=False)
"""Everybody, where authentication is disabled by the configuration; nobody anywhere else."""


def identify(event: Mapping[str, Any], auth: Auth) -> Identity:
    """The user of an API Gateway proxy event.

    Raises Unauthenticated without claims, or with claims of another pool, client or token type.
    """
    if not auth.enabled:
        return ANONYMOUS
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    claims = authorizer.get("claims") or {}
    if not claims:
        raise Unauthenticated("sign in first")
    if claims.get("token_use") != "id":
        raise Unauthenticated("this is not an ID token")
    if not auth.cognito.user_pool_id or claims.get("iss") != auth.cognito.issuer:
        raise Unauthenticated("this token is not from this tenant's user pool")
    if auth.cognito.client_id and claims.get("aud") != auth.cognito.client_id:
        raise Unauthenticated("this token was issued to another client")
    subject = str(claims.get("sub", ""))
    if not SUBJECT.fullmatch(subject):
        raise Unauthenticated("this token names nobody")
    # A pool may well have a group of that name; it must not mean more than an unknown one.
    groups = parse_groups(claims.get("cognito:groups"))
    groups = tuple(group for group in groups if group != Group.ANONYMOUS)
    return Identity(subject, claims.get("email"), groups)


def parse_groups(claim: object) -> tuple[str, ...]:
    """The groups in a `cognito:groups` claim.

    API Gateway flattens the token's array: "A,B" from a REST API, "[A B]" from an HTTP API.
    """
    if isinstance(claim, list):
        return tuple(str(group) for group in claim)
    return tuple(re.findall(r"[^\s,\[\]]+", str(claim or "")))
