"""What to do when it is the control plane itself that failed: a table like `hint_table`. Pure."""

from control_plane.rules.hint_table import Row

REPAIR = (
    "the control plane is not proven and may not answer: 'syndi install', from a checkout that "
    "worked, goes past it and puts it right; with --role-arn, when CloudFormation's own role lacks "
    "a permission"
)

OWN_TABLE = (
    Row(REPAIR, reason=r"and rolling back failed in"),
    Row(
        "'syndi uninstall' finishes the deletion and says what is kept; then 'syndi install'",
        reason=r"DELETE_FAILED",
    ),
    Row(REPAIR, reason=r"UPDATE_ROLLBACK_FAILED|rollback could not be continued"),
)
"""What is different for the control plane itself, whatever failed: what would mend a tenant goes
through an API and a state machine that may be what is broken."""
