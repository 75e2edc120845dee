"""Who may do what, as on AWS."""

from __future__ import annotations

import http.client
import json

from botocore.exceptions import ClientError
from local_aws import Aws, allow, error_of, policy


def leading_keys_are_evaluated(aws: Aws) -> None:
    aws.dynamodb.create_table(
        TableName="tenants",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "PK", "KeyType": "HASH"},
            {"AttributeName": "SK", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ["PK", "SK"]
        ],
    )
    statement = allow("dynamodb:*") | {
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["LOCK#*"]}}
    }
    own = aws.client_of("locker", "dynamodb", statement)
    for prefix, allowed in (("LOCK#", True), ("TENANT#", False)):
        item = {"PK": {"S": f"{prefix}1"}, "SK": {"S": "x"}}
        put = {"Put": {"TableName": "tenants", "Item": item}}
        query = {
            "KeyConditionExpression": "#p = :p AND begins_with(SK, :s)",
            "ExpressionAttributeNames": {"#p": "PK"},
            "ExpressionAttributeValues": {":p": item["PK"], ":s": {"S": "x"}},
        }
        for call, arguments in (
            (own.put_item, {"TableName": "tenants", "Item": item}),
            (own.get_item, {"TableName": "tenants", "Key": item}),
            (own.query, {"TableName": "tenants", **query}),
            (own.transact_write_items, {"TransactItems": [put]}),
            (own.batch_get_item, {"RequestItems": {"tenants": {"Keys": [item]}}}),
            (own.batch_write_item, {"RequestItems": {"tenants": [{"PutRequest": {"Item": item}}]}}),
        ):
            if allowed:
                call(**arguments)
            else:
                assert error_of(call, **arguments)[0] == "AccessDeniedException"


def schedules_belong_to_their_group(aws: Aws) -> None:
    arn = "arn:aws:scheduler:us-east-1:000000000000:schedule"
    aws.scheduler.create_schedule_group(Name="night")
    own = aws.client_of("planner", "scheduler", allow("scheduler:*", on=f"{arn}/night/*"))
    schedule = {
        "Name": "nightly",
        "ScheduleExpression": "rate(1 hour)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": f"{arn}:x"},
    }
    assert error_of(own.get_schedule, Name="n", GroupName="night")[0] == "ResourceNotFoundException"
    own.create_schedule(**schedule, GroupName="night")
    assert own.get_schedule(Name="nightly", GroupName="night")["GroupName"] == "night"
    assert error_of(own.create_schedule, **schedule)[0] == "AccessDeniedException"


def one_version_of_a_layer_is_read_with_its_own_permission(aws: Aws) -> None:
    own = aws.client_of("reader", "lambda", allow("lambda:GetLayerVersion"))
    refused = error_of(own.get_layer_version, LayerName="none", VersionNumber=1)
    assert refused[0] == "ResourceNotFoundException"


def user_pools_are_told_apart_by_their_tags(aws: Aws) -> None:
    pools = {
        owner: aws.cognito_idp.create_user_pool(PoolName=owner, UserPoolTags={"owner": owner})[
            "UserPool"
        ]["Id"]
        for owner in ("mine", "theirs")
    }
    statement = allow("cognito-idp:*") | {
        "Condition": {"StringLike": {"aws:ResourceTag/owner": "mine*"}}
    }
    own = aws.client_of("keeper", "cognito-idp", statement)
    user = {"Username": "u", "MessageAction": "SUPPRESS"}
    refused = error_of(own.admin_create_user, UserPoolId=pools["theirs"], **user)
    assert refused[0] == "AccessDeniedException"
    try:
        own.admin_create_user(UserPoolId=pools["mine"], **user)
    except own.exceptions.ClientError as error:
        raise AssertionError(str(error)) from error


def a_session_reaches_what_has_its_tag_or_its_name(aws: Aws) -> None:
    tag = "${aws:PrincipalTag/owner}"
    by_tag = allow("cognito-idp:*") | {
        "Condition": {"StringEquals": {"aws:ResourceTag/owner": tag}}
    }
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/sharer"}}
    aws.iam.create_user(UserName="sharer")
    aws.iam.create_role(
        RoleName="shared",
        AssumeRolePolicyDocument=json.dumps(
            policy({**trust, "Action": ["sts:AssumeRole", "sts:TagSession"]})
        ),
    )
    document = json.dumps(policy(by_tag, allow("s3:*", on=f"arn:aws:s3:::{tag}-files/*")))
    aws.iam.put_role_policy(RoleName="shared", PolicyName="p", PolicyDocument=document)
    role = "arn:aws:iam::000000000000:role/shared"
    sts = aws.client_of_existing("sharer", "sts", allow("sts:AssumeRole", on=role))
    session = sts.assume_role(
        RoleArn=role, RoleSessionName="session", Tags=[{"Key": "owner", "Value": "ours"}]
    )["Credentials"]
    pools = {
        owner: aws.cognito_idp.create_user_pool(PoolName=owner, UserPoolTags={"owner": owner})[
            "UserPool"
        ]["Id"]
        for owner in ("ours", "strangers")
    }
    cognito, s3 = (aws.client_in(session, service) for service in ("cognito-idp", "s3"))
    for bucket in ("ours-files", "strangers-files"):
        aws.s3.create_bucket(Bucket=bucket)
    user = {"Username": "u", "MessageAction": "SUPPRESS"}
    denied = error_of(cognito.admin_create_user, UserPoolId=pools["strangers"], **user)
    assert denied[0] == "AccessDeniedException"
    assert error_of(s3.put_object, Bucket="strangers-files", Key="k", Body=b"")[0] == "AccessDenied"
    try:
        cognito.admin_create_user(UserPoolId=pools["ours"], **user)
        s3.put_object(Bucket="ours-files", Key="k", Body=b"")
    except ClientError as error:
        raise AssertionError(str(error)) from error


def web_page_cannot_be_root(aws: Aws) -> None:
    scope = "test/20260101/us-east-1/iam/aws4_request"
    forged = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    action = "/?Action=ListUsers&Version=2010-05-08"
    by_query = f"{action}&X-Amz-Credential={scope.replace('/', '%2F')}"

    def get(path: str, **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", aws.laptop.port, timeout=10)
        connection.request("GET", path, headers=headers)
        status = connection.getresponse().status
        connection.close()
        return status

    assert get(action, Authorization=forged) == 200
    assert get(action, Authorization=forged, Origin="http://evil.example") == 403
    assert get(by_query, Origin="http://evil.example") == 403
    assert get("/_ministack/health", Origin="http://localhost:3000") == 200


def roles_have_their_path(aws: Aws) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    document = json.dumps(policy({**trust, "Action": "sts:AssumeRole"}))
    for name, path in (("within", "/ours/"), ("without", "/theirs/")):
        aws.iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=document)
    own = aws.client_of(
        "pruner", "iam", allow("iam:ListRolePolicies", on="arn:aws:iam::*:role/ours/*")
    )

    def may(name: str) -> bool:
        try:
            own.list_role_policies(RoleName=name)
        except ClientError as error:
            return error.response["Error"]["Code"] != "AccessDenied"
        return True

    assert [may("within"), may("without")] == [True, False]


def log_groups_are_known_by_their_tags(aws: Aws) -> None:
    logs = aws.client_of("log-keeper", "logs", allow("logs:CreateLogGroup", "logs:TagResource"))
    for owner in ("a", "b"):
        logs.create_log_group(logGroupName=f"of-{owner}", tags={"owner": owner})
    tagging = aws.client_of("finder", "resourcegroupstaggingapi", allow("tag:GetResources"))
    found = tagging.get_resources(TagFilters=[{"Key": "owner", "Values": ["a"]}])
    arns = [item["ResourceARN"] for item in found["ResourceTagMappingList"]]
    assert [arn.rsplit(":", 1)[-1] for arn in arns] == ["of-a"]
    condition = {"Condition": {"StringLike": {"aws:ResourceTag/owner": "a"}}}
    cleaner = aws.client_of("cleaner", "logs", allow("logs:DeleteLogGroup") | condition)
    assert error_of(cleaner.delete_log_group, logGroupName="of-b")[0] == "AccessDeniedException"
    try:
        cleaner.delete_log_group(logGroupName="of-a")
    except ClientError as error:
        raise AssertionError(f"its tag allows it: {error}") from error


def tables_are_known_by_their_arn(aws: Aws) -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/"
    reader = aws.client_of(
        "tag-reader", "dynamodb", allow("dynamodb:ListTagsOfResource", on=f"{arn}a*")
    )
    for name in ("aaa", "bbb"):
        aws.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
    denied = error_of(reader.list_tags_of_resource, ResourceArn=f"{arn}bbb")
    assert denied[0] == "AccessDeniedException"
    try:
        reader.list_tags_of_resource(ResourceArn=f"{arn}aaa")
    except ClientError as error:
        raise AssertionError(f"its ARN allows it: {error}") from error


def change_sets_are_known_by_their_arn(aws: Aws) -> None:
    arn = "arn:aws:cloudformation:us-east-1:000000000000:changeSet"
    reader = aws.client_of(
        "change-set-reader", "cloudformation",
        allow("cloudformation:DescribeChangeSet", on=f"{arn}/a*"),
    )  # fmt: skip
    found = {
        name: error_of(reader.describe_change_set, ChangeSetName=f"{arn}/{name}/1")[0]
        for name in ("aaa", "bbb")
    }
    assert "AccessDenied" in found["bbb"]
    assert "AccessDenied" not in found["aaa"], "it is not there, and that may be seen"


def layer_versions_have_their_own_actions(aws: Aws) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:layer:notes*"
    own = aws.client_of(
        "layers", "lambda", allow("lambda:GetLayerVersion", "lambda:DeleteLayerVersion", on=arn)
    )
    code, _ = error_of(own.get_layer_version, LayerName="notes", VersionNumber=1)
    assert code == "ResourceNotFoundException"
    assert error_of(own.get_layer_version, LayerName="other", VersionNumber=1)[0] != code
    try:
        own.delete_layer_version(LayerName="notes", VersionNumber=1)
    except ClientError as error:
        raise AssertionError(f"its policy allows it: {error}") from error
    denied, _ = error_of(own.delete_layer_version, LayerName="other", VersionNumber=1)
    assert denied == "AccessDeniedException"


CHECKS = [
    roles_have_their_path,
    leading_keys_are_evaluated,
    schedules_belong_to_their_group,
    one_version_of_a_layer_is_read_with_its_own_permission,
    user_pools_are_told_apart_by_their_tags,
    a_session_reaches_what_has_its_tag_or_its_name,
    web_page_cannot_be_root,
    log_groups_are_known_by_their_tags,
    tables_are_known_by_their_arn,
    change_sets_are_known_by_their_arn,
    layer_versions_have_their_own_actions,
]
