"""What is done with a stack, and how an operation on it ended. Pure: no I/O, no clock.

Workers look, ask here, and carry out what is decided; the reason goes into the history. The rules
of a change set are in `changes`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from control_plane import naming
from control_plane.models import Mode, StackStatus, Tenant
from control_plane.own import is_own
from control_plane.rules.situations import Situation, situation


@dataclass(frozen=True)
class StackEvent:
    """One event of a stack, of one operation; `token` is what that operation was started with.

    `hook`: the hook (CloudFormation Hooks) that refused the resource, and why: `hook_reason`.
    """

    logical_id: str
    resource_type: str
    status: str
    reason: str
    is_stack: bool
    token: str = ""
    physical_id: str = ""
    hook: str = ""
    hook_reason: str = ""


class StackAction(StrEnum):
    """What is done with the stack that is found: `ChooseByStack` in the state machine."""

    CREATE = "create"
    UPDATE = "update"
    DELETE_FIRST = "delete-first"
    CONTINUE_ROLLBACK = "continue-rollback"
    DELETE = "delete"
    INSPECT = "inspect"
    WAIT = "wait"
    REFUSE = "refuse"


_OWN_VERBS = {"deploy": "self-update", "offboard": "uninstall"}
"""The control plane's own words for what is done with a tenant."""


@dataclass(frozen=True)
class StackRequest:
    """What of a deployment decides about its stack.

    `deployment_id`: its own operations carry tokens that begin with it. `rollback_continued`: it
    has already continued an update's rollback once.
    """

    tenant: Tenant
    mode: Mode = Mode.FULL
    dry_run: bool = False
    deployment_id: str = ""
    rollback_continued: bool = False

    def started(self, event: StackEvent | None) -> bool:
        """Whether the event belongs to an operation of this deployment."""
        mine = self.deployment_id
        return event is not None and mine != "" and event.token.startswith(mine)

    def command(self, verb: str) -> str:
        """The command that the operator types for this tenant."""
        tenant = self.tenant
        if is_own(tenant):
            return f"'syndi {_OWN_VERBS[verb]}'"
        return f"'syndi {verb} {tenant.env} {tenant.org} --application {tenant.application}'"


@dataclass(frozen=True)
class StackDecision:
    """An action and, for the history, why."""

    action: StackAction
    reason: str


def decide_stack(
    status: StackStatus | None, last_event: StackEvent | None, request: StackRequest
) -> StackDecision:
    """What is done with a stack in `status` (None: there is no stack) for a request.

    `last_event`: the stack's newest one, or None. The rule is table A of docs/lifecycle.md: only
    what holds nothing is deleted, unless its removal was asked for; only what is settled is
    changed.
    """
    found = situation(status)
    if found == Situation.BUSY:
        if request.started(last_event):
            return StackDecision(
                StackAction.WAIT, "an operation of this deployment itself is still running"
            )
        other = naming.deployment_of_token(last_event.token) if last_event else None
        if other:
            return StackDecision(
                StackAction.WAIT,
                f"the operation of deployment {other} is still running, which has ended",
            )
        return StackDecision(StackAction.WAIT, "somebody else is changing the stack")
    match request.mode:
        case Mode.FULL | Mode.DEPLOY_ONLY | Mode.ROLLBACK:
            decision = _changing_nothing(_to_deploy(found, request), request)
        case Mode.FUNCTION:
            decision = _to_patch(found, request)
        case Mode.OFFBOARD:
            return StackDecision(StackAction.DELETE, "its removal was asked for, by name")
        case Mode.DRIFT:
            decision = _to_inspect(found, request)
        case _:
            assert_never(request.mode)
    stuck = found in (Situation.STUCK, Situation.BROKEN, Situation.HALF_DELETED)
    if decision.action == StackAction.REFUSE and stuck and last_event and last_event.reason:
        told = f"{last_event.logical_id}: {' '.join(last_event.reason.split())}"
        return StackDecision(decision.action, f"{decision.reason} (its last event: {told})")
    return decision


def _to_deploy(found: Situation, request: StackRequest) -> StackDecision:
    A = StackAction
    match found:
        case Situation.ABSENT:
            return StackDecision(A.CREATE, "there is no stack yet")
        case Situation.PLANNED:
            return StackDecision(A.CREATE, "an earlier change set was never executed")
        case Situation.HEALTHY:
            return StackDecision(A.UPDATE, "the stack is healthy")
        case Situation.UNDONE:
            return StackDecision(
                A.UPDATE, "the last change failed and was undone; the stack is healthy and has data"
            )
        case Situation.NEVER_CREATED:
            return StackDecision(
                A.DELETE_FIRST, "the first creation failed, so nothing useful exists"
            )
        case Situation.STUCK if request.rollback_continued:
            return StackDecision(
                A.REFUSE,
                "the rollback was continued and failed again: mend the resources that are named "
                "here, then deploy again",
            )
        case Situation.STUCK:
            return StackDecision(A.CONTINUE_ROLLBACK, "an update's rollback is stuck half way")
        case Situation.BROKEN:
            return _broken()
        case Situation.HALF_DELETED:
            keeps, again = "and keeps what blocked it, ", "deploy again"
            if is_own(request.tenant):  # 'uninstall' has nothing to keep but what it always keeps
                keeps, again = "", "'syndi install'"
            return StackDecision(
                A.REFUSE,
                "a deletion stopped half way and may have left data; nothing was touched: "
                f"{request.command('offboard')} finishes the deletion {keeps}then {again}",
            )
        case Situation.BUSY:
            raise ValueError("a busy stack is waited for, whatever is asked of it")
        case _:
            assert_never(found)


def _changing_nothing(decision: StackDecision, request: StackRequest) -> StackDecision:
    """A dry run touches nothing, so it needs a stack that can be compared as it is."""
    if request.dry_run and decision.action in (
        StackAction.DELETE_FIRST,
        StackAction.CONTINUE_ROLLBACK,
    ):
        return StackDecision(
            StackAction.REFUSE,
            f"{decision.reason}: a deployment puts that right first, a dry run does not; deploy "
            "without --dry-run",
        )
    return decision


def _to_patch(found: Situation, request: StackRequest) -> StackDecision:
    """Function mode goes past CloudFormation, so the stack must be as a deployment left it."""
    decision = _to_deploy(found, request)
    if decision.action in (StackAction.UPDATE, StackAction.REFUSE):
        return decision
    return StackDecision(
        StackAction.REFUSE,
        f"{decision.reason}, and function mode needs a healthy stack: deploy it in full first, "
        f"{request.command('deploy')}",
    )


def _to_inspect(found: Situation, request: StackRequest) -> StackDecision:
    """Drift detection takes settled stacks that hold something (CloudFormation user guide)."""
    A = StackAction
    match found:
        case Situation.HEALTHY | Situation.UNDONE | Situation.STUCK:
            return StackDecision(A.INSPECT, "the stack holds what was deployed")
        case Situation.ABSENT | Situation.PLANNED:
            return StackDecision(
                A.REFUSE, f"nothing is deployed to compare: first {request.command('deploy')}"
            )
        case Situation.NEVER_CREATED:
            return StackDecision(
                A.REFUSE,
                "the first creation failed, so there is nothing to compare: "
                f"{request.command('deploy')} starts over",
            )
        case Situation.BROKEN:
            return _broken()
        case Situation.HALF_DELETED:
            return StackDecision(
                A.REFUSE,
                "a deletion stopped half way, so there is nothing to compare: "
                f"{request.command('offboard')} finishes it",
            )
        case Situation.BUSY:
            raise ValueError("a busy stack is waited for, whatever is asked of it")
        case _:
            assert_never(found)


def _broken() -> StackDecision:
    return StackDecision(
        StackAction.REFUSE,
        "a change failed and was not undone, and the stack has live data: roll it back in "
        "CloudFormation (RollbackStack), then deploy again",
    )


_SETTLED = ("_COMPLETE", "_FAILED")
_CONSEQUENCE = re.compile(r"creation cancelled|update cancelled|deletion cancelled", re.IGNORECASE)


def settled_status(events: Sequence[StackEvent]) -> StackStatus | None:
    """The status in which an operation ended, or None while it runs.

    `events`: those of this operation only, oldest first; the stack's own last one decides. A
    status read without this would take a leftover `UPDATE_COMPLETE` for this operation's success.
    """
    own = [event for event in events if event.is_stack]
    if not own or not own[-1].status.endswith(_SETTLED):
        return None
    return StackStatus(own[-1].status)


def failed_event(events: Sequence[StackEvent]) -> StackEvent | None:
    """The event of the resource that failed first, or None when none did.

    `events` oldest first. "Creation cancelled" events are consequences of another failure.
    """
    failed = [event for event in events if event.status.endswith("_FAILED")]
    causes = [event for event in failed if not _CONSEQUENCE.search(event.reason)]
    culprits = [event for event in causes if not event.is_stack] or causes or failed
    return culprits[0] if culprits else None


def first_failure(events: Sequence[StackEvent]) -> str | None:
    """The resource that really failed, and why: one line, or None when none did."""
    failed = failed_event(events)
    if failed is None:
        return None
    return f"{failed.logical_id} ({failed.resource_type}): {reason_of(failed, events)}"


def reason_of(failed: StackEvent, events: Sequence[StackEvent]) -> str:
    """Why a resource failed, in one line; `events`: of its stack.

    A failure of a hook names the hook only; why it refused the resource is in events of their own
    (StackEvent, API reference: HookStatusReason).
    """
    refusals = {
        event.hook: event.hook_reason
        for event in events
        if event.hook and event.logical_id == failed.logical_id
    }
    reason = " ".join(failed.reason.split())
    return hooks_refusal(refusals) if refusals and HOOKS_FAILED.search(reason) else reason


HOOKS_FAILED = re.compile(
    r"hook\(s\)(?:/validation)? failed: \[(?!AWS::EarlyValidation::[\w:]+\])", re.IGNORECASE
)
"""What CloudFormation says of a resource, or of a change set, that a hook refused, and not only its
own validation."""


def hooks_refusal(reasons: Mapping[str, str]) -> str:
    """What hooks have against a resource or a change set; `reasons`: by their names."""
    return "; ".join(
        f"refused by the hook {name}: {' '.join(reason.split()) or 'it gave no reason'}"
        for name, reason in reasons.items()
    )
