"""The stack worker deletes: a failed creation by itself, anything else only when asked to."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import MISSING, STACK_ID, Cloud, event, resource, stack

from control_plane.errors import ServiceBusy, StackFailed, StackRefused
from control_plane.models import Deployment
from control_plane.store.history import History
from workers import stack as worker

NAME = "notes-stage-alpha"


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment())


def delete(made: Deployment) -> dict[str, Any]:
    return worker.handler(build.event(made, "DeleteFailedStack"), None)


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"])
def test_a_stack_whose_first_creation_failed_is_deleted_by_its_id(
    made: Deployment, cloud: Cloud, status: str
) -> None:
    cloud.says("DescribeStacks", stack(status))
    cloud.says("DeleteStack", {})
    assert delete(made) == {"stack_id": STACK_ID, "done": True}
    (asked,) = cloud.asked("DeleteStack")
    assert (asked["StackName"], asked["RoleARN"]) == (STACK_ID, build.ROLE)


@pytest.mark.parametrize(
    "status",
    [
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "UPDATE_ROLLBACK_FAILED",
        "IMPORT_COMPLETE",
        "DELETE_FAILED",
        "UPDATE_FAILED",
        "REVIEW_IN_PROGRESS",
        "CREATE_IN_PROGRESS",
    ],
)
def test_a_stack_that_became_something_else_meanwhile_is_not_deleted(
    made: Deployment, cloud: Cloud, status: str
) -> None:
    cloud.says("DescribeStacks", stack(status))
    cloud.says("DeleteStack", {})
    with pytest.raises(StackRefused, match=f"became {status} meanwhile: not deleted"):
        delete(made)
    assert cloud.asked("DeleteStack") == []


@pytest.mark.parametrize(
    ("answer", "stack_id"), [(MISSING, ""), (stack("DELETE_IN_PROGRESS"), STACK_ID)]
)
def test_a_deletion_that_runs_or_is_done_is_not_started_again(
    made: Deployment, cloud: Cloud, answer: dict[str, Any], stack_id: str
) -> None:
    cloud.says("DescribeStacks", answer)
    cloud.says("DeleteStack", {})
    assert delete(made)["stack_id"] == stack_id
    assert cloud.asked("DeleteStack") == []


@pytest.mark.parametrize(
    ("answer", "done"),
    [
        (stack("DELETE_IN_PROGRESS"), False),
        (stack("DELETE_COMPLETE"), True),
        (MISSING, True),
    ],
)
def test_a_deletion_is_waited_for(
    made: Deployment, cloud: Cloud, answer: dict[str, Any], done: bool
) -> None:
    cloud.says("DescribeStacks", answer)
    given = build.event(made, "AwaitDeletion", stack_id=STACK_ID)
    assert worker.handler(given, None)["done"] is done
    assert cloud.asked("DescribeStacks")[0]["StackName"] == STACK_ID


def test_a_stack_that_was_gone_already_is_not_waited_for(made: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", MISSING)
    given = build.event(made, "AwaitDeletion", stack_id="")
    assert worker.handler(given, None)["done"] is True
    assert cloud.asked("DescribeStacks") == []


def test_a_deletion_that_stopped_half_way_names_what_blocked_it(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("DELETE_FAILED"))
    cloud.has_resources(resource("Forms", "DELETE_FAILED", "not empty"))
    with pytest.raises(StackFailed, match="Forms: not empty"):
        worker.handler(build.event(made, "AwaitDeletion", stack_id=STACK_ID), None)


# DeleteStack --------------------------------------------------------------------------------------


def remove(made: Deployment) -> dict[str, Any]:
    return worker.handler(build.event(made, "DeleteStack"), None)


@pytest.fixture
def removal(world: None, cloud: Cloud) -> Deployment:
    cloud.says("DeleteStack", {})
    cloud.says("UpdateTerminationProtection", {})
    cloud.has_resources()
    return build.opened(build.deployment(mode="offboard", confirm=NAME))


@pytest.mark.parametrize(
    "status", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"]
)
def test_a_removal_deletes_the_stack_by_its_id(
    removal: Deployment, cloud: Cloud, status: str
) -> None:
    cloud.says("DescribeStacks", stack(status))
    assert remove(removal) == {"stack_id": STACK_ID, "done": True}
    (asked,) = cloud.asked("DeleteStack")
    assert asked["StackName"] == STACK_ID
    assert asked["ClientRequestToken"].startswith(removal.id)
    assert "RetainResources" not in asked
    assert cloud.asked("UpdateTerminationProtection") == []


def test_a_half_deleted_stack_is_deleted_without_what_blocked_it(
    removal: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("DELETE_FAILED"))
    cloud.has_resources(
        resource("Forms", "DELETE_FAILED", "not empty"),
        resource("Role", "CREATE_COMPLETE", kind="AWS::IAM::Role"),
    )
    remove(removal)
    assert cloud.asked("DeleteStack")[0]["RetainResources"] == ["Forms"]
    note = build.record(removal)["steps"]["DeleteStack"]["note"]
    assert "kept outside the stack: Forms (not empty)" in note


def test_what_blocked_the_deletion_of_a_big_stack_is_kept_too(
    removal: Deployment, cloud: Cloud
) -> None:
    """Otherwise every further offboarding fails on the same resource, the 130th of the stack."""
    cloud.says("DescribeStacks", stack("DELETE_FAILED"))
    gone = [resource(f"R{number:03}", "DELETE_COMPLETE") for number in range(129)]
    cloud.has_resources(*gone, resource("Forms", "DELETE_FAILED"))
    cloud.has_events(
        event("DELETE_FAILED"),
        event("DELETE_FAILED", "Forms", reason="not empty"),
        event("DELETE_IN_PROGRESS"),
        event("CREATE_FAILED", "Forms", reason="another time"),
    )
    remove(removal)
    assert cloud.asked("DeleteStack")[0]["RetainResources"] == ["Forms"]
    assert "Forms (not empty)" in build.record(removal)["steps"]["DeleteStack"]["note"]


def test_termination_protection_is_turned_off_before_the_deletion(
    removal: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE", EnableTerminationProtection=True))

    def protected(_: Any) -> Any:
        assert cloud.asked("UpdateTerminationProtection")[0] == {
            "StackName": NAME,
            "EnableTerminationProtection": False,
        }
        return {}

    cloud.says("DeleteStack", protected)
    remove(removal)
    assert len(cloud.asked("DeleteStack")) == 1


@pytest.mark.parametrize(
    "options",
    [{"mode": "full"}, {"mode": "offboard"}, {"mode": "offboard", "confirm": "notes-stage-beta"}],
)
def test_nothing_is_deleted_that_nobody_asked_for_by_its_name(
    world: None, cloud: Cloud, options: dict[str, str]
) -> None:
    cloud.says("DescribeStacks", stack("CREATE_COMPLETE"))
    cloud.says("DeleteStack", {})
    with pytest.raises(StackRefused, match="nobody asked"):
        remove(build.opened(build.deployment(**options)))
    assert cloud.asked("DeleteStack") == []


def test_a_stack_that_somebody_changes_meanwhile_is_not_deleted(
    removal: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_IN_PROGRESS"))
    with pytest.raises(StackRefused, match="became UPDATE_IN_PROGRESS meanwhile: not deleted"):
        remove(removal)
    assert cloud.asked("DeleteStack") == []


@pytest.mark.parametrize(
    ("answer", "stack_id"), [(MISSING, ""), (stack("DELETE_IN_PROGRESS"), STACK_ID)]
)
def test_a_removal_that_runs_or_is_done_is_not_started_again(
    removal: Deployment, cloud: Cloud, answer: dict[str, Any], stack_id: str
) -> None:
    cloud.says("DescribeStacks", answer)
    assert remove(removal)["stack_id"] == stack_id
    assert cloud.asked("DeleteStack") == []


def test_a_throttled_look_deletes_nothing(removal: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", scripted.failure("Throttling", "Rate exceeded"))
    with pytest.raises(ServiceBusy):
        remove(removal)
    assert cloud.asked("DeleteStack") == []


def test_a_removal_that_stopped_half_way_says_how_to_go_on(
    removal: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("DELETE_FAILED"))
    cloud.has_resources(resource("Forms", "DELETE_FAILED", "not empty"))
    with pytest.raises(StackFailed, match=r"offboard again .*Forms: not empty"):
        worker.handler(build.event(removal, "AwaitRemoval", stack_id=STACK_ID), None)


# Data ---------------------------------------------------------------------------------------------

TABLE = "AWS::DynamoDB::Table"
NESTED = "AWS::CloudFormation::Stack"


def declared(*policies: str | None, kind: str = TABLE) -> dict[str, Any]:
    """A template with a resource a policy, as GetTemplate answers."""
    resources = {
        f"R{number}": {"Type": kind} | ({"DeletionPolicy": policy} if policy else {})
        for number, policy in enumerate(policies)
    }
    return {"TemplateBody": json.dumps({"Resources": resources})}


def look(made: Deployment) -> dict[str, Any]:
    return worker.handler(build.event(made, "CheckStack", rollback_continued=False), None)


@pytest.mark.parametrize("step", [look, remove])
@pytest.mark.parametrize("policy", [None, "Delete"])
def test_a_removal_that_would_destroy_a_table_is_refused_before_anything_is_done(
    removal: Deployment, cloud: Cloud, step: Any, policy: str | None
) -> None:
    """CheckStack refuses before anybody approves or exports anything, DeleteStack once more."""
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE", EnableTerminationProtection=True))
    cloud.has_resources(resource("R0", "CREATE_COMPLETE", kind=TABLE))
    cloud.says("GetTemplate", declared(policy))
    with pytest.raises(StackRefused, match=rf"R0 \({TABLE} id-of-R0\); nothing was removed"):
        step(removal)
    assert cloud.asked("DeleteStack") == []
    assert cloud.asked("UpdateTerminationProtection") == []
    assert {asked["TemplateStage"] for asked in cloud.asked("GetTemplate")} == {"Processed"}


@pytest.mark.parametrize("kind", ["Custom::Seeds", "Acme::Storage::Shelf", "AWS::Brand::New"])
@pytest.mark.parametrize(("policy", "refused"), [(None, True), ("Retain", False)])
def test_what_nobody_knows_anything_of_is_removed_by_a_purge_only(
    removal: Deployment, cloud: Cloud, kind: str, policy: str | None, refused: bool
) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_resources(resource("R0", "CREATE_COMPLETE", kind=kind))
    cloud.says("GetTemplate", declared(policy, kind=kind))
    if refused:
        with pytest.raises(StackRefused, match=rf"R0 \({kind}"):
            remove(removal)
    else:
        remove(removal)
    assert bool(cloud.asked("DeleteStack")) is not refused


def test_a_type_that_only_the_deployed_manifest_names_is_not_destroyed(
    removal: Deployment, cloud: Cloud
) -> None:
    function = "AWS::Lambda::Function"
    naming = build.MANIFEST.replace('"AWS::S3::Bucket",', f'"{function}",')
    source = build.push_source({**build.FILES, "application.toml": naming})
    before = build.opened(build.deployment(number=9))
    build.take_lock(before)
    History(build.TABLE).succeed(
        before.tenant, before.id, before.execution_arn, {}, {"source": source}, [], is_whole=True
    )
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_resources(resource("R0", "CREATE_COMPLETE", kind=function))
    cloud.says("GetTemplate", declared(None, kind=function))
    with pytest.raises(StackRefused, match=rf"R0 \({function}"):
        remove(removal)


@pytest.mark.parametrize(
    "template",
    [
        declared("Retain"),
        declared("RetainExceptOnCreate"),
        declared("Snapshot"),
        {"TemplateBody": "Resources:\n  R0:\n    Type: 'X'\n    DeletionPolicy: Retain"},
    ],
)
def test_what_is_retained_may_be_left_behind(
    removal: Deployment, cloud: Cloud, template: dict[str, Any]
) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_resources(
        resource("R0", "CREATE_COMPLETE", kind=TABLE),
        resource("R1", "CREATE_COMPLETE", kind="AWS::SNS::Topic"),
        resource("R2", "DELETE_COMPLETE", kind=TABLE),
    )
    cloud.says("GetTemplate", template)
    remove(removal)
    assert len(cloud.asked("DeleteStack")) == 1


def test_a_purge_may_destroy_data(world: None, cloud: Cloud) -> None:
    purging = build.opened(build.deployment(mode="offboard", confirm=NAME, purge=True))
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_resources(resource("R0", "CREATE_COMPLETE", kind=TABLE))
    cloud.says("GetTemplate", declared(None))
    cloud.says("DeleteStack", {})
    remove(purging)
    assert len(cloud.asked("DeleteStack")) == 1


def test_a_policy_that_nobody_can_decide_does_not_retain(removal: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_resources(resource("R0", "CREATE_COMPLETE", kind=TABLE))
    body = {"Resources": {"R0": {"Type": TABLE, "DeletionPolicy": {"Ref": "Policy"}}}}
    cloud.says("GetTemplate", {"TemplateBody": json.dumps(body)})
    with pytest.raises(StackRefused, match="R0"):
        remove(removal)


def test_a_table_that_the_template_does_not_declare_any_more_is_not_destroyed(
    removal: Deployment, cloud: Cloud
) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_resources(resource("Old", "UPDATE_COMPLETE", kind=TABLE))
    cloud.says("GetTemplate", declared("Retain"))
    with pytest.raises(StackRefused, match="Old"):
        remove(removal)


@pytest.mark.parametrize(("policy", "refused"), [(None, True), ("Retain", False)])
def test_a_table_in_a_nested_stack_is_not_destroyed(
    removal: Deployment, cloud: Cloud, policy: str | None, refused: bool
) -> None:
    inner = resource("Table", "CREATE_COMPLETE", kind=TABLE)
    answers = {
        STACK_ID: [resource("R0", "CREATE_COMPLETE", kind=NESTED)],
        "id-of-R0": [inner],
    }
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.says(
        "ListStackResources", lambda asked: {"StackResourceSummaries": answers[asked["StackName"]]}
    )
    cloud.says("GetTemplate", declared(policy, kind=NESTED))
    if refused:
        with pytest.raises(StackRefused, match=rf"R0/Table \({TABLE}"):
            remove(removal)
    else:
        remove(removal)
    assert bool(cloud.asked("DeleteStack")) is not refused


def test_a_template_that_cannot_be_read_deletes_nothing(removal: Deployment, cloud: Cloud) -> None:
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.has_resources(resource("R0", "CREATE_COMPLETE", kind=TABLE))
    cloud.says("GetTemplate", scripted.failure("AccessDenied", "no"))
    with pytest.raises(Exception, match="AccessDenied"):
        remove(removal)
    assert cloud.asked("DeleteStack") == []
