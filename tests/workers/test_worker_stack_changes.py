"""The stack worker after the build: change sets, and an operation judged by its own events."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import (
    CHANGE_SET_ID,
    STACK_ID,
    Cloud,
    change,
    change_set,
    stack,
    upload_template,
)

from control_plane import aws
from control_plane.errors import (
    ChangeSetFailed,
    ReplacementRefused,
    ServiceBusy,
    StackRefused,
)
from control_plane.models import Deployment
from workers import stack as worker

NAME = "notes-stage-alpha"


@pytest.fixture
def cloud(script: scripted.Scripted) -> Cloud:
    return Cloud(script)


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
    assert asked["Tags"] == [{"Key": "syndi:stack", "Value": NAME}]
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


# AwaitChangeSet -----------------------------------------------------------------------------------

IDS = {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}


def test_a_change_set_that_is_being_made_is_waited_for(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeChangeSet", change_set("CREATE_IN_PROGRESS"))
    assert run(made, "AwaitChangeSet", **IDS)["done"] is False


def test_no_changes_are_a_success_and_leave_no_change_set(made: Deployment, cloud: Cloud) -> None:
    reason = "The submitted information didn't contain changes."
    cloud.says("DescribeChangeSet", change_set("FAILED", reason))
    cloud.says("DeleteChangeSet", {})
    answer = run(made, "AwaitChangeSet", **IDS)
    assert answer == {"has_changes": False, "summary": {}, "done": True}
    assert cloud.asked("DeleteChangeSet")[0]["ChangeSetName"] == CHANGE_SET_ID


def test_any_other_failed_change_set_is_a_failure(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeChangeSet", change_set("FAILED", "Transform\n failed"))
    with pytest.raises(ChangeSetFailed, match="Transform failed"):
        run(made, "AwaitChangeSet", **IDS)


REPLACED = change("Modify", "Users", "AWS::Cognito::UserPool", "True")


def test_a_change_that_would_lose_data_is_refused_and_its_change_set_deleted(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[REPLACED]))
    cloud.says("DeleteChangeSet", {})
    with pytest.raises(ReplacementRefused, match=r"Users .* would be replaced"):
        run(made, "AwaitChangeSet", **IDS)
    assert cloud.asked("DeleteChangeSet")[0]["ChangeSetName"] == CHANGE_SET_ID


def test_a_replacement_on_the_second_page_is_seen_too(made: Deployment, cloud: Cloud) -> None:
    first = change_set("CREATE_COMPLETE", changes=[change("Add", "Topic", "AWS::SNS::Topic")])
    second = change_set("CREATE_COMPLETE", changes=[REPLACED])

    def page(asked: dict[str, Any]) -> dict[str, Any]:
        return second if asked.get("NextToken") else {**first, "NextToken": "2"}

    cloud.says("DescribeChangeSet", page)
    cloud.says("DeleteChangeSet", {})
    with pytest.raises(ReplacementRefused, match="Users"):
        run(made, "AwaitChangeSet", **IDS)


def test_a_replacement_that_was_allowed_goes_on(world: None, cloud: Cloud) -> None:
    made = build.opened(build.deployment(allow_replacement=("Users",)))
    added = change("Add", "Topic", "AWS::SNS::Topic")
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[REPLACED, added]))
    cloud.says("DeleteChangeSet", {})
    answer = run(made, "AwaitChangeSet", **IDS)
    assert answer["summary"] == {"added": ["Topic"], "replaced": ["Users"]}
    assert answer["has_changes"] is True
    assert cloud.asked("DeleteChangeSet") == []
