"""Who am I?"""

from typing import Any

from fastapi import APIRouter

from rawscribe.permissions import GRANTED, allows
from rawscribe.services import CurrentIdentity

router = APIRouter()


@router.get("/api/me")
def me(identity: CurrentIdentity) -> dict[str, Any]:
    """The caller's identity, groups and permissions; no permission needed."""
    return {
        "subject": identity.subject,
        "email": identity.email,
        "groups": list(identity.groups),
        "authenticated": identity.authenticated,
        "permissions": [name for name in GRANTED if allows(identity.groups, name)],
    }
