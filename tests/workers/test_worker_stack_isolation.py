"""A template that would let its tenant out is refused before its change set is executed."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import CHANGE_SET_ID, STACK_ID, Cloud, change, change_set, stack

from control_plane import aws
from control_plane.errors import IsolationRefused
from control_plane.models import Deployment, Env, JsonObject, Tenant
from control_plane.store import items
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from workers import stack as worker

IDS = {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}
ADDED = change("Add", "Role", "AWS::IAM::Role")


@pytest.fixture
def cloud(script: scripted.Scripted) -> Cloud:
    found = Cloud(script)
    found.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=[ADDED]))
    found.says("DeleteChangeSet", {})
    found.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    return found


@pytest.fixture
def made(world: None) -> Deployment:
    return build.opened(build.deployment())


def run(made: Deployment, step: str = "AwaitChangeSet", **given: Any) -> dict[str, Any]:
    return worker.handler(build.event(made, step, **(IDS | given)), None)


def template(value: Any, **more: Any) -> JsonObject:
    """A template with a function whose environment says `value`."""
    properties = {"Environment": {"Variables": {"TABLE": value}}}
    return {
        "TemplateBody": {
            "Parameters": {"Bucket": {"Type": "String"}},
            "Resources": {"Function": {"Type": "AWS::Lambda::Function", "Properties": properties}},
            **more,
        }
    }


def neighbour(org: str, application: str = "other") -> None:
    """A tenant that was deployed."""
    tenant = Tenant(application=application, env=Env.STAGE, org=org)
    found = {"application": application, "env": "stage", "org": org, "listing": "TENANT"}
    item = items.whole(
        items.tenant_key(tenant), items.CURRENT, {**found, "listed_at": tenant.stack_name}
    )
    aws.dynamodb().put_item(TableName=build.TABLE, Item=item)


def record(made: Deployment) -> JsonObject:
    return Listing(build.TABLE).get(made.tenant, made.id) or {}


def test_a_leak_is_refused_recorded_and_its_change_set_removed(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("GetTemplate", template("notes-config-stage-victim-123456789012"))
    with pytest.raises(IsolationRefused, match=r"Function, Environment\.Variables\.TABLE: names"):
        run(made)
    asked = cloud.asked("GetTemplate")[-1]
    assert (asked["TemplateStage"], asked["ChangeSetName"]) == ("Processed", CHANGE_SET_ID)
    assert [call["ChangeSetName"] for call in cloud.asked("DeleteChangeSet")] == [CHANGE_SET_ID]
    assert "victim" in record(made)["change_set"]["not_isolated"]
    # A second attempt of the step finds the change set gone, and says the same.
    cloud.says("DescribeChangeSet", scripted.failure("ChangeSetNotFound"))
    with pytest.raises(IsolationRefused, match="victim"):
        run(made)


def test_the_nearest_that_is_isolated_goes_on(made: Deployment, cloud: Cloud) -> None:
    cloud.says("GetTemplate", template("notes-config-stage-alpha-123456789012"))
    assert run(made)["has_changes"] is True
    assert cloud.asked("DeleteChangeSet") == []


def test_what_is_deployed_without_changes_has_to_be_isolated_too(
    made: Deployment, cloud: Cloud
) -> None:
    """Otherwise a tenant that was deployed before is never looked at."""
    reason = "The submitted information didn't contain changes."
    cloud.says("DescribeChangeSet", change_set("FAILED", reason))
    cloud.says("GetTemplate", template("notes-config-stage-victim-123456789012"))
    with pytest.raises(IsolationRefused, match="victim"):
        run(made)
    assert "ChangeSetName" not in cloud.asked("GetTemplate")[-1]


def test_a_value_that_a_parameter_has_is_looked_at(made: Deployment, cloud: Cloud) -> None:
    cloud.says("GetTemplate", template({"Ref": "Bucket"}))
    bad = {"ParameterKey": "Bucket", "ParameterValue": "notes-config-stage-victim-123456789012"}
    found = change_set("CREATE_COMPLETE", changes=[ADDED])
    cloud.says("DescribeChangeSet", found | {"Parameters": [bad]})
    with pytest.raises(IsolationRefused, match="victim"):
        run(made)
    # One that is kept stands in the stack.
    kept = {"ParameterKey": "Bucket", "UsePreviousValue": True}
    cloud.says("DescribeChangeSet", found | {"Parameters": [kept]})
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE", Parameters=[bad]))
    with pytest.raises(IsolationRefused, match="victim"):
        run(made)


def test_the_neighbours_are_those_of_the_table(made: Deployment, cloud: Cloud) -> None:
    cloud.says("GetTemplate", template("other-stage-next-Table-1X"))
    assert run(made)["has_changes"] is True  # nobody of that name is known
    neighbour("next")
    with pytest.raises(IsolationRefused, match="names other-stage-next"):
        run(made)


def test_the_control_planes_own_table_is_a_neighbours(made: Deployment, cloud: Cloud) -> None:
    cloud.says("GetTemplate", template("control-plane-prod-main-history"))
    with pytest.raises(IsolationRefused, match="control-plane-prod-main"):
        run(made)


@pytest.mark.parametrize("tag", ["notes-stage-alpha", "notes-stage-victim", None])
def test_a_pool_is_the_tenants_by_its_tag(made: Deployment, cloud: Cloud, tag: str | None) -> None:
    tags = {"syndi:stack": tag} if tag else {}
    pool = aws.cognito().create_user_pool(PoolName="p", UserPoolTags=tags)["UserPool"]["Id"]
    cloud.says("GetTemplate", template(pool))
    if tag == "notes-stage-alpha":
        assert run(made)["has_changes"] is True
        return
    with pytest.raises(IsolationRefused, match=f"user pool {pool}, which is not tagged"):
        run(made)


def test_a_template_that_cannot_be_read_is_refused(made: Deployment, cloud: Cloud) -> None:
    reason = "The submitted information didn't contain changes."
    cloud.says("DescribeChangeSet", change_set("FAILED", reason))
    cloud.says("GetTemplate", {"TemplateBody": "- no\n- template"})
    with pytest.raises(IsolationRefused, match="template: cannot be looked at"):
        run(made)


def test_a_missing_permission_is_no_answer(made: Deployment, cloud: Cloud) -> None:
    cloud.says("GetTemplate", scripted.failure("AccessDenied", "no GetTemplate for you"))
    with pytest.raises(Exception, match="no GetTemplate for you"):
        run(made)
    assert cloud.asked("DeleteChangeSet") == []


def test_the_way_back_is_not_refused(world: None, cloud: Cloud) -> None:
    """It leads from what failed to what ran before; that is red anyway."""
    made = build.opened(build.deployment())
    Progress(build.TABLE).add_facts(made, {"rollback_steps": record(made)["steps"]})
    back = made.model_copy(update={"rolling_back": True})
    cloud.says("GetTemplate", template("notes-config-stage-victim-123456789012"))
    assert run(back)["has_changes"] is True


# Nested stacks ------------------------------------------------------------------------------------

INNER = f"arn:aws:cloudformation:{build.REGION}:{build.ACCOUNT}:stack/notes-stage-alpha-Inner/2"
INNER_SET = f"arn:aws:cloudformation:{build.REGION}:{build.ACCOUNT}:changeSet/inner/2"
NESTED = "AWS::CloudFormation::Stack"


def nests(cloud: Cloud, inner: JsonObject, parameters: JsonObject | None = None) -> None:
    """The stack has one nested in it, whose template is `inner`."""
    outer = {
        "Inner": {"Type": NESTED, "Properties": {"Parameters": parameters or {}}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {
            "TABLE": {"Fn::GetAtt": ["Inner", "Outputs.Name"]}}}}},
    }  # fmt: skip

    def answer(asked: JsonObject) -> JsonObject:
        is_inner = asked.get("ChangeSetName") == INNER_SET or asked["StackName"] == INNER
        return {"TemplateBody": inner if is_inner else {"Resources": outer}}

    cloud.says("GetTemplate", answer)
    cloud.says("ListStackResources", {"StackResourceSummaries": []})


def changes_inner(cloud: Cloud, **more: str) -> None:
    """The change set changes the nested stack."""
    item = change("Add", "Inner", NESTED)
    item["ResourceChange"] |= more
    outer, inner = (change_set("CREATE_COMPLETE", changes=found) for found in ([item], []))
    cloud.says(
        "DescribeChangeSet", lambda asked: inner if asked["ChangeSetName"] == INNER_SET else outer
    )


VICTIMS = "notes-config-stage-victim-123456789012"


def leaking(value: Any) -> JsonObject:
    return {**template(value)["TemplateBody"], "Outputs": {"Name": {"Value": "mine"}}}


def test_a_nested_stack_is_looked_into(made: Deployment, cloud: Cloud) -> None:
    changes_inner(cloud, ChangeSetId=INNER_SET, PhysicalResourceId=INNER)
    nests(cloud, leaking(VICTIMS))
    with pytest.raises(IsolationRefused, match=r"Inner/Function, Environment"):
        run(made)
    nests(cloud, leaking({"Ref": "Bucket"}), {"Bucket": VICTIMS})
    with pytest.raises(IsolationRefused, match=r"Inner, Parameters.Bucket.*Inner/Function"):
        run(made)
    nests(cloud, leaking("mine"))
    assert run(made)["has_changes"] is True


def test_what_a_nested_stack_gives_out_is_looked_at(made: Deployment, cloud: Cloud) -> None:
    changes_inner(cloud, ChangeSetId=INNER_SET, PhysicalResourceId=INNER)
    nests(cloud, {"Resources": {}, "Outputs": {"Name": {"Value": VICTIMS}}})
    with pytest.raises(IsolationRefused, match=r"isolated: Function, Environment.Variables.TABLE"):
        run(made)


def test_a_nested_stack_that_does_not_change_is_looked_into_too(
    made: Deployment, cloud: Cloud
) -> None:
    nests(cloud, leaking(VICTIMS))
    there = {"LogicalResourceId": "Inner", "ResourceType": NESTED, "PhysicalResourceId": INNER,
             "ResourceStatus": "CREATE_COMPLETE"}  # fmt: skip
    cloud.says("ListStackResources", {"StackResourceSummaries": [there]})
    with pytest.raises(IsolationRefused, match=r"Inner/Function"):
        run(made)


def test_a_nested_stack_that_cannot_be_seen_is_refused(made: Deployment, cloud: Cloud) -> None:
    changes_inner(cloud)
    nests(cloud, leaking("mine"))
    with pytest.raises(IsolationRefused, match=r"Inner: cannot be looked at"):
        run(made)


def test_a_config_bucket_of_a_nested_stack_is_left_to_it(made: Deployment, cloud: Cloud) -> None:
    """UploadConfig would make it first, and every deployment would fail: "already exists"."""
    nested = change("Add", "Inner", NESTED, ChangeSetId=INNER_SET, PhysicalResourceId=INNER)
    outer = change_set("CREATE_COMPLETE", changes=[nested])
    inner = change_set("CREATE_COMPLETE", changes=[change("Add", "Config", "AWS::S3::Bucket")])
    inner |= {"StackId": INNER, "ChangeSetId": INNER_SET}
    cloud.says(
        "DescribeChangeSet", lambda asked: inner if asked["ChangeSetName"] == INNER_SET else outer
    )
    name = {"Fn::Sub": f"notes-config-${{Tenant}}-{build.ACCOUNT}"}
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}
    parameters = {"Tenant": {"Type": "String"}}
    nests(cloud, {"Parameters": parameters, "Resources": {"Config": bucket}}, {
        "Tenant": "stage-alpha"
    })  # fmt: skip
    run(made)
    assert record(made)["config_bucket_resource"] == "Inner/Config"
    assert {"id": "Inner/Config", "type": "AWS::S3::Bucket"} in record(made)["change_set"][
        "summary"
    ]["added"]
