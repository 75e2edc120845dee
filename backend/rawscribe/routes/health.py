"""Is this tenant alive, and which build is it? Public, so it names no bucket and no account."""

import logging
from typing import Any

from fastapi import APIRouter

from rawscribe.config import Loaded
from rawscribe.errors import StorageUnavailable
from rawscribe.services import CurrentServices, Services

logger = logging.getLogger("rawscribe")
router = APIRouter()

HEALTH_SECONDS = 2.0
"""How old the configuration may be that health reports: a bound on what anybody can make S3 do."""


@router.get("/health")
def health(services: CurrentServices) -> dict[str, Any]:
    """200 whenever the function can answer; `status` is "degraded" when a dependency is not ok.

    The configuration is looked up again: the answer says what this function uses now.
    """
    config = services.config.current(at_most=HEALTH_SECONDS)
    dependencies = {"config": _config(config), **_buckets(services, config)}
    ok = all(check["status"] == "ok" for check in dependencies.values())
    return {
        "status": "ok" if ok else "degraded",
        "environment": config.settings.environment,
        "organization": config.settings.organization,
        "build": services.fingerprint,
        "dependencies": dependencies,
    }


def _config(config: Loaded) -> dict[str, Any]:
    match config.problem:
        case None:
            return {"status": "ok", "source": config.source, "sha256": config.sha256}
        case "absent":
            return {"status": "absent", "source": config.source}
        case code:
            return {"status": "error", "source": config.source, "reason": code}


def _buckets(services: Services, config: Loaded) -> dict[str, dict[str, Any]]:
    storage = config.settings.storage
    checks: dict[str, dict[str, Any]] = {}
    for name, store in [
        ("forms", storage.forms),
        ("drafts", storage.drafts),
        ("elns", storage.elns),
    ]:
        try:
            services.store(store, config.settings).page(1)
            checks[name] = {"status": "ok"}
        except StorageUnavailable as error:
            reason = (error.details or {}).get("reason", "NotConfigured")
            logger.warning("dependency unavailable", extra={"store": name, "reason": reason})
            checks[name] = {"status": "error", "reason": reason}
    return checks
