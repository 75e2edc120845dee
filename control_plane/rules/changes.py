"""The rules of a change set: what it does, what it must not do, and its parameters. Pure.

Workers read a change set, ask here, and carry out what is decided.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from control_plane.models import JsonObject
from control_plane.rules import data

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
    """One line of a change set: Add, Modify, Remove, Import, Dynamic or SyncWithActual.

    `logical_id`: in a nested stack with the stack's own before it, `Data/Orders`. `policy_action`:
    what becomes of the resource that is there (DescribeChangeSet, PolicyAction), or empty.
    """

    action: str
    logical_id: str
    resource_type: str
    replacement: str = "False"
    policy_action: str = ""
    physical_id: str = ""

    @property
    def takes_away(self) -> bool:
        """Whether the resource as it is now may be gone afterwards.

        What is not known before the execution (`Conditional`, `Dynamic`, and an action that this
        release does not know) counts for the worse, with two exceptions. A nested stack is updated
        whatever changes (template reference), and its own change set says what. A changed custom
        resource may be `Conditional`, since its function may answer with another id; but it is an
        update, and the function decides. Its removal counts.
        """
        if self.action in ("Add", "Import", "SyncWithActual"):
            return False
        if self.action == "Modify" and self.replacement == "Conditional":
            kind = self.resource_type
            return not (kind == data.NESTED_STACK or data.is_custom(kind))
        return self.action != "Modify" or self.replacement != "False"


@dataclass(frozen=True)
class Loss:
    """A resource whose data a change set takes away, or may. `what`: what happens to it, as the
    rest of a sentence that begins with its name. `weakened`: it stays, and less of it would be kept
    the next time."""

    logical_id: str
    resource_type: str
    what: str
    weakened: bool = False


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


def lost(changes: Iterable[Change], stateful_types: Sequence[str] = ()) -> list[Loss]:
    """The changes after which a resource that holds data may be gone from the stack.

    `stateful_types`: resource types that hold data, by the manifests of what is deployed and of
    what is requested, beyond those that are known to (`rules.data`). A type of which nothing is
    known counts as well. What a nested stack holds, its own changes say.
    """
    return [
        Loss(change.logical_id, change.resource_type, _what_happens(change, known))
        for change in changes
        if change.takes_away
        and (known := data.holding(change.resource_type, stateful_types))
        in (data.Holding.DATA, data.Holding.UNKNOWN)
    ]


def _what_happens(change: Change, known: data.Holding) -> str:
    """The rest of a sentence about a change that takes something away."""
    match change.action, change.replacement:
        case "Remove", _:
            what = "would be removed"
        case "Modify", "True":
            what = "would be replaced by an empty one"
        case _:
            # Conditional or Dynamic: CloudFormation knows only when it does it.
            what = "would be replaced by an empty one, or may be"
    match change.policy_action:
        case "Retain" | "ReplaceAndRetain":
            kept = "; what is there now leaves the stack and is retained"
        case "Snapshot" | "ReplaceAndSnapshot":
            kept = "; of what is there now only a snapshot stays"
        case _ if known == data.Holding.UNKNOWN:
            kept = "; whether that type holds data is not known"
        case _:
            kept = ", and its data deleted"
    return what + kept


def retyped(before: JsonObject, after: JsonObject, stateful_types: Sequence[str]) -> list[Loss]:
    """The resources that hold data, or may, and become another type under the same name, by the
    templates before and after. CloudFormation refuses that, and a change set names the new type."""
    new = data.types(after)
    return [
        Loss(name, kind, f"would be removed: its name is that of a {new[name]} then")
        for name, kind in data.types(before).items()
        if name in new
        and new[name] != kind
        and data.holding(kind, stateful_types) in (data.Holding.DATA, data.Holding.UNKNOWN)
    ]


def of_own_stack(losses: Iterable[Loss]) -> list[Loss]:
    """The losses that count in the control plane's own stack: its logs may go, as they go with the
    stack. An earlier release has fewer log groups, and must be installable."""
    return [loss for loss in losses if loss.resource_type not in data.LOGS]


def refuse_changes(losses: Iterable[Loss], allow_replacement: Sequence[str]) -> str | None:
    """Why a change set must not be executed, or None.

    `losses`: what `lost` answers, and what else takes data away. `allow_replacement`: the names of
    the resources whose loss the request permits.
    """
    taken = list(losses)
    refused = [loss for loss in taken if loss.logical_id not in allow_replacement]
    if not refused:
        return None
    named = "; ".join(f"{loss.logical_id} ({loss.resource_type}) {loss.what}" for loss in refused)
    # Those that were permitted too: it is typed again as a whole.
    options = " ".join(
        f"--allow-replacement {name}" for name in dict.fromkeys(loss.logical_id for loss in taken)
    )
    return f"{named}. Nothing was changed. allow_replacement with its name permits it: {options}"


def needless(losses: Iterable[Loss], allow_replacement: Sequence[str]) -> str:
    """What is said of names in `allow_replacement` that the change set does not touch; or empty."""
    names = {loss.logical_id for loss in losses}
    unused = [name for name in allow_replacement if name not in names]
    return f"; allow_replacement names {', '.join(unused)}, which nothing here loses" * bool(unused)


def not_retained(unretained: Mapping[str, str]) -> str:
    """What is said of resources that hold data and that their policies do not keep; or empty.

    `unretained`: by name, what is missing (`data.unretained`).
    """
    if not unretained:
        return ""
    names = ", ".join(f"{name} ({missing})" for name, missing in sorted(unretained.items()))
    return f"; hold data and are not retained: {names}"


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
