"""Which published versions and roles of the control plane nothing can use any more. Pure rules.

A running execution calls the versions that its definition names, in the roles that those versions
were published with, whatever has replaced them since.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

_VERSION_ARN = re.compile(r"arn:[a-z-]+:lambda:[a-z0-9-]+:\d+:function:[A-Za-z0-9_-]+:\d+")


@dataclass(frozen=True)
class Version:
    """A published version of a function: its qualified ARN, its number, when it was published, and
    the role that it runs in."""

    arn: str
    number: int
    published_at: datetime
    role: str


def called_by(definitions: Iterable[str]) -> frozenset[str]:
    """The versions that definitions of a state machine name."""
    return frozenset(arn for text in definitions for arn in _VERSION_ARN.findall(text))


def unused_versions(
    versions: Sequence[Version], called: Collection[str], now: datetime, keep: timedelta
) -> list[Version]:
    """What can go of one function's versions.

    The newest stays, and what a definition names; every other one for `keep` after it was replaced
    (Step Functions redrives a failed execution, with its definition, for 14 days).
    """
    by_age = sorted(versions, key=lambda version: version.number)
    return [
        old
        for old, successor in pairwise(by_age)
        if old.arn not in called and successor.published_at + keep <= now
    ]


def unused_roles(roles: Iterable[str], used: Collection[str], current_path: str) -> list[str]:
    """The roles that can go, of all that the builds of this control plane ever made.

    A build's roles stay together: a version that is kept names more of them than its own, such as
    the one in which CloudFormation works for it. `used`: by versions that stay, by running
    executions, by CloudFormation for the stack. `current_path`: the IAM path of the build that
    runs; its roles are in the stack.
    """
    kept = {_path(arn) for arn in used} | {current_path}
    return [arn for arn in roles if _path(arn) not in kept]


def _path(role: str) -> str:
    """The IAM path of a role, with a slash at both ends."""
    return role.partition(":role")[2].rpartition("/")[0] + "/"
