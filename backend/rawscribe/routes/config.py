"""The configuration: what a browser needs before sign-in, and all of it for those who lead."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from rawscribe.identity import Identity
from rawscribe.permissions import Permission
from rawscribe.services import CurrentConfig, CurrentSettings, Needs

router = APIRouter(prefix="/api/config")


@router.get("/runtime")
def runtime(settings: CurrentSettings) -> dict[str, Any]:
    """What the frontend needs to sign somebody in. Public."""
    auth = settings.auth
    pool = auth.cognito if auth.enabled else None
    return {
        "authEnabled": auth.enabled,
        "userPoolId": pool.user_pool_id if pool else None,
        "clientId": pool.client_id if pool else None,
        "region": pool.region if pool else None,
        "environment": settings.environment,
        "organization": settings.organization,
        "frontend": settings.frontend,
    }


@router.get("/private")
def private(
    config: CurrentConfig,
    _identity: Annotated[Identity, Depends(Needs(Permission.READ_PRIVATE_CONFIG))],
) -> dict[str, Any]:
    """The effective configuration and the tier it came from."""
    return {
        "source": config.source,
        "problem": config.problem,
        "config": config.settings.model_dump(mode="json", by_alias=True),
    }
