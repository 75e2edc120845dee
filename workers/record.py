"""The record of a deployment: opened, its tenant's lock, and its end.

The ends are in `record_ends` (with success) and `record_failures`.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from control_plane import aws, naming, own
from control_plane.errors import (
    DeploymentInProgress,
    InvalidRequest,
    ServiceBusy,
    Superseded,
    WrongTenant,
)
from control_plane.events import ExecutionInput, Trigger, facts_of
from control_plane.models import (
    Deployment,
    DeploymentStatus,
    Env,
    JsonObject,
    Mode,
    OnConflict,
    Options,
    StepStatus,
    Tenant,
    utc_now,
)
from control_plane.rules import turns
from control_plane.services.executions import is_running, still_holds
from control_plane.settings import RecordSettings, settings
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.locks import Locks
from control_plane.store.progress import Progress
from control_plane.store.rollouts import Rollouts, loaded
from control_plane.use_cases import config_checking
from control_plane.use_cases.admission import admit, has_meaning, parse_input, tenant_of
from control_plane.use_cases.creation import CREATING, check_creation, exists
from workers import record_approval, record_origin, record_schedules, record_slots, self_check
from workers import record_closing as closing
from workers import record_ends as ends
from workers import record_failures as failures
from workers.step import Outcome, Step, measure, run


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry: a step of the state machine, EventBridge's event that one ended, its
    schedule for the sweep, or the API, which found a record whose execution is over."""
    if self_check.is_one(event):
        return self_check.loads(_settings())
    try:
        match event.get("step"):
            case "PrepareDeployment":
                return prepare_deployment(event["execution"])
            case "AcquireLock" | "AcquireSlot" | "RegainSlot" | "AwaitApproval":
                if event["step"] == "AcquireLock":
                    _check_is_of(_deployment(event), event["execution"])
                return run(event, WAITS, _settings().table_name)
            case "RecordSuccess":
                return ends.record_success(_deployment(event), event)
            case "RecordDryRun":
                return ends.record_dry_run(_deployment(event), event)
            case "RecordOffboarding":
                return ends.record_offboarding(_deployment(event), event)
            case "RecordDrift":
                return ends.record_drift(_deployment(event), event)
            case "RecordFailure":
                return failures.record_failure(
                    event["execution"], event["failure"], event["rollback"]
                )
            case None if "close" in event:  # the API, which may release nothing itself
                return closing.close(
                    Tenant.model_validate(event["close"]["tenant"]), event["close"]["id"]
                )
            case None if "start" in event:  # EventBridge Scheduler
                return record_schedules.start(event)
            case None if "sweep" in event:
                return _swept()
            case None:
                return failures.finalize(event["detail"])
            case step:
                raise ValueError(f"unknown step {step}")
    except Exception as error:
        if aws.is_busy(error):
            raise ServiceBusy(f"AWS is busy: {error}") from error
        raise


def _swept() -> JsonObject:
    """Close what nobody closed, free the slots of what has ended, and upgrade the schedules of
    earlier releases: each in any case, whatever is wrong with another."""
    with ExitStack() as rest:  # its callbacks run last in, first out, and raise after all have
        upgraded = list[str]()
        rest.callback(lambda: upgraded.extend(record_schedules.upgrade()))
        rest.callback(closing.free_slots)
        swept = closing.sweep()
    return {**swept, "upgraded": upgraded}


def _deployment(event: Mapping[str, Any]) -> Deployment:
    return Deployment.model_validate(event["deployment"])


def _check_is_of(deployment: Deployment, execution: Mapping[str, Any]) -> None:
    """Raise WrongTenant unless a deployment is that of its execution: tenant and id follow from
    the execution's own input and ARN, whatever PrepareDeployment answered.

    All later steps go by the deployment, and this is the first of them.
    """
    request = parse_input(execution["Input"])
    tenant = tenant_of(request.env, request.org, request, _settings().default_application)
    started = datetime.fromisoformat(execution["StartTime"])
    expected = naming.deployment_id_of(tenant, execution["Id"], started)
    if (deployment.tenant, deployment.id) == (tenant, expected):
        return
    raise WrongTenant(
        f"PrepareDeployment answered deployment {deployment.id} of {deployment.tenant.stack_name}, "
        f"which is another tenant's or another execution's: this one is deployment {expected} of "
        f"{tenant.stack_name}; nothing was done"
    )


def prepare_deployment(execution: Mapping[str, Any]) -> JsonObject:
    """Resolve an execution's input to a deployment and open its record. Raises InvalidRequest."""
    known = _settings()
    request = parse_input(execution["Input"])
    tenant = tenant_of(request.env, request.org, request, known.default_application)
    arn = execution["Id"]
    started = datetime.fromisoformat(execution["StartTime"])
    deployment_id = naming.deployment_id_of(tenant, arn, started)
    request = record_origin.proven(request, tenant, deployment_id, execution)
    source, manifest = admit(
        tenant, request, known.table_name, known.account_id, known.control_plane_stack
    )
    current = Listing(known.table_name).current(tenant) or {}
    check_creation(tenant, request, current, known.explicit_creation_environments, request.trigger)
    config_checking.check_start(tenant, request.mode, source, manifest, known)
    record = History(known.table_name).open(tenant, deployment_id, arn, facts_of(request, source))
    if record["execution_arn"] != arn:
        raise InvalidRequest(f"deployment {deployment_id} belongs to {record['execution_arn']}")
    deployment = Deployment(
        id=deployment_id,
        execution_arn=arn,
        tenant=tenant,
        source=source,
        config_source=source,
        manifest=manifest,
        options=_options(request, known, deployment_id),
        admin_secret_arn=request.admin_secret_arn,
        started_at=started,
    )
    progress = Progress(known.table_name)
    if not DeploymentStatus(record["status"]).is_final:
        progress.add_missing_steps(deployment, record["steps"])
    progress.begin_step(deployment, "PrepareDeployment")
    running, began = own.running().model_dump(), started.isoformat()
    # The latter for whoever closes the record, should the execution not do it.
    progress.add_facts(deployment, {"control_plane": running, "execution_started_at": began})
    note = f"{request.mode}: {tenant.stack_name}"
    if has_meaning("source", request.mode):
        note += f" from source {source[:12]}"
    if request.mode in CREATING and not exists(current):
        note += "; creates the tenant"
    elif request.create:
        note += "; create was not needed: the tenant exists"
    ended = progress.end_step(deployment, "PrepareDeployment", StepStatus.SUCCEEDED, note)
    measure(deployment, "PrepareDeployment", ended)
    return deployment.model_dump(mode="json", by_alias=True, exclude_none=True)


def _options(request: ExecutionInput, known: RecordSettings, deployment_id: str) -> Options:
    """What was asked for, and the approval that the environment or the removal of prod needs.

    A rollout that was approved answers for the deployments that it started, and for no others.
    """
    options = Options(**{name: getattr(request, name) for name in Options.model_fields})
    required = request.env in known.approval_environments.split(",")
    if required and request.rollout:
        found = Rollouts(known.table_name).get(request.rollout)
        required = found is None or not loaded(found).answers_for(deployment_id)
    removes_prod = request.mode == Mode.OFFBOARD and request.env == Env.PROD
    if request.mode == Mode.DRIFT or request.dry_run:
        return options.model_copy(update={"approval": False})
    return options.model_copy(update={"approval": options.approval or required or removes_prod})


def acquire_lock(deployment: Deployment, event: JsonObject) -> Outcome:
    """Take the tenant, or say who has it or goes first: the rules are in `rules/turns.py`.

    Raises DeploymentInProgress or Superseded when this deployment shall not wait.
    """
    locks, listing = Locks(_settings().table_name), Listing(_settings().table_name)
    tenant, me = deployment.tenant, deployment.execution_arn
    if (locks.holder(tenant) or {}).get("execution_arn") != me:
        older = _going_first(deployment, listing)
        if older:
            return _wait_for(older, deployment)
    if locks.acquire(tenant, deployment.id, me, instead_of=me):
        _check_still_wanted(deployment, listing)
        return Outcome(note="the tenant is free")
    holder = locks.holder(tenant)
    if holder is None:
        return Outcome(done=False)  # it was released in this moment: the next attempt gets it
    if not still_holds(holder):
        closing.close_dead(holder["deployment_id"], holder["execution_arn"], tenant)
        taken = locks.acquire(tenant, deployment.id, me, instead_of=holder["execution_arn"])
        if taken:
            _check_still_wanted(deployment, listing)
        return Outcome(note=f"taken over from {holder['deployment_id']}, which ended", done=taken)
    if deployment.options.on_conflict == OnConflict.SUPERSEDE:
        record_approval.supersede(deployment, holder["deployment_id"])
    return _wait_for(holder["deployment_id"], deployment)


def _check_still_wanted(deployment: Deployment, listing: Listing) -> None:
    """Raise Superseded for a deployment by a schedule whose tenant was removed while it waited.

    The offboarding removed the schedule so that nothing brings the tenant back. Whoever asks for a
    deployment by hand meanwhile means it.
    """
    gone = (listing.current(deployment.tenant) or {}).get("offboarded_at")
    if gone is None or datetime.fromisoformat(gone) < deployment.started_at:
        return
    record = listing.get(deployment.tenant, deployment.id) or {}
    if record.get("trigger") == Trigger.SCHEDULE:
        name = deployment.tenant.stack_name
        raise Superseded(f"{name} was offboarded at {gone}, after its schedule had started this")


def _going_first(deployment: Deployment, listing: Listing) -> str | None:
    """The deployment that gets the tenant before this one, or None. Raises Superseded."""
    tenant, me = deployment.tenant, deployment.id
    since = naming.earliest_id(deployment.started_at - turns.LOOK_BACK)
    rivals = listing.rivals(tenant, since, naming.latest_id(utc_now()))
    for newer in turns.taking_its_place(me, rivals):
        if newer.had_the_tenant or _is_running(newer, tenant):
            raise Superseded(f"deployment {newer.id} of {tenant.stack_name} took its place")
    supersedes = deployment.options.on_conflict == OnConflict.SUPERSEDE
    waiting = turns.going_first(me, rivals, supersedes=supersedes)
    return next((older.id for older in waiting if _is_running(older, tenant)), None)


def _is_running(rival: turns.Rival, tenant: Tenant) -> bool:
    """Whether a rival's execution runs; the record of one that does not is closed.

    But not that of the lock's holder: whoever takes the lock over does it, and says so.
    """
    since = naming.time_of(rival.id)
    if since is None:
        record = Listing(_settings().table_name).get(tenant, rival.id) or {}
        since = datetime.fromisoformat(record["created_at"]) if record else utc_now()
    if is_running(rival.execution_arn, since):
        return True
    holder = Locks(_settings().table_name).holder(tenant) or {}
    if holder.get("execution_arn") != rival.execution_arn:
        closing.close_dead(rival.id, rival.execution_arn, tenant)
    return False


def _wait_for(other: str, deployment: Deployment) -> Outcome:
    """Wait for another deployment. Raises DeploymentInProgress for one that was told not to."""
    if deployment.options.on_conflict == OnConflict.REJECT:
        raise DeploymentInProgress(
            f"deployment {other} of {deployment.tenant.stack_name} is running or goes first: wait "
            "for it, or start with on_conflict=wait"
        )
    tenant, table = deployment.tenant, _settings().table_name
    Locks(table).hurry(tenant, deployment.options.priority)
    holder = (Locks(table).holder(tenant) or {}).get("deployment_id")
    record = Listing(table).get(tenant, holder) if holder else None
    return Outcome({"holder": other}, turns.waits_for(other, record or {}), done=False)


def acquire_slot(deployment: Deployment, event: JsonObject) -> Outcome:
    """Take a slot, also one whose holder is dead."""
    return record_slots.acquire_slot(deployment, event, closing.close_dead)


WAITS: dict[str, Step] = {
    "AcquireLock": acquire_lock,
    "AcquireSlot": acquire_slot,
    "RegainSlot": acquire_slot,
    "AwaitApproval": record_approval.await_approval,
}


def _settings() -> RecordSettings:
    return settings(RecordSettings)
