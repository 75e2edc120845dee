"""The guard of data: by whichever manifest, at any depth, and whatever is kept."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import CHANGE_SET_ID, STACK_ID, Cloud, change, change_set, stack

from control_plane import manifest, own
from control_plane.errors import ReplacementRefused, ServiceBusy, StackRefused
from control_plane.models import Deployment, JsonObject
from control_plane.rules.changes import Loss
from control_plane.services import change_sets
from control_plane.store.history import History
from control_plane.store.progress import Progress
from workers import stack as worker
from workers import stack_guard

IDS = {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}
TABLE = "AWS::DynamoDB::Table"
NESTED = "AWS::CloudFormation::Stack"
THIRD_PARTY = "Acme::Storage::Shelf"
WITHOUT_TYPES = manifest.parse(
    build.MANIFEST.replace('stateful_types = ["AWS::S3::Bucket", "AWS::Cognito::UserPool"]\n', "")
)


@pytest.fixture
def cloud(world: None, script: scripted.Scripted) -> Cloud:
    cloud = Cloud(script)
    cloud.has_templates({})
    cloud.says("DescribeStacks", stack("UPDATE_COMPLETE"))
    cloud.says("DeleteChangeSet", {})
    return cloud


@pytest.fixture
def made(world: None) -> Deployment:
    """By a manifest that names no type at all."""
    return build.opened(build.deployment(manifest=WITHOUT_TYPES))


def run(made: Deployment, **given: Any) -> JsonObject:
    return worker.handler(build.event(made, "AwaitChangeSet", **IDS, **given), None)


def would(cloud: Cloud, *changes: dict[str, Any]) -> None:
    cloud.says("DescribeChangeSet", change_set("CREATE_COMPLETE", changes=list(changes)))


def note(made: Deployment) -> str:
    return str(build.record(made)["steps"]["AwaitChangeSet"]["note"])


# Which types --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [TABLE, "AWS::SQS::Queue", "AWS::EFS::FileSystem"])
def test_a_type_that_holds_data_is_guarded_though_no_manifest_names_it(
    made: Deployment, cloud: Cloud, kind: str
) -> None:
    would(cloud, change("Remove", "Ledger", kind, PolicyAction="Delete"))
    with pytest.raises(ReplacementRefused, match=r"Ledger .* would be removed, and its data del"):
        run(made)
    assert cloud.asked("DeleteChangeSet"), "somebody else could execute it"


@pytest.mark.parametrize("of", ["what is requested", "what is deployed"])
def test_the_manifest_of_what_is_deployed_counts_as_that_of_what_is_requested(
    cloud: Cloud, of: str
) -> None:
    """A rollback brings the manifest of then, which knew less."""
    naming = build.MANIFEST.replace('"AWS::S3::Bucket",', '"AWS::Lambda::Function",')
    told = manifest.parse(naming) if of == "what is requested" else WITHOUT_TYPES
    if of == "what is deployed":
        source = build.push_source({**build.FILES, "application.toml": naming})
        before = build.opened(build.deployment(number=1))
        build.take_lock(before)
        receipt: JsonObject = {"source": source}
        History(build.TABLE).succeed(
            before.tenant, before.id, before.execution_arn, {}, receipt, [], is_whole=True
        )
    made = build.opened(build.deployment(number=2, manifest=told))
    would(cloud, change("Remove", "Index", "AWS::Lambda::Function"))
    with pytest.raises(ReplacementRefused, match="Index"):
        run(made)


@pytest.mark.parametrize(
    "taken",
    [
        change("Remove", "It", THIRD_PARTY),
        change("Modify", "It", THIRD_PARTY, "Conditional"),
        change("Remove", "It", "Custom::Seeds"),
        change("Remove", "It", "AWS::CloudFormation::CustomResource"),
        change("Remove", "It", "AWS::Brand::New"),
        change("Dynamic", "It", TABLE),
    ],
)
def test_what_nobody_can_tell_is_refused(
    made: Deployment, cloud: Cloud, taken: dict[str, Any]
) -> None:
    would(cloud, taken)
    with pytest.raises(ReplacementRefused, match="--allow-replacement It"):
        run(made)


def test_a_changed_custom_resource_is_an_update_that_its_function_decides_about(
    made: Deployment, cloud: Cloud
) -> None:
    would(cloud, change("Modify", "Seeds", "Custom::Seeds", "Conditional"))
    assert run(made)["done"] is True


# What is kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        (change("Remove", "T", TABLE, PolicyAction="Retain"), "leaves the stack and is retained"),
        (change("Remove", "T", TABLE, PolicyAction="Snapshot"), "only a snapshot stays"),
        (
            change("Modify", "T", TABLE, "True", PolicyAction="ReplaceAndRetain"),
            "replaced by an empty one; what is there now leaves the stack and is retained",
        ),
        (
            change("Modify", "T", TABLE, "True", PolicyAction="ReplaceAndDelete"),
            "replaced by an empty one, and its data deleted",
        ),
        (
            change("Modify", "T", TABLE, "Conditional"),
            "would be replaced by an empty one, or may be, and its data deleted",
        ),
    ],
)
def test_what_becomes_of_the_data_is_told(
    made: Deployment, cloud: Cloud, taken: dict[str, Any], told: str
) -> None:
    """A table that is replaced and retained is an empty table for the tenant all the same."""
    would(cloud, taken)
    with pytest.raises(ReplacementRefused, match=told):
        run(made)


RETAINED = {"Type": TABLE, "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
TOPIC = change("Modify", "Topic", "AWS::SNS::Topic")


def test_data_that_is_not_retained_is_told_before_anything_is_done(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.has_templates({"Kept": RETAINED, "Loose": {"Type": TABLE}, "Unborn": {"Type": TABLE}})
    cloud.says("ListStackResources", listed(("Kept", TABLE), ("Loose", TABLE)))
    would(cloud, TOPIC)
    run(made)
    assert note(made).endswith(
        "hold data and are not retained: Loose (DeletionPolicy Delete and UpdateReplacePolicy "
        "Delete)"
    )
    assert list(build.record(made)["change_set"]["unretained"]) == ["Loose"]


@pytest.mark.parametrize(
    "weaker",
    [
        {**RETAINED, "DeletionPolicy": "Delete"},
        {"Type": TABLE, "UpdateReplacePolicy": "Retain"},
        {**RETAINED, "UpdateReplacePolicy": "Delete"},
        {**RETAINED, "DeletionPolicy": {"Fn::If": ["Safe", "Retain", "Delete"]}},
        {**RETAINED, "DeletionPolicy": "Snapshot"},  # a table has none
    ],
)
def test_protection_that_is_taken_away_is_refused_like_a_loss(
    cloud: Cloud, weaker: dict[str, Any]
) -> None:
    made = build.opened(build.deployment(number=1))
    cloud.has_templates({"Ledger": RETAINED}, {"Ledger": weaker})
    cloud.says("ListStackResources", listed(("Ledger", TABLE)))
    would(cloud, change("Modify", "Ledger", TABLE))
    with pytest.raises(ReplacementRefused, match=r"Ledger .* lose its protection: .*Policy from R"):
        run(made)
    allowed = build.opened(build.deployment(number=2, allow_replacement=("Ledger",)))
    assert run(allowed)["done"] is True


def test_protection_of_what_is_not_there_cannot_be_taken_away(
    made: Deployment, cloud: Cloud
) -> None:
    """Its condition is false, before and after."""
    cloud.has_templates({"Ledger": RETAINED}, {"Ledger": {"Type": TABLE}})
    cloud.says("ListStackResources", listed(("Topic", "AWS::SNS::Topic")))
    would(cloud, TOPIC)
    assert run(made)["done"] is True


def test_a_table_that_becomes_a_topic_under_its_name_is_a_table_that_is_removed(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.has_templates({"Ledger": RETAINED}, {"Ledger": {"Type": "AWS::SNS::Topic"}})
    would(cloud, change("Modify", "Ledger", "AWS::SNS::Topic", "True"))
    with pytest.raises(ReplacementRefused, match=rf"Ledger \({TABLE}\) would be removed"):
        run(made)


def test_the_way_back_takes_away_the_protection_that_this_deployment_brought(
    made: Deployment, cloud: Cloud
) -> None:
    cloud.says("ListStackResources", listed(("Ledger", TABLE), ("Other", TABLE)))
    loose, both = {"Type": TABLE}, {"Ledger": RETAINED, "Other": RETAINED}
    cloud.has_templates({"Ledger": loose, "Other": RETAINED}, both)
    would(cloud, change("Modify", "Ledger", TABLE))
    run(made)
    assert build.record(made)["change_set"]["strengthened"] == ["Ledger"]
    Progress(build.TABLE).add_facts(made, {"rollback_steps": build.record(made)["steps"]})
    back = made.model_copy(update={"rolling_back": True})
    cloud.has_templates(both, {"Ledger": loose, "Other": RETAINED})
    assert run(back)["done"] is True
    cloud.has_templates(both, {"Ledger": loose, "Other": loose})
    with pytest.raises(ReplacementRefused, match="Other") as refused:
        run(back)
    assert "Ledger" not in str(refused.value)


# Nested stacks ------------------------------------------------------------------------------------

CHILD_ID = STACK_ID.replace("notes-stage-alpha/1", "notes-stage-alpha-Data-X/2")
GRANDCHILD_ID = CHILD_ID.replace("Data-X/2", "Data-X-Deep-Y/3")


def set_of(name: str) -> str:
    return CHANGE_SET_ID.replace("changeSet/", f"changeSet/{name}-")


def nested(name: str, stack_id: str, action: str = "Modify", **more: Any) -> dict[str, Any]:
    return change(action, name, NESTED, physical_id=stack_id, **more)


def sets(cloud: Cloud, **found: list[dict[str, Any]] | JsonObject) -> None:
    """The change sets by their names; `root` is the deployment's."""

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["ChangeSetName"]
        for key, value in found.items():
            if name == (CHANGE_SET_ID if key == "root" else set_of(key)):
                described = (
                    value
                    if isinstance(value, dict)
                    else change_set("CREATE_COMPLETE", changes=value)
                )
                if key == "deep" and not asked.get("NextToken"):  # its changes: the second page
                    return {**described, "Changes": [], "NextToken": "2"}
                return described
        return scripted.failure("ChangeSetNotFound")

    cloud.says("DescribeChangeSet", answer)


def listed(*resources: tuple[str, str], physical: str = "") -> dict[str, Any]:
    """ListStackResources' answer."""
    return {
        "StackResourceSummaries": [
            {
                "LogicalResourceId": name,
                "ResourceType": kind,
                "PhysicalResourceId": physical or f"id-of-{name}",
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": build.NOON,
            }
            for name, kind in resources
        ]
    }


def test_a_table_two_stacks_deeper_is_guarded_like_one_of_the_stack_itself(cloud: Cloud) -> None:
    lost = change("Remove", "Orders", TABLE, PolicyAction="Delete")
    sets(
        cloud,
        root=[nested("Data", CHILD_ID, ChangeSetId=set_of("child"))],
        child=[nested("Deep", GRANDCHILD_ID, ChangeSetId=set_of("deep"))],
        deep=[lost],
    )
    made = build.opened(build.deployment(number=1, manifest=WITHOUT_TYPES))
    with pytest.raises(ReplacementRefused, match=r"--allow-replacement Data/Deep/Orders$"):
        run(made)
    assert build.record(made)["change_set"]["summary"]["removed"] == [
        {"id": "Data/Deep/Orders", "type": TABLE}
    ]
    parent = build.opened(build.deployment(number=2, allow_replacement=("Data", "Data/Deep")))
    with pytest.raises(ReplacementRefused, match="Data/Deep/Orders"):
        run(parent)
    allowed = build.opened(build.deployment(number=3, allow_replacement=("Data/Deep/Orders",)))
    assert run(allowed)["done"] is True


@pytest.mark.parametrize(
    "child",
    [
        scripted.failure("ChangeSetNotFound"),
        scripted.failure("AccessDenied", "not authorized to perform DescribeChangeSet"),
        scripted.failure("ValidationError", "Stack does not exist"),
    ],
)
def test_a_nested_change_set_that_cannot_be_read_is_refused(
    made: Deployment, cloud: Cloud, child: JsonObject
) -> None:
    sets(cloud, root=[nested("Data", CHILD_ID, ChangeSetId=set_of("child"))], child=child)
    with pytest.raises(ReplacementRefused, match=r"Data .* cannot be read"):
        run(made)


def test_a_nested_change_that_has_no_change_set_is_refused(made: Deployment, cloud: Cloud) -> None:
    sets(cloud, root=[nested("Data", CHILD_ID)])
    with pytest.raises(ReplacementRefused, match=r"Data .* no change set of its own"):
        run(made)


def test_a_busy_aws_is_no_answer_about_a_nested_change_set(made: Deployment, cloud: Cloud) -> None:
    sets(
        cloud,
        root=[nested("Data", CHILD_ID, ChangeSetId=set_of("child"))],
        child=scripted.failure("Throttling", "Rate exceeded"),
    )
    with pytest.raises(ServiceBusy):
        run(made)


def test_a_nested_stack_is_not_removed_with_the_data_in_it(made: Deployment, cloud: Cloud) -> None:
    deeper = listed(("Deep", NESTED), physical=GRANDCHILD_ID)
    held = {
        CHILD_ID: deeper,
        GRANDCHILD_ID: listed(("Orders", TABLE), ("Topic", "AWS::SNS::Topic")),
    }
    cloud.says("ListStackResources", lambda asked: held[asked["StackName"]])
    sets(cloud, root=[nested("Data", CHILD_ID, "Remove")])
    with pytest.raises(ReplacementRefused, match=r"Data/Deep/Orders .* its data deleted\.") as told:
        run(made)
    assert "Topic" not in str(told.value)
    cloud.has_templates({"Orders": RETAINED})
    with pytest.raises(ReplacementRefused, match=r"Data/Deep/Orders .* is retained\."):
        run(made)


def test_a_nested_stack_that_this_deployment_added_goes_again_on_the_way_back(
    made: Deployment, cloud: Cloud
) -> None:
    sets(
        cloud,
        root=[nested("Data", CHILD_ID, "Add", ChangeSetId=set_of("child"))],
        child=[change("Add", "Orders", TABLE)],
    )
    run(made)
    Progress(build.TABLE).add_facts(made, {"rollback_steps": build.record(made)["steps"]})
    cloud.says("ListStackResources", listed(("Orders", TABLE)))
    sets(cloud, root=[nested("Data", CHILD_ID, "Remove")])
    back = made.model_copy(update={"rolling_back": True})
    assert run(back)["done"] is True


def test_what_a_stacks_deletion_deletes_is_what_its_policies_do_not_keep(cloud: Cloud) -> None:
    cloud.has_templates({"Kept": RETAINED, "Loose": {"Type": TABLE}})
    cloud.says(
        "ListStackResources",
        listed(("Kept", TABLE), ("Loose", TABLE), ("Topic", "AWS::SNS::Topic"), ("X", THIRD_PARTY)),
    )
    lost = change_sets.deleted_with(STACK_ID, ())
    assert [loss.logical_id for loss in lost] == ["Loose", "X"]


# Tags ---------------------------------------------------------------------------------------------


def tags_of(cloud: Cloud, *tags: str) -> list[str]:
    cloud.says("CreateChangeSet", {"Id": CHANGE_SET_ID, "StackId": STACK_ID})
    found: Any = stack(
        "UPDATE_COMPLETE", Tags=[{"Key": key, "Value": f"of {key}"} for key in tags]
    )["Stacks"][0]
    change_sets.create(
        "notes-stage-alpha", "x", stack=found, kind="UPDATE", template={"TemplateBody": "{}"},
        parameters=[], role={},
    )  # fmt: skip
    return [f"{tag['Key']}={tag['Value']}" for tag in cloud.asked("CreateChangeSet")[-1]["Tags"]]


def test_tags_that_somebody_else_set_are_kept(cloud: Cloud) -> None:
    """CreateChangeSet replaces all tags of the stack, and of what is in it."""
    assert tags_of(cloud, "cost-center", "aws:cloudformation:x", "syndi:stack") == [
        "syndi:stack=notes-stage-alpha",
        "syndi:application=notes",
        "syndi:tenant=stage-alpha",
        "cost-center=of cost-center",
    ]


def test_no_tag_of_somebody_else_is_dropped_for_ours(cloud: Cloud) -> None:
    theirs = [f"t{number}" for number in range(50)]
    assert len(tags_of(cloud, *theirs[:47])) == 50
    with pytest.raises(StackRefused, match=r"has 50 tags of others, .* remove 3 of them"):
        tags_of(cloud, *theirs)


def test_logs_of_the_control_plane_itself_do_not_keep_an_earlier_release_out() -> None:
    """As `self-update --rollback` brings it back: its template has fewer log groups."""
    logs = Loss("BuildLogs", "AWS::Logs::LogGroup", "would be removed")
    table = Loss("Table", "AWS::DynamoDB::Table", "would be removed")
    mine = build.deployment(own.own_tenant("control-plane-prod-main"))
    assert list(stack_guard.not_undone(mine, [logs, table])) == [table]
    assert list(stack_guard.not_undone(build.deployment(), [logs, table])) == [logs, table]
