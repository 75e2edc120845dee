"""The control plane itself as an application, and which release of it this code is."""

import json
from functools import cache
from pathlib import Path

from control_plane import __version__
from control_plane.errors import InvalidRequest
from control_plane.models import Env, Frozen, Tenant
from control_plane.naming import OWN_APPLICATION

APPLICATION = OWN_APPLICATION
TRIAL_APPLICATION = "syndi-trial"
"""What every release deploys and removes again before it is trusted."""

TRIAL_DIRECTORY = "trial"
"""Where that application lies, in the source and in the functions' bundle. The release that tries
another one uses its own: what is on trial has no say in how it is tried."""

_STAMP = Path(__file__).with_name("build.json")


class Release(Frozen):
    """A release of the control plane. `source` and `build` are None in a checkout."""

    version: str
    source: str | None = None
    build: str | None = None


def own_tenant(stack_name: str) -> Tenant:
    """The tenant that owns a control plane's stack. Raises InvalidRequest for any other name."""
    env, _, org = stack_name.removeprefix(f"{APPLICATION}-").partition("-")
    try:
        found = Tenant(application=APPLICATION, env=Env(env), org=org)
    except ValueError:
        found = None
    if found is None or found.stack_name != stack_name:
        raise InvalidRequest.of("stack", f"{stack_name} must be {APPLICATION}-{{env}}-{{org}}")
    return found


def is_own(tenant: Tenant) -> bool:
    """Whether a tenant is a control plane."""
    return tenant.application == APPLICATION


def takes_no_slot(tenant: Tenant) -> bool:
    """Whether a tenant's deployments are the control plane's own work: itself, or its trial."""
    return tenant.application in (APPLICATION, TRIAL_APPLICATION)


@cache
def running() -> Release:
    """The release that this code is: its build's stamp lies beside it."""
    if not _STAMP.exists():
        return Release(version=__version__)
    stamp = json.loads(_STAMP.read_text())
    return Release(version=__version__, source=stamp["source"], build=stamp["fingerprint"])
