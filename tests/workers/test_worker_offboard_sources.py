"""What is left of a tenant is read from its stack's own resources and from tags, for every type.

An operator who reads "nothing is left" throws the tenant's keys away; what was missed is paid for,
and read by the next tenant of that name.
"""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import STACK_ID, Cloud, event, resource
from offboard_calls import (
    call,
    export,
    make_bucket,
    make_pool,
    note,
    offboarding,
    owned_by,
    tag_index,
)
from worker_builders import ALPHA, BETA

from control_plane import aws
from control_plane.errors import OffboardFailed
from control_plane.models import Deployment, Export, Tenant
from control_plane.store.history import History
from control_plane.store.progress import Progress

TABLE, LAYER, FUNCTION = (
    "AWS::DynamoDB::Table",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Function",
)
ORDERS = "notes-orders-stage-alpha"


@pytest.fixture
def index(script: scripted.Scripted) -> list[str]:
    return tag_index(script)


@pytest.fixture
def made(cloud: Cloud, index: list[str]) -> Deployment:
    """An offboarding that has removed the tenant's stack."""
    cloud.has_resources()
    found = offboarding(purge=True)
    Progress(build.TABLE).add_facts(found, {"removed_stack": STACK_ID})
    return found


def left(made: Deployment) -> dict[str, dict[str, Any]]:
    """What InspectLeftovers lists, by name."""
    found = call(made, "InspectLeftovers")["leftovers"]
    return {item["name"]: item for item in found["items"]}


def listed(physical_id: str, kind: str, status: str = "DELETE_SKIPPED") -> dict[str, Any]:
    return {**resource("R", status, kind=kind), "PhysicalResourceId": physical_id}


def purge(made: Deployment) -> None:
    while not call(made, "PurgeLeftovers")["done"]:
        pass


def table(name: str = ORDERS, owner: Tenant | None = ALPHA, **more: Any) -> str:
    made = aws.dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        Tags=owned_by(owner) if owner else [],
        **more,
    )
    return made["TableDescription"]["TableArn"]


def tables() -> list[str]:
    return [name for name in aws.dynamodb().list_tables()["TableNames"] if name != build.TABLE]


# Sources ------------------------------------------------------------------------------------------


def test_a_table_that_the_stack_left_is_listed_and_purged(made: Deployment, cloud: Cloud) -> None:
    table()
    cloud.has_resources(listed(ORDERS, TABLE), listed("gone", TABLE, "DELETE_COMPLETE"))
    assert left(made)[ORDERS]["kind"] == "table"
    purge(made)
    assert tables() == []
    assert note(made, "PurgeLeftovers") == f"removed table {ORDERS}"
    assert left(made) == {}


def test_what_the_stack_left_in_a_nested_stack_and_on_a_later_page_is_listed(
    made: Deployment, cloud: Cloud
) -> None:
    table()
    outer = [listed(f"t{n}", TABLE, "DELETE_COMPLETE") for n in range(120)]
    nested = listed("nested-id", "AWS::CloudFormation::Stack", "DELETE_COMPLETE")
    pages = {STACK_ID: [*outer, nested], "nested-id": [listed(ORDERS, TABLE)]}

    def page(asked: dict[str, Any]) -> dict[str, Any]:
        start, found = int(asked.get("NextToken", 0)), pages[asked["StackName"]]
        more = {"NextToken": str(start + 100)} if found[start + 100 :] else {}
        return {"StackResourceSummaries": found[start : start + 100], **more}

    cloud.says("ListStackResources", page)
    assert list(left(made)) == [ORDERS]


def test_what_only_a_tag_tells_is_listed_and_purged(made: Deployment, index: list[str]) -> None:
    """A table that an update took out of the stack, long ago."""
    index.append(table())
    purge(made)
    assert tables() == []


def test_a_type_that_nobody_knows_is_listed_with_what_to_do(
    made: Deployment, cloud: Cloud, index: list[str]
) -> None:
    cloud.has_resources(
        listed("graph-1", "AWS::Neptune::DBCluster"),
        listed("api-1", "AWS::AppSync::GraphQLApi", "DELETE_COMPLETE"),
    )
    index += [
        f"arn:aws:rds:us-east-1:{build.ACCOUNT}:cluster:graph-1",
        f"arn:aws:appsync:us-east-1:{build.ACCOUNT}:apis/api-1",
        f"arn:aws:mq:us-east-1:{build.ACCOUNT}:broker:b-1",
    ]
    found = left(made)
    assert list(found) == ["graph-1", "broker:b-1"]
    assert found["graph-1"]["kind"] == "AWS::Neptune::DBCluster"
    assert all(item["by_hand"] and "by hand" in item["why"] for item in found.values())


def test_what_goes_with_its_pool_is_not_listed_beside_it(made: Deployment, cloud: Cloud) -> None:
    cloud.has_resources(
        listed("us-east-1_gone00000", "AWS::Cognito::UserPool"),
        listed("client", "AWS::Cognito::UserPoolClient"),
    )
    assert left(made) == {}


def test_all_versions_of_a_layer_that_the_stack_ever_had_are_purged(
    made: Deployment, cloud: Cloud
) -> None:
    """SAM retains a version at each update; other tenants' of the same layer are not touched."""
    functions = aws.lambda_()
    versions = [
        functions.publish_layer_version(
            LayerName="notes-deps", Content={"ZipFile": build.zipped({"x": str(n)})}
        )["LayerVersionArn"]
        for n in range(3)
    ]
    cloud.has_resources(listed(versions[2], LAYER))
    early = {**event("DELETE_SKIPPED", "Deps1"), "ResourceType": LAYER}
    cloud.has_events({**early, "PhysicalResourceId": versions[0]})
    assert list(left(made)) == ["notes-deps:1", "notes-deps:3"]
    purge(made)
    found = functions.list_layer_versions(LayerName="notes-deps")["LayerVersions"]
    assert [item["Version"] for item in found] == [2]


def test_the_logs_that_lambda_made_are_listed_and_purged(made: Deployment, cloud: Cloud) -> None:
    logs = aws.logs()
    for name in ("notes-stage-alpha", "notes-stage-alpha2"):
        logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
    logs.create_log_group(logGroupName="API-Gateway-Execution-Logs_api1/v1")
    cloud.has_resources(
        listed("notes-stage-alpha", FUNCTION, "DELETE_COMPLETE"),
        listed("api1", "AWS::ApiGateway::RestApi", "DELETE_COMPLETE"),
    )
    assert "made by Lambda" in left(made)["/aws/lambda/notes-stage-alpha"]["why"]
    purge(made)
    names = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    assert names == ["/aws/lambda/notes-stage-alpha2"]


def test_a_second_offboarding_knows_the_stack_that_the_first_removed(
    made: Deployment, cloud: Cloud
) -> None:
    table()
    cloud.has_resources(listed(ORDERS, TABLE))
    again = build.opened(build.deployment(mode="offboard", purge=True, number=5))
    assert list(left(again)) == [ORDERS]


def test_what_an_offboarding_listed_is_purged_when_cloudformation_has_forgotten_the_stack(
    made: Deployment, cloud: Cloud, script: scripted.Scripted
) -> None:
    """After 90 days. The table carries its tag, the layer has none."""
    table()
    version = aws.lambda_().publish_layer_version(
        LayerName="notes-deps", Content={"ZipFile": build.zipped({"x": "1"})}
    )["LayerVersionArn"]
    cloud.has_resources(listed(ORDERS, TABLE), listed(version, LAYER))
    build.take_lock(made)
    found = call(made, "InspectLeftovers")["leftovers"]
    History(build.TABLE).succeed(ALPHA, made.id, made.execution_arn, {}, {"leftovers": found})
    forgotten = scripted.failure("ValidationError", "Stack does not exist")
    script.on(aws.cloudformation(), "ListStackResources", forgotten)
    again = build.opened(build.deployment(mode="offboard", purge=True, number=5))
    purge(again)
    assert tables() == []
    assert call(again, "InspectLeftovers")["leftovers"] == {"items": []}
    assert aws.lambda_().list_layer_versions(LayerName="notes-deps")["LayerVersions"] == []


# Sources that cannot be read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "failure", "told"),
    [
        ("tagging", "GetResources", ("AccessDenied", "no tags"), "index of tags: .*no tag"),
        ("cloudformation", "ListStackResources", ("AccessDenied", "no list"), "stack .*no list"),
        ("cloudformation", "DescribeStackEvents", ("AccessDenied", "no events"), "no events"),
        (
            "cloudformation", "ListStackResources",
            ("ValidationError", "Stack does not exist"), "does not know it any more",
        ),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_read_is_said_and_never_taken_for_empty(
    made: Deployment,
    script: scripted.Scripted,
    service: str,
    operation: str,
    failure: tuple[str, str],
    told: str,
) -> None:
    script.on(getattr(aws, service)(), operation, scripted.failure(*failure))
    found = call(made, "InspectLeftovers")["leftovers"]
    assert found["items"] == []
    assert re.search(told, " ".join(found["unread"]))
    assert "nothing is left" not in note(made, "InspectLeftovers")
    assert "could not be read" in note(made, "InspectLeftovers")


def test_events_that_are_too_many_are_said(
    made: Deployment, script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.offboard_reading.EVENT_PAGES", 1)
    old = {**event("CREATE_COMPLETE", "X"), "Timestamp": datetime(2026, 1, 2, tzinfo=UTC)}
    page = {"StackEvents": [old], "NextToken": "more"}
    script.on(aws.cloudformation(), "DescribeStackEvents", page)
    assert "before 2026-01-02" in call(made, "InspectLeftovers")["leftovers"]["unread"][0]


# Whose it is --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "why"),
    [(BETA, "not ours: it is tagged syndi:stack=notes-stage-beta"), (None, "not ours: it has no")],
)
def test_a_table_that_is_not_certainly_the_tenants_is_listed_and_kept(
    made: Deployment, cloud: Cloud, owner: Tenant | None, why: str
) -> None:
    """Adopted by another tenant since, or its tag was removed to keep it."""
    table(owner=owner)
    cloud.has_resources(listed(ORDERS, TABLE))
    purge(made)
    assert tables() == [ORDERS]
    assert left(made)[ORDERS]["why"].startswith(why)


def test_logs_into_which_somebody_elses_function_writes_are_kept(
    made: Deployment, cloud: Cloud
) -> None:
    """A function of a fixed name, which another tenant has made again."""
    aws.iam().create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    aws.lambda_().create_function(
        FunctionName="notes-fixed", Runtime="python3.13", Handler="x.y", Tags={"syndi:stack": "b"},
        Role=f"arn:aws:iam::{build.ACCOUNT}:role/r", Code={"ZipFile": build.zipped({"x.py": ""})},
    )  # fmt: skip
    aws.logs().create_log_group(logGroupName="/aws/lambda/notes-fixed")
    cloud.has_resources(listed("notes-fixed", FUNCTION, "DELETE_COMPLETE"))
    purge(made)
    assert "somebody else" in left(made)["/aws/lambda/notes-fixed"]["why"]


# Each type ----------------------------------------------------------------------------------------


def _queue() -> tuple[str, str]:
    url = aws.sqs().create_queue(QueueName="notes-q", tags={"syndi:stack": ALPHA.stack_name})
    return "AWS::SQS::Queue", url["QueueUrl"]


def _topic() -> tuple[str, str]:
    return "AWS::SNS::Topic", aws.sns().create_topic(Name="t", Tags=owned_by(ALPHA))["TopicArn"]


def _secret() -> tuple[str, str]:
    made = aws.secretsmanager().create_secret(
        Name="notes/db", SecretString="x", Tags=owned_by(ALPHA)
    )
    return "AWS::SecretsManager::Secret", made["ARN"]


def _parameter() -> tuple[str, str]:
    tags = owned_by(ALPHA)
    aws.ssm().put_parameter(Name="/notes/level", Value="1", Type="String", Tags=tags)
    return "AWS::SSM::Parameter", "/notes/level"


def _key() -> tuple[str, str]:
    tags = [{"TagKey": "syndi:stack", "TagValue": ALPHA.stack_name}]
    return "AWS::KMS::Key", aws.kms().create_key(Tags=tags)["KeyMetadata"]["KeyId"]


def _repository() -> tuple[str, str]:
    aws.ecr().create_repository(repositoryName="notes", tags=owned_by(ALPHA))
    return "AWS::ECR::Repository", "notes"


def _file_system() -> tuple[str, str]:
    made = aws.efs().create_file_system(CreationToken="x", Tags=owned_by(ALPHA))
    return "AWS::EFS::FileSystem", made["FileSystemId"]


def _group() -> tuple[str, str]:
    tags = {"syndi:stack": ALPHA.stack_name}
    aws.logs().create_log_group(logGroupName="/notes/own", tags=tags)
    return "AWS::Logs::LogGroup", "/notes/own"


def _protected_table() -> tuple[str, str]:
    table(DeletionProtectionEnabled=True)
    return TABLE, ORDERS


def _protected_pool() -> tuple[str, str]:
    pools = aws.cognito()
    pool = pools.create_user_pool(
        PoolName="notes", UserPoolTags={"syndi:stack": ALPHA.stack_name},
        DeletionProtection="ACTIVE",
    )["UserPool"]["Id"]  # fmt: skip
    pools.create_user_pool_domain(Domain="notes-alpha", UserPoolId=pool)
    return "AWS::Cognito::UserPool", pool


@pytest.mark.parametrize(
    "make",
    [
        _queue, _topic, _secret, _parameter, _key, _repository, _file_system, _group,
        _protected_table, _protected_pool,
    ],
)  # fmt: skip
def test_each_type_is_listed_purged_and_not_found_again(
    made: Deployment, cloud: Cloud, make: Any
) -> None:
    kind, physical_id = make()
    cloud.has_resources(listed(physical_id, kind))
    (item,) = left(made).values()
    assert item["why"].startswith("kept by its DeletionPolicy")
    assert ("protection" in item["why"]) is ("protected" in make.__name__)
    purge(made)
    assert left(made) == {}
    purge(made)  # harmless, once more


def test_what_cannot_be_removed_keeps_nothing_else_from_being_removed(
    made: Deployment, cloud: Cloud, script: scripted.Scripted
) -> None:
    table()
    _, queue = _queue()
    cloud.has_resources(listed(ORDERS, TABLE), listed(queue, "AWS::SQS::Queue"))
    script.on(aws.dynamodb(), "DeleteTable", scripted.failure("AccessDeniedException", "no"))
    with pytest.raises(OffboardFailed, match=f"table {ORDERS} could not be removed: .*no"):
        purge(made)
    assert aws.sqs().list_queues().get("QueueUrls", []) == []


def test_what_the_stack_has_is_exported_though_no_index_or_output_names_it(
    cloud: Cloud, made: Deployment
) -> None:
    """Deleting the stack would delete it, although the operator was told of an export."""
    make_bucket("notes-x7k2", kept="1")
    pool = make_pool()
    cloud.has_resources(
        listed("notes-x7k2", "AWS::S3::Bucket", "CREATE_COMPLETE"),
        listed(pool, "AWS::Cognito::UserPool", "IMPORT_COMPLETE"),
    )
    assert export_all(made)["exported"] == {"bucket notes-x7k2": 1, "users": 1}


@pytest.mark.parametrize("owner", [None, BETA])
def test_what_the_stack_has_and_no_tag_says_is_the_tenants_is_refused(
    cloud: Cloud, made: Deployment, owner: Tenant | None
) -> None:
    """It would be deleted with the stack, tagged or not, and the worker may not read its users."""
    pool = make_pool(owner)
    cloud.has_resources(listed(pool, "AWS::Cognito::UserPool", "CREATE_COMPLETE"))
    tag = "tag it syndi:stack=notes-stage-alpha if it is the tenant's"
    with pytest.raises(OffboardFailed, match=rf"{pool} is in the stack, but not ours: .*; {tag}"):
        export_all(made)


def test_what_an_update_left_behind_and_no_tag_claims_any_more_is_not_exported(
    cloud: Cloud, made: Deployment
) -> None:
    """Somebody took the tag off to keep it for something else."""
    pool = make_pool(owner=None)
    cloud.has_resources(listed(pool, "AWS::Cognito::UserPool"))
    assert "users: there is no user pool" in export_all(made)["skipped"]


def test_what_is_to_be_exported_and_cannot_be_read_is_no_success(
    script: scripted.Scripted, cloud: Cloud, made: Deployment
) -> None:
    pool = make_pool()
    cloud.has_resources(listed(pool, "AWS::Cognito::UserPool", "CREATE_COMPLETE"))
    script.on(aws.cognito(), "DescribeUserPool", scripted.failure("AccessDeniedException"))
    with pytest.raises(OffboardFailed, match=rf"{pool}: access is denied.*; nothing was removed"):
        export_all(made)
    script.on(aws.cloudformation(), "ListStackResources", scripted.failure("AccessDenied"))
    with pytest.raises(OffboardFailed, match=r"AccessDenied.*; nothing was removed"):
        export_all(made)


def export_all(made: Deployment) -> dict[str, Any]:
    """Export users and buckets; gives the last position."""
    options = made.options.model_copy(update={"export": (Export.USERS, Export.BUCKETS)})
    return export(made.model_copy(update={"options": options}))
