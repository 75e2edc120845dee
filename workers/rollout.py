"""Rollouts: planned, driven wave by wave, ended. The rules are `control_plane/rollout_rules`."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from control_plane import aws, naming
from control_plane.errors import Conflict, InvalidRequest, ServiceBusy, Superseded
from control_plane.events import STARTED_BY, Trigger
from control_plane.models import JsonObject, utc_now
from control_plane.observability import logger
from control_plane.reasons import one_line, plain
from control_plane.rollout_models import Rollout, RolloutStatus
from control_plane.rules import rollout_rules as rules
from control_plane.rules.rollout_rules import Decision, Do
from control_plane.services import executions
from control_plane.settings import RolloutSettings, settings
from control_plane.store.rollout_turns import RolloutTurns
from control_plane.store.rollouts import Rollouts, is_open, loaded
from control_plane.store.slots import Slots
from control_plane.use_cases import selecting
from workers import rollout_alarms, rollout_origin, rollout_telling, rollout_tenants, self_check

SPENT = 15_000
"""Events of its history after which an execution hands its rollout over to another one: it may have
25,000 (Step Functions quotas)."""

PASSED_BY = 200
"""Tenants that one look passes by before it keeps how far it is: each takes a few reads."""

AT_ONCE = 40
"""Deployments that one look starts: as many as an inline Map carries out side by side."""


HANDED_OVER = timedelta(minutes=15)
"""For how long a rollout whose execution SUCCEEDED may be on its way to the next one, which drives
it as soon as its first step runs."""

SWEPT = 300
"""Of the newest rollouts, so many are looked at by the sweep."""


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry: a step of the state machine, EventBridge's event that one ended, or its
    schedule for the sweep."""
    if self_check.is_one(event):
        return self_check.loads(settings(RolloutSettings))
    try:
        match event.get("step"):
            case "PrepareRollout":
                return prepare_rollout(event["execution"])
            case "AdvanceRollout":
                return advance_rollout(
                    event["rollout"], event["execution_arn"], event["spent"], event["refused"]
                )
            case "StopRollout":
                return stop_rollout(event["execution"], event["failure"])
            case None if "sweep" in event:
                return sweep()
            case None:
                return finalize(event["detail"])
            case step:
                raise ValueError(f"unknown step {step}")
    except Exception as error:
        if aws.is_busy(error):
            raise ServiceBusy(f"AWS is busy: {error}") from error
        raise


def prepare_rollout(execution: Mapping[str, Any]) -> JsonObject:
    """Plan the rollout and write its tenants; or take over one that goes on in this execution.

    Raises InvalidRequest, also while another rollout of the application is open. One by a schedule
    is skipped then, unless the other waits for somebody: that nobody would notice.
    """
    known, arn = settings(RolloutSettings), execution["Id"]
    asked = rollout_origin.proven(selecting.parse(execution["Input"]), execution)
    rollouts = Rollouts(known.table_name)
    if asked.continues:
        rollouts.hand_over(asked.continues, arn)
        return {"rollout": asked.continues}
    rollout_id = _id_of(asked.id, execution)
    application = asked.application or known.default_application
    selecting.check_application(application, known.application_prefixes)
    if asked.dry_run:
        raise InvalidRequest.of("dry_run", "is answered by the API alone: leave it out")
    rollout, members = selecting.planned(rollout_id, asked.env, asked, known)
    facts = {"trigger": asked.trigger, "requested_by": asked.requested_by, "registered": True}
    found = rollouts.open(rollout, arn, facts)
    if found["execution_arn"] != arn:
        raise InvalidRequest(f"rollout {rollout_id} belongs to {found['execution_arn']}")
    turns = RolloutTurns(known.table_name)
    try:
        if is_open(found):
            turns.take(rollout)
    except Conflict as error:
        why = turns.skip(rollout) if asked.trigger == Trigger.SCHEDULE else None
        if why is None:
            raise InvalidRequest(str(error)) from error
        skipped = {"status": RolloutStatus.SKIPPED, "failure": why}
        rollouts.save(
            rollout.model_copy(update=skipped), int(found["revision"]), arn, {"note": why}
        )
        return {"rollout": rollout_id}
    if loaded(found).status == RolloutStatus.PLANNING:
        rollouts.add_rows(rollout_id, members)
        running = rollout.model_copy(
            update={"status": RolloutStatus.RUNNING, "changed_at": utc_now()}
        )
        rollouts.save(running, int(found["revision"]), arn, {"note": "planned"})
    logger().info("rollout planned", rollout=rollout_id, tenants=rollout.size)
    return {"rollout": rollout_id}


def advance_rollout(
    rollout_id: str, execution_arn: str, spent: int, refused: Sequence[Mapping[str, str]]
) -> JsonObject:
    """Look what became of the deployments, decide, and say what to start or how long to wait.

    `spent`: events of the execution's history so far. `refused`: {name, error} of executions that
    could not be started at the last look. `action` in the answer: wait, finished, or
    continue (in another execution). Raises Superseded when another execution drives the rollout.
    """
    now = utc_now()
    rollouts = Rollouts(settings(RolloutSettings).table_name)
    found = rollouts.driven(rollout_id, execution_arn)
    before = loaded(found)
    rollout_tenants.keep_refusals(rollouts, before, refused)
    ended, unbegun = rollout_tenants.results(rollouts, before, now)
    rollout_tenants.keep(rollouts, before, ended)
    decision = _decided(rollouts, rules.absorb(before, ended, now), now)
    after = decision.rollout
    error = f"Rollout{after.status.title().replace('_', '')}"
    rollout_telling.keep(rollouts, found, after, decision.reason, error)
    # What was started, and does not tell yet that it began, is started again: it is the same one.
    known = {one.deployment for one in before.running} - {one.deployment for one in unbegun}
    to_start = [one for one in after.running if one.deployment not in known]
    starts = rollout_tenants.starts(rollouts, after, to_start[:AT_ONCE], execution_arn)
    ends = decision.do == Do.END
    action = "finished" if ends else "continue" if spent > SPENT and not starts else "wait"
    goes_on: JsonObject = {}
    if action == "continue":
        revision = int(found["revision"])
        goes_on = {"next": rollout_origin.next_execution(after, execution_arn, revision)}
    return {
        **goes_on,
        "action": action,
        "starts": starts,
        "seconds": max(1, decision.seconds),
        "good": after.status.is_good,
        "error": error,
        "reason": after.failure,
    }


def _decided(rollouts: Rollouts, rollout: Rollout, now: datetime) -> Decision:
    """What is to be waited for, after all that can be done before."""
    passed_by, slots = 0, _slots()
    while True:
        decision = rules.decide(rollout, now, slots)
        rollout, room = decision.rollout, min(decision.room, AT_ONCE)
        match decision.do:
            case Do.START:
                started, passed = rollout_tenants.begin(rollouts, rollout, room)
            case Do.BRING_BACK:
                started, passed, stay = rollout_tenants.bring_back(rollouts, rollout, room)
                rollout = rules.stayed(rollout, stay, now)
            case Do.CHECK_ALARMS:
                decision = rules.after_alarms(
                    rollout, now, rollout_alarms.problem(rollouts, rollout)
                )
                if decision.do != Do.GO_ON:
                    return decision
                rollout = decision.rollout
                continue
            case Do.GO_ON:
                continue
            case Do.WAIT | Do.END:
                return decision
        passed_by += passed
        rollout = rules.taken(rollout, started, passed, now)
        if started or passed_by >= PASSED_BY:
            return Decision(Do.WAIT, rollout, "deployments are running", seconds=1)


def stop_rollout(execution: Mapping[str, Any], failure: Mapping[str, str]) -> JsonObject:
    """End a rollout that nobody can drive on. What was started comes to its end by itself.

    Of one by a schedule that could not even be planned there is no record, and nobody looks on:
    people are told of it all the same. `failure` is {state, error, cause}. Gives the reason for
    the Fail state.
    """
    reason = one_line(failure, settings(RolloutSettings).control_plane_stack)
    asked = rollout_origin.claims(execution["Id"], execution["Input"])
    rollout_id = str(asked.get("continues") or _id_of(asked.get("id"), execution))
    rollouts = Rollouts(settings(RolloutSettings).table_name)
    error = failure["error"]
    _end(rollout_id, _drivers(execution["Id"], asked), RolloutStatus.FAILED, reason, error)
    if asked.get("trigger") == Trigger.SCHEDULE and rollouts.get(rollout_id) is None:
        rollout_telling.refused(asked, execution["Id"], reason)
    return {"reason": reason, "error": error}


def finalize(detail: Mapping[str, Any]) -> JsonObject:
    """End the rollout of an execution that was stopped or timed out, and never did so itself.

    `detail` is EventBridge's `Step Functions Execution Status Change`. Harmless when repeated.
    """
    asked = rollout_origin.claims(detail["executionArn"], json.loads(detail.get("input") or "{}"))
    started = datetime.fromtimestamp(detail["startDate"] / 1000, utc_now().tzinfo).isoformat()
    execution = {"Id": detail["executionArn"], "StartTime": started}
    rollout_id = str(asked.get("continues") or _id_of(asked.get("id"), execution))
    stopped = detail["status"] == "ABORTED"
    status = RolloutStatus.CANCELLED if stopped else RolloutStatus.FAILED
    told = plain(str(detail.get("cause") or detail.get("error") or "it was stopped"))
    drivers = _drivers(detail["executionArn"], asked)
    error = str(detail.get("error") or detail["status"])
    return _end(
        rollout_id, drivers, status, f"{detail['status']}: {told}", "ABORTED" if stopped else error
    )


def sweep() -> JsonObject:
    """End the open rollouts whose executions are over: the events of their ends were lost.

    Gives {closed: [id, …]}. Only the newest `SWEPT` are looked at: an application has one open
    rollout in an environment at a time.
    """
    rollouts, closed = Rollouts(settings(RolloutSettings).table_name), list[str]()
    for found in rollouts.newest(SWEPT):
        if not is_open(found):
            continue
        since = datetime.fromisoformat(found.get("changed_at") or found["created_at"])
        end = executions.end_of(found["execution_arn"], since)
        if end is None or (end.status == "SUCCEEDED" and utc_now() - since < HANDED_OVER):
            continue
        told = plain(end.cause or end.error or "nobody drives it any more")
        status = RolloutStatus.CANCELLED if end.status == "ABORTED" else RolloutStatus.FAILED
        arn, error = found["execution_arn"], end.error or end.status
        with suppress(Superseded):  # it ended, or went on in another execution, in this moment
            _end(found["id"], (arn,), status, f"the execution ended {end.status}: {told}", error)
            closed.append(found["id"])
    return {"closed": closed}


def _drivers(execution_arn: str, asked: Mapping[str, Any]) -> tuple[str, ...]:
    """Whose rollout an execution ends: its own, and that of the one that it should have gone on
    from, which has ended, if it never came to drive it."""
    before = asked.get(STARTED_BY) if asked.get("continues") else None
    return (execution_arn, str(before)) if before else (execution_arn,)


def _end(
    rollout_id: str, drivers: Sequence[str], status: RolloutStatus, reason: str, error: str
) -> JsonObject:
    rollouts = Rollouts(settings(RolloutSettings).table_name)
    found = rollouts.get(rollout_id)
    if found is None or found["execution_arn"] not in drivers or not is_open(found):
        # Not swallowed: the execution itself is red and carries the reason.
        logger().warning("no open rollout", rollout=rollout_id, reason=reason)
        if found and found.get("untold"):
            rollout_telling.tell(rollouts, found)
        return {"rollout": rollout_id, "status": ""}
    ended = loaded(found).model_copy(update={"status": status, "failure": reason})
    rollout_telling.keep(rollouts, found, ended, reason, error)
    return {"rollout": rollout_id, "status": status}


def _slots() -> int:
    known = settings(RolloutSettings)
    return int(Slots(known.table_name, known.deployment_slots).state()["limit"])


def _id_of(given: object, execution: Mapping[str, Any]) -> str:
    """The rollout's id: the API's, or one that is computed from what never changes about the
    execution."""
    if given:
        return str(given)
    return naming.id_of(execution["Id"], datetime.fromisoformat(execution["StartTime"]))
