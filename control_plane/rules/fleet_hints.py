"""What to do about a rollout or a shift that did not end well. Pure.

Their errors are those of `rollout.asl.json` and `shift.asl.json`; a deployment's are in `hints`.
`ENV`, `ORG`, `TO` and `ID` in a row stand for whose it is, and are filled in.
"""

import re

from control_plane.models import Tenant
from control_plane.rollout_models import Rollout
from control_plane.rules.hint_table import Row

BUSY = r"rate exceeded|throttl|too ?many ?requests|slow ?down"
DIED = r"States\.Timeout|timed out after|Sandbox\.Timedout|exited|Runtime\.ExitError"
AGAIN = "'syndi rollout start ENV' goes on: who has the build already is skipped"

ROLLOUT_NEEDS_NONE = frozenset(
    {
        *("RolloutCancelled", "ABORTED"),  # somebody wanted it
        *("InvalidRequest", "Superseded"),  # name the field, or the execution that goes on
        "ExecutionAlreadyExists",  # no end: the rollout goes on in the execution that exists
    }
)
SHIFT_NEEDS_NONE = frozenset(
    {
        "ABORTED",  # somebody wanted it
        # They name the field, what is missing, or who has the route.
        *("InvalidRequest", "NotFound", "Conflict", "RouteRefused", "RouteTaken"),
    }
)
"""Errors whose reason says all there is to do."""

ROLLOUTS = (
    Row(
        "'syndi rollout show ID --tenants' names who stays with the new build: NOT_ROLLED_BACK",
        reason=r"could not be brought back",
    ),
    Row(
        "make the alarm, or leave it out of the next rollout; then " + AGAIN,
        errors=("RolloutFailed",),
        reason=r"there is no alarm",
    ),
    Row(
        "see in CloudWatch what the alarm watches, and mend that; then " + AGAIN,
        errors=("RolloutFailed", "RolloutRolledBack"),
        reason=r"in alarm",
    ),
    Row(
        "the last wave is back, the waves before it keep the new build: 'syndi rollout show ID "
        "--tenants' says who failed and why; mend that; then " + AGAIN,
        errors=("RolloutRolledBack",),
    ),
    Row(
        "'syndi rollout show ID --tenants' says who failed and why; mend that; then " + AGAIN,
        errors=("RolloutFailed",),
    ),
    Row("too many requests at once: in a few minutes " + AGAIN, reason=BUSY),
    Row(
        "in a few minutes " + AGAIN,
        errors=("ServiceBusy", "StepFunctions.ExecutionLimitExceeded"),
    ),
    Row("it waited for too long: " + AGAIN, errors=("TIMED_OUT",)),
    Row("the rollout worker was too slow or died: see its log; " + AGAIN, reason=DIED),
)
SHIFTS = (
    Row(
        "traffic is not where it was: 'syndi route show ENV ORG' says where; 'syndi route reverse "
        "ENV ORG' brings it back",
        reason=r"could not be brought back",
    ),
    Row(
        "nobody brought its traffic back: 'syndi route show ENV ORG' says where it goes",
        errors=("ShiftLost",),
    ),
    Row(
        "see in CloudWatch what the alarm watches, and mend that; then 'syndi route shift ENV ORG "
        "--to TO' again",
        errors=("ShiftUnsafe",),
        reason=r"alarm .*(?:rings|does not exist)",
    ),
    Row(
        "'syndi check ENV TO' shows it, 'syndi health ENV TO' since when; mend or roll back TO; "
        "then 'syndi route shift ENV ORG --to TO' again",
        errors=("ShiftUnsafe", "TenantNotReady"),
    ),
    Row(
        "in a few minutes 'syndi route shift ENV ORG --to TO' again; when it lasts, see what else "
        "asks so much of AWS",
        errors=("ShiftTimedOut", "ServiceBusy", "ShiftNotStarted"),
    ),
    Row("'syndi route shift ENV ORG --to TO' again, in fewer steps", errors=("TIMED_OUT",)),
    Row(
        "the route worker was too slow or died: see its log; then 'syndi route shift ENV ORG --to "
        "TO' again",
        reason=DIED,
    ),
)
ROLLOUT_UNEXPECTED = (
    "the control plane did not expect this: see the log of the rollout worker; then " + AGAIN
)
SHIFT_UNEXPECTED = (
    "the control plane did not expect this: see the log of the route worker; "
    "'syndi route show ENV ORG' says where the traffic goes"
)


def of_rollout(rollout: Rollout, error: str, default: str) -> str | None:
    """What to do about a rollout that ended with an error, or None where its reason says it all.

    `default`: the application that a command means when it names none.
    """
    if error in ROLLOUT_NEEDS_NONE:
        return None
    rows = (row.todo for row in ROLLOUTS if row.fits("", error, rollout.failure))
    other = "" if rollout.application == default else f" --application {rollout.application}"
    todo = next(rows, ROLLOUT_UNEXPECTED).replace("start ENV", f"start {rollout.env}{other}")
    return todo.replace(" ID ", f" {rollout.id} ")


def of_shift(of: Tenant, to: str, error: str, reason: str, default: str) -> str | None:
    """The same of a shift of the route of `of`, whose traffic was to go to `to`."""
    if error in SHIFT_NEEDS_NONE and "could not be brought back" not in reason:
        return None
    todo = next((row.todo for row in SHIFTS if row.fits("", error, reason)), SHIFT_UNEXPECTED)
    other = "" if of.application == default else f" --application {of.application}"
    todo = todo.replace("ENV ORG", f"{of.env} {of.org}{other}")
    todo = todo.replace("ENV TO'", f"{of.env} {to}{other}'")
    return re.sub(r"\bTO\b", to, todo)
