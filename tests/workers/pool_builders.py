"""User pools as a tenant's template makes them."""

from control_plane import aws


def new_pool(name: str = "notes") -> tuple[str, str]:
    """A user pool with the ADMINS group and a client that signs in; gives their ids."""
    cognito = aws.cognito()
    pool = cognito.create_user_pool(PoolName=name, UsernameAttributes=["email"])["UserPool"]["Id"]
    cognito.create_group(UserPoolId=pool, GroupName="ADMINS")
    client = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="web", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )
    return pool, client["UserPoolClient"]["ClientId"]
