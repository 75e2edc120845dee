"""Whether this worker could bring another release: a change set of nothing, in UpdateRole."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws, naming, own
from control_plane.errors import ChangeSetFailed, StackFailed
from control_plane.models import JsonObject
from control_plane.rules import changes, self_checks
from control_plane.services import stack_reading as reading
from workers import stack_role

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef


def check(asked: JsonObject) -> bool:
    """Make the change set, and remove it when it is ready; answers whether it was.

    Run again after that, it begins anew. Raises ChangeSetFailed, StackFailed.
    """
    stack, name = asked["stack"], self_checks.change_set_name(asked)
    found = reading.describe(stack)
    if found is None:
        raise StackFailed(f"{stack} disappeared")
    previous: list[ParameterTypeDef] = [
        {"ParameterKey": parameter, "UsePreviousValue": True}
        for parameter in reading.parameters(found)
    ]
    try:
        described = reading.change_set(stack, name)
    except ClientError as error:
        if not reading.is_gone(error):
            raise
        aws.cloudformation().create_change_set(
            StackName=stack,
            ChangeSetName=name,
            ChangeSetType="UPDATE",
            UsePreviousTemplate=True,
            Parameters=previous,
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            RoleARN=stack_role.role_of(own.own_tenant(stack)),
            Tags=[{"Key": naming.OWNER_TAG, "Value": stack}],
            ImportExistingResources=True,
        )
        return False
    status, reason = described["Status"], " ".join(described.get("StatusReason", "").split())
    if status not in ("CREATE_COMPLETE", "FAILED"):
        return False
    aws.cloudformation().delete_change_set(StackName=stack, ChangeSetName=name)
    if status == "FAILED" and not changes.is_without_changes(reason):
        raise ChangeSetFailed(f"no change set could be made: {reason}")
    return True
