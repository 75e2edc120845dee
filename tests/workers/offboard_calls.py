"""A tenant with data, and the calls of the offboard worker's steps."""

from typing import Any

import scripted_aws as scripted
import worker_builders as build
from worker_builders import ACCOUNT, ALPHA

from control_plane import aws
from control_plane.models import Deployment, Tenant
from control_plane.naming import OWNER_TAG
from control_plane.store.history import History
from workers import offboard as worker

BUCKET = f"notes-config-stage-alpha-{ACCOUNT}"


def owned_by(tenant: Tenant) -> list[Any]:
    return [{"Key": OWNER_TAG, "Value": tenant.stack_name}]


def make_bucket(name: str = BUCKET, owner: Tenant | None = ALPHA, **objects: str) -> None:
    aws.s3().create_bucket(Bucket=name)
    aws.s3().put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    if owner:
        aws.s3().put_bucket_tagging(Bucket=name, Tagging={"TagSet": owned_by(owner)})
    for key, text in objects.items():
        aws.s3().put_object(Bucket=name, Key=key, Body=text.encode())


def make_pool(owner: Tenant | None = ALPHA, users: int = 1) -> str:
    cognito = aws.cognito()
    tags = {OWNER_TAG: owner.stack_name} if owner else {}
    pool = cognito.create_user_pool(PoolName="notes", UserPoolTags=tags)["UserPool"]["Id"]
    cognito.create_group(UserPoolId=pool, GroupName="ADMINS")
    for number in range(users):
        name = f"user{number:03}"
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=name,
            TemporaryPassword="Secret-1234!",
            UserAttributes=[{"Name": "email", "Value": f"{name}@example.com"}],
        )
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName="ADMINS")
    return pool


def tag_index(script: scripted.Scripted) -> list[str]:
    """The ARNs that the index of tags answers with; empty, to be filled."""
    arns: list[str] = []
    script.on(
        aws.tagging(),
        "GetResources",
        lambda asked: {"ResourceTagMappingList": [{"ResourceARN": arn} for arn in arns]},
    )
    return arns


def deployed(pool: str) -> None:
    """`stage/alpha` is a tenant with this pool."""
    made = build.opened(build.deployment(number=9))
    build.take_lock(made)
    outputs = {"PoolId": pool, "Url": "https://x"}
    History(build.TABLE).succeed(ALPHA, made.id, made.execution_arn, {}, {"outputs": outputs})


def offboarding(**options: Any) -> Deployment:
    return build.opened(build.deployment(mode="offboard", **options))


def call(made: Deployment, step: str, **given: Any) -> dict[str, Any]:
    return worker.handler(build.event(made, step, **given), None)


def export(made: Deployment) -> dict[str, Any]:
    """Call ExportData until it is done; gives the last position."""
    answer: dict[str, Any] = {"done": False, "position": {}}
    while not answer["done"]:
        answer = call(made, "ExportData", position=answer["position"])
    return dict(answer["position"])


def note(made: Deployment, step: str) -> str:
    return str(build.record(made)["steps"][step]["note"])
