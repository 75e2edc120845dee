"""Who may do what: one table, and the only place that knows groups.

The authorizer in front of the API lets every user of the pool in; this decides the rest. A user
without a group may do nothing but ask who they are.
"""

from collections.abc import Iterable
from enum import StrEnum


class Group(StrEnum):
    """The pool's groups, and the pseudo-group of an API without authentication."""

    ADMINS = "ADMINS"
    LAB_MANAGERS = "LAB_MANAGERS"
    RESEARCHERS = "RESEARCHERS"
    CLINICIANS = "CLINICIANS"
    ANONYMOUS = "ANONYMOUS"


class Permission(StrEnum):
    """What a route asks for."""

    READ_PRIVATE_CONFIG = "config:read-private"
    READ_SOPS = "sop:read"
    KEEP_DRAFTS = "draft:keep"
    SUBMIT_ELNS = "eln:submit"
    READ_OWN_ELNS = "eln:read-own"
    READ_ALL_ELNS = "eln:read-all"


_LEADS = frozenset({Group.ADMINS, Group.LAB_MANAGERS})
_LAB = _LEADS | {Group.RESEARCHERS, Group.ANONYMOUS}
_EVERYONE = _LAB | {Group.CLINICIANS}

GRANTED: dict[Permission, frozenset[Group]] = {
    Permission.READ_PRIVATE_CONFIG: _LEADS,
    Permission.READ_SOPS: _EVERYONE,
    Permission.KEEP_DRAFTS: _EVERYONE,  # each their own
    Permission.SUBMIT_ELNS: _EVERYONE,
    Permission.READ_OWN_ELNS: _EVERYONE,
    Permission.READ_ALL_ELNS: _LAB,  # and the list, which shows everybody's
}


def allows(groups: Iterable[str], permission: Permission) -> bool:
    """Whether one of `groups` has `permission`. Groups that the table does not know have none."""
    return not GRANTED[permission].isdisjoint(groups)
