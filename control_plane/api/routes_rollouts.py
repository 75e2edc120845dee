"""Routes of rollouts, and of the labels by which they select.

The environment is in the path of whatever changes something, so that an IAM policy can tell.
"""

from typing import Annotated

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from control_plane.api.routes import (
    ACCEPTED,
    ApplicationQuery,
    Limit,
    OrgPath,
    caller,
    changed_tenant,
    front,
    tenant,
)
from control_plane.models import DEPLOYMENT_ID_PATTERN, Env, JsonObject, Tenant
from control_plane.rules.rollout_plan import LabelsRequest, RolloutRequest, RolloutScheduleRequest
from control_plane.store.labels import Labels
from control_plane.use_cases import fleets
from control_plane.use_cases.creation import exists

router = Router()  # type: ignore[no-untyped-call]  # Powertools does not type it

RolloutIdPath = Annotated[str, Path(pattern=DEPLOYMENT_ID_PATTERN, description="rollout")]
WaveQuery = Annotated[int, Query(ge=1, le=50, description="which wave, from 1")]
StartQuery = Annotated[int, Query(ge=0, description="from which row of the wave, from 0")]


@router.post("/envs/<env>/rollouts", tags=["fleet"], responses=ACCEPTED)
def start_rollout(env: Env, request: RolloutRequest) -> tuple[JsonObject, int]:
    """Bring many tenants to a build, in waves."""
    return fleets.start(front(), env, request, _by()), 202


@router.get("/rollouts", tags=["fleet"])
def list_rollouts(limit: Limit = 20) -> JsonObject:
    """The newest rollouts, newest first."""
    return {"rollouts": fleets.newest(front(), limit)}


@router.get("/rollouts/<rollout_id>", tags=["fleet"])
def get_rollout(rollout_id: RolloutIdPath) -> JsonObject:
    """One rollout: what it is doing, its waves and their counts."""
    return fleets.show(front(), rollout_id)


@router.get("/rollouts/<rollout_id>/tenants", tags=["fleet"])
def get_rollout_tenants(
    rollout_id: RolloutIdPath, wave: WaveQuery = 1, start: StartQuery = 0, limit: Limit = 100
) -> JsonObject:
    """The tenants of one wave, and what became of each."""
    return {"tenants": fleets.tenants(front(), rollout_id, wave - 1, start, limit)}


@router.post("/envs/<env>/rollouts/<rollout_id>/pause", tags=["fleet"], responses=ACCEPTED)
def pause_rollout(env: Env, rollout_id: RolloutIdPath) -> tuple[JsonObject, int]:
    """Start no more deployments until it is resumed."""
    return fleets.pause(front(), env, rollout_id, _by()), 202


@router.post("/envs/<env>/rollouts/<rollout_id>/resume", tags=["fleet"], responses=ACCEPTED)
def resume_rollout(env: Env, rollout_id: RolloutIdPath) -> tuple[JsonObject, int]:
    """Go on after a pause."""
    return fleets.resume(front(), env, rollout_id), 202


@router.post("/envs/<env>/rollouts/<rollout_id>/cancel", tags=["fleet"], responses=ACCEPTED)
def cancel_rollout(env: Env, rollout_id: RolloutIdPath) -> tuple[JsonObject, int]:
    """Start no more deployments, for good."""
    return fleets.cancel(front(), env, rollout_id, _by()), 202


@router.post("/envs/<env>/rollouts/<rollout_id>/approve", tags=["fleet"], responses=ACCEPTED)
def approve_rollout(env: Env, rollout_id: RolloutIdPath) -> tuple[JsonObject, int]:
    """Let the next wave begin."""
    return fleets.approve(front(), env, rollout_id, _by()), 202


@router.get("/envs/<env>/rollout-schedule", tags=["fleet"])
def get_rollout_schedule(env: Env, application: ApplicationQuery = None) -> JsonObject:
    """When rollouts start by themselves, and of what."""
    return fleets.show_schedule(front(), env, _application(application))


@router.put("/envs/<env>/rollout-schedule", tags=["fleet"])
def put_rollout_schedule(env: Env, request: RolloutScheduleRequest) -> JsonObject:
    """Start rollouts by a schedule."""
    return fleets.put_schedule(front(), env, request)


@router.delete("/envs/<env>/rollout-schedule", tags=["fleet"])
def delete_rollout_schedule(env: Env, application: ApplicationQuery = None) -> JsonObject:
    """Start no more rollouts by a schedule."""
    fleets.delete_schedule(front(), env, _application(application))
    return {"deleted": True}


@router.get("/envs/<env>/orgs/<org>/labels", tags=["tenants"])
def get_labels(env: Env, org: OrgPath, application: ApplicationQuery = None) -> JsonObject:
    """A tenant's labels, and whether it is deployed."""
    of = tenant(env, org, application)
    return {"labels": _labels().of(of), "deployed": _is_deployed(of)}


@router.put("/envs/<env>/orgs/<org>/labels", tags=["tenants"])
def put_labels(env: Env, org: OrgPath, request: LabelsRequest) -> JsonObject:
    """Set and remove labels of a tenant."""
    of = changed_tenant(env, org, request.application, "it has no labels")
    labels = _labels().change(of, request.labels, request.remove, _by())
    return {"labels": labels, "deployed": _is_deployed(of)}


def _is_deployed(of: Tenant) -> bool:
    """Whether a rollout that selects by labels finds the tenant."""
    return exists(front().listing.current(of) or {})


def _application(named: str | None) -> str:
    return named or front().settings.default_application


def _labels() -> Labels:
    return Labels(front().settings.table_name)


def _by() -> str | None:
    return caller(router.current_event)
