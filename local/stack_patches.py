"""CloudFormation operations that take time, and refuse each other while they do.

The emulator finishes a stack operation before its caller could look. Then nothing ever sees
`*_IN_PROGRESS`: waiting, the refusal of a second operation, and stopping in the middle would only
be tested on AWS. Runs in the emulator's environment: standard library and `ministack` only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from local.errors import UnexpectedEmulator
from local.rewriting import emulator_module, install, rewrite

Handler = Callable[[dict[str, Any]], Any]


def stacks_take_time(seconds: float) -> None:
    """Every create, update, delete and rollback stays `*_IN_PROGRESS` for `seconds` before its
    first resource is touched.

    A deletion that is asked for while a creation waits wins, as on AWS. A cancellation that is
    asked for while an update waits is honoured: the update begins, notices it and rolls back.
    """
    stacks, handlers, changesets = (
        emulator_module(f"services.cloudformation.{name}")
        for name in ("stacks", "handlers", "changesets")
    )

    async def wait(stack: dict[str, Any]) -> bool:
        """True when a deletion took the stack over in the meantime."""
        await asyncio.sleep(seconds)
        return str(stack.get("StackStatus", "")).startswith("DELETE_")

    for name, changes, modules in _timed_operations(stacks, handlers, changesets):
        install(name, rewrite(stacks, name, changes), modules)
    if hasattr(stacks, "_syndi_wait"):
        raise UnexpectedEmulator("stack operations were patched already")
    stacks._syndi_wait = wait
    _refuse_concurrent_operations(handlers)


def _timed_operations(stacks: Any, handlers: Any, changesets: Any) -> list[tuple[str, Any, Any]]:
    """(function, changes of its text, modules that hold it)."""
    deploy = [
        # Forgetting an old cancellation moves before the wait, or a new one would be forgotten.
        (
            '    stack.pop("_failed_operation", None)\n',
            '    stack.pop("_failed_operation", None)\n'
            '    stack.pop("_cancel_requested", None)\n'
            '    stack.pop("_cancel_token", None)\n'
            "    if await _syndi_wait(stack):\n"
            "        return\n",
        ),
        (
            '    stack.pop("_cancel_requested", None)\n    stack.pop("_cancel_token", None)\n\n'
            "    for logical_id in ordered:\n",
            "    for logical_id in ordered:\n",
        ),
    ]
    delete_anchor = "    # Export-in-use check already done synchronously in _delete_stack\n"
    delete = [(delete_anchor, delete_anchor + "    await _syndi_wait(stack)\n")]
    roll_back = [
        (
            "    rollback_failed_records = {}\n",
            "    if await _syndi_wait(stack):\n        return\n    rollback_failed_records = {}\n",
        ),
        # A resource that a failed rollback could not delete stays in the stack, so that the next
        # DeleteStack meets it again; the emulator forgets it and reports success.
        (
            '                "Properties": res_props,\n            }\n'
            "        provisioned_resources.pop(logical_id, None)\n",
            '                "Properties": res_props,\n            }\n'
            '            res["ResourceStatus"] = "DELETE_FAILED"\n'
            '            res["ResourceStatusReason"] = str(del_exc)\n'
            "            continue\n"
            "        provisioned_resources.pop(logical_id, None)\n",
        ),
    ]
    resume = [("    still_failed = {}\n", "    await _syndi_wait(stack)\n    still_failed = {}\n")]
    return [
        ("_deploy_stack_async", deploy, [stacks, handlers, changesets]),
        ("_delete_stack_async", delete, [stacks, handlers]),
        ("_roll_back_operation", roll_back, [stacks, handlers]),
        ("_continue_update_rollback_async", resume, [stacks, handlers]),
    ]


def conditions_in_change_sets() -> None:
    """A change set lists what its conditions make of the template: a resource whose condition
    became false is a Remove, and one whose condition is false is no Add.

    Without this a parameter that takes a user pool or a bucket out of a stack is executed, and no
    change set ever said so.
    """
    changesets = emulator_module("services.cloudformation.changesets")
    loop = (
        '    for lid, res in template.get("Resources", {}).items():\n        new_res = dict(res)\n'
    )
    skip = (
        '    for lid, res in template.get("Resources", {}).items():\n'
        '        if not conditions.get(res.get("Condition"), True):\n'
        "            continue\n"
        "        new_res = dict(res)\n"
    )
    name = "_resolve_props_for_diff"
    install(name, rewrite(changesets, name, [(loop, skip)]), [changesets])


def adopted_buckets() -> None:
    """A change set that adopts a bucket (`ImportExistingResources`) can be executed.

    Without this the emulator's check before the operation finds that the bucket exists and fails,
    which is why it was to be adopted. The check is left out where something is adopted; a bucket
    that is in the way of anything else is then refused by its own handler.
    """
    changesets, handlers = (
        emulator_module(f"services.cloudformation.{name}") for name in ("changesets", "handlers")
    )
    name, action = "_execute_change_set", "ExecuteChangeSet"
    old = 'cs.get("_disable_validation", False)\n'
    new = 'cs.get("_disable_validation", False) or bool(cs["_import_existing"])\n'
    changed = rewrite(changesets, name, [(old, new)])
    if handlers._ACTION_HANDLERS.get(action) is not changesets._execute_change_set:
        raise UnexpectedEmulator(f"{action} is not handled by {name}")
    install(name, changed, [changesets, handlers])
    handlers._ACTION_HANDLERS[action] = changed


# Where a stack is settled enough for another update.
_UPDATABLE = frozenset({
    "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE", "CREATE_FAILED", "UPDATE_FAILED",
})  # fmt: skip
# A creation and its rollback may be cut short by a deletion, an update may not.
_DELETABLE = frozenset({"CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "REVIEW_IN_PROGRESS"})


def _refuse_concurrent_operations(handlers: Any) -> None:
    """DeleteStack, CreateChangeSet and ExecuteChangeSet answer as AWS does for a stack that is
    busy, or in a state that only a deletion leads out of.

    The emulator checks this for UpdateStack only; it never had to for the others.
    """
    actions: dict[str, Handler] = handlers._ACTION_HANDLERS
    delete, create, execute = (
        actions[name] for name in ("DeleteStack", "CreateChangeSet", "ExecuteChangeSet")
    )

    def state_of(params: dict[str, Any]) -> tuple[str, str]:
        name = handlers._p(params, "StackName")
        stack = handlers._resolve_stack(name) if name else None
        return (stack["StackId"], stack.get("StackStatus", "")) if stack else ("", "")

    def refused(stack_id: str, status: str) -> Any:
        return handlers._error(
            "ValidationError", f"Stack:{stack_id} is in {status} state and can not be updated."
        )

    def delete_stack(params: dict[str, Any]) -> Any:
        stack_id, status = state_of(params)
        if status == "DELETE_IN_PROGRESS":
            return handlers._xml(200, "DeleteStackResponse", "")
        if status.endswith("_IN_PROGRESS") and status not in _DELETABLE:
            return handlers._error(
                "ValidationError", f"Stack [{stack_id}] cannot be deleted while in status {status}"
            )
        return delete(params)

    def create_change_set(params: dict[str, Any]) -> Any:
        stack_id, status = state_of(params)
        new = status in ("", "DELETE_COMPLETE", "REVIEW_IN_PROGRESS")
        if not new and status not in _UPDATABLE:
            return refused(stack_id, status)
        return create(params)

    def execute_change_set(params: dict[str, Any]) -> Any:
        stack_id, status = state_of(params)
        if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
            return refused(stack_id, status)
        return execute(params)

    actions.update(
        DeleteStack=delete_stack,
        CreateChangeSet=create_change_set,
        ExecuteChangeSet=execute_change_set,
    )


_INTERRUPTED = {
    "CREATE_IN_PROGRESS": "CREATE_FAILED",
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_FAILED",
    "DELETE_IN_PROGRESS": "DELETE_FAILED",
    "UPDATE_IN_PROGRESS": "UPDATE_ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_IN_PROGRESS": "IMPORT_ROLLBACK_FAILED",
}
INTERRUPTED_REASON = "The laptop was stopped while this operation ran."


def interrupted_stacks() -> None:
    """A stack whose operation was cut off by stopping the emulator is in a state that can be left.

    AWS does not stop. Here the state is saved as it is, and nobody would ever finish the
    operation: an UPDATE_IN_PROGRESS would refuse everything until the next `reset`. After a
    restart the stack has failed instead, in the way from which AWS offers a way out.
    """
    cloudformation = emulator_module("services.cloudformation")
    load: Callable[[Any], None] = cloudformation.load_persisted_state

    def load_and_settle(data: Any) -> None:
        load(data)
        # `_data` has the stacks of every account and region; the dictionary's own methods see
        # those of the current request, and there is none yet.
        for stack in cloudformation._stacks._data.values():
            if status := _INTERRUPTED.get(stack.get("StackStatus", "")):
                stack["StackStatus"] = status
                stack["StackStatusReason"] = INTERRUPTED_REASON

    install("load_persisted_state", load_and_settle, [cloudformation])
