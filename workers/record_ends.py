"""How a deployment ends with success in its record: deployed, only compared, removed, looked at."""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import Cancelled, ProofIncomplete
from control_plane.models import (
    OPEN_STATUSES,
    Deployment,
    DeploymentStatus,
    JsonObject,
    Tenant,
)
from control_plane.observability import count_end, deployment_took
from control_plane.rules import proof
from control_plane.rules.endings import GOOD
from control_plane.rules.tenant_health import last_health
from control_plane.rules.timings import deployment_seconds
from control_plane.settings import RecordSettings, settings
from control_plane.store import receipts
from control_plane.store.history import History
from control_plane.store.listing import Listing
from workers import record_slots

STACKS_OWN = (
    "build", "change_set", "stack", "config", "config_source", "config_deployment", "admin",
)  # fmt: skip
"""What a patch leaves of a tenant's current state: what came with the stack."""


CUT_SHORT = (DeploymentStatus.CANCELLED, DeploymentStatus.SUPERSEDED)


def record_success(deployment: Deployment, event: Mapping[str, Any]) -> JsonObject:
    """Record what this execution proved, make it the tenant's current state, release the lock.

    Raises ProofIncomplete, before anything is written, when a step claims what it did not leave in
    the record.
    """
    record = Listing(_settings().table_name).get(deployment.tenant, deployment.id) or {}
    # An earlier attempt may have ended it already; then this one only answers again.
    gaps = proof.gaps(deployment, record, event) if record.get("status") in OPEN_STATUSES else []
    if gaps:
        raise ProofIncomplete("; ".join(gaps))
    receipt = receipts.of_success(deployment, {**event, "proof": record.get("proof")})
    current = receipts.current_after(deployment, receipt)
    current["health"] = last_health(event["tests"], deployment.id, receipts.now())
    forget = [*receipts.FORGOTTEN]
    if receipt["patch"]:
        receipt["config_source"] = None  # a patch brings no configuration
        # The stack's own are kept, as this release writes them; only that there is a patch over
        # them is said beside the build.
        known = Listing(_settings().table_name).current(deployment.tenant) or {}
        current |= {name: known.get(name) for name in STACKS_OWN}
        current["build"] = {**known["build"], "patched": receipt["running"]}
    else:
        forget.append("patch")
    return _succeed(deployment, receipt, current, forget, is_whole=True)


def record_dry_run(deployment: Deployment, event: Mapping[str, Any]) -> JsonObject:
    """Record what would have changed. The tenant is what it was."""
    receipt = {
        "build": event["build"],
        "change_set": event["change_set"],
        "config_changes": event["config_changes"],
    }
    return _succeed(deployment, receipt, {})


def record_offboarding(deployment: Deployment, event: Mapping[str, Any]) -> JsonObject:
    """Record that the tenant is gone, and what is left of it."""
    # Where an export stands has its location; without an export it only has the schedules.
    exported = event["exported"] if "location" in event["exported"] else None
    receipt = {"leftovers": event["leftovers"], "exported": exported}
    current = {
        **receipts.last(deployment),
        "last_reason": "offboarded",
        "offboarded_at": receipts.now(),
        "leftovers": event["leftovers"],
    }
    return _succeed(deployment, receipt, current, GOOD, is_whole=True)


def record_drift(deployment: Deployment, event: Mapping[str, Any]) -> JsonObject:
    """Record what differs from what was deployed."""
    kinds = event["drift"]
    findings = [item for kind in kinds.values() for item in kind["findings"]]
    drift = {"checked_at": receipts.now(), "deployment": deployment.id, "findings": findings}
    return _succeed(deployment, {"drift": drift}, {"drift": drift})


def _succeed(
    deployment: Deployment,
    receipt: JsonObject,
    current: JsonObject,
    forget: Sequence[str] = (),
    *,
    is_whole: bool = False,
) -> JsonObject:
    tenant = deployment.tenant
    record = History(_settings().table_name).succeed(
        tenant,
        deployment.id,
        deployment.execution_arn,
        receipt,
        current,
        forget,
        is_whole=is_whole,
    )
    if record["status"] != DeploymentStatus.SUCCEEDED:
        raise Cancelled(f"deployment {deployment.id} had ended {record['status']} before")
    record_slots.give_back(deployment.id, deployment.execution_arn)
    forget_given_password(tenant, deployment.id)
    measure_end(tenant, record)
    return {"id": deployment.id, "status": record["status"]}


def measure_end(tenant: Tenant, record: Mapping[str, Any]) -> None:
    """Count an end, and how long it took to get there.

    Not how long what was cut short took: that is somebody's decision.
    """
    status = DeploymentStatus(record["status"])
    count_end(tenant.application, tenant.env, status)
    seconds = deployment_seconds(dict(record))
    if seconds is not None and status not in CUT_SHORT:
        deployment_took(seconds, record.get("mode", ""))


def forget_given_password(tenant: Tenant, deployment_id: str) -> None:
    """Remove the secret that carried a password to a deployment; most never had one."""
    try:
        aws.secretsmanager().delete_secret(
            SecretId=naming.given_secret(tenant, deployment_id), ForceDeleteWithoutRecovery=True
        )
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise


def _settings() -> RecordSettings:
    return settings(RecordSettings)
