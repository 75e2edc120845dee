"""The roles that builds of the control plane made: listed by their path, and removed."""

from control_plane import aws


def below(path: str) -> list[str]:
    """The ARNs of the roles below an IAM path."""
    pages = aws.iam().get_paginator("list_roles").paginate(PathPrefix=path)
    return [role["Arn"] for page in pages for role in page["Roles"]]


def delete(role: str) -> bool:
    """Delete a role, by ARN or name, with its policies; False when it is gone already."""
    iam, name = aws.iam(), role.rsplit("/", 1)[-1]
    try:
        for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=attached["PolicyArn"])
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)
    except iam.exceptions.NoSuchEntityException:
        return False
    return True
