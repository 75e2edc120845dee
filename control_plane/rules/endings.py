"""Ends in the middle: who may ask for one or for another try, and what one leaves. Pure rules."""

from collections.abc import Sequence

from control_plane import errors
from control_plane.models import DeploymentStatus, JsonObject, Mode, StackStatus, StepStatus

APART = {
    Mode.OFFBOARD: "ask for the removal again, by the stack's name: 'syndi offboard ENV ORG'",
    Mode.ROLLBACK: "ask for it again: 'syndi rollback ENV ORG'",
}
"""Modes that a policy may keep from whoever may deploy: a retry must not be a way round it."""

GOOD = (
    "build", "change_set", "stack", "config", "tests", "source", "outputs", "admin", "endpoint",
    "running", "patch", "last_good", "deployed_at", "drift", "health", "config_source",
    "config_deployment", "proof",
)  # fmt: skip
"""What a tenant's current state says of its last good deployment."""

UNTOUCHED = "before it began"
"""The note of a step that a cancelled deployment did not begin any more."""


def refuse_cancel(record: JsonObject) -> str | None:
    """Why a deployment cannot be cancelled, or None."""
    deployment_id, status = record["id"], DeploymentStatus(record["status"])
    if status.is_final:
        return f"{deployment_id} ended {status} already{_because(record)}"
    if "rollback_steps" in record:
        return f"{deployment_id} is rolling back: let it end"
    if _attempts(record, "DeleteStack"):
        return (
            f"{deployment_id} is deleting its stack, which cannot be stopped half way: let it end"
        )
    return None


def refuse_retry(record: JsonObject) -> str | None:
    """Why a deployment cannot be tried again, or None."""
    deployment_id, status = record["id"], DeploymentStatus(record["status"])
    if not status.is_final:
        return f"{deployment_id} is {status}: cancel it, or wait for its end"
    if status == DeploymentStatus.SUCCEEDED:
        return f"{deployment_id} SUCCEEDED: deploy again instead"
    mode = record.get("mode")
    if mode in APART:
        return f"{deployment_id} is no deployment to be tried again: {APART[mode]}"
    if "request" not in record:
        return (
            f"{deployment_id} was refused before its request was recorded{_because(record)}: "
            "deploy with a request that is right"
        )
    return None


_KINDS = frozenset(name for name, value in vars(errors).items() if isinstance(value, type))


def is_unexpected(state: str, error: str | None) -> bool:
    """Whether a failure is none of the kinds that the control plane knows: a missing permission, a
    worker that died, a mistake in its code. Such a one is the control plane's to mend.

    `state` and `error`: as the state machine names them; no error: somebody stopped it.
    """
    if not error or error in _KINDS:
        return False
    if error == "States.Timeout":
        return state != "AwaitApproval"  # there nobody answered, anywhere else a worker hangs
    # What the state machine itself gave up waiting for: StackTimedOut, BuildTimedOut, …
    return "." in error or not error.endswith("TimedOut")


def of_operation(status: StackStatus) -> str:
    """What became of the stack of a deployment that was cancelled while its operation ran.

    `status` is the settled one. An update is undone; a creation cannot be, and an update that was
    through first has the new build.
    """
    if status in (StackStatus.CREATE_COMPLETE, StackStatus.UPDATE_COMPLETE):
        return f"the stack is {status}: it has the new build, which was not tested"
    if status == StackStatus.UPDATE_ROLLBACK_COMPLETE:
        return f"the stack is {status}: it is what it was before"
    return f"the stack is {status}"


def of_tenant(
    record: JsonObject, current: JsonObject, restored: JsonObject, now: str
) -> tuple[JsonObject, Sequence[str]]:
    """What a deployment that ended without success made of its tenant: what CURRENT gets, and what
    it forgets.

    `record` as it was before its end, `restored`: what a way back left, or empty.
    """
    if restored:
        return restored, ["patch"]
    if _status(record, "AwaitRemoval") == StepStatus.SUCCEEDED:  # only what is left was not done
        return {"offboarded_at": now}, GOOD
    patch, build = record.get("patch"), current.get("build")
    back = record.get("rollback_steps", {}).get("ReconcileFunction", {}).get("status")
    if patch and build and _begun(record, "PatchFunction") and back != StepStatus.SUCCEEDED:
        patched = {**build, "patched": patch["fingerprint"]}
        return {"patch": patch, "build": patched, "running": patch["fingerprint"]}, []
    return {}, []


def left_behind(record: JsonObject) -> str:
    """What a deployment that ended in the middle had done by then; empty when it changed nothing.

    From the record as it was before its end.
    """
    if "rollback_steps" in record:
        return "it was rolling back: the tenant may have either build"
    left: list[str] = []
    untested = (
        "" if _status(record, "RunTests") == StepStatus.SUCCEEDED else ", which is not tested"
    )
    waiting = (None, StepStatus.PENDING, StepStatus.RUNNING)
    if _status(record, "AwaitStack") == StepStatus.SUCCEEDED:
        left.append(f"the stack has the new build{untested}")
    elif _begun(record, "ExecuteChangeSet") and _status(record, "AwaitStack") in waiting:
        left.append("the stack's operation goes on, and the next deployment waits for it")
    if _begun(record, "PatchFunction"):
        left.append(f"the function may have the new code{untested}")
    restored = _status(record, "RestoreConfig") == StepStatus.SUCCEEDED
    if "config_content" in record and not left and not restored:
        left.append("its configuration was uploaded and is live")
    if _begun(record, "DeleteStack"):
        left.append("the deletion of the stack goes on, unless it is through")
    return "; ".join(left)


def left_operation(record: JsonObject) -> bool:
    """Whether a deployment ended while an operation of it may have run on the stack."""
    if not DeploymentStatus(record["status"]).is_final or "aftermath" in record:
        return False
    settled = (StepStatus.SUCCEEDED, None)
    executed = _begun(record, "ExecuteChangeSet") and _status(record, "AwaitStack") not in settled
    deleted = _begun(record, "DeleteStack") and _status(record, "AwaitRemoval") not in settled
    return record.get("error") not in ("StackFailed",) and (executed or deleted)


def _because(record: JsonObject) -> str:
    return f" ({record['reason']})" if record.get("reason") else ""


def _status(record: JsonObject, step: str) -> str | None:
    found: JsonObject = record.get("steps", {}).get(step, {})
    return found.get("status")


def _begun(record: JsonObject, step: str) -> bool:
    """Whether a step did anything, as far as anybody knows."""
    attempts = _attempts(record, step)
    note = record.get("steps", {}).get(step, {}).get("note")
    return attempts > 1 or (attempts == 1 and note != UNTOUCHED)


def _attempts(record: JsonObject, step: str) -> int:
    return int(record.get("steps", {}).get(step, {}).get("attempts", 0))
