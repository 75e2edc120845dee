"""What to do about a control plane that failed: where that is something else than for a tenant.

What mends a tenant goes through an API and a state machine that may be what is broken here.
"""

import re

_REPAIR = (
    "the control plane is not proven and may not answer: 'syndi install', from a checkout that "
    "worked, goes past it and puts it right; with --role-arn, when CloudFormation's own role lacks "
    "a permission"
)

TABLE = (
    (r"and rolling back failed in", _REPAIR),
    (
        r"DELETE_FAILED",
        "'syndi uninstall' finishes the deletion and says what is kept; then 'syndi install'",
    ),
    (r"UPDATE_ROLLBACK_FAILED|rollback could not be continued", _REPAIR),
)
"""A pattern of the reason, ignoring case, and what to do; the first that fits, whatever failed."""


def instead(reason: str) -> str | None:
    """The hint that takes the place of any other, or None."""
    return next((todo for pattern, todo in TABLE if re.search(pattern, reason, re.I)), None)
