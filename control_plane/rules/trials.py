"""A trial: what a new version of the control plane has to do before it is trusted. Pure rules.

The version that is about to go asks the new one, through its API and as an operator would, to
deploy a small application and to remove it again.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from control_plane.errors import TrialFailed
from control_plane.models import DeploymentStatus, Env, JsonObject, Tenant
from control_plane.own import TRIAL_APPLICATION

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


class Phase(StrEnum):
    """Which part of the trial runs. `CLEARING`: what another build deployed goes, so that the next
    attempt is not over before it began, with nothing to build and nothing to change. `CHECKING`:
    whether the new version could be updated in turn; no deployment tells of it."""

    DEPLOYING = "deploying"
    REMOVING = "removing"
    CLEARING = "clearing"
    CHECKING = "checking"


class Move(StrEnum):
    """What comes next."""

    WAIT = "wait"
    CLEAR = "clear"
    DEPLOY_AGAIN = "deploy-again"
    REMOVE = "remove"
    DONE = "done"


@dataclass(frozen=True)
class Execution:
    """How the execution of a trial is, and if it failed, why."""

    status: str
    cause: str = ""


@dataclass(frozen=True)
class Judgement:
    """What comes next, and why."""

    move: Move
    reason: str


def tenant_of(own: Tenant, approval_environments: str, *, rolling_back: bool) -> Tenant:
    """The tenant of a trial, in an environment that nobody has to approve. Raises TrialFailed.

    The way back has one of its own: what it proves must not wait for what the failed version left.
    """
    waiting = approval_environments.split(",")
    free = [env for env in (Env.DEV, Env.TEST, Env.STAGE) if env not in waiting]
    if not free:
        raise TrialFailed(
            "no trial is possible: every environment waits for approvals. Install the control "
            "plane again with an --approval-in that leaves dev, test or stage out"
        )
    suffix = "-back" if rolling_back else ""
    return Tenant(application=TRIAL_APPLICATION, env=free[0], org=f"{own.env}-{own.org}{suffix}")


def source_of(files: Mapping[str, bytes], mark: str) -> tuple[bytes, str]:
    """The trial's source as a zip, and its SHA-256: the same for the same mark, and no other.

    A source of its own for each trial, so that the new version has to build it.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted({**files, "trial.txt": f"{mark}\n".encode()}.items()):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)
    data = content.getvalue()
    return data, hashlib.sha256(data).hexdigest()


def judge(phase: Phase, record: JsonObject, execution: Execution, build: str) -> Judgement:
    """What comes next in a trial. Raises TrialFailed.

    `record`: the trial's deployment or removal as the new version tells of it, read after its
    `execution` was. `build`: the fingerprint of the version on trial.
    """
    what = f"trial {record['id']} ({phase})"
    status = DeploymentStatus(record["status"])
    if not status.is_final:
        if execution.status == "RUNNING":
            return Judgement(Move.WAIT, f"{what} is {status}")
        why = f" ({execution.cause})" if execution.cause else ""
        raise TrialFailed(
            f"{what}: its execution ended {execution.status}{why}, and its record is {status}"
        )
    if status != DeploymentStatus.SUCCEEDED:
        raise TrialFailed(f"{what} ended {status}: {record.get('reason') or 'without a reason'}")
    ran_on = (record.get("control_plane") or {}).get("build")
    # Step Functions follows an updated definition after some seconds (UpdateStateMachine).
    elsewhere = f"{what} ran on build {str(ran_on)[:12]}, not on this" if ran_on != build else ""
    match phase:
        case Phase.DEPLOYING if elsewhere:
            return Judgement(Move.CLEAR, elsewhere)
        case Phase.DEPLOYING:
            return Judgement(Move.REMOVE, f"{what} succeeded")
        case Phase.CLEARING:
            return Judgement(Move.DEPLOY_AGAIN, f"{what} succeeded")
        case Phase.REMOVING if elsewhere:
            return Judgement(Move.DEPLOY_AGAIN, elsewhere)
        case Phase.REMOVING:
            leftovers = record.get("leftovers") or {}
            left = leftovers.get("items", [])
            if unread := leftovers.get("unread"):
                raise TrialFailed(f"what {what} left could not be read: {'; '.join(unread)}")
            if left:
                told = ", ".join(f"{item['kind']} {item['name']}" for item in left)
                raise TrialFailed(f"{what} left {told}")
            return Judgement(Move.DONE, f"{what} left nothing")
        case Phase.CHECKING:
            raise ValueError("what is checked is told by workers, not by a record")
        case _:
            assert_never(phase)
