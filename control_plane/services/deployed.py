"""The source and the manifest that a tenant was built from; needs no current source."""

from control_plane.errors import InvalidRequest
from control_plane.manifest import Manifest
from control_plane.models import JsonObject, Tenant
from control_plane.rules import comebacks
from control_plane.store.builds import Builds
from control_plane.store.listing import Listing
from control_plane.store.sources import Sources


def deployed(table: str, tenant: Tenant) -> tuple[str, Manifest] | None:
    """The source and the manifest of the tenant's last build; None when it was never built."""
    found = last_built(table, tenant)
    if not found:
        return None
    build = found["build"]
    return build["source"], manifest_of(table, tenant, build)


def last_built(table: str, tenant: Tenant) -> JsonObject:
    """What names the tenant's last build: its current state, or its newest record with one.

    Empty when there is none.
    """
    listing = Listing(table)
    current = listing.current(tenant) or {}
    if current.get("build"):
        return current
    return comebacks.newest_built(listing.newest_first(tenant)) or {}


def manifest_of(table: str, tenant: Tenant, build: JsonObject) -> Manifest:
    """The manifest of a tenant's build, as it was recorded with the build or its source.

    Raises InvalidRequest when neither is known any more.
    """
    recorded = (Builds(table).get(build["fingerprint"]) or {}).get("manifest")
    if recorded:
        # A release that was rolled back may have recorded it, with keys of its own.
        return Manifest.model_validate(recorded, extra="ignore")
    described = Sources(table).described(tenant.application, build["source"])
    if described is None:
        source = build["source"][:12]
        raise InvalidRequest.of(
            "source",
            f"the manifest of build {build['fingerprint'][:12]} is not known any more: push its "
            f"source {source} again, with 'syndi source push --env {tenant.env}' in its checkout",
        )
    return described
