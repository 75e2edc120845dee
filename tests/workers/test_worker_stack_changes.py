"""The stack worker after the build: what it asks CloudFormation for."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import (
    CHANGE_SET_ID,
    STACK_ID,
    Cloud,
    change_set,
    looked_at,
    stack,
    upload_template,
)

from control_plane import aws
from control_plane.errors import ChangeSetFailed, ServiceBusy, StackRefused
from control_plane.models import Deployment, Options
from workers import stack as worker
from workers import stack_changes as changes

NAME = "notes-stage-alpha"


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment())


def run(made: Deployment, step: str, **given: Any) -> dict[str, Any]:
    return worker.handler(build.event(made, step, **given), None)


# CreateChangeSet ----------------------------------------------------------------------------------


def create(made: Deployment) -> dict[str, Any]:
    return run(made, "CreateChangeSet", template_key=upload_template())


def parameters(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        item["ParameterKey"]: item.get("ParameterValue", "<previous>")
        for item in asked["Parameters"]
    }


def test_a_first_deployment_asks_for_a_creation(made: Deployment, cloud: Cloud) -> None:
    cloud.watches("CreateChangeSet")
    answer = create(made)
    (asked,) = cloud.asked("CreateChangeSet")
    assert (asked["ChangeSetType"], asked["StackName"]) == ("CREATE", NAME)
    assert asked["RoleARN"] == build.ROLE
    assert {tag["Key"]: tag["Value"] for tag in asked["Tags"]} == {
        "syndi:stack": NAME,
        "syndi:application": "notes",
        "syndi:tenant": "stage-alpha",
    }
    assert parameters(asked) == {
        "Environment": "stage",
        "EnableAuth": "true",
        "CreateBuckets": "true",
    }
    described = aws.cloudformation().describe_change_set(ChangeSetName=answer["change_set_id"])
    assert described["StackId"] == answer["stack_id"]


def test_a_later_deployment_asks_for_an_update_and_keeps_previous_values(cloud: Cloud) -> None:
    url = f"https://s3.{build.REGION}.amazonaws.com/{build.ARTIFACTS}/{upload_template()}"
    chosen = [{"ParameterKey": "CreateBuckets", "ParameterValue": "false"}]
    aws.cloudformation().create_stack(StackName=NAME, TemplateURL=url, Parameters=chosen)
    made = build.opened(build.deployment(enable_auth=False))
    cloud.watches("CreateChangeSet")
    create(made)
    (asked,) = cloud.asked("CreateChangeSet")
    assert asked["ChangeSetType"] == "UPDATE"
    assert parameters(asked) == {
        "Environment": "stage",
        "EnableAuth": "false",
        "CreateBuckets": "<previous>",
        "LogLevel": "<previous>",
    }


def test_an_abandoned_first_change_set_is_followed_by_a_creation(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("REVIEW_IN_PROGRESS"))
    cloud.says("CreateChangeSet", {"Id": CHANGE_SET_ID, "StackId": STACK_ID})
    create(made)
    assert cloud.asked("CreateChangeSet")[0]["ChangeSetType"] == "CREATE"


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "DELETE_FAILED", "ROLLBACK_COMPLETE"])
def test_a_stack_that_changed_during_the_build_is_refused(
    made: Deployment, cloud: Cloud, status: str
) -> None:
    cloud.says("DescribeStacks", stack(status))
    cloud.says("CreateChangeSet", {"Id": CHANGE_SET_ID, "StackId": STACK_ID})
    with pytest.raises(StackRefused, match=f"became {status} during the build"):
        create(made)
    assert cloud.asked("CreateChangeSet") == []


def test_the_step_run_twice_finds_its_own_change_set(made: Deployment, cloud: Cloud) -> None:
    cloud.says("CreateChangeSet", scripted.failure("AlreadyExistsException"))
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE"))
    answer = create(made)
    assert (answer["change_set_id"], answer["stack_id"]) == (CHANGE_SET_ID, STACK_ID)
    assert cloud.asked("DescribeChangeSet")[0]["ChangeSetName"] == f"syndi-{made.id}"


def test_a_template_that_cloudformation_refuses_fails_with_its_words(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("CreateChangeSet", scripted.failure("ValidationError", "Template\n error: no Ref"))
    with pytest.raises(ChangeSetFailed, match="Template error: no Ref"):
        create(made)


def test_a_throttled_change_set_is_tried_again(made: Deployment, cloud: Cloud) -> None:
    cloud.says("CreateChangeSet", scripted.failure("Throttling", "Rate exceeded"))
    with pytest.raises(ServiceBusy):
        create(made)


def test_what_exists_is_adopted_by_names_that_are_written_out(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("CreateChangeSet", {"Id": CHANGE_SET_ID, "StackId": STACK_ID})
    name = {"Fn::Sub": "notes-forms-${Environment}-${AWS::AccountId}"}
    bucket = {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "Properties": {"BucketName": name},
    }
    key = upload_template(resources={"Forms": bucket})
    run(made, "CreateChangeSet", template_key=key)
    (asked,) = cloud.asked("CreateChangeSet")
    assert asked["ImportExistingResources"] is True
    resolved = "notes-stage-alpha/builds/f00/resolved.json"
    assert asked["TemplateURL"].endswith(f"/{build.ARTIFACTS}/{resolved}")
    body = aws.s3().get_object(Bucket=build.ARTIFACTS, Key=resolved)["Body"].read()
    found = json.loads(body)["Resources"]["Forms"]["Properties"]["BucketName"]
    assert found == f"notes-forms-stage-{build.ACCOUNT}"
    run(made, "CreateChangeSet", template_key=key)
    again = aws.s3().get_object(Bucket=build.ARTIFACTS, Key=resolved)["Body"].read()
    assert again == body


def test_a_parameter_that_differs_reaches_published_functions(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("CreateChangeSet", {"Id": CHANGE_SET_ID, "StackId": STACK_ID})
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {"AutoPublishAlias": "live", "AutoPublishAliasAllProperties": True},
    }
    key = upload_template(resources={"Api": function})
    without_auth = made.model_copy(update={"options": Options(enable_auth=False)})
    found = []
    for deployment in (made, made, without_auth):
        changes.create_change_set(deployment, {"template_key": key})
        resolved = aws.s3().get_object(
            Bucket=build.ARTIFACTS, Key="notes-stage-alpha/builds/f00/resolved.json"
        )
        template = json.loads(resolved["Body"].read())
        found.append(template["Resources"]["Api"]["Properties"]["Environment"]["Variables"])
    assert found[0] == found[1] != found[2]


def test_a_template_without_such_names_is_deployed_as_it_was_packaged(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("CreateChangeSet", {"Id": CHANGE_SET_ID, "StackId": STACK_ID})
    create(made)
    assert cloud.asked("CreateChangeSet")[0]["TemplateURL"].endswith("/f00/template.yaml")


def test_the_way_back_has_a_change_set_and_an_operation_of_its_own(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("CreateChangeSet", {"Id": CHANGE_SET_ID, "StackId": STACK_ID})
    cloud.says("ExecuteChangeSet", {})
    back = made.model_copy(update={"rolling_back": True})
    changes.create_change_set(back, {"template_key": upload_template()})
    looked_at(back)
    changes.execute_change_set(back, {"stack_id": STACK_ID, "change_set_id": CHANGE_SET_ID})
    assert cloud.asked("CreateChangeSet")[0]["ChangeSetName"] == f"syndi-{made.id}-back"
    assert cloud.asked("ExecuteChangeSet")[0]["ClientRequestToken"] == f"{made.id}-back"
