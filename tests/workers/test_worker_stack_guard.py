"""The guard: what a change set says is recorded, refused where data would be lost, or withdrawn."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import CHANGE_SET_ID, STACK_ID, Cloud, change, change_set, stack

from control_plane import aws
from control_plane.errors import ChangeSetFailed, ReplacementRefused, ServiceBusy
from control_plane.models import Deployment
from control_plane.store.progress import Progress
from workers import stack as worker


@pytest.fixture
def cloud(world: None, script: scripted.Scripted) -> Cloud:
    cloud = Cloud(script)
    cloud.has_templates({})
    return cloud


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment())


def run(made: Deployment, step: str, **given: Any) -> dict[str, Any]:
    return worker.handler(build.event(made, step, **given), None)


IDS = {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}


EARLY = (
    "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]. To "
    "troubleshoot Early Validation errors, use the DescribeEvents API for detailed information."
)


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


def test_what_is_wrong_with_a_change_sets_resources_is_told(made: Deployment, cloud: Cloud) -> None:
    """The change set itself only says that there is something."""
    cloud.says("DescribeChangeSet", change_set("FAILED", EARLY))
    wrong = {
        "OperationId": "op-1",
        "EventType": "VALIDATION_ERROR",
        "LogicalResourceId": "Logs",
        "ResourceType": "AWS::Logs::LogGroup",
        "ValidationFailureMode": "FAIL",
        "ValidationStatusReason": "the name\n is taken",
    }
    warning = {**wrong, "ValidationFailureMode": "WARN", "ValidationStatusReason": "not empty"}
    cloud.says("DescribeEvents", {"OperationEvents": [wrong, warning]})
    told = r"made: Logs \(AWS::Logs::LogGroup\): the name is taken$"
    with pytest.raises(ChangeSetFailed, match=told):
        run(made, "AwaitChangeSet", **IDS)
    assert [asked["ChangeSetName"] for asked in cloud.asked("DescribeEvents")] == [CHANGE_SET_ID]


def test_a_missing_permission_hides_no_reason(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeChangeSet", change_set("FAILED", EARLY))
    cloud.says("DescribeEvents", scripted.failure("AccessDenied", "no DescribeEvents for you"))
    with pytest.raises(ChangeSetFailed, match=r"ResourceExistenceCheck.*no DescribeEvents for you"):
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
    made = build.opened(build.deployment(allow_replacement=("Users", "Typo")))
    added = change("Add", "Topic", "AWS::SNS::Topic")
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[REPLACED, added]))
    cloud.says("DeleteChangeSet", {})
    answer = run(made, "AwaitChangeSet", **IDS)
    assert answer["summary"] == {
        "added": [{"id": "Topic", "type": "AWS::SNS::Topic"}],
        "replaced": [{"id": "Users", "type": "AWS::Cognito::UserPool"}],
    }
    assert answer["has_changes"] is True
    assert cloud.asked("DeleteChangeSet") == []
    note = build.record(made)["steps"]["AwaitChangeSet"]["note"]
    assert note == "1 added, 1 replaced; allow_replacement names Typo, which nothing here loses"


def test_what_would_change_is_in_the_record_before_anybody_is_asked(
    made: Deployment, cloud: Cloud
) -> None:
    aws.s3().create_bucket(Bucket="notes-forms-stage-alpha")
    changed = change("Import", "Forms", "AWS::S3::Bucket", physical_id="notes-forms-stage-alpha")
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[changed]))
    answer = run(made, "AwaitChangeSet", **IDS)
    assert build.record(made)["change_set"] == {
        "id": CHANGE_SET_ID,
        "stack_id": STACK_ID,
        "has_changes": True,
        "summary": {"imported": [{"id": "Forms", "type": "AWS::S3::Bucket"}]},
    }
    assert answer["summary"] == build.record(made)["change_set"]["summary"]


def test_a_refused_change_set_is_in_the_record_too_and_refused_again_when_the_step_is_repeated(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[REPLACED]))
    cloud.says("DeleteChangeSet", {})
    for answer in ("first", "again"):
        with pytest.raises(ReplacementRefused, match="Users"):
            run(made, "AwaitChangeSet", **IDS)
        assert "replaced" in build.record(made)["change_set"]["summary"], answer
        cloud.says("DescribeChangeSet", scripted.failure("ChangeSetNotFound"))


def test_a_change_set_that_somebody_removed_is_a_failure(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeChangeSet", scripted.failure("ChangeSetNotFound"))
    with pytest.raises(ChangeSetFailed, match="disappeared"):
        run(made, "AwaitChangeSet", **IDS)


def test_a_throttled_look_at_a_change_set_is_tried_again(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeChangeSet", scripted.failure("Throttling", "Rate exceeded"))
    with pytest.raises(ServiceBusy):
        run(made, "AwaitChangeSet", **IDS)


# A dry run ----------------------------------------------------------------------------------------

ADDED = change("Add", "Topic", "AWS::SNS::Topic")


@pytest.fixture
def dry(world: None, cloud: Cloud) -> Deployment:
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[ADDED]))
    for operation in ("DeleteChangeSet", "DeleteStack"):
        cloud.says(operation, {})
    cloud.says("ListChangeSets", {"Summaries": []})
    return build.opened(build.deployment(dry_run=True))


def test_a_dry_run_removes_its_change_set_and_the_stack_that_was_there_only_for_it(
    dry: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("REVIEW_IN_PROGRESS"))
    first = run(dry, "AwaitChangeSet", **IDS)
    assert (first["done"], first["has_changes"]) == (False, True)
    assert cloud.asked("DeleteChangeSet")[0]["ChangeSetName"] == CHANGE_SET_ID
    assert cloud.asked("DeleteStack")[0]["StackName"] == STACK_ID
    cloud.says("DescribeChangeSet", scripted.failure("ChangeSetNotFound"))
    cloud.says("DescribeStacks", stack("DELETE_IN_PROGRESS"))
    assert run(dry, "AwaitChangeSet", **IDS)["done"] is False
    cloud.says("DescribeStacks", stack("DELETE_COMPLETE"))
    last = run(dry, "AwaitChangeSet", **IDS)
    assert last == {**first, "done": True}
    assert len(cloud.asked("DeleteStack")) == 1
    note = build.record(dry)["steps"]["AwaitChangeSet"]["note"]
    assert note == "1 added; a dry run, nothing was changed"


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "CREATE_COMPLETE", "UPDATE_IN_PROGRESS"])
def test_a_dry_run_deletes_no_stack_that_is_there(
    dry: Deployment, cloud: Cloud, status: str
) -> None:
    cloud.says("DescribeStacks", stack(status))
    answer = run(dry, "AwaitChangeSet", **IDS)
    assert (answer["done"], answer["has_changes"]) == (True, True)
    assert len(cloud.asked("DeleteChangeSet")) == 1
    assert cloud.asked("DeleteStack") == []


def test_a_dry_run_leaves_somebody_elses_change_set_alone(dry: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("REVIEW_IN_PROGRESS"))
    cloud.says("ListChangeSets", {"Summaries": [{"ChangeSetName": "theirs"}]})
    assert run(dry, "AwaitChangeSet", **IDS)["done"] is True
    assert cloud.asked("DeleteStack") == []


@pytest.mark.parametrize(
    ("described", "error"),
    [
        (change_set("CREATE_COMPLETE", changes=[REPLACED]), ReplacementRefused),
        (change_set("FAILED", "it already exists in another stack"), ChangeSetFailed),
    ],
)
def test_a_dry_run_that_fails_leaves_nothing_either(
    dry: Deployment, cloud: Cloud, described: dict[str, Any], error: type[Exception]
) -> None:
    cloud.says("DescribeChangeSet", described)
    cloud.says("DescribeStacks", stack("REVIEW_IN_PROGRESS"))
    with pytest.raises(error):
        run(dry, "AwaitChangeSet", **IDS)
    assert len(cloud.asked("DeleteChangeSet")) == 1
    assert len(cloud.asked("DeleteStack")) == 1


def test_the_way_back_takes_away_what_this_deployment_added_and_nothing_else(
    made: Deployment, cloud: Cloud
) -> None:
    added = change("Add", "Shelf", "AWS::S3::Bucket")
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[added]))
    run(made, "AwaitChangeSet", **IDS)
    Progress(build.TABLE).add_facts(made, {"rollback_steps": build.record(made)["steps"]})
    back = made.model_copy(update={"rolling_back": True})
    removed = change("Remove", "Shelf", "AWS::S3::Bucket")
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[removed]))
    assert run(back, "AwaitChangeSet", **IDS)["done"] is True
    older = change("Remove", "Drawer", "AWS::S3::Bucket")
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[removed, older]))
    cloud.says("DeleteChangeSet", {})
    with pytest.raises(ReplacementRefused, match="Drawer") as refused:
        run(back, "AwaitChangeSet", **IDS)
    assert "Shelf" not in str(refused.value)
