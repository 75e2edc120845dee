"""Change sets: made in one way by everybody, and read with all that they take away.

A change set replaces all tags of its stack, and shows of a nested stack only that it changes. So
code that makes one calls `create`, and code that decides about one calls `effects`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import StackRefused
from control_plane.models import JsonObject, StackStatus
from control_plane.rules import changes, data
from control_plane.rules.changes import Change, Loss
from control_plane.services import stack_contents
from control_plane.services import stack_reading as reading
from control_plane.services.stack_contents import StackResource

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ResourceChangeTypeDef, StackTypeDef, TagTypeDef

TAG_LIMIT = 50
"""Tags of a stack (CreateChangeSet, API reference)."""

_RESERVED = "aws:"
"""The prefix of AWS's own tags, which a request may not have (Tag, API reference)."""


def create(
    stack_name: str,
    name: str,
    *,
    stack: "StackTypeDef | None",
    kind: str,
    template: Mapping[str, Any],
    parameters: list[dict[str, Any]],
    role: Mapping[str, Any],
) -> tuple[str, str]:
    """Have CloudFormation make a change set; gives (its id, the stack's id).

    `stack`: the stack as it is described now, or None. `kind`: CREATE or UPDATE. `template`:
    TemplateURL, TemplateBody or UsePreviousTemplate. `role`: RoleARN, or nothing. Raises
    StackRefused when the stack has no room for the tag that says whose it is.
    """
    answer = aws.cloudformation().create_change_set(
        StackName=stack_name,
        ChangeSetName=name,
        ChangeSetType=kind,  # type: ignore[arg-type]  # CREATE or UPDATE
        Parameters=parameters,  # type: ignore[arg-type]  # the same shape, as plain dicts
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Tags=tags(stack_name, stack),
        # What survived an earlier stack under its own name is adopted, with what is in it.
        ImportExistingResources=True,
        # What changes inside nested stacks is listed too. Both together are accepted for CREATE and
        # UPDATE; only a change set of type IMPORT refuses it (aws-cdk-cli makes them so).
        IncludeNestedStacks=True,
        **template,
        **role,
    )
    return answer["Id"], answer["StackId"]


def tags(stack_name: str, stack: "StackTypeDef | None") -> "list[TagTypeDef]":
    """The tags of a stack's change set: those that the stack has, and whose it is.

    Tags that somebody else set are passed on, since a change set replaces all of them. Raises
    StackRefused when there is no room for ours: none of theirs is dropped.
    """
    found, ours = stack.get("Tags", []) if stack else [], naming.owner_tags(stack_name)
    theirs: list[TagTypeDef] = [
        {"Key": tag["Key"], "Value": tag["Value"]}
        for tag in found
        if tag["Key"] not in ours and not tag["Key"].startswith(_RESERVED)
    ]
    if (many := len(theirs) + len(ours) - TAG_LIMIT) > 0:
        raise StackRefused(
            f"{stack_name} has {len(theirs)} tags of others, and a stack can have {TAG_LIMIT}: "
            f"remove {many} of them; {', '.join(ours)} say whose it is, and bound its roles"
        )
    mine: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in ours.items()]
    return [*mine, *theirs]


@dataclass
class Effects:
    """What a change set does, nested stacks included; names in them are `Parent/Child`.

    `losses`: what takes data away, or may. `unretained`: resources that hold data, each with the
    policy that does not keep it. `strengthened`: those of which more is kept than before.
    """

    changes: list[Change] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    unretained: dict[str, str] = field(default_factory=dict)
    strengthened: list[str] = field(default_factory=list)


def effects(stack: str, change_set: str, stateful_types: Collection[str]) -> Effects:
    """Read a change set that is there, and those of its nested stacks, at any depth.

    `stack` and `change_set`: ids. `stateful_types`: what manifests add to the types that hold data.
    A nested change set that cannot be read is a loss of its stack: nobody knows what it does.
    """
    found = Effects()
    _read(stack, change_set, "", tuple(stateful_types), found)
    return found


def _read(
    stack: str, change_set: str, path: str, stateful: tuple[str, ...], found: Effects
) -> None:
    """One change set, and below it those of the nested stacks. `path`: `Parent/`, or empty."""
    described: list[ResourceChangeTypeDef] = []
    pages = aws.cloudformation().get_paginator("describe_change_set")
    # The stack too, though the id would do: IAM policies name stacks.
    for page in pages.paginate(StackName=stack, ChangeSetName=change_set):
        unchanged = changes.is_without_changes(page.get("StatusReason", ""))
        if path and page.get("Status") == "FAILED" and unchanged:
            return  # a nested stack that stays as it is
        described += [
            item["ResourceChange"] for item in page.get("Changes", []) if "ResourceChange" in item
        ]
    here = [_change(item, path) for item in described]
    found.changes += here
    found.losses += changes.lost(here, stateful)
    _compare(stack, change_set, path, here, stateful, found)
    for item, change in zip(described, here, strict=True):
        if change.resource_type == data.NESTED_STACK:
            _nested(item, change, stateful, found)


def _change(item: "ResourceChangeTypeDef", path: str) -> Change:
    return Change(
        action=item["Action"],
        logical_id=path + item["LogicalResourceId"],
        resource_type=item["ResourceType"],
        replacement=item.get("Replacement", "False"),
        policy_action=item.get("PolicyAction", ""),
        physical_id=item.get("PhysicalResourceId", ""),
    )


def _compare(
    stack: str,
    change_set: str,
    path: str,
    here: list[Change],
    stateful: tuple[str, ...],
    found: Effects,
) -> None:
    """What the templates before and after say of policies and types."""
    after = reading.processed_template(stack, change_set)
    described = reading.describe(stack)
    is_new = described is None or described["StackStatus"] == StackStatus.REVIEW_IN_PROGRESS
    before = {} if is_new else reading.processed_template(stack, "")
    weakened, strengthened = data.compared(before, after, stateful)
    unretained = data.unretained(after, stateful)
    found.losses += [
        replace(loss, logical_id=path + loss.logical_id)
        for loss in changes.retyped(before, after, stateful)
    ]
    found.strengthened += [path + name for name in strengthened]
    added = {
        change.logical_id.removeprefix(path)
        for change in here
        if change.action in ("Add", "Import")
    }
    present = set[str]()
    if weakened or not added >= unretained.keys():
        # A template also has what its conditions leave out.
        present = set() if is_new else _present(stack)
    kinds = data.types(after)
    found.losses += [
        Loss(path + name, kinds[name], f"would lose its protection: {what}", weakened=True)
        for name, what in weakened.items()
        if name in present
    ]
    found.unretained |= {
        path + name: what for name, what in unretained.items() if name in present | added
    }


def _present(stack: str) -> set[str]:
    return {item.path for item in _resources(stack)}


def _resources(stack: str) -> list[StackResource]:
    """The resources that a stack has now."""
    return [item for item in stack_contents.own(stack) if not (item.is_gone or item.is_left)]


_UNREADABLE = ("AccessDenied", "AccessDeniedException", "ChangeSetNotFound", "ValidationError")
"""The errors after which a nested stack stays unread. Others are a busy AWS's: the step repeats."""


def _nested(
    item: "ResourceChangeTypeDef", change: Change, stateful: tuple[str, ...], found: Effects
) -> None:
    """What a change of a nested stack does to what is in it."""
    below, physical = f"{change.logical_id}/", item.get("PhysicalResourceId", "")
    try:
        if change.takes_away:
            gone = _contents(physical, below, change, stateful)
            found.changes += gone
            found.losses += changes.lost(gone, stateful)
        elif nested := item.get("ChangeSetId"):
            _read(physical or _stack_of(nested), nested, below, stateful, found)
        elif change.action == "Modify":
            found.losses.append(_unread(change, "it has no change set of its own"))
    except ClientError as error:
        if aws.error_code(error) not in _UNREADABLE:
            raise
        if change.action != "Add":  # nothing is in it yet
            found.losses.append(_unread(change, str(error)))


def _unread(change: Change, why: str) -> Loss:
    what = f"would change in ways that cannot be read ({why}), so that it may lose data"
    return Loss(change.logical_id, change.resource_type, what)


def _stack_of(change_set: str) -> str:
    """The stack of a change set, by the change set's ARN."""
    return aws.cloudformation().describe_change_set(ChangeSetName=change_set)["StackId"]


def _contents(stack: str, path: str, removal: Change, stateful: tuple[str, ...]) -> list[Change]:
    """What goes with a nested stack that is removed, or replaced, at any depth."""
    there, gone = _resources(stack), list[Change]()
    template = reading.processed_template(stack, "").get("Resources", {}) if there else {}
    for item in there:
        kept = data.policy({"Type": item.type, **template.get(item.path, {})}, data.DELETION)
        change = Change(
            "Remove",
            path + item.path,
            item.type,
            policy_action=_kept(removal, kept),
            physical_id=item.physical_id,
        )
        gone.append(change)
        if item.type == data.NESTED_STACK:
            gone += _contents(item.physical_id, f"{change.logical_id}/", change, stateful)
    return gone


def _kept(removal: Change, policy: data.Policy) -> str:
    """The PolicyAction of a resource in a nested stack that is removed."""
    if removal.policy_action.endswith("Retain"):
        return "Retain"  # the nested stack stays, with all that is in it
    match policy:
        case data.Policy.RETAIN | data.Policy.RETAIN_EXCEPT_ON_CREATE:
            return "Retain"
        case data.Policy.SNAPSHOT:
            return "Snapshot"
        case data.Policy.DELETE:
            return "Delete"


def deleted_with(stack_id: str, stateful_types: Collection[str]) -> list[Loss]:
    """What holds data, or may, and is deleted when a stack is: what its policies do not keep.

    Raises ClientError when that cannot be read.
    """
    root = Change("Remove", "", data.NESTED_STACK)
    gone = _contents(stack_id, "", root, tuple(stateful_types))
    return [
        loss
        for loss in changes.lost(gone, tuple(stateful_types))
        if not any(
            change.logical_id == loss.logical_id and change.policy_action == "Retain"
            for change in gone
        )
    ]


def facts(found: Effects) -> JsonObject:
    """What a record keeps of the effects beside the summary; empty where there is nothing."""
    facts: JsonObject = {}
    if found.unretained:
        facts["unretained"] = found.unretained
    if found.strengthened:
        facts["strengthened"] = found.strengthened
    return facts
