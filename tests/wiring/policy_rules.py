"""What a role of the template may do: its policies, filled in for one stack and evaluated."""

import re
from fnmatch import fnmatchcase
from typing import Any

from asl_graph import Json
from sam_template import listed

STACK = "control-plane-prod-main"
ARTIFACTS = "arn:aws:s3:::rawscribe-sam-deployments-123456789012"
PREFIXES = ("rawscribe", "syndi-frontend")

_KNOWN = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": STACK,
    "ArtifactBucket.Arn": ARTIFACTS,
    "ScheduleGroup": f"{STACK}-schedules",
}


def may(
    statements: list[Json], action: str, resource: str, prefixes: tuple[str, ...] = PREFIXES
) -> bool:
    """Whether statements allow an action on a resource, and none denies it; conditions are met.

    Names of resources that are not in `_KNOWN` stand as they are in the template.
    """
    effects = {
        statement["Effect"]
        for statement in statements
        if _covers(statement, action)
        and any(
            fnmatchcase(resource, pattern)
            for given in listed(statement["Resource"])
            for pattern in listed(filled(given, prefixes))
        )
    }
    return effects == {"Allow"}


def _covers(statement: Json, action: str) -> bool:
    if "NotAction" in statement:
        return not any(fnmatchcase(action, pattern) for pattern in listed(statement["NotAction"]))
    return any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))


def filled(value: Any, prefixes: tuple[str, ...]) -> Any:
    """A value with its intrinsics resolved: a text, or a list of them."""
    if not isinstance(value, dict):
        return value
    ((function, given),) = value.items()
    match function:
        case "Ref" if given == "ApplicationPrefixes":
            return list(prefixes)
        case "Ref" | "GetAtt":
            return _KNOWN.get(given, f"<{given}>")
        case "Join":
            parts = filled(given[1], prefixes)
            return given[0].join(filled(part, prefixes) for part in parts)
        case "Split":
            return filled(given[1], prefixes).split(given[0])
        case "Sub":
            text, local = (given, {}) if isinstance(given, str) else given
            names = {**_KNOWN, **{name: filled(item, prefixes) for name, item in local.items()}}
            return re.sub(r"\$\{([\w:.]+)\}", lambda m: names.get(m[1], f"<{m[1]}>"), text)
    raise AssertionError(f"{function} in a policy")
