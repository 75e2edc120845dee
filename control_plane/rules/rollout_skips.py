"""Whether a tenant already is what a rollout would make of it. Pure."""

from collections.abc import Mapping
from typing import Any

from control_plane.models import DeploymentStatus, Mode
from control_plane.rollout_models import Rollout


def why_skip(
    current: Mapping[str, Any], rollout: Rollout, needed: str, overrides_version: int
) -> str:
    """Why a tenant is skipped; empty when it is to be deployed.

    `current`: its current state, `needed`: the fingerprint of the build that it needs of the
    rollout's source (not for deploy-only), `overrides_version`: its newest stored overrides.
    """
    build = current.get("build") or {}
    if not current.get("last_good") or current.get("patch") or current.get("offboarded_at"):
        return ""
    if current.get("last_status") != DeploymentStatus.SUCCEEDED:
        return ""  # the last one failed: whatever it left is made good
    if current.get("last_deployment") != current["last_good"]:
        return ""
    if (current.get("config") or {}).get("overrides_version", 0) != overrides_version:
        return ""
    if rollout.mode == Mode.FULL and build.get("fingerprint") != needed:
        return ""
    if current.get("config_source") != rollout.source:  # its files are the configuration
        return ""
    return f"has build {build['fingerprint'][:12]} and its configuration already"
