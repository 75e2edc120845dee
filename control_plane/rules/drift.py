"""What differs from what was deployed, in words, and what a deployment would do about it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from control_plane.models import JsonObject

VALUE_LENGTH = 60
"""Characters of a value that are shown: a policy or a template would fill the screen."""

LEFT_AS_IT_IS = (
    "leave it as it is: CloudFormation compares templates, not resources; the next change of this "
    "resource in the template may set it back"
)
NOT_BROUGHT_BACK = (
    "not bring it back: nothing happens until the template changes this resource, and then the "
    "update fails because it is gone; create it again by hand under its name, or take it out of "
    "the template, deploy, and put it back in"
)
UNKNOWN = "unknown: it could not be compared"


def resource_finding(
    logical_id: str, resource_type: str, status: str, differences: Sequence[Mapping[str, Any]]
) -> JsonObject:
    """A finding about one resource that CloudFormation calls MODIFIED or DELETED.

    `differences` are its `PropertyDifferences`. What a deployment does is CloudFormation's rule for
    updates: it updates the resources whose definition changed between the old and the new template
    (user guide, "Update behaviors of stack resources"), and drift is no change of a template.
    """
    if status == "DELETED":
        detail, would = "deleted by hand", NOT_BROUGHT_BACK
    else:
        detail = "; ".join(_difference(item) for item in differences) or "modified by hand"
        would = LEFT_AS_IT_IS
    return {
        "kind": "resource",
        "resource": f"{logical_id} ({resource_type})",
        "detail": detail,
        "deployment_would": would,
    }


def unchecked_finding(stack_name: str, reason: str) -> JsonObject:
    """A finding about what could not be compared: that nothing was found there proves nothing."""
    return {
        "kind": "resource",
        "resource": stack_name,
        "detail": f"not all of it could be compared: {' '.join(reason.split()) or 'no reason'}",
        "deployment_would": UNKNOWN,
    }


def _difference(item: Mapping[str, Any]) -> str:
    path = item["PropertyPath"].strip("/").replace("/", ".")
    if "Environment.Variables" in path:  # where people put secrets by hand: never a value
        return f"{path}: {item['DifferenceType'].replace('_', ' ').lower()}"
    match item["DifferenceType"]:
        case "ADD":
            return f"{path}: added {_shown(item['ActualValue'])}"
        case "REMOVE":
            return f"{path}: removed {_shown(item['ExpectedValue'])}"
        case _:
            return f"{path}: {_shown(item['ExpectedValue'])} → {_shown(item['ActualValue'])}"


def _shown(value: str) -> str:
    value = " ".join(value.split())
    return value if len(value) <= VALUE_LENGTH else f"{value[: VALUE_LENGTH - 1]}…"
