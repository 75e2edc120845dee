"""What a deleted stack left, and whose it is: for CloudFormation, the index of tags, and IAM.

As in `patches`: each function explains the difference, checks what it replaces, and raises
UnexpectedEmulator otherwise. Standard library and `ministack` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local.errors import UnexpectedEmulator
from local.rewriting import emulator_module, install, rewrite


def deleted_stacks_list_resources() -> None:
    """ListStackResources of a deleted stack has its resources: DELETE_COMPLETE, or DELETE_SKIPPED.

    The emulator forgets them, and nobody could say what a stack left behind.
    """
    cloudformation = emulator_module("services.cloudformation")
    handlers = emulator_module("services.cloudformation.handlers")

    def with_deleted(stack: dict[str, Any]) -> dict[str, Any]:
        there: dict[str, Any] = dict(stack.get("_resources", {}))
        if not str(stack.get("StackStatus", "")).startswith("DELETE_"):
            return there
        ended = ("DELETE_COMPLETE", "DELETE_SKIPPED")
        gone = {
            event["LogicalResourceId"]: event
            for event in cloudformation._stack_events.get(stack["StackId"], [])
            if event.get("ResourceStatus") in ended
            and event.get("PhysicalResourceId") != stack["StackId"]
        }
        return {**gone, **there}

    name, action = "_list_stack_resources", "ListStackResources"
    old = '    resources = stack.get("_resources", {})\n'
    changed = rewrite(handlers, name, [(old, "    resources = _syndi_with_deleted(stack)\n")])
    if handlers._ACTION_HANDLERS.get(action) is not handlers._list_stack_resources:
        raise UnexpectedEmulator(f"{action} is not handled by {name}")
    handlers._syndi_with_deleted = with_deleted
    install(name, changed, [handlers])
    handlers._ACTION_HANDLERS[action] = changed


def nested_stacks_retain() -> None:
    """A nested stack that is deleted keeps what its DeletionPolicy retains, and says so in events.

    Without this everything in a nested stack is gone, whatever its policy, and nothing tells.
    """
    provisioners = emulator_module("services.cloudformation.provisioners")
    name = "_cfn_nested_stack_delete"
    delete = (
        "        res = resources.get(child_logical_id)\n"
        "        if not res:\n"
        "            continue\n"
        "        try:\n"
    )
    keep = (
        "        res = resources.get(child_logical_id)\n"
        "        if not res:\n"
        "            continue\n"
        "        from ministack.services.cloudformation.stacks import (\n"
        "            _RETAINING_POLICIES, _add_event, _resource_policy)\n"
        "        policy = _resource_policy(\n"
        "            res_defs.get(child_logical_id), 'DeletionPolicy', resources,\n"
        "            child_stack.get('_resolved_params', {}), conditions,\n"
        "            template.get('Mappings', {}), child_name, child_stack['StackId'])\n"
        "        kept = policy in _RETAINING_POLICIES\n"
        "        _add_event(child_stack['StackId'], child_name, child_logical_id,\n"
        "                   res.get('ResourceType', ''),\n"
        "                   'DELETE_SKIPPED' if kept else 'DELETE_COMPLETE',\n"
        "                   physical_id=res.get('PhysicalResourceId', ''))\n"
        "        if kept:\n"
        "            continue\n"
        "        try:\n"
    )
    changed = rewrite(provisioners, name, [(delete, keep)])
    handlers = provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Stack"]
    if handlers.get("delete") is not provisioners._cfn_nested_stack_delete:
        raise UnexpectedEmulator(f"the nested stack's delete handler is not {name}")
    install(name, changed, [provisioners])
    handlers["delete"] = changed


def tags_of_more_types() -> None:
    """The index of tags has secrets, parameters and log groups, and `aws:ResourceTag` in a policy
    has the tags of log groups, repositories and file systems.

    Without this a tenant's leftovers of these types are in no list, and a policy that names them by
    their tag allows nothing.
    """
    tagging, logs = emulator_module("services.tagging"), emulator_module("services.cloudwatch_logs")
    index, conditions = tagging._COLLECTORS, tagging._RESOURCE_TAG_COLLECTORS
    if not hasattr(logs, "_log_groups") or "logs" in index or "logs" in conditions:
        raise UnexpectedEmulator("the tags of log groups are read in another way")

    def log_groups() -> Iterator[tuple[str, Any]]:
        for group in logs._log_groups.values():
            arn = str(group["arn"]).removesuffix(":*")
            yield arn, tagging._normalise_flat(group.get("tags", {}))

    index.update(
        logs=log_groups,
        secretsmanager=tagging._collect_secretsmanager,
        ssm=tagging._collect_ssm,
    )
    conditions.update(
        logs=log_groups,
        ecr=tagging._collect_ecr,
        elasticfilesystem=tagging._collect_efs,
    )
