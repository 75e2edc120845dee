"""Removing what outlived a tenant's stack, but only what is certainly the tenant's."""

import time
from collections.abc import Callable
from functools import partial

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import OffboardFailed
from control_plane.models import Deployment
from control_plane.settings import OffboardSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from workers import offboard_reading as reading


def go_on(deployment: Deployment, deadline: float) -> bool:
    """Remove until all is gone (True) or `deadline` (monotonic) has passed. Raises OffboardFailed.

    What is gone is not found again, so that a repeated call goes on where the last one stopped.
    """
    for bucket in reading.buckets(deployment):
        if bucket.foreign:
            continue
        if not _emptied(bucket.name, deadline):
            return False
        _attempt(f"bucket {bucket.name}", partial(_delete_bucket, bucket.name))
        _remember(deployment, f"bucket {bucket.name}")
    for pool in reading.pools(deployment):
        if not pool.foreign:
            _attempt(f"user pool {pool.name}", partial(_delete_pool, pool.name))
            _remember(deployment, f"user pool {pool.name}")
    for name in reading.secrets(deployment.tenant):
        # For good: a secret that waits for its deletion would keep its name from the next tenant.
        aws.secretsmanager().delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        _remember(deployment, f"secret {name}")
    return True


def told(deployment: Deployment) -> str:
    """What was removed, in a line."""
    removed = _record(deployment).get("purged", [])
    return f"removed {', '.join(removed)}" if removed else "there was nothing to remove"


def _emptied(bucket: str, deadline: float) -> bool:
    """Delete a bucket's objects with all their versions; False when `deadline` came before."""
    while True:
        page = aws.s3().list_object_versions(Bucket=bucket)
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not found:
            return True
        answer = aws.s3().delete_objects(
            Bucket=bucket,
            Delete={
                "Objects": [{"Key": i["Key"], "VersionId": i["VersionId"]} for i in found],
                "Quiet": True,
            },
        )
        failed = answer.get("Errors", [])
        if failed:
            first = failed[0]
            raise OffboardFailed(
                f"{bucket}/{first.get('Key')} could not be removed: {first.get('Code')} "
                f"{first.get('Message', '')}"
            )
        if time.monotonic() > deadline:
            return False


def _delete_bucket(bucket: str) -> None:
    aws.s3().delete_bucket(Bucket=bucket)


def _delete_pool(pool: str) -> None:
    aws.cognito().delete_user_pool(UserPoolId=pool)


_GONE = ("NoSuchBucket", "ResourceNotFoundException")


def _attempt(what: str, remove: Callable[[], None]) -> None:
    """Remove something. That it is gone already is what was wanted."""
    try:
        remove()
    except ClientError as error:
        if aws.error_code(error) in _GONE:
            return
        if aws.is_busy(error):
            raise
        raise OffboardFailed(f"{what} could not be removed: {error}") from error


def _remember(deployment: Deployment, what: str) -> None:
    removed = _record(deployment).get("purged", [])
    if what not in removed:
        Progress(settings(OffboardSettings).table_name).add_facts(
            deployment, {"purged": [*removed, what]}
        )


def _record(deployment: Deployment) -> dict[str, list[str]]:
    table = settings(OffboardSettings).table_name
    return Listing(table).get(deployment.tenant, deployment.id) or {}
