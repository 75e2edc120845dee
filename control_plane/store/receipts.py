"""What a successful deployment leaves: the proof in its record, and the tenant's current state."""

from collections.abc import Mapping
from typing import Any

from control_plane.models import Deployment, DeploymentStatus, JsonObject, utc_now

FORGOTTEN = ("last_reason", "drift", "offboarded_at", "leftovers")
"""What is known of a tenant that a successful deployment puts an end to."""


def of_success(deployment: Deployment, proof: Mapping[str, Any]) -> JsonObject:
    """The receipt of a deployment that went through CloudFormation, or of a patch.

    `proof`: build, change_set, stack, config and tests, what ProveDeployment read back (`proof`),
    and if there are any admin and patch.
    `running` is what the tenant reports: the stack's build, or the patch that was put over it.
    """
    stack = proof["stack"]
    receipt = {name: proof[name] for name in ("build", "change_set", "stack", "config", "tests")}
    return receipt | {
        "source": deployment.source,
        "config_source": deployment.config_source,
        "outputs": stack["outputs"],
        "admin": proof.get("admin") or None,
        "endpoint": stack["outputs"].get(deployment.manifest.tests.endpoint),
        "patch": proof.get("patch") or None,
        "proof": proof.get("proof"),
        "running": proof["build"]["fingerprint"],
    }


def current_after(deployment: Deployment, receipt: JsonObject) -> JsonObject:
    """The tenant's current state after a deployment with that receipt."""
    return {
        **receipt,
        **last(deployment),
        "last_good": deployment.id,
        "deployed_at": now(),
        "config_deployment": deployment.id,
    }


def last(deployment: Deployment) -> JsonObject:
    """What is known of a tenant's last deployment when it succeeded."""
    return {"last_deployment": deployment.id, "last_status": DeploymentStatus.SUCCEEDED}


def now() -> str:
    """The time as the table has it."""
    return utc_now().isoformat(timespec="milliseconds")
