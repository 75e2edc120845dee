"""User pools as a tenant's template makes them."""

import scripted_aws as scripted

from control_plane import aws


def owns(script: scripted.Scripted, *resources: tuple[str, str]) -> None:
    """The stack has these resources, each a type and a physical id, and no others."""
    listed = [
        {
            "LogicalResourceId": f"R{number}",
            "PhysicalResourceId": physical_id,
            "ResourceType": kind,
            "ResourceStatus": "CREATE_COMPLETE",
        }
        for number, (kind, physical_id) in enumerate(resources)
    ]
    script.on(aws.cloudformation(), "ListStackResources", {"StackResourceSummaries": listed})


def new_pool(name: str = "notes", tags: dict[str, str] | None = None) -> tuple[str, str]:
    """A user pool with the ADMINS group and a client that signs in; gives their ids."""
    cognito = aws.cognito()
    pool = cognito.create_user_pool(
        PoolName=name, UsernameAttributes=["email"], UserPoolTags=tags or {}
    )["UserPool"]["Id"]
    cognito.create_group(UserPoolId=pool, GroupName="ADMINS")
    client = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="web", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )
    return pool, client["UserPoolClient"]["ClientId"]
