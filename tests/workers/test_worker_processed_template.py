"""The template as CloudFormation would apply it: what a guard that looks at it gets to see."""

import json

import pytest
import scripted_aws as scripted
from cloudformation_answers import CHANGE_SET_ID, STACK_ID, Cloud

from control_plane.services import stack_reading as reading


@pytest.fixture
def cloud(world: None, script: scripted.Scripted) -> Cloud:
    return Cloud(script)


@pytest.mark.parametrize(
    "body",
    [
        {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}},
        json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}),
        "Resources:\n  Topic: {Type: AWS::SNS::Topic}\n",
    ],
)
def test_a_processed_template_is_read_in_each_form_that_aws_gives_it(
    cloud: Cloud, body: object
) -> None:
    cloud.says("GetTemplate", {"TemplateBody": body})
    found = reading.processed_template(STACK_ID, CHANGE_SET_ID)
    assert found["Resources"]["Topic"]["Type"] == "AWS::SNS::Topic"
    (asked,) = cloud.asked("GetTemplate")
    assert asked == {
        "StackName": STACK_ID,
        "ChangeSetName": CHANGE_SET_ID,
        "TemplateStage": "Processed",
    }


def test_the_present_template_is_that_of_no_change_set(cloud: Cloud) -> None:
    cloud.says("GetTemplate", {"TemplateBody": {"Resources": {}}})
    assert reading.processed_template(STACK_ID, "") == {"Resources": {}}
    assert "ChangeSetName" not in cloud.asked("GetTemplate")[0]
