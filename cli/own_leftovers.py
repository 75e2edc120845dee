"""What the control plane's stack leaves behind when it is deleted, and what of it is removed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.services import roles, stack_contents

BUCKET = "ArtifactBucket"
ROLE, BOUNDARY = "CloudFormationRole", "TenantBoundary"
"""Resources of the template, by logical id, that tenants' stacks and roles refer to: a role and a
policy, which are retained for as long as there are tenants."""


@dataclass(frozen=True)
class Kept:
    """Something that stays, why, and how somebody who wants it gone removes it."""

    resource: str
    why: str
    remove: str


@dataclass(frozen=True)
class Left:
    """What stacks of this control plane leave: bucket, and what was made for the tenants."""

    buckets: tuple[str, ...]
    roles: tuple[str, ...]
    policies: tuple[str, ...]


def left_by(stack_ids: Iterable[str]) -> Left:
    """What the stacks that this control plane ever had are to leave, the newest one's first.

    By the stacks' own word, which CloudFormation gives for 90 days after a deletion: names that it
    made up are cut, and may look like another control plane's.
    """
    found = [_physical_ids(stack_id, (BUCKET, ROLE, BOUNDARY)) for stack_id in stack_ids]

    def named(logical_id: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(ids[logical_id] for ids in found if ids.get(logical_id)))

    return Left(buckets=named(BUCKET), roles=named(ROLE), policies=named(BOUNDARY))


def remove(stack: str, left: Left, *, with_tenants: bool) -> list[str]:
    """Remove what is of no use without the stack; gives what was removed, a line each.

    `with_tenants`: there are some, so what was made for them stays, as does what IAM says is still
    in use. Running it twice is harmless.
    """
    useless = roles.below(f"/{stack}/") + ([] if with_tenants else list(left.roles))
    removed = [f"role {role.rsplit('/', 1)[-1]}" for role in useless if roles.delete(role)]
    removed += [f"layer {naming.own_layer(stack)}:{number}" for number in _remove_layers(stack)]
    for arn in () if with_tenants else left.policies:
        if _remove_policy(arn):
            removed.append(f"policy {arn.rsplit('/', 1)[-1]}")
    return removed


def kept(table: str | None, left: Left, *, with_tenants: bool, local: bool) -> list[Kept]:
    """What stays: table and bucket where they are there, and two resources for the tenants."""
    found = []
    if table:
        found.append(
            Kept(
                f"table {table}",
                "the only record of who deployed what; an installation adopts it",
                f"aws dynamodb update-table --table-name {table} --no-deletion-protection-enabled "
                f"&& aws dynamodb delete-table --table-name {table}",
            )
        )
    for bucket in left.buckets:
        empty = f'import boto3; b = boto3.resource("s3").Bucket("{bucket}")'
        found.append(
            Kept(
                f"bucket {bucket}",
                "sources, exports, and the builds that stacks go back to; an installation adopts "
                "it",
                f"python3 -c '{empty}; b.object_versions.delete(); b.delete()'",
            )
        )
    if local:
        forget = "'syndi --local reset' forgets all of the laptop's AWS"
        found = [Kept(one.resource, one.why, forget) for one in found]
    if with_tenants:
        found.append(
            Kept(
                f"{ROLE} and {BOUNDARY}",
                "stacks and roles of the tenants refer to them",
                "install again, offboard every tenant, and uninstall again",
            )
        )
    return found


def _physical_ids(stack_id: str, logical_ids: Collection[str]) -> dict[str, str]:
    """What these resources of a stack are called, by logical id; nothing of an unknown stack.

    By its id a stack is known for 90 days after its deletion.
    """
    try:
        found = stack_contents.own(stack_id)
    except ClientError as error:
        if aws.error_code(error) != "ValidationError":
            raise
        return {}
    return {item.path: item.physical_id for item in found if item.path in logical_ids}


def _remove_policy(arn: str) -> bool:
    """Delete a policy with its versions; False when it is gone, or still somebody's."""
    iam = aws.iam()
    try:
        for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=arn)
    except ClientError as error:
        if aws.error_code(error) not in ("NoSuchEntity", "DeleteConflict"):
            raise
        return False
    return True


def _remove_layers(stack: str) -> list[int]:
    """Remove all versions of the layer of the workers' dependencies, which SAM retains."""
    functions, name = aws.lambda_(), naming.own_layer(stack)
    pages = functions.get_paginator("list_layer_versions").paginate(LayerName=name)
    versions = [item["Version"] for page in pages for item in page["LayerVersions"]]
    for version in versions:
        functions.delete_layer_version(LayerName=name, VersionNumber=version)
    return versions
