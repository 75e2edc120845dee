"""The data in a stack: whether deleting the stack would destroy it."""

import json
from collections.abc import Collection, Iterator

from control_plane import aws, templates
from control_plane.errors import StackRefused
from control_plane.models import Deployment, JsonObject
from control_plane.rules import retention
from control_plane.services import stack_contents
from control_plane.services.stack_contents import StackResource
from workers import stack_guard


def refuse_destruction(deployment: Deployment, stack_id: str, *, half_deleted: bool) -> None:
    """Raise StackRefused when DeleteStack would destroy data that nobody wants purged.

    CloudFormation deletes whatever no DeletionPolicy retains, and DeleteStack takes
    `RetainResources` only for a stack that is DELETE_FAILED (API reference). `half_deleted`: it is,
    so that what blocked its deletion is kept.
    """
    if deployment.options.purge:
        return
    stateful = stack_guard.stateful_types(deployment)
    doomed = [
        f"{item.path} ({item.type} {item.physical_id})"
        for item in _data_deleted_with(stack_id, "", stateful, half_deleted=half_deleted)
    ]
    if doomed:
        raise StackRefused(
            "deleting the stack would destroy what holds data, or may, and has no DeletionPolicy "
            f"that retains it: {', '.join(doomed)}; nothing was removed"
        )


def _data_deleted_with(
    stack_id: str, above: str, stateful: Collection[str], *, half_deleted: bool
) -> Iterator[StackResource]:
    """What goes with a stack, nested stacks included: all data that is there and not retained."""
    there = [
        item
        for item in stack_contents.own(stack_id, above)
        if item.type == stack_contents.NESTED or retention.holds_data(item.type, stateful)
        if item.physical_id and not item.is_gone and not item.is_left
    ]
    if half_deleted:
        there = [item for item in there if not item.status.endswith("_FAILED")]
    if not there:
        return
    template = _template(stack_id)
    declared = template.get("Resources", {})
    for item in there:
        # What the template does not declare any more is deleted like what it does not retain.
        resource = declared.get(item.path.removeprefix(above), {"Type": item.type})
        if retention.is_retained(resource):
            continue
        if item.type == stack_contents.NESTED:
            inside = f"{item.path}/"
            yield from _data_deleted_with(item.physical_id, inside, stateful, half_deleted=False)
        else:
            yield item


def _template(stack_id: str) -> JsonObject:
    """A stack's template after its transforms: SAM adds resources, and their policies."""
    answer = aws.cloudformation().get_template(StackName=stack_id, TemplateStage="Processed")
    body = answer["TemplateBody"]
    # botocore reads a JSON template as an object, and leaves YAML as the text that it is.
    return templates.parse(body if isinstance(body, str) else json.dumps(body))
