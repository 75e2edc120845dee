"""What may be asked of rollouts: start, pause, resume, approve, cancel, start by a schedule."""

from contextlib import suppress
from datetime import datetime, timedelta

from control_plane import aws, naming
from control_plane.errors import Conflict, NotFound, ServiceBusy, Superseded
from control_plane.events import Trigger
from control_plane.models import Env, JsonObject, Mode, utc_now
from control_plane.naming import console_url
from control_plane.rollout_models import FINAL, Rollout, RolloutStatus
from control_plane.rules.rollout_plan import RolloutRequest, RolloutScheduleRequest
from control_plane.services import executions, starting
from control_plane.store.rollout_turns import RolloutTurns
from control_plane.store.rollouts import Rollouts, loaded
from control_plane.store.starts import Starts
from control_plane.use_cases import schedules, selecting
from control_plane.use_cases.deployments import Front
from control_plane.use_cases.schedule_targets import ROLLOUT
from control_plane.use_cases.schedules import When

BEGINS_WITHIN = timedelta(minutes=2)
"""How long a rollout may be without an execution: it is recorded first."""

NEVER_STARTED = "NEVER_STARTED"
"""How an execution is that there is none of after that time."""


def start(front: Front, env: Env, request: RolloutRequest, by: str | None) -> JsonObject:
    """Plan a rollout, record it and start its execution; gives it.

    Of a dry run, the plan is all. Raises InvalidRequest, and Conflict while another one is open,
    with nothing started.
    """
    known = front.settings
    application = request.application or known.default_application
    selecting.check_application(application, known.application_prefixes)
    rollout_id = naming.new_deployment_id(utc_now())
    rollout, members = selecting.planned(rollout_id, env, request, known)
    if request.dry_run:
        # What was selected is deployed; what was listed may be new.
        listed, table = request.tenants, known.table_name
        new = selecting.new_among(listed, application, env, table) if listed else set()
        return _plan(rollout, members, new)
    rollouts = _rollouts(front)
    RolloutTurns(known.table_name).take(rollout)
    name = naming.rollout_execution(env, rollout_id)
    arn = naming.execution_arn(known.rollout_machine_arn, name)
    asked = request.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    given = {**asked, "application": application, "env": env, "trigger": Trigger.SCHEDULE}
    if request.mode == Mode.FULL:  # resolved once, at the door
        given["source"] = rollout.source
    whose = {"trigger": Trigger.API, "requested_by": by}
    found = rollouts.open(rollout, arn, {**whose, "request": _short(asked), "registered": True})
    given |= {"id": rollout_id, **{k: v for k, v in whose.items() if v}}
    try:
        Starts(known.table_name).register(arn, given)
        starting.start(known.rollout_machine_arn, name, given)
    except aws.FAILURES as error:
        if starting.may_have_started(error):
            raise ServiceBusy(
                f"AWS is busy, and whether rollout {rollout_id} was started is not known: look at "
                f"it before you start another one ({error})"
            ) from error
        failed = {"status": RolloutStatus.FAILED, "failure": f"could not be started: {error}"}
        rollouts.save(rollout.model_copy(update=failed), 0, arn, {})
        raise
    return presented(found)


def _plan(rollout: Rollout, members: list[list[str]], new: set[str]) -> JsonObject:
    """Who would be deployed in which wave; of each wave the first hundred by name.

    `new`: those that are not deployed yet.
    """
    waves = [
        {
            **wave.model_dump(include={"size", "concurrency", "allowed"}),
            "tenants": orgs[:100],
            "new": [org for org in orgs[:100] if org in new],
        }
        for wave, orgs in zip(rollout.waves, members, strict=True)
    ]
    told = rollout.model_dump(
        mode="json", include={"application", "env", "mode", "source", "allowed"}
    )
    return {**told, "dry_run": True, "waves": waves}


def _short(asked: JsonObject) -> JsonObject:
    """The request without lists of tenants, which are in the rows."""
    short = dict(asked)
    if "tenants" in short:
        short["tenants"] = f"{len(short['tenants'])} listed"
    if "waves" in short:
        short["waves"] = [
            {**wave, "tenants": f"{len(wave['tenants'])} listed"} if "tenants" in wave else wave
            for wave in short["waves"]
        ]
    return short


def show(front: Front, rollout_id: str) -> JsonObject:
    """A rollout; with `execution_status` when it is open and its execution is over.

    Raises NotFound.
    """
    found = _read(front, rollout_id)
    try:
        status = _over(found)
    except aws.FAILURES as error:
        if not aws.is_busy(error):
            raise
        status = None  # whoever watches asks again
    if status is not None:
        found = _read(front, rollout_id)  # it may have ended as it should, since it was read
    if status is None or found["state"]["status"] in FINAL:
        return presented(found)
    return {**presented(found), "execution_status": status}


def _read(front: Front, rollout_id: str) -> JsonObject:
    found = _rollouts(front).get(rollout_id)
    if found is None:
        raise NotFound(f"there is no rollout {rollout_id}")
    return found


def _over(found: JsonObject) -> str | None:
    """How the execution of an open rollout ended, or NEVER_STARTED; None while it may go on."""
    if found["state"]["status"] in FINAL:
        return None
    status = executions.status(found["execution_arn"])
    if status is None:
        age = utc_now() - datetime.fromisoformat(found["created_at"])
        return NEVER_STARTED if age > BEGINS_WITHIN else None
    return status if executions.is_over(status) else None


def tenants(front: Front, rollout_id: str, wave: int, start: int, limit: int) -> list[JsonObject]:
    """The tenants of one wave (from 0), `limit` of them from row `start` on. Raises NotFound."""
    _read(front, rollout_id)
    found = []
    for row in _rollouts(front).rows(rollout_id, wave, start):
        found.append(row)
        if len(found) == limit:
            break
    return found


def newest(front: Front, limit: int) -> list[JsonObject]:
    """The newest rollouts, newest first."""
    return [presented(one) for one in _rollouts(front).newest(limit)]


def pause(front: Front, env: Env, rollout_id: str, by: str | None) -> JsonObject:
    """Start no more of its deployments; those that run come to their end."""
    return _ask(front, env, rollout_id, {"paused_by": by or "somebody unknown"})


def resume(front: Front, env: Env, rollout_id: str) -> JsonObject:
    """Go on after a pause."""
    if "paused_by" not in _of(front, env, rollout_id)["control"]:
        raise Conflict(f"rollout {rollout_id} is not paused")
    return _ask(front, env, rollout_id, {"paused_by": None})


def cancel(front: Front, env: Env, rollout_id: str, by: str | None) -> JsonObject:
    """Start no more of its deployments, for good; those that run come to their end.

    A rollout whose execution is gone without a word is ended here: nobody else would.
    """
    asked = _ask(front, env, rollout_id, {"cancelled_by": by or "somebody unknown"})
    status = _over(asked)
    if status is not None:
        why = f"cancelled by {by}: nobody drove it any more, its execution is {status}"
        ended = loaded(asked).model_copy(update={"status": RolloutStatus.CANCELLED, "failure": why})
        with suppress(Superseded):  # it ended as it should meanwhile, or went on in another one
            _rollouts(front).save(
                ended, int(asked["revision"]), asked["execution_arn"], {"note": why}
            )
        return show(front, rollout_id)
    return asked


def approve(front: Front, env: Env, rollout_id: str, by: str | None) -> JsonObject:
    """Let the next wave begin. Raises Conflict when the rollout does not wait for that."""
    found = _of(front, env, rollout_id)
    state = found["state"]
    if state["status"] != RolloutStatus.AWAITING_APPROVAL:
        raise Conflict(f"rollout {rollout_id} is {state['status']}: it waits for nobody")
    wish: JsonObject = {"approved_by": by or "somebody unknown"}
    if state["approval_first"] and not found["control"].get("begun"):
        return _ask(front, env, rollout_id, {**wish, "begun": True})
    return _ask(front, env, rollout_id, {**wish, "approved": state["wave"] + 1})


def _ask(front: Front, env: Env, rollout_id: str, wish: JsonObject) -> JsonObject:
    found = _of(front, env, rollout_id)
    asked = _rollouts(front).ask(rollout_id, wish)
    if asked is None:
        status = (_rollouts(front).get(rollout_id) or found)["state"]["status"]
        raise Conflict(f"rollout {rollout_id} is {status} already")
    return presented(asked)


def _of(front: Front, env: Env, rollout_id: str) -> JsonObject:
    """A rollout of that environment: a policy may allow no other. Raises NotFound, Conflict."""
    found = _rollouts(front).get(rollout_id)
    if found is None or found["env"] != env:
        raise NotFound(f"{env} has no rollout {rollout_id}")
    if found["state"]["status"] in FINAL:
        raise Conflict(f"rollout {rollout_id} is {found['state']['status']} already")
    return found


def presented(found: JsonObject) -> JsonObject:
    """A rollout for a reader."""
    shown = {name: value for name, value in found.items() if name != "untold"}
    return {**shown, "console_url": console_url(found["execution_arn"])}


# By a schedule -----------------------------------------------------------------------------------


def put_schedule(front: Front, env: Env, request: RolloutScheduleRequest) -> JsonObject:
    """Create or replace the schedule of an application's rollouts.

    Raises InvalidRequest for what could not begin now: at night nobody would look on.
    """
    known = front.settings
    application = request.application or known.default_application
    selecting.check_application(application, known.application_prefixes)
    asked = request.model_dump(
        mode="json", exclude={"expression", "timezone", "enabled"}, exclude_none=True,
        exclude_defaults=True,
    )  # fmt: skip
    selecting.planned(naming.new_deployment_id(utc_now()), env, request, known)
    given = {**asked, "application": application, "env": env}
    when = When(request.expression, request.timezone, request.enabled)
    name = naming.rollout_schedule_name(application, env)
    schedules.store(front, name, when, ROLLOUT, given)
    return show_schedule(front, env, application)


def show_schedule(front: Front, env: Env, application: str) -> JsonObject:
    """The schedule of an application's rollouts. Raises NotFound."""
    found = schedules.read(front, naming.rollout_schedule_name(application, env))
    if found is None:
        raise NotFound(f"{application} has no rollout schedule in {env}")
    return found


def delete_schedule(front: Front, env: Env, application: str) -> None:
    """Remove the schedule of an application's rollouts. Raises NotFound."""
    if not schedules.remove(front, naming.rollout_schedule_name(application, env)):
        raise NotFound(f"{application} has no rollout schedule in {env}")


def _rollouts(front: Front) -> Rollouts:
    return Rollouts(front.settings.table_name)
