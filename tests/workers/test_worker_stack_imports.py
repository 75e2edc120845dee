"""What a change set adopts: only what is this tenant's, or it reads another's data."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import CHANGE_SET_ID, STACK_ID, Cloud, change, change_set

from control_plane import aws
from control_plane.errors import ReplacementRefused, ServiceBusy
from control_plane.models import Deployment, Env, Tenant
from control_plane.store import items
from workers import stack as worker

FIXED = "notes-orders"
NAMED = "notes-orders-stage-alpha"
BUCKET, TABLE, GROUP = "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup"
MINE, OTHERS = "notes-stage-alpha", "notes-stage-beta"


def bucket(name: str, owner: str | None) -> None:
    aws.s3().create_bucket(Bucket=name)
    if owner:
        tags: Any = {"TagSet": [{"Key": "syndi:stack", "Value": owner}]}
        aws.s3().put_bucket_tagging(Bucket=name, Tagging=tags)


def table(name: str, owner: str | None) -> None:
    aws.dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        Tags=[{"Key": "syndi:stack", "Value": owner}] if owner else [],
    )


def group(name: str, owner: str | None) -> None:
    aws.logs().create_log_group(logGroupName=name, tags={"syndi:stack": owner} if owner else {})


def neighbour(org: str, application: str) -> None:
    """A tenant that was deployed."""
    tenant = Tenant(application=application, env=Env.STAGE, org=org)
    listed = {"application": application, "env": "stage", "org": org, "listing": "TENANT"}
    values = {**listed, "listed_at": tenant.stack_name}
    item = items.whole(items.tenant_key(tenant), items.CURRENT, values)
    aws.dynamodb().put_item(TableName=build.TABLE, Item=item)


@pytest.fixture
def made(world: None, cloud: Cloud) -> Deployment:
    cloud.says("DeleteChangeSet", {})
    cloud.says("GetTemplate", {"TemplateBody": {"Resources": {}}})  # isolation looks at it
    return build.opened(build.deployment())


def run(made: Deployment, cloud: Cloud, kind: str, name: str) -> dict[str, Any]:
    """AwaitChangeSet of a change set that adopts one resource."""
    adopted = change("Import", "Orders", kind, physical_id=name)
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[adopted]))
    given = {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}
    return worker.handler(build.event(made, "AwaitChangeSet", **given), None)


KINDS = pytest.mark.parametrize(
    ("kind", "make"), [(BUCKET, bucket), (TABLE, table), (GROUP, group)]
)


@KINDS
@pytest.mark.parametrize("name", [FIXED, NAMED])
def test_what_is_tagged_as_another_tenants_is_not_adopted(
    made: Deployment, cloud: Cloud, kind: str, make: Any, name: str
) -> None:
    make(name, OTHERS)
    told = rf"Orders .*{name}\) is another tenant's: it is tagged syndi:stack={OTHERS}"
    with pytest.raises(ReplacementRefused, match=told):
        run(made, cloud, kind, name)
    assert len(cloud.asked("DeleteChangeSet")) == 1
    assert build.record(made)["change_set"]["refused"]


@KINDS
@pytest.mark.parametrize(("name", "owner"), [(FIXED, MINE), (NAMED, MINE), (NAMED, None)])
def test_what_survived_an_earlier_stack_of_the_tenant_is_adopted(
    made: Deployment, cloud: Cloud, kind: str, make: Any, name: str, owner: str | None
) -> None:
    make(name, owner)
    answer = run(made, cloud, kind, name)
    assert answer["summary"] == {"imported": [{"id": "Orders", "type": kind}]}
    assert cloud.asked("DeleteChangeSet") == []


@KINDS
@pytest.mark.parametrize(
    "name",
    [
        FIXED,
        "notes-stage-alphabet",
        "notes-xstage-alpha",
        "orders-stage-alpha",  # of another application, or of none
        "notes-stage-alpha-2",  # a neighbour's
        "notes-orders-stage-alpha-2",
        "notes-two-orders-stage-alpha",  # another application's tenant of the same name
    ],
)
def test_what_nobody_tagged_is_not_adopted_when_its_name_could_be_anybodys(
    made: Deployment, cloud: Cloud, kind: str, make: Any, name: str
) -> None:
    neighbour("alpha-2", "notes")
    neighbour("alpha", "notes-two")
    make(name, None)
    with pytest.raises(ReplacementRefused, match="has no tag syndi:stack"):
        run(made, cloud, kind, name)


def test_another_type_is_looked_up_by_its_arn(
    made: Deployment, cloud: Cloud, script: scripted.Scripted
) -> None:
    tags = [{"Key": "syndi:stack", "Value": OTHERS}]
    queue = f"https://sqs.us-east-1.amazonaws.com/{build.ACCOUNT}/{NAMED}"
    script.on(
        aws.tagging(),
        "GetResources",
        lambda asked: {
            "ResourceTagMappingList": [{"ResourceARN": arn, "Tags": tags}]
            if (arn := asked["ResourceARNList"][0]).startswith("arn:aws:sqs:")
            else []
        },
    )
    with pytest.raises(ReplacementRefused, match="another tenant's"):
        run(made, cloud, "AWS::SQS::Queue", queue)


@pytest.mark.parametrize(("kind", "name"), [("AWS::Nobody::Knows", NAMED), (TABLE, "")])
def test_what_cannot_be_looked_up_is_not_adopted(
    made: Deployment, cloud: Cloud, kind: str, name: str
) -> None:
    with pytest.raises(ReplacementRefused, match="cannot be read whose it is"):
        run(made, cloud, kind, name)


def test_tags_that_may_not_be_read_adopt_nothing(
    made: Deployment, cloud: Cloud, script: scripted.Scripted
) -> None:
    script.on(aws.s3(), "GetBucketTagging", scripted.failure("AccessDenied", "not yours"))
    with pytest.raises(ReplacementRefused, match=r"could not be read: .*not yours"):
        run(made, cloud, BUCKET, NAMED)


def test_a_busy_aws_is_asked_again(
    made: Deployment, cloud: Cloud, script: scripted.Scripted
) -> None:
    script.on(aws.s3(), "GetBucketTagging", scripted.failure("SlowDown"))
    with pytest.raises(ServiceBusy):
        run(made, cloud, BUCKET, NAMED)
