"""What the guard of a tenant's data goes by, beside the change set."""

from collections.abc import Iterable, Iterator

from control_plane import own
from control_plane.models import Deployment
from control_plane.rules import changes
from control_plane.rules.changes import Loss
from control_plane.settings import StackSettings, settings
from control_plane.store.listing import Listing
from control_plane.store.sources import Sources


def stateful_types(deployment: Deployment) -> set[str]:
    """The types that hold data by the manifest that is requested and by those of what is deployed.

    What is there was made by another manifest than the one that a rollback or a new source brings.
    Deployed is the tenant's last good state; and, on the way back from a deployment whose tests
    failed, what that one brought.
    """
    table, tenant = settings(StackSettings).table_name, deployment.tenant
    listing, sources = Listing(table), Sources(table)
    records = [listing.current(tenant), listing.get(tenant, deployment.id)]
    found = set(deployment.manifest.stack.stateful_types)
    for source in {record["source"] for record in records if record and record.get("source")}:
        # A source that is not registered any more adds none: what is known of each type holds.
        manifest = sources.described(tenant.application, source)
        found |= set(manifest.stack.stateful_types) if manifest else set()
    return found


def not_undone(deployment: Deployment, losses: Iterable[Loss]) -> Iterator[Loss]:
    """The losses that count. On the way back from a deployment whose tests failed, what that very
    deployment added goes again, and what it made safer is as safe as before.

    Added is what its own change set added: nothing that was there or was adopted. What has been
    written into it since is lost with it, by a migration that ran in the deployment, for instance.
    Of the control plane's own stack, logs do not count.
    """
    if own.is_own(deployment.tenant):
        losses = changes.of_own_stack(losses)
    if not deployment.rolling_back:
        yield from losses
        return
    table = settings(StackSettings).table_name
    record = Listing(table).get(deployment.tenant, deployment.id) or {}
    change_set = record.get("change_set", {})
    added = {item["id"] for item in change_set.get("summary", {}).get("added", [])}
    strengthened = change_set.get("strengthened", [])
    for loss in losses:
        parts = loss.logical_id.split("/")
        # A nested stack that was added, and all that is in it.
        is_new = any("/".join(parts[: end + 1]) in added for end in range(len(parts)))
        if not is_new and not (loss.weakened and loss.logical_id in strengthened):
            yield loss
