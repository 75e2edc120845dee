"""What a role of the template may do: its policies, filled in for one stack and evaluated."""

import re
from collections.abc import Mapping
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


def tagged_may(
    statements: list[Json],
    action: str,
    resource: str,
    principal_tags: Mapping[str, str],
    resource_tags: Mapping[str, str] | None = None,
) -> bool:
    """Whether statements let a principal with these tags do that, their conditions and policy
    variables evaluated (IAM user guide, policy evaluation; policy variables)."""
    keys = {"aws:PrincipalTag": principal_tags, "aws:ResourceTag": resource_tags or {}}
    effects = {
        s["Effect"]
        for s in statements
        if _covers(s, action)
        and any(_matches(pattern, resource, principal_tags) for pattern in _resources(s))
        and holds(s.get("Condition", {}), keys)
    }
    return effects == {"Allow"}


def _resources(statement: Json) -> list[str]:
    # A list of intrinsic functions, or one that makes a list.
    return [text for given in listed(statement["Resource"])
            for text in listed(filled(given, PREFIXES))]  # fmt: skip


def _matches(pattern: str, resource: str, tags: Mapping[str, str]) -> bool:
    found = _with_tags(pattern, tags)
    return found is not None and fnmatchcase(resource, found)


_VARIABLE = re.compile(r"\$\{!?aws:PrincipalTag/([\w:]+)\}")  # in a Sub, `!` keeps it


def _with_tags(text: str, tags: Mapping[str, str]) -> str | None:
    """The text with its policy variables filled in; None where one of the tags is missing."""
    if any(name not in tags for name in _VARIABLE.findall(text)):
        return None
    return _VARIABLE.sub(lambda found: tags[found[1]], text)


def holds(condition: Json, keys: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a statement's conditions are met. `keys`: the tags of a request's context, by the
    kind of key that they have there (`aws:ResourceTag`)."""
    tags = keys.get("aws:PrincipalTag", {})

    def value(key: str) -> str | None:
        kind, _, name = key.partition("/")
        return keys[kind].get(name)

    for operator, wanted_by_key in condition.items():
        for key, wanted in wanted_by_key.items():
            match operator:
                case "Null":
                    held = (value(key) is None) == (wanted == "true")
                case "StringEquals":
                    held = value(key) is not None and value(key) == _with_tags(wanted, tags)
                case "StringNotEquals":
                    held = value(key) != _with_tags(wanted, tags)
                case "StringLike":
                    patterns = listed(filled(wanted, PREFIXES))
                    held = any(fnmatchcase(value(key) or "", pattern) for pattern in patterns)
                case "ForAllValues:StringEquals" if key == "aws:TagKeys":
                    held = set(keys["aws:RequestTag"]) <= set(wanted)
                case _:
                    raise AssertionError(operator)
            if not held:
                return False
    return True


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
