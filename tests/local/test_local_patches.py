"""Each patch of the emulator does what it promises, and its check fails without it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest
from local_aws import Aws, allow, client, error_of, zipped

RAISES = """
class TargetIsBad(Exception):
    pass

def handler(event, context):
    if event.get("exit"):
        raise SystemExit(3)
    raise TargetIsBad("the stack is in ROLLBACK_COMPLETE")
"""


def bucket(name: str) -> dict[str, object]:
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}


def template(**resources: object) -> dict[str, object]:
    return {"Resources": resources}


def parameter(value: str) -> dict[str, object]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value}}


def lambda_error_has_the_type_of_its_exception(aws: Aws) -> None:
    arn = aws.function("raises", RAISES)
    invoke = client(aws.laptop, "lambda").invoke
    answer = invoke(FunctionName=arn, Payload=b"{}")
    payload = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "TargetIsBad"
    assert payload["errorMessage"] == "the stack is in ROLLBACK_COMPLETE"
    assert set(payload) == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert "index.py" in payload["stackTrace"][0]
    exited = json.loads(invoke(FunctionName=arn, Payload=b'{"exit": 1}')["Payload"].read())
    assert exited["errorType"] == "Runtime.ExitError"


def typed_catch_matches(aws: Aws) -> None:
    arn = aws.function("caught", RAISES)
    for name, task in (
        ("direct", {"Resource": arn, "Arguments": {}}),
        (
            "optimized",
            {
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": {"FunctionName": arn, "Payload": {}},
            },
        ),
    ):
        result = aws.execute(
            f"catch-{name}",
            {
                "QueryLanguage": "JSONata",
                "StartAt": "Try",
                "States": {
                    "Try": {
                        "Type": "Task",
                        **task,
                        "Catch": [
                            {"ErrorEquals": ["SomethingElse"], "Next": "Wrong"},
                            {
                                "ErrorEquals": ["TargetIsBad"],
                                "Output": "{% $parse($states.errorOutput.Cause).errorMessage %}",
                                "Next": "Right",
                            },
                        ],
                        "Next": "Wrong",
                    },
                    "Right": {"Type": "Pass", "End": True},
                    "Wrong": {"Type": "Fail", "Error": "NotCaught"},
                },
            },
        )
        assert result["status"] == "SUCCEEDED", (name, result.get("error"))
        assert json.loads(result["output"]) == "the stack is in ROLLBACK_COMPLETE"


def a_function_that_fails_sends_no_task_token(aws: Aws) -> None:
    arn = aws.function("tokenless", RAISES)
    told = {"FunctionName": arn, "Payload": {"token": "{% $states.context.Task.Token %}"}}
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": told,
        "TimeoutSeconds": 2,
        "End": True,
    }
    definition = {"QueryLanguage": "JSONata", "StartAt": "Ask", "States": {"Ask": state}}
    assert aws.execute("asks", definition)["error"] == "TargetIsBad"


def stack_operation_is_seen_in_progress(aws: Aws) -> None:
    aws.create_stack("slow", template(P=parameter("1")))
    assert aws.stack("slow")["StackStatus"] == "CREATE_IN_PROGRESS"
    assert aws.settled("slow")["StackStatus"] == "CREATE_COMPLETE"
    aws.update_stack("slow", template(P=parameter("2")))
    assert aws.stack("slow")["StackStatus"] == "UPDATE_IN_PROGRESS"
    assert aws.settled("slow")["StackStatus"] == "UPDATE_COMPLETE"
    stack_id = aws.stack("slow")["StackId"]
    aws.cloudformation.delete_stack(StackName="slow")
    assert aws.stack(stack_id)["StackStatus"] == "DELETE_IN_PROGRESS"
    assert aws.settled(stack_id)["StackStatus"] == "DELETE_COMPLETE"


def second_operation_is_refused(aws: Aws) -> None:
    aws.create_stack("busy", template(P=parameter("1")))
    aws.settled("busy")
    aws.update_stack("busy", template(P=parameter("2")))
    body = json.dumps(template(P=parameter("3")))
    cloudformation = aws.cloudformation
    for call, arguments in (
        (cloudformation.update_stack, {"TemplateBody": body}),
        (
            cloudformation.create_change_set,
            {"TemplateBody": body, "ChangeSetName": "c", "ChangeSetType": "UPDATE"},
        ),
        (cloudformation.delete_stack, {}),
    ):
        code, message = error_of(call, StackName="busy", **arguments)
        assert code == "ValidationError"
        assert "UPDATE_IN_PROGRESS" in message
    assert aws.settled("busy")["StackStatus"] == "UPDATE_COMPLETE"


def failed_first_creation_takes_no_change_set(aws: Aws) -> None:
    aws.s3.create_bucket(Bucket="taken")
    aws.create_stack("dead", template(B=bucket("taken")))
    assert aws.settled("dead")["StackStatus"] == "ROLLBACK_COMPLETE"
    for kind in ("CREATE", "UPDATE"):
        code, message = error_of(
            aws.cloudformation.create_change_set,
            StackName="dead",
            ChangeSetName="c",
            ChangeSetType=kind,
            TemplateBody=json.dumps(template(P=parameter("1"))),
        )
        assert code == "ValidationError"
        assert "ROLLBACK_COMPLETE state and can not be updated" in message


def update_can_be_cancelled(aws: Aws) -> None:
    aws.create_stack("cancelled", template(P=parameter("1")))
    aws.settled("cancelled")
    aws.update_stack("cancelled", template(P=parameter("2")))
    assert aws.stack("cancelled")["StackStatus"] == "UPDATE_IN_PROGRESS"
    aws.cloudformation.cancel_update_stack(StackName="cancelled")
    assert aws.settled("cancelled")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def creation_can_be_cut_short_by_a_deletion(aws: Aws) -> None:
    aws.create_stack("short", template(B=bucket("never-made")))
    stack_id = aws.stack("short")["StackId"]
    aws.cloudformation.delete_stack(StackName="short")
    assert aws.settled(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    events = aws.cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
    assert not [event for event in events if event["LogicalResourceId"] == "B"]


def full_bucket_stops_a_deletion(aws: Aws) -> None:
    aws.create_stack("keeps", template(Drafts=bucket("drafts"), P=parameter("1")))
    stack_id = aws.settled("keeps")["StackId"]
    aws.s3.put_object(Bucket="drafts", Key="precious", Body=b"1")
    aws.cloudformation.delete_stack(StackName="keeps")
    stack = aws.settled(stack_id)
    assert stack["StackStatus"] == "DELETE_FAILED"
    assert "[Drafts]" in stack["StackStatusReason"]
    [(name, status, reason)] = aws.failures(stack_id)
    assert (name, status) == ("Drafts", "DELETE_FAILED")
    assert "The bucket you tried to delete is not empty" in reason
    assert aws.s3.get_object(Bucket="drafts", Key="precious")["Body"].read() == b"1"
    aws.cloudformation.delete_stack(StackName=stack_id, RetainResources=["Drafts"])
    assert aws.settled(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert aws.s3.list_objects_v2(Bucket="drafts")["KeyCount"] == 1


def full_bucket_stops_a_rollback(aws: Aws) -> None:
    # The bucket is filled by the deployment itself, before a later resource fails.
    fill = aws.function(
        "fills",
        "import boto3, json, urllib.request\n"
        "def handler(event, context):\n"
        "    if event['RequestType'] == 'Create':\n"
        "        boto3.client('s3').put_object(Bucket='half', Key='k', Body=b'1')\n"
        "    body = {k: event[k] for k in ('StackId', 'RequestId', 'LogicalResourceId')}\n"
        "    body |= {'Status': 'FAILED' if event['RequestType'] == 'Create' else 'SUCCESS',\n"
        "             'Reason': 'on purpose', 'PhysicalResourceId': 'x'}\n"
        "    urllib.request.urlopen(urllib.request.Request(event['ResponseURL'],\n"
        "        data=json.dumps(body).encode(), method='PUT'))\n",
    )
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}
    )  # fmt: skip
    aws.iam.put_role_policy(RoleName="fills-role", PolicyName="p", PolicyDocument=document)
    custom = {"Type": "Custom::Fill", "DependsOn": "B", "Properties": {"ServiceToken": fill}}
    aws.create_stack("half-made", template(B=bucket("half"), C=custom))
    stack = aws.settled("half-made")
    assert stack["StackStatus"] == "ROLLBACK_FAILED"
    assert "[B]" in stack["StackStatusReason"]
    stack_id = stack["StackId"]
    aws.cloudformation.delete_stack(StackName=stack_id)
    assert aws.settled(stack_id)["StackStatus"] == "DELETE_FAILED"
    aws.s3.delete_object(Bucket="half", Key="k")
    aws.cloudformation.delete_stack(StackName=stack_id)
    assert aws.settled(stack_id)["StackStatus"] == "DELETE_COMPLETE"


def project_keeps_its_log_group(aws: Aws) -> None:
    project = {
        "Type": "AWS::CodeBuild::Project",
        "Properties": {
            "Name": "kept", "ServiceRole": "arn:aws:iam::000000000000:role/x",
            "Source": {"Type": "NO_SOURCE", "BuildSpec": "version: 0.2"},
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Environment": {"Type": "LINUX_CONTAINER", "Image": "x", "ComputeType": "y"},
            "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": "/one"}},
        },
    }  # fmt: skip
    described = client_of_the_emulator(aws)
    aws.create_stack("builds", template(P=project))
    aws.settled("builds")
    found = described(names=["kept"])["projects"][0]
    assert found.get("logsConfig", {}).get("cloudWatchLogs", {}).get("groupName") == "/one"
    changed = json.loads(json.dumps(project).replace("/one", "/two"))
    aws.update_stack("builds", template(P=changed))
    assert aws.settled("builds")["StackStatus"] == "UPDATE_COMPLETE"
    found = described(names=["kept"])["projects"][0]
    assert found["logsConfig"]["cloudWatchLogs"]["groupName"] == "/two"


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


def bucket_has_the_tags_of_its_stack(aws: Aws) -> None:
    tags = [{"Key": "syndi:stack", "Value": "tagged"}]
    aws.create_stack("tagged", template(B=bucket("of-a-stack")), Tags=tags)
    aws.settled("tagged")
    found = aws.resourcegroupstaggingapi.get_resources(
        TagFilters=[{"Key": "syndi:stack", "Values": ["tagged"]}]
    )["ResourceTagMappingList"]
    assert [item["ResourceARN"] for item in found] == ["arn:aws:s3:::of-a-stack"]
    assert tags[0] in aws.s3.get_bucket_tagging(Bucket="of-a-stack")["TagSet"]


def change_set_lists_what_a_condition_removes(aws: Aws) -> None:
    conditional = {
        "Parameters": {"Keep": {"Type": "String", "Default": "true"}},
        "Conditions": {
            "Kept": {"Fn::Equals": [{"Ref": "Keep"}, "true"]},
            "Dropped": {"Fn::Not": [{"Condition": "Kept"}]},
        },
        "Resources": {
            "Always": parameter("1"),
            "Pool": parameter("2") | {"Condition": "Kept"},
            "Instead": parameter("3") | {"Condition": "Dropped"},
        },
    }
    aws.create_stack("conditional", conditional)
    aws.settled("conditional")
    aws.cloudformation.create_change_set(
        StackName="conditional", ChangeSetName="drop", UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Keep", "ParameterValue": "false"}],
    )  # fmt: skip
    found = aws.cloudformation.describe_change_set(StackName="conditional", ChangeSetName="drop")
    changes = {
        change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]["Action"]
        for change in found.get("Changes", [])
    }
    assert changes == {"Pool": "Remove", "Instead": "Add"}


def bucket_that_exists_is_adopted(aws: Aws) -> None:
    aws.s3.create_bucket(Bucket="survivor")
    aws.s3.put_object(Bucket="survivor", Key="ledger", Body=b"x")
    adopting = template(B=bucket("survivor") | {"DeletionPolicy": "Retain"})
    asked = {"StackName": "adopting", "ChangeSetName": "adopt"}
    aws.cloudformation.create_change_set(
        **asked, ChangeSetType="CREATE", TemplateBody=json.dumps(adopting),
        ImportExistingResources=True,
    )  # fmt: skip
    aws.cloudformation.execute_change_set(**asked)
    assert aws.settled("adopting")["StackStatus"] == "CREATE_COMPLETE"
    assert aws.s3.head_object(Bucket="survivor", Key="ledger")


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


def client_of_the_emulator(aws: Aws) -> Callable[..., dict[str, Any]]:
    """The emulator's own CodeBuild, not the endpoint that builds."""
    import boto3

    found: Callable[..., dict[str, Any]] = boto3.client(
        "codebuild", endpoint_url=aws.laptop.endpoint, region_name=aws.laptop.region,
        aws_access_key_id="test", aws_secret_access_key="test",
    ).batch_get_projects  # type: ignore[assignment]  # fmt: skip
    return found


WHERE = "import shared\n\ndef handler(event, context):\n    return shared.__file__\n"


def functions_share_an_unpacked_layer(aws: Aws) -> None:
    lambda_ = client(aws.laptop, "lambda")
    layer = lambda_.publish_layer_version(
        LayerName="shared", Content={"ZipFile": zipped({"python/shared.py": "HERE = True\n"})}
    )["LayerVersionArn"]
    found = set()
    for name in ("one", "two"):
        arn = aws.function(f"layered-{name}", WHERE)
        lambda_.update_function_configuration(FunctionName=arn, Layers=[layer])
        found.add(lambda_.invoke(FunctionName=arn)["Payload"].read())
    assert len(found) == 1, found
    assert b"/python/shared.py" in found.pop()


CHECKS = [
    functions_share_an_unpacked_layer,
    lambda_error_has_the_type_of_its_exception,
    typed_catch_matches,
    a_function_that_fails_sends_no_task_token,
    stack_operation_is_seen_in_progress,
    second_operation_is_refused,
    creation_can_be_cut_short_by_a_deletion,
    failed_first_creation_takes_no_change_set,
    update_can_be_cancelled,
    full_bucket_stops_a_deletion,
    full_bucket_stops_a_rollback,
    project_keeps_its_log_group,
    leading_keys_are_evaluated,
    schedules_belong_to_their_group,
    user_pools_are_told_apart_by_their_tags,
    bucket_has_the_tags_of_its_stack,
    change_set_lists_what_a_condition_removes,
    bucket_that_exists_is_adopted,
    web_page_cannot_be_root,
]


@pytest.mark.parametrize("check", CHECKS)
def test_patched_emulator(check: Callable[[Aws], None], aws: Aws) -> None:
    check(aws)


@pytest.mark.parametrize("check", CHECKS)
def test_check_fails_without_the_patch(check: Callable[[Aws], None], unpatched: Aws) -> None:
    with pytest.raises(AssertionError):
        check(unpatched)
