"""What to do about a failure: a hint that names the command to type. Pure.

`ENV ORG`, `ID` and `NAME` in a row of the table stand for the tenant, the deployment, and the
resources that the reason names; they are filled in.
"""

import re

from control_plane import own
from control_plane.models import Mode, Tenant
from control_plane.rules.hint_table import TABLE
from control_plane.rules.own_hints import OWN_TABLE

NEEDS_NONE = frozenset(
    {
        *("InvalidRequest", "Superseded"),  # name the field, or the newer deployment
        # The API's: they end no deployment.
        *(
            "Conflict",
            "NotFound",
            "IdempotencyConflict",
            "LiveConfigUnreadable",
            "HealthUnreadable",
        ),
        "Cancelled",  # somebody wanted it
        *("RouteRefused", "RouteTaken", "ShiftUnsafe"),  # of shifts: they end no deployment
    }
)
"""Errors whose reason says all there is to do."""

UNEXPECTED = (
    "the control plane did not expect this: see the log of the worker of that step; "
    "'syndi retry ID' tries again"
)

_PERMITS = re.compile(r"permits it:((?: --allow-replacement [\w/]+)+)")
"""The options that a reason ends with (`changes.refuse_changes`)."""

_LOST = re.compile(r"([\w/]+) \(\w+::[\w:]+\) (?:would|might|may) be")
"""The resources in one that was cut before them."""


def hint(state: str, error: str, reason: str) -> str | None:
    """What to do about a failure, or None where the reason says it all.

    `state` and `error`: as the state machine names them. `reason`: `reasons.one_line` of it.
    """
    if error in NEEDS_NONE:
        return None
    todo = next((row.todo for row in TABLE if row.fits(state, error, reason)), UNEXPECTED)
    permits = _PERMITS.search(reason)
    names = " --allow-replacement ".join(_LOST.findall(reason)) or "NAME"
    options = permits[1].strip() if permits else f"--allow-replacement {names}"
    return todo.replace("--allow-replacement NAME", options)


_OWN_VERBS = {
    "'syndi source push' it, deploy again": "'syndi self-update'",
    "'syndi deploy ENV ORG": "'syndi self-update",
    "'syndi rollback ENV ORG": "'syndi self-update --rollback",
}


_ALLOW = "'syndi deploy ENV ORG --allow-replacement"


def addressed(
    todo: str | None,
    tenant: Tenant,
    deployment_id: str,
    default: str,
    mode: str = "",
    reason: str = "",
    to: str = "",
) -> str | None:
    """A hint with its commands made out for one deployment, which failed for a `reason`.

    `default`: the application that a command means when it names none. What has a verb of its own
    (`mode`) is not retried, but asked for again; of a rollback, `to` the deployment that it named.
    """
    if own.is_own(tenant):
        todo = next((row.todo for row in OWN_TABLE if row.fits("", "", reason)), todo)
    if todo is None:
        return None
    if mode in (Mode.OFFBOARD, Mode.ROLLBACK):
        again = f"'syndi {mode} ENV ORG" + (f" --to {to}" if to else "")
        todo = todo.replace("'syndi retry ID'", f"{again}'")
        # 'deploy' would bring the current source, which is what a rollback goes back from.
        todo = todo.replace(_ALLOW, f"{again} --allow-replacement")
    if mode == Mode.DEPLOY_ONLY:
        todo = todo.replace(_ALLOW, _ALLOW.replace("ENV ORG", "ENV ORG --mode deploy-only"))
    if own.is_own(tenant):  # which has verbs of its own
        for said, meant in _OWN_VERBS.items():
            todo = todo.replace(said, meant)
    whose = f"{tenant.env} {tenant.org}"
    if tenant.application != default:
        whose += f" --application {tenant.application}"
    return re.sub(r"\bID'", f"{deployment_id}'", todo.replace("ENV ORG", whose))
