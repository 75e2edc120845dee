"""The rules of a change set: what it does, what it must not do, and its parameters. Pure.

Workers read a change set, ask here, and carry out what is decided.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from control_plane.models import JsonObject

_NO_CHANGES = re.compile(r"didn't contain changes|No updates are to be performed", re.IGNORECASE)


def is_without_changes(status_reason: str) -> bool:
    """Whether a change set that FAILED did so because there is nothing to change.

    CloudFormation has no code for it, only these sentences. That is success, not failure.
    """
    return bool(_NO_CHANGES.search(status_reason))


Summary = dict[str, list[dict[str, str]]]
"""What happens (added, imported, modified, replaced, maybe_replaced, removed) to which resources:
`{"replaced": [{"id": "Users", "type": "AWS::Cognito::UserPool"}]}`. In the record, the API and the
command line."""


@dataclass(frozen=True)
class Change:
    """One line of a change set: Add, Modify, Remove, Import or Dynamic."""

    action: str
    logical_id: str
    resource_type: str
    replacement: str = "False"
    physical_id: str = ""

    @property
    def takes_away(self) -> bool:
        """Whether the resource as it is now may be gone afterwards.

        `Conditional` replacement is not known before the execution: taken for the worse.
        """
        return self.action == "Remove" or self.replacement in ("True", "Conditional")


def summarize(changes: Iterable[Change]) -> Summary:
    """The change set for people: each resource, by what happens to it."""
    summary: Summary = {
        "added": [], "imported": [], "modified": [], "replaced": [], "maybe_replaced": [],
        "removed": [],
    }  # fmt: skip
    for change in changes:
        match change.action, change.replacement:
            case "Add", _:
                kind = "added"
            case "Import", _:
                kind = "imported"
            case "Remove", _:
                kind = "removed"
            case _, "True":
                kind = "replaced"
            case _, "Conditional":
                kind = "maybe_replaced"
            case _:
                kind = "modified"
        summary[kind].append({"id": change.logical_id, "type": change.resource_type})
    return {
        kind: sorted(items, key=lambda item: item["id"]) for kind, items in summary.items() if items
    }


def in_words(summary: Mapping[str, Sequence[object]]) -> str:
    """A summary in a line: `2 added, 1 replaced`."""
    counted = [f"{len(items)} {kind.replace('_', ' ')}" for kind, items in summary.items()]
    return ", ".join(counted) or "nothing to change"


def lost(changes: Iterable[Change], stateful_types: Sequence[str]) -> list[Change]:
    """The changes after which a resource that holds data may be gone from the stack.

    `stateful_types`: resource types that hold data, from the manifest.
    """
    return [
        change for change in changes if change.takes_away and change.resource_type in stateful_types
    ]


def refuse_changes(losses: Iterable[Change], allow_replacement: Sequence[str]) -> str | None:
    """Why a change set must not be executed, or None.

    `losses`: what `lost` answers. `allow_replacement`: the logical ids whose loss the request
    permits.
    """
    refused = [change for change in losses if change.logical_id not in allow_replacement]
    if not refused:
        return None
    told = ", ".join(
        f"{change.logical_id} ({change.resource_type}) would be "
        + ("removed" if change.action == "Remove" else "replaced")
        for change in refused
    )
    options = " ".join(f"--allow-replacement {change.logical_id}" for change in refused)
    return (
        f"{told}: its data would be lost or leave the stack; nothing was changed. "
        f"allow_replacement with its name permits it: {options}"
    )


def needless(losses: Iterable[Change], allow_replacement: Sequence[str]) -> str:
    """What is said of names in `allow_replacement` that the change set does not touch; or empty."""
    names = {change.logical_id for change in losses}
    unused = [name for name in allow_replacement if name not in names]
    return f"; allow_replacement names {', '.join(unused)}, which nothing here loses" * bool(unused)


def known_values(
    given: Iterable[Mapping[str, str | bool]],
    *,
    declared: Mapping[str, JsonObject],
    previous: Mapping[str, str],
) -> dict[str, str]:
    """The values that a template's parameters will have, as far as they are known beforehand.

    `given`: what `stack_parameters` answers. `declared`: the template's `Parameters`. A secret
    (`NoEcho`) is not known, nor is what CloudFormation reads elsewhere (an SSM parameter).
    """
    values = all_values(given, declared=declared, previous=previous)
    plain = ("String", "Number")
    return {
        name: value
        for name, value in values.items()
        if declared[name].get("Type") in plain and "NoEcho" not in declared[name]
    }


def all_values(
    given: Iterable[Mapping[str, str | bool]],
    *,
    declared: Mapping[str, JsonObject],
    previous: Mapping[str, str],
) -> dict[str, str]:
    """What every parameter is told, of whatever type: to compare with, not to write out."""
    values = {name: str(item["Default"]) for name, item in declared.items() if "Default" in item}
    for item in given:
        name = str(item["ParameterKey"])
        values[name] = str(item.get("ParameterValue", previous.get(name)))
    return values


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
