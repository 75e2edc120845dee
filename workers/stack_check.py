"""Whether this worker could bring another release: a change set of nothing, in UpdateRole."""

from botocore.exceptions import ClientError

from control_plane import aws, own
from control_plane.errors import ChangeSetFailed, StackFailed
from control_plane.models import JsonObject
from control_plane.rules import changes, self_checks
from control_plane.services import change_sets
from control_plane.services import stack_reading as reading
from workers import stack_role


def check(asked: JsonObject) -> bool:
    """Make the change set, and remove it when it is ready; answers whether it was.

    Run again after that, it begins anew. Raises ChangeSetFailed, StackFailed.
    """
    stack, name = asked["stack"], self_checks.change_set_name(asked)
    found = reading.describe(stack)
    if found is None:
        raise StackFailed(f"{stack} disappeared")
    try:
        described = reading.change_set(stack, name)
    except ClientError as error:
        if not reading.is_gone(error):
            raise
        change_sets.create(
            stack,
            name,
            stack=found,
            kind="UPDATE",
            template={"UsePreviousTemplate": True},
            parameters=[
                {"ParameterKey": parameter, "UsePreviousValue": True}
                for parameter in reading.parameters(found)
            ],
            role={"RoleARN": stack_role.role_of(own.own_tenant(stack))},
        )
        return False
    status, reason = described["Status"], " ".join(described.get("StatusReason", "").split())
    if status not in ("CREATE_COMPLETE", "FAILED"):
        return False
    broken = status == "FAILED" and not changes.is_without_changes(reason)
    why = reading.refusal(described["ChangeSetId"], reason) if broken else ""
    aws.cloudformation().delete_change_set(StackName=stack, ChangeSetName=name)
    if broken:
        raise ChangeSetFailed(f"no change set could be made: {why}")
    return True
