"""The rules of a deployment: facts in, a decision and its reason out. Pure: no I/O, no clock.

Workers look, ask here, and carry out what is decided; the reason goes into the history.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from control_plane.models import StackStatus


class StackAction(StrEnum):
    """What a deployment does with the stack that it finds."""

    CREATE = "create"
    UPDATE = "update"
    DELETE_FIRST = "delete-first"
    CONTINUE_ROLLBACK = "continue-rollback"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True)
class StackDecision:
    """An action and, for the history, why."""

    action: StackAction
    reason: str


def decide_stack(status: StackStatus | None, *, rollback_continued: bool = False) -> StackDecision:
    """What a deployment does with a stack in `status` (None: there is no stack).

    `rollback_continued`: this deployment has already continued an update's rollback once.
    The rule is table A of docs/lifecycle.md: only what holds nothing is deleted, only what is
    settled is updated.
    """
    S, A = StackStatus, StackAction
    match status:
        case None:
            return StackDecision(A.CREATE, "there is no stack yet")
        case S.DELETE_COMPLETE:
            return StackDecision(A.CREATE, "the earlier stack was deleted")
        case S.REVIEW_IN_PROGRESS:
            return StackDecision(A.CREATE, "an earlier change set was never executed")
        case S.CREATE_COMPLETE | S.UPDATE_COMPLETE | S.IMPORT_COMPLETE:
            return StackDecision(A.UPDATE, "the stack is healthy")
        case S.UPDATE_ROLLBACK_COMPLETE | S.IMPORT_ROLLBACK_COMPLETE:
            return StackDecision(
                A.UPDATE, "the last change failed and was undone; the stack is healthy and has data"
            )
        case S.ROLLBACK_COMPLETE | S.CREATE_FAILED | S.ROLLBACK_FAILED:
            return StackDecision(
                A.DELETE_FIRST, "the first creation failed, so nothing useful exists"
            )
        case S.UPDATE_ROLLBACK_FAILED if rollback_continued:
            return StackDecision(
                A.REFUSE,
                "the rollback was continued and failed again: mend the resources named in the "
                "stack's events, then deploy again",
            )
        case S.UPDATE_ROLLBACK_FAILED:
            return StackDecision(A.CONTINUE_ROLLBACK, "an update's rollback is stuck half way")
        case S.DELETE_FAILED:
            return StackDecision(
                A.REFUSE,
                "a deletion stopped half way and may have left data: empty or keep what blocked "
                "it, finish the deletion in CloudFormation, then deploy again",
            )
        case S.UPDATE_FAILED:
            return StackDecision(
                A.REFUSE,
                "an update failed with its rollback disabled: roll the stack back in "
                "CloudFormation, then deploy again",
            )
        case S.IMPORT_ROLLBACK_FAILED:
            return StackDecision(
                A.REFUSE,
                "an import's rollback failed: mend the stack in CloudFormation, then deploy again",
            )
        case (
            S.CREATE_IN_PROGRESS
            | S.ROLLBACK_IN_PROGRESS
            | S.DELETE_IN_PROGRESS
            | S.UPDATE_IN_PROGRESS
            | S.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS
            | S.UPDATE_ROLLBACK_IN_PROGRESS
            | S.UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS
            | S.IMPORT_IN_PROGRESS
            | S.IMPORT_ROLLBACK_IN_PROGRESS
        ):
            return StackDecision(A.WAIT, "somebody else is changing the stack")
        case _:
            assert_never(status)


_NO_CHANGES = re.compile(r"didn't contain changes|No updates are to be performed", re.IGNORECASE)


def is_without_changes(status_reason: str) -> bool:
    """Whether a change set that FAILED did so because there is nothing to change.

    CloudFormation has no code for it, only these sentences. That is success, not failure.
    """
    return bool(_NO_CHANGES.search(status_reason))


@dataclass(frozen=True)
class Change:
    """One line of a change set: Add, Modify, Remove, Import or Dynamic."""

    action: str
    logical_id: str
    resource_type: str
    replacement: str = "False"

    @property
    def takes_away(self) -> bool:
        """Whether the resource as it is now may be gone afterwards.

        `Conditional` replacement is not known before the execution: taken for the worse.
        """
        return self.action == "Remove" or self.replacement in ("True", "Conditional")


def summarize(changes: Iterable[Change]) -> dict[str, list[str]]:
    """The change set for the history: logical ids by what happens to them."""
    summary: dict[str, list[str]] = {
        "added": [], "modified": [], "replaced": [], "maybe_replaced": [], "removed": [],
    }  # fmt: skip
    for change in changes:
        match change.action, change.replacement:
            case "Add" | "Import", _:
                kind = "added"
            case "Remove", _:
                kind = "removed"
            case _, "True":
                kind = "replaced"
            case _, "Conditional":
                kind = "maybe_replaced"
            case _:
                kind = "modified"
        summary[kind].append(change.logical_id)
    return {kind: sorted(ids) for kind, ids in summary.items() if ids}


def refuse_changes(
    changes: Iterable[Change],
    *,
    stateful_types: Sequence[str],
    allow_replacement: Sequence[str],
) -> str | None:
    """Why a change set must not be executed, or None.

    `stateful_types`: resource types that hold data, from the manifest. `allow_replacement`: the
    logical ids whose loss the request permits.
    """
    lost = [
        f"{change.logical_id} ({change.resource_type}) would be "
        + ("removed" if change.action == "Remove" else "replaced")
        for change in changes
        if change.takes_away
        and change.resource_type in stateful_types
        and change.logical_id not in allow_replacement
    ]
    if lost:
        return (
            f"{', '.join(lost)}: its data would be lost; allow_replacement with its name permits it"
        )
    return None


def stack_parameters(
    declared: Iterable[str],
    *,
    computed: Mapping[str, str],
    requested: Mapping[str, str],
    first_deployment: Mapping[str, str],
    previous: Iterable[str] | None,
) -> list[dict[str, str | bool]]:
    """The parameters of a change set, in CloudFormation's form.

    `declared`: the template's parameters. `computed` (names, runtime) and `requested` win;
    otherwise a parameter keeps its previous value. `previous`: the parameters of the stack, or
    None when it is created: then `first_deployment` applies. The template's default is used for
    what is left, as CloudFormation does by itself.
    """
    answer: list[dict[str, str | bool]] = []
    kept = frozenset(previous or ())
    for name in declared:
        value = computed.get(name, requested.get(name))
        if value is None and name not in kept and previous is None:
            value = first_deployment.get(name)
        if value is not None:
            answer.append({"ParameterKey": name, "ParameterValue": value})
        elif name in kept:
            answer.append({"ParameterKey": name, "UsePreviousValue": True})
    return answer


@dataclass(frozen=True)
class StackEvent:
    """One event of a stack, of one operation."""

    logical_id: str
    resource_type: str
    status: str
    reason: str
    is_stack: bool


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


def first_failure(events: Sequence[StackEvent]) -> str | None:
    """The resource that really failed, and why: one line, or None when none did.

    `events` oldest first. "Creation cancelled" events are consequences of another failure.
    """
    failed = [event for event in events if event.status.endswith("_FAILED")]
    causes = [event for event in failed if not _CONSEQUENCE.search(event.reason)]
    culprits = [event for event in causes if not event.is_stack] or causes or failed
    if not culprits:
        return None
    first = culprits[0]
    return f"{first.logical_id} ({first.resource_type}): {' '.join(first.reason.split())}"
