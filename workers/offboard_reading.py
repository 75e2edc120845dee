"""What belongs to a tenant besides its stack, and how much of it there is.

A resource is a tenant's when its tag says so (`syndi:stack`): CloudFormation puts the stack's tags
on what it makes, and the control plane tags what it makes itself. A name alone proves nothing. Tags
are looked up by the index of Resource Groups and read again from each resource: the index may lag.
"""

import time
from dataclasses import dataclass

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.models import Deployment, JsonObject, Tenant
from control_plane.settings import OffboardSettings, settings
from control_plane.store.listing import Listing


@dataclass(frozen=True)
class Belonging:
    """A bucket or a user pool that is there. `foreign`: why it is not the tenant's, or None."""

    kind: str
    name: str
    users: int = 0
    foreign: str | None = None


def buckets(deployment: Deployment) -> list[Belonging]:
    """The buckets that the manifest or a tag names, as far as they are there."""
    tenant, account = deployment.tenant, settings(OffboardSettings).account_id
    named = [naming.filled(name, tenant, account) for name in deployment.manifest.stack.buckets]
    table = deployment.manifest.config
    if table:
        named.append(naming.filled(table.bucket, tenant, account))
    tagged = [arn.rsplit(":", 1)[-1] for arn in _tagged(tenant) if arn.split(":")[2] == "s3"]
    found = [_bucket(tenant, name) for name in dict.fromkeys([*named, *sorted(tagged)])]
    return [item for item in found if item]


def pools(deployment: Deployment) -> list[Belonging]:
    """The user pools that a tag or the stack's last outputs name, as far as they are there."""
    tenant, admin = deployment.tenant, deployment.manifest.admin
    named = []
    if admin:
        current = Listing(settings(OffboardSettings).table_name).current(tenant) or {}
        pool = (current.get("outputs") or {}).get(admin.user_pool)
        named = [pool] if pool else []
    marked = ":userpool/"
    tagged = [arn.split(marked)[1] for arn in _tagged(tenant) if marked in arn]
    found = [_pool(tenant, name) for name in dict.fromkeys([*named, *sorted(tagged)])]
    return [item for item in found if item]


def secrets(tenant: Tenant) -> list[str]:
    """The names of the tenant's secrets: its administrators' passwords."""
    prefix = naming.secret_prefix(tenant)
    pages = aws.secretsmanager().get_paginator("list_secrets")
    asked = pages.paginate(Filters=[{"Key": "name", "Values": [prefix]}])
    names = [item["Name"] for page in asked for item in page["SecretList"]]
    return sorted(name for name in names if name.startswith(prefix))


def leftovers(deployment: Deployment, deadline: float) -> list[JsonObject]:
    """What is there, with its count and why it is; counting stops at `deadline` (monotonic)."""
    found = [_counted(deployment, item, deadline) for item in buckets(deployment)]
    found += [_users(item) for item in pools(deployment)]
    names = secrets(deployment.tenant)
    if names:
        found.append(
            {
                "kind": "secrets",
                "name": f"{naming.secret_prefix(deployment.tenant)}*",
                "count": len(names),
                "why": "passwords of administrators; only a purge removes them",
            }
        )
    return found


def _tagged(tenant: Tenant) -> list[str]:
    """The ARNs of all resources that carry the tenant's tag, by the index."""
    pages = aws.tagging().get_paginator("get_resources")
    asked = pages.paginate(TagFilters=[{"Key": naming.OWNER_TAG, "Values": [tenant.stack_name]}])
    return [item["ResourceARN"] for page in asked for item in page["ResourceTagMappingList"]]


def _bucket(tenant: Tenant, name: str) -> Belonging | None:
    try:
        tags = aws.s3().get_bucket_tagging(Bucket=name)["TagSet"]
    except ClientError as error:
        match aws.error_code(error):
            case "NoSuchBucket":
                return None
            case "NoSuchTagSet":
                tags = []
            case "AccessDenied":
                # It is there, so it is told: a name is taken once in the world.
                denied = f"S3 denies access to it, it may be another account's: {error}"
                return Belonging("bucket", name, foreign=denied)
            case _:
                raise
    owner = next((tag["Value"] for tag in tags if tag["Key"] == naming.OWNER_TAG), None)
    return Belonging("bucket", name, foreign=_foreign(tenant, owner))


def _pool(tenant: Tenant, pool: str) -> Belonging | None:
    try:
        found = aws.cognito().describe_user_pool(UserPoolId=pool)["UserPool"]
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        return None
    owner = found.get("UserPoolTags", {}).get(naming.OWNER_TAG)
    users = found.get("EstimatedNumberOfUsers", 0)
    return Belonging("user-pool", pool, users, _foreign(tenant, owner))


def _foreign(tenant: Tenant, owner: str | None) -> str | None:
    if owner == tenant.stack_name:
        return None
    tagged = f"it is tagged {naming.OWNER_TAG}={owner}" if owner else "it has no tag of this tenant"
    return f"not ours: {tagged}"


def _users(pool: Belonging) -> JsonObject:
    why = pool.foreign or "kept by its DeletionPolicy"
    return {"kind": pool.kind, "name": pool.name, "users": pool.users, "why": why}


def _counted(deployment: Deployment, bucket: Belonging, deadline: float) -> JsonObject:
    item: JsonObject = {"kind": bucket.kind, "name": bucket.name}
    if bucket.foreign:
        return {**item, "why": bucket.foreign}
    table = deployment.manifest.config
    account = settings(OffboardSettings).account_id
    configuration = table and naming.filled(table.bucket, deployment.tenant, account)
    why = "kept by its DeletionPolicy"
    if bucket.name == configuration:
        why = "holds the configuration; made before the stack, so it outlives it"
    objects, older, more = 0, 0, False
    pages = aws.s3().get_paginator("list_object_versions").paginate(Bucket=bucket.name)
    for page in pages:
        found = page.get("Versions", [])
        latest = sum(1 for version in found if version["IsLatest"])
        objects += latest
        older += len(found) - latest + len(page.get("DeleteMarkers", []))
        more = page["IsTruncated"] and time.monotonic() > deadline
        if more:
            break
    counted = {"objects": objects, "older_versions": older, "why": why}
    return {**item, **counted, "at_least": True} if more else {**item, **counted}
