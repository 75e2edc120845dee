"""Removing what outlived a tenant's stack, but only what is certainly the tenant's."""

import time

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import OffboardFailed
from control_plane.models import Deployment
from control_plane.settings import OffboardSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from workers import offboard_kinds as kinds
from workers import offboard_reading as reading
from workers.offboard_reading import Belonging


def go_on(deployment: Deployment, deadline: float) -> bool:
    """Remove until all is gone (True) or `deadline` (monotonic) has passed.

    What is gone is not found again, so that a repeated call goes on where the last one stopped.
    What cannot be removed keeps nothing else from being removed. Raises OffboardFailed, at the end.
    """
    failures: list[str] = []
    for item in reading.find(deployment).items:
        if item.foreign or item.remover is None:
            continue
        _remember(deployment, named(item))
        try:
            if not _removed(item, deadline):
                return False
        except OffboardFailed as error:
            _forget(deployment, named(item))
            failures.append(str(error))
            continue
        if time.monotonic() > deadline:
            return False
    for name in reading.secrets(deployment.tenant):
        # For good: a secret that waits for its deletion would keep its name from the next tenant.
        _remember(deployment, f"secret {name}")
        aws.secretsmanager().delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    if failures:
        raise OffboardFailed("; ".join(failures))
    return True


def told(deployment: Deployment) -> str:
    """What was removed, in a line."""
    removed = _record(deployment).get("purged", [])
    return f"removed {', '.join(removed)}" if removed else "there was nothing to remove"


def named(item: Belonging) -> str:
    """What it is, in words: `user pool us-east-1_x`."""
    name = item.name.rsplit(":", 1)[-1] if item.name.startswith("arn:") else item.name
    scheduled = " (in 7 days, so long it can be kept)" if item.kind == "key" else ""
    return f"{item.kind.replace('-', ' ')} {name}{scheduled}"


def _removed(item: Belonging, deadline: float) -> bool:
    """Remove something; that it is gone already is what was wanted. Raises OffboardFailed."""
    if item.remover is None:
        return True
    try:
        return item.remover.remove(item.name, deadline)
    except ClientError as error:
        if aws.error_code(error) in kinds.MISSING:
            return True
        if aws.is_busy(error):
            raise
        raise OffboardFailed(f"{named(item)} could not be removed: {error}") from error


def _remember(deployment: Deployment, what: str) -> None:
    """Note what is removed next: an attempt that is cut off right after could not say it."""
    removed = _record(deployment).get("purged", [])
    if what not in removed:
        _write(deployment, [*removed, what])


def _forget(deployment: Deployment, what: str) -> None:
    """Take back a note: that could not be removed."""
    _write(deployment, [name for name in _record(deployment).get("purged", []) if name != what])


def _write(deployment: Deployment, removed: list[str]) -> None:
    table = settings(OffboardSettings).table_name
    Progress(table).add_facts(deployment, {"purged": removed})


def _record(deployment: Deployment) -> dict[str, list[str]]:
    table = settings(OffboardSettings).table_name
    return Listing(table).get(deployment.tenant, deployment.id) or {}
