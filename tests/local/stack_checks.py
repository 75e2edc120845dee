"""CloudFormation's operations, and what it makes, as on AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local_aws import Aws, error_of


def bucket(name: str) -> dict[str, object]:
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}


def template(**resources: object) -> dict[str, object]:
    return {"Resources": resources}


def parameter(value: str) -> dict[str, object]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value}}


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


def client_of_the_emulator(aws: Aws) -> Callable[..., dict[str, Any]]:
    """The emulator's own CodeBuild, not the endpoint that builds."""
    import boto3

    found: Callable[..., dict[str, Any]] = boto3.client(
        "codebuild", endpoint_url=aws.laptop.endpoint, region_name=aws.laptop.region,
        aws_access_key_id="test", aws_secret_access_key="test",
    ).batch_get_projects  # type: ignore[assignment]  # fmt: skip
    return found


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


def deleted_stack_lists_what_it_left(aws: Aws) -> None:
    kept = parameter("1") | {"DeletionPolicy": "RetainExceptOnCreate"}
    aws.create_stack("leaving", template(Kept=kept, Gone=parameter("1")))
    stack_id = aws.settled("leaving")["StackId"]
    aws.cloudformation.delete_stack(StackName="leaving")
    assert aws.settled(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    listed = aws.cloudformation.list_stack_resources(StackName=stack_id)["StackResourceSummaries"]
    assert {item["LogicalResourceId"]: item["ResourceStatus"] for item in listed} == {
        "Kept": "DELETE_SKIPPED",
        "Gone": "DELETE_COMPLETE",
    }


def nested_stack_keeps_what_its_policy_retains(aws: Aws) -> None:
    inner = template(Kept=bucket("kept-inside") | {"DeletionPolicy": "Retain"})
    aws.s3.create_bucket(Bucket="templates")
    aws.s3.put_object(Bucket="templates", Key="inner.json", Body=json.dumps(inner).encode())
    url = "https://s3.us-east-1.amazonaws.com/templates/inner.json"
    nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}
    aws.create_stack("outer", template(Inner=nested))
    stack_id = aws.settled("outer")["StackId"]
    aws.cloudformation.delete_stack(StackName="outer")
    assert aws.settled(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert "kept-inside" in [item["Name"] for item in aws.s3.list_buckets()["Buckets"]]


def named_by_the_first(*, more: bool) -> dict[str, object]:
    name = {"Fn::Select": [0, {"Fn::Split": [",", {"Ref": "Prefixes"}]}]}
    lines = {"Tags": [{"Key": "prefixes", "Value": {"Ref": "Prefixes"}}]} if more else {}
    properties = {"BucketName": name, **lines}
    return {
        "Parameters": {"Prefixes": {"Type": "String", "Default": "changes-first"}},
        "Resources": {"B": {"Type": "AWS::S3::Bucket", "Properties": properties}},
    }


def changes_of(aws: Aws, stack: str, **asked: Any) -> dict[str, dict[str, Any]]:
    """The changes of a change set, which is removed again, by logical id."""
    of = {"StackName": stack, "ChangeSetName": "looked-at"}
    aws.cloudformation.create_change_set(**of, **asked)
    found = aws.cloudformation.describe_change_set(**of)
    aws.cloudformation.delete_change_set(**of)
    return {
        one["ResourceChange"]["LogicalResourceId"]: one["ResourceChange"]
        for one in found.get("Changes", [])
    }


def value_that_stays_is_no_change(aws: Aws) -> None:
    aws.create_stack("staying", named_by_the_first(more=False))
    aws.settled("staying")
    longer = [{"ParameterKey": "Prefixes", "ParameterValue": "changes-first,second"}]
    assert changes_of(aws, "staying", UsePreviousTemplate=True, Parameters=longer) == {}


def changed_tag_replaces_no_bucket(aws: Aws) -> None:
    aws.create_stack("tagging", template(B=bucket("changes-tagged")))
    aws.settled("tagging")

    def replacement(**properties: Any) -> str:
        of = bucket("changes-tagged")
        body = json.dumps(template(B={**of, "Properties": {**of["Properties"], **properties}}))  # type: ignore[dict-item]
        return str(changes_of(aws, "tagging", TemplateBody=body)["B"]["Replacement"])

    assert replacement(Tags=[{"Key": "a", "Value": "b"}]) == "False"
    assert replacement(BucketName="changes-else") == "True"


def nest(aws: Aws, name: str, inner: dict[str, object]) -> dict[str, object]:
    """A nested stack of that template, as a resource."""
    aws.s3.create_bucket(Bucket="nested-templates")  # again and again: it is ours
    aws.s3.put_object(Bucket="nested-templates", Key=name, Body=json.dumps(inner).encode())
    url = f"https://s3.us-east-1.amazonaws.com/nested-templates/{name}"
    return {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}


def nested_stacks_have_change_sets(aws: Aws) -> None:
    def outer(**deepest: object) -> dict[str, object]:
        return template(
            Outer=nest(aws, "nest", template(Deep=nest(aws, "nest-deep", template(**deepest))))
        )

    aws.create_stack("nesting", outer(Kept=parameter("1"), Gone=parameter("2")))
    aws.settled("nesting")
    of = {"StackName": "nesting", "ChangeSetName": "nested"}
    body = json.dumps(outer(Kept=parameter("1"), New=parameter("3")))
    aws.cloudformation.create_change_set(**of, TemplateBody=body, IncludeNestedStacks=True)
    described = aws.cloudformation.describe_change_set(**of)
    for name in ("Outer", "Deep"):
        (change,) = described.get("Changes", []) or [{"ResourceChange": {}}]
        assert change["ResourceChange"].get("LogicalResourceId") == name
        assert "ChangeSetId" in change["ResourceChange"], "nobody could look into it"
        nested = change["ResourceChange"]["ChangeSetId"]
        described = aws.cloudformation.describe_change_set(ChangeSetName=nested)
    found = [one["ResourceChange"] for one in described["Changes"]]
    assert {one["LogicalResourceId"]: one["Action"] for one in found} == {
        "Gone": "Remove",
        "New": "Add",
    }
    processed = aws.cloudformation.get_template(
        StackName=described["StackId"], ChangeSetName=nested
    )
    assert set(processed["TemplateBody"]["Resources"]) == {"Kept", "New"}
    aws.cloudformation.delete_change_set(**of)
    code, _ = error_of(aws.cloudformation.describe_change_set, ChangeSetName=nested)
    assert code == "ChangeSetNotFound"


CHECKS = [
    stack_operation_is_seen_in_progress,
    second_operation_is_refused,
    failed_first_creation_takes_no_change_set,
    update_can_be_cancelled,
    creation_can_be_cut_short_by_a_deletion,
    full_bucket_stops_a_deletion,
    full_bucket_stops_a_rollback,
    project_keeps_its_log_group,
    bucket_has_the_tags_of_its_stack,
    change_set_lists_what_a_condition_removes,
    bucket_that_exists_is_adopted,
    deleted_stack_lists_what_it_left,
    nested_stack_keeps_what_its_policy_retains,
    value_that_stays_is_no_change,
    changed_tag_replaces_no_bucket,
    nested_stacks_have_change_sets,
]
