"""Whether a deployment creates a tenant, and may: a misspelled organization is a new one.

A tenant exists from its first successful deployment until it is offboarded.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from control_plane import own
from control_plane.errors import InvalidRequest
from control_plane.events import Target, Trigger
from control_plane.models import Env, JsonObject, Mode, Tenant
from control_plane.store.listing import Listing

CREATING = (Mode.FULL, Mode.DEPLOY_ONLY)
"""The modes that create a tenant where there is none; the others need one that is deployed."""

BY_ITSELF = (Trigger.SCHEDULE, Trigger.ROLLOUT)
"""What starts deployments with nobody looking at the organization's name."""

SIMILAR = 3
"""Names that are shown for one that may be misspelled."""


def exists(current: Mapping[str, Any]) -> bool:
    """Whether a tenant is deployed, by its current state; empty when it never was."""
    return bool(current.get("last_good")) and not current.get("offboarded_at")


def is_explicit(tenant: Tenant, environments: str) -> bool:
    """Whether a tenant of that environment is created with `create` only.

    `environments`: as the control plane was installed, with commas between. The control plane and
    its own trial are not anybody's tenants.
    """
    if tenant.application in (own.APPLICATION, own.TRIAL_APPLICATION):
        return False
    return tenant.env in environments.split(",")


def check_creation(
    tenant: Tenant,
    target: Target,
    current: Mapping[str, Any],
    environments: str,
    trigger: Trigger = Trigger.API,
) -> None:
    """Raise InvalidRequest for a deployment that would create a tenant and may not.

    `create` for a tenant that exists is harmless.
    """
    creates = target.mode in CREATING and not exists(current)
    if not creates or not is_explicit(tenant, environments):
        return
    gone = current.get("offboarded_at")
    missing = f"was offboarded at {gone}" if gone else "does not exist"
    start = f"'syndi deploy {tenant.env} {tenant.org} --create'"
    if trigger in BY_ITSELF:
        raise InvalidRequest.of(
            "create",
            f"{tenant.stack_name} {missing}, and no {trigger} creates a tenant in {tenant.env}: "
            f"create it with {start}",
        )
    if not target.create:
        raise InvalidRequest.of(
            "create",
            f"{tenant.stack_name} {missing}, and a tenant of {tenant.env} is created explicitly: "
            f"check the organization's name, or create it with {start} (create: true)",
        )


def outlook(listing: Listing, tenant: Tenant, environments: str) -> JsonObject:
    """What a deployment of the tenant would be: {exists, explicit, similar}.

    `similar`: organizations of that application and environment that exist and have a name close to
    this one's, the closest first; empty for a tenant that exists.
    """
    current = listing.current(tenant) or {}
    known = exists(current)
    return {
        "stack_name": tenant.stack_name,
        "exists": known,
        "offboarded_at": current.get("offboarded_at"),
        "explicit": is_explicit(tenant, environments),
        "similar": [] if known else similar(listing, tenant),
    }


def similar(listing: Listing, tenant: Tenant) -> list[str]:
    """The organizations that may have been meant, the closest first."""
    orgs = [
        str(one["org"])
        for one in listing.tenants()
        if (one["application"], one["env"]) == (tenant.application, Env(tenant.env)) and exists(one)
    ]
    return difflib.get_close_matches(tenant.org, orgs, n=SIMILAR, cutoff=0.6)
