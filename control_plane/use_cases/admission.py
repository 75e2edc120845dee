"""Whether a request can be carried out, decided before anything starts.

The API asks here so that a wrong request is a 400; PrepareDeployment asks again, because an
execution may be started by hand or by a schedule.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from control_plane import own
from control_plane.errors import InvalidRequest
from control_plane.events import ExecutionInput, Target, invalid
from control_plane.manifest import Manifest
from control_plane.models import Env, Mode, OnConflict, Tenant
from control_plane.naming import check_length
from control_plane.services.deployed import deployed
from control_plane.store.schema import upgraded_request
from control_plane.store.sources import Sources


def parse_input(raw: Mapping[str, Any]) -> ExecutionInput:
    """An execution's input, which a schedule may have kept since an earlier release.

    Raises InvalidRequest that names every wrong field.
    """
    try:
        asked = upgraded_request(raw) if isinstance(raw, Mapping) else raw
        return ExecutionInput.model_validate(asked)
    except ValidationError as error:
        raise invalid(error, "execution input") from error


def tenant_of(env: Env, org: str, target: Target, default_application: str) -> Tenant:
    """The tenant that a request means. Raises InvalidRequest."""
    try:
        return Tenant(application=target.application or default_application, env=env, org=org)
    except ValidationError as error:
        raise invalid(error, "tenant") from error


def admit(
    tenant: Tenant, target: Target, table: str, account: str, own_stack: str
) -> tuple[str, Manifest]:
    """The source that will be deployed, and its manifest. `own_stack`: the control plane's own.

    Only what brings code needs a source of the environment: a rollback, `deploy-only`, drift and
    offboarding are about a build that is there, and go by its manifest where there is none.

    Raises InvalidRequest naming the field when the source is unknown, a name would not fit, or the
    application cannot do what is asked.
    """
    check_own(tenant, target, own_stack)
    sha256, manifest = _subject(tenant, target, table)
    check_trial(tenant, manifest)
    check_length(tenant, manifest, account)
    check_options(target, manifest)
    check_confirmed(tenant, target)
    check_conflict(target)
    return sha256, manifest


def _subject(tenant: Tenant, target: Target, table: str) -> tuple[str, Manifest]:
    sources = Sources(table)
    if not has_meaning("source", target.mode):
        current = sources.current(tenant.application, tenant.env)
        if target.mode in (Mode.OFFBOARD, Mode.DRIFT):  # about what is deployed
            found = deployed(table, tenant) or current
        else:  # with the configuration files of now, where there are any
            found = current or deployed(table, tenant)
        if found:
            return found
    return sources.resolve(tenant.application, tenant.env, target.source)


def check_prefix(application: str, prefixes: str) -> None:
    """Raise InvalidRequest for an application whose resources the control plane may not touch.

    `prefixes`: what it was installed for, with commas between.
    """
    if application == own.APPLICATION:  # which has a role of its own; check_own is about it
        return
    if not any(f"{application}-".startswith(f"{prefix}-") for prefix in prefixes.split(",")):
        raise InvalidRequest.of(
            "application",
            f"{application} is none of the applications that this control plane was installed "
            f"for ({prefixes}): install it again with --prefixes {prefixes},{application}",
        )


OWN_MODES = (Mode.FULL, Mode.DEPLOY_ONLY, Mode.ROLLBACK)
"""What can be done with the control plane itself, by itself."""


def check_own(tenant: Tenant, target: Target, own_stack: str) -> None:
    """Raise InvalidRequest for another control plane, and for what has no meaning for this one."""
    if not own.is_own(tenant):
        return
    if tenant.stack_name != own_stack:
        raise InvalidRequest.of(
            "application",
            f"this control plane is {own_stack}, and updates no other than itself: ask "
            f"{tenant.stack_name}",
        )
    if target.mode not in OWN_MODES:
        raise InvalidRequest.of(
            "mode",
            f"the control plane has no mode {target.mode} for itself, only {', '.join(OWN_MODES)}; "
            "'syndi uninstall' removes it",
        )
    if not target.rollback_on_failure:
        raise InvalidRequest.of(
            "rollback_on_failure",
            "a control plane that fails its trial always goes back: leave it out",
        )


def check_trial(tenant: Tenant, manifest: Manifest) -> None:
    """Raise InvalidRequest for a release of the control plane that would not have to prove itself.

    The manifest is the new release's own: what is on trial must not decide whether it is tried.
    """
    if own.is_own(tenant) and manifest.trial is None:
        raise InvalidRequest.of(
            "source",
            "its application.toml has no [trial], and no release of the control plane is trusted "
            "without one: put it back",
        )


_ONLY_IN: dict[str, tuple[Mode, ...]] = {
    "enable_auth": (Mode.FULL, Mode.DEPLOY_ONLY),
    "create_buckets": (Mode.FULL, Mode.DEPLOY_ONLY),
    "admin_username": (Mode.FULL, Mode.DEPLOY_ONLY),
    "source": (Mode.FULL, Mode.FUNCTION),
    "allow_replacement": (Mode.FULL, Mode.DEPLOY_ONLY, Mode.ROLLBACK),
    "dry_run": (Mode.FULL, Mode.DEPLOY_ONLY, Mode.ROLLBACK),
    "approval": (Mode.FULL, Mode.DEPLOY_ONLY, Mode.FUNCTION, Mode.ROLLBACK, Mode.OFFBOARD),
    "rollback_on_failure": (Mode.FULL, Mode.DEPLOY_ONLY, Mode.FUNCTION, Mode.ROLLBACK),
    "to": (Mode.ROLLBACK,),
    "create": (Mode.FULL, Mode.DEPLOY_ONLY),
    "confirm": (Mode.OFFBOARD,),
    "export": (Mode.OFFBOARD,),
    "purge": (Mode.OFFBOARD,),
}
"""Options that only some modes have; the others would ignore them, and nobody would notice."""


def has_meaning(option: str, mode: Mode) -> bool:
    """Whether a mode has an option that not all modes have."""
    return mode in _ONLY_IN[option]


def check_options(target: Target, manifest: Manifest) -> None:
    """Raise InvalidRequest for an option that the mode or the application does not have."""
    for option, modes in _ONLY_IN.items():
        given = getattr(target, option) != Target.model_fields[option].default
        if given and target.mode not in modes:
            raise InvalidRequest.of(option, f"has no meaning in mode {target.mode}: leave it out")
    for option in ("enable_auth", "create_buckets"):
        if getattr(target, option) is not None and option not in manifest.stack.parameters:
            raise InvalidRequest.of(option, f"{manifest.name} has no such parameter: leave it out")
    if target.mode == Mode.FUNCTION and manifest.package is None:
        raise InvalidRequest.of(
            "mode", f"{manifest.name} has no [package] in its manifest: deploy it in full"
        )
    if target.admin_username is None:
        return
    if manifest.admin is None:
        raise InvalidRequest.of(
            "admin_username", f"{manifest.name} has no administrators: leave it out"
        )
    if target.enable_auth is False:
        raise InvalidRequest.of(
            "admin_username", "needs authentication: leave enable_auth out, or set it to true"
        )


def check_conflict(target: Target) -> None:
    """Raise InvalidRequest for what deploys nothing and would take the place of what does."""
    deploys_nothing = target.dry_run or target.mode == Mode.DRIFT
    if target.on_conflict == OnConflict.SUPERSEDE and deploys_nothing:
        raise InvalidRequest.of(
            "on_conflict", "supersede would throw real deployments away for one that changes "
            "nothing: wait or reject"
        )  # fmt: skip


def check_confirmed(tenant: Tenant, target: Target) -> None:
    """Raise InvalidRequest when a removal is not confirmed by the name of what it removes."""
    if target.mode == Mode.OFFBOARD and target.confirm != tenant.stack_name:
        raise InvalidRequest.of("confirm", f"must be the name of the stack: {tenant.stack_name}")
