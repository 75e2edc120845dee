"""What a change set says: of values that stay, and of what is in nested stacks.

The emulator's change sets know one template. A guard that decides by them would see nothing of a
nested stack's tables, and a replacement where a parameter changes and a name does not. Runs in the
emulator's environment: standard library and `ministack` only.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from local.errors import UnexpectedEmulator
from local.rewriting import emulator_module, install, rewrite

_NESTED = "AWS::CloudFormation::Stack"


def values_that_stay() -> None:
    """A property that refers to a changed parameter is a change only when its value is another one.

    Without this a prefix more in a list makes `Replacement: Conditional` of a bucket whose name is
    the list's first. A value that is not known before the execution still counts.
    """
    stacks, changesets = (
        emulator_module(f"services.cloudformation.{name}") for name in ("stacks", "changesets")
    )
    old = (
        "        found = {key: _reference_details(raw_res.get(key, {}), replacements,"
        " changed_params)\n                 for key in common}\n"
    )
    new = old + (
        "        found = {key: _syndi_changed(details, changed_props[key],"
        ' new_res[key].get("Properties") or {})\n'
        "                 for key, details in found.items()}\n"
    )

    def changed(
        details: dict[str, list[Any]], differing: set[str], values: dict[str, Any]
    ) -> dict[str, list[Any]]:
        def counts(name: str, detail: dict[str, Any]) -> bool:
            by_parameter = detail["ChangeSource"] == "ParameterReference"
            is_open = any(True for _ in stacks._intrinsic_references(values.get(name)))
            return not by_parameter or name in differing or is_open

        kept = {
            name: [detail for detail in found if counts(name, detail)]
            for name, found in details.items()
        }
        return {name: found for name, found in kept.items() if found}

    name = "_diff_resources"
    function = rewrite(stacks, name, [(old, new)])
    stacks._syndi_changed = changed
    install(name, function, [stacks, changesets])


def replacing_properties() -> None:
    """A change set says which properties replace a resource, by AWS's schemas.

    Without this every change of a type that the emulator has no list for, as a bucket's tags, is
    `Replacement: Conditional`.
    """
    stacks = emulator_module("services.cloudformation.stacks")
    known: dict[str, dict[str, list[str]]] = json.loads(
        Path(__file__).with_name("replacing_properties.json").read_text()
    )
    name = "_property_recreation"
    emulators: Callable[[str, str], str] = getattr(stacks, name)

    def recreation(resource_type: str, property_name: str) -> str:
        of = known.get(resource_type)
        if of is None:
            return emulators(resource_type, property_name)
        for kind in ("Always", "Conditionally"):
            if property_name in of[kind]:
                return kind
        return "Never"

    install(name, recreation, [stacks])


def nested_change_sets() -> None:
    """`IncludeNestedStacks`: each nested stack that changes has a change set of its own, which the
    parent's names (`ChangeSetId`), at any depth; deleting the first deletes all.

    Executing the parent's executes them, as the emulator updates nested stacks anyhow.
    """
    handlers, changesets = (
        emulator_module(f"services.cloudformation.{name}") for name in ("handlers", "changesets")
    )
    actions: dict[str, Callable[[dict[str, Any]], Any]] = handlers._ACTION_HANDLERS
    create, delete = actions["CreateChangeSet"], actions["DeleteChangeSet"]
    if actions["DescribeChangeSet"] is not changesets._describe_change_set:
        raise UnexpectedEmulator("DescribeChangeSet is not handled by _describe_change_set")

    def create_change_set(params: dict[str, Any]) -> Any:
        answer = create(params)
        if handlers._p(params, "IncludeNestedStacks", "false").lower() == "true":
            stack = handlers._resolve_stack(handlers._p(params, "StackName"))
            name = handlers._p(params, "ChangeSetName")
            _, made = changesets._find_change_set(name, stack["StackName"] if stack else "")
            if answer[0] == 200 and made and stack:
                made["IncludeNestedStacks"] = True
                _add_nested(made, stack)
        return answer

    def delete_change_set(params: dict[str, Any]) -> Any:
        cloudformation = emulator_module("services.cloudformation")
        stack = handlers._resolve_stack(handlers._p(params, "StackName"))
        name = handlers._p(params, "ChangeSetName")
        found, _ = changesets._find_change_set(name, stack["StackName"] if stack else "")
        for nested, made in list(cloudformation._change_sets.items()):
            if found and made.get("RootChangeSetId") == found:
                cloudformation._change_sets.pop(nested, None)
        return delete(params)

    name = "_describe_change_set"
    described = rewrite(
        changesets,
        name,
        [
            (
                '            f"{policy_xml}"\n',
                '            f"{policy_xml}"\n'
                "            + (f\"<ChangeSetId>{_esc(rc['ChangeSetId'])}</ChangeSetId>\"\n"
                '               if rc.get("ChangeSetId") else "") +\n',
            ),
            (
                '        f"{import_existing_xml}"\n',
                '        f"{import_existing_xml}"\n'
                '        + "".join(f"<{key}>{_esc(str(cs[key]).lower() if cs[key] is True else'
                ' cs[key])}</{key}>"\n'
                '                  for key in ("IncludeNestedStacks", "ParentChangeSetId",'
                ' "RootChangeSetId")\n'
                "                  if cs.get(key)) +\n",
            ),
        ],
    )
    modules = [m for m in (changesets, handlers) if hasattr(m, name)]
    install(name, described, modules)
    actions.update(
        CreateChangeSet=create_change_set,
        DeleteChangeSet=delete_change_set,
        DescribeChangeSet=described,
    )


def _add_nested(made: dict[str, Any], stack: dict[str, Any]) -> None:
    """Give a change set those of its nested stacks."""
    if made["Status"] == "FAILED" and "didn't contain changes" not in made["StatusReason"]:
        return
    changes = {one["ResourceChange"]["LogicalResourceId"]: one for one in made["Changes"]}
    for name, properties in _nested_stacks(made, stack):
        change = changes.get(name)
        nested = _nested_change_set(made, stack, name, properties)
        if nested is None or (change is None and not nested["Changes"]):
            continue
        if change is None:
            record = stack["_resources"][name]
            change = {
                "ResourceChange": {
                    "Action": "Modify",
                    "LogicalResourceId": name,
                    "PhysicalResourceId": record["PhysicalResourceId"],
                    "ResourceType": _NESTED,
                    "Replacement": "False",
                    "Scope": ["Properties"],
                    "Details": [],
                }
            }
            made["Changes"].append(change)
        change["ResourceChange"]["ChangeSetId"] = nested["ChangeSetId"]
    if made["Changes"] and made["Status"] == "FAILED":
        made.update(Status="CREATE_COMPLETE", ExecutionStatus="AVAILABLE", StatusReason="")


def _nested_stacks(
    made: dict[str, Any], stack: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The nested stacks of a change set's template, with their properties as far as known."""
    engine = emulator_module("services.cloudformation.engine")
    template, values = made["_template"], made["_resolved_params"]
    conditions = engine._evaluate_conditions(template, values)
    for name, resource in template.get("Resources", {}).items():
        if resource.get("Type") != _NESTED or not conditions.get(resource.get("Condition"), True):
            continue
        properties: dict[str, Any] = {}
        for key, value in (resource.get("Properties") or {}).items():
            try:
                properties[key] = engine._resolve_refs(
                    copy.deepcopy(value), stack.get("_resources", {}), values, conditions,
                    template.get("Mappings", {}), stack["StackName"], stack["StackId"],
                )  # fmt: skip
            except Exception:  # noqa: BLE001  # known only when its resource is there
                properties[key] = value
        yield name, properties


def _nested_change_set(
    parent: dict[str, Any], stack: dict[str, Any], name: str, properties: dict[str, Any]
) -> dict[str, Any] | None:
    """The change set of one nested stack; None when its template cannot be read."""
    cloudformation = emulator_module("services.cloudformation")
    engine, helpers, changesets = (
        emulator_module(f"services.cloudformation.{module}")
        for module in ("engine", "helpers", "changesets")
    )
    record = stack.get("_resources", {}).get(name) or {}
    child = emulator_module("services.cloudformation.handlers")._resolve_stack(
        record.get("PhysicalResourceId", "")
    )
    body, error = helpers._resolve_template({"TemplateURL": [str(properties.get("TemplateURL"))]})
    if error is not None or not body:
        return None
    given = [
        {"Key": key, "Value": "" if value is None else str(value)}
        for key, value in (properties.get("Parameters") or {}).items()
    ]
    was = child or {"_template": {}, "_resolved_params": {}, "_resources": {}}
    template = engine._apply_transforms(engine._parse_template(body), given, {})
    values = engine._resolve_parameters(template, given)
    unique = changesets.new_uuid()
    account, region = changesets.get_account_id(), changesets.get_region()
    arn = f"arn:aws:cloudformation:{region}:{account}"
    child_name = child["StackName"] if child else f"{stack['StackName']}-{name}-{unique[:12]}"
    child_id = child["StackId"] if child else f"{arn}:stack/{child_name}/{unique}"
    before, after = (
        changesets._resolve_props_for_diff(of, known, child_name, child_id)
        for of, known in ((was["_template"], was["_resolved_params"]), (template, values))
    )
    changed = {
        key
        for key, value in values.items()
        if was["_resolved_params"].get(key, {}).get("Value") != value.get("Value")
    }
    made = {
        **parent,
        "ChangeSetId": f"{arn}:changeSet/{parent['ChangeSetName']}-{name}/{unique}",
        "ChangeSetName": f"{parent['ChangeSetName']}-{name}",
        "StackId": child_id,
        "StackName": child_name,
        "Status": "CREATE_COMPLETE",
        "StatusReason": "",
        "ExecutionStatus": "UNAVAILABLE",  # the root's is executed
        "Changes": changesets._diff_resources(
            before, after, was["_resources"], template, changed if child else set(), ()
        ),
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value["Value"]} for key, value in values.items()
        ],
        "_template": template,
        "_template_body": body,
        "_resolved_params": values,
        "ParentChangeSetId": parent["ChangeSetId"],
        "RootChangeSetId": parent.get("RootChangeSetId") or parent["ChangeSetId"],
    }
    cloudformation._change_sets[made["ChangeSetId"]] = made
    _add_nested(
        made, child or {**stack, "StackName": child_name, "StackId": child_id, "_resources": {}}
    )
    return made
