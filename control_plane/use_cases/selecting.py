"""Which tenants a rollout is about, and what it will do: a request in, a plan out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from control_plane import own
from control_plane.errors import InvalidRequest
from control_plane.events import invalid
from control_plane.models import Env, JsonObject, Tenant
from control_plane.naming import check_length
from control_plane.rollout_models import Rollout
from control_plane.rules.rollout_plan import RolloutInput, RolloutRequest, allowed, plan
from control_plane.store.labels import Labels, fits
from control_plane.store.listing import Listing
from control_plane.store.sources import Sources
from control_plane.use_cases.admission import check_prefix
from control_plane.use_cases.creation import exists, is_explicit


class Known(Protocol):
    """What a front door and the worker both know: the settings that a plan needs."""

    @property
    def account_id(self) -> str: ...
    @property
    def table_name(self) -> str: ...
    @property
    def default_application(self) -> str: ...
    @property
    def approval_environments(self) -> str: ...
    @property
    def explicit_creation_environments(self) -> str: ...


def parse(raw: Mapping[str, Any]) -> RolloutInput:
    """An execution's input. Raises InvalidRequest that names every wrong field."""
    try:
        return RolloutInput.model_validate(raw)
    except ValidationError as error:
        raise invalid(error, "rollout") from error


def planned(
    rollout_id: str, env: Env, request: RolloutRequest, known: Known
) -> tuple[Rollout, list[list[str]]]:
    """The rollout that a request means, and the tenants of each wave. Nothing is written.

    Raises InvalidRequest.
    """
    application = request.application or known.default_application
    source, described = Sources(known.table_name).resolve(application, env, request.source)
    orgs = list(request.tenants) or _selected(application, env, request, known.table_name)
    for org in orgs:
        check_length(Tenant(application=application, env=env, org=org), described, known.account_id)
    waves, members = plan(request, orgs)
    _check_existing(application, env, members, known)
    rollout = Rollout(
        id=rollout_id,
        application=application,
        env=env,
        mode=request.mode,
        source=source,
        priority=request.priority,
        on_failure=request.on_failure,
        bake_seconds=request.bake_seconds,
        alarms=request.alarms,
        approval=request.approval,
        approval_first=env in known.approval_environments.split(","),
        allowed=allowed(request.max_failures, len(set(orgs)))
        if request.max_failures
        else sum(wave.allowed for wave in waves),
        waves=tuple(waves),
    )
    return rollout, members


def check_application(application: str, prefixes: str) -> None:
    """Raise InvalidRequest for what has no fleet, or is not the control plane's to deploy."""
    if application in (own.APPLICATION, own.TRIAL_APPLICATION):
        raise InvalidRequest.of("application", f"{application} has no fleet: 'syndi self-update'")
    check_prefix(application, prefixes)


def _selected(application: str, env: Env, request: RolloutRequest, table: str) -> list[str]:
    """The organizations that are deployed, and have the labels and the build."""
    found = [
        Tenant(application=application, env=env, org=one["org"])
        for one in _deployed(application, env, table)
        if str((one.get("build") or {}).get("fingerprint", "")).startswith(request.build or "")
    ]
    if request.labels:
        labels = Labels(table).of_all(found)
        found = [one for one in found if fits(labels.get(one.org, {}), request.labels)]
    return [one.org for one in found]


def _check_existing(application: str, env: Env, members: list[list[str]], known: Known) -> None:
    """Raise InvalidRequest for a rollout that would create tenants where none may."""
    named = {org for wave in members for org in wave}
    probe = Tenant(application=application, env=env, org="any")
    if not named or not is_explicit(probe, known.explicit_creation_environments):
        return
    new = sorted(new_among(named, application, env, known.table_name))
    if new:
        raise InvalidRequest.of(
            "tenants",
            f"{', '.join(new[:10])}{' …' if new[10:] else ''}: not deployed in {env}, where no "
            "rollout creates a tenant: 'syndi deploy --create' does",
        )


def new_among(orgs: Iterable[str], application: str, env: Env, table: str) -> set[str]:
    """Those of some organizations that are not deployed."""
    return set(orgs) - {one["org"] for one in _deployed(application, env, table)}


def _deployed(application: str, env: Env, table: str) -> Iterator[JsonObject]:
    """The current states of the application's tenants that are deployed in an environment."""
    for one in Listing(table).tenants():
        if (one["application"], one["env"]) == (application, env) and exists(one):
            yield one
