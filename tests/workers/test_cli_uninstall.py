"""Installing and removing a control plane, as far as it is told by its table and its account.

Not of a worker; here because moto's AWS is.
"""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build

from cli import own_leftovers, own_stack, uninstalling
from cli.failure import Refused
from cli.holding import Hold
from cli.install import Target
from cli.own_leftovers import Left
from cli.recording import record_removal
from control_plane import aws, naming
from control_plane.models import Tenant
from control_plane.own import own_tenant
from control_plane.services import roles
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.locks import Locks

STACK = "control-plane-prod-main"
STACK_ID = f"arn:aws:cloudformation:us-east-1:{build.ACCOUNT}:stack/{STACK}/1"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
)


@pytest.fixture
def hold(world: None, monkeypatch: pytest.MonkeyPatch) -> Hold:
    """One removal, in the table that there is."""
    monkeypatch.setattr(naming, "history_table", lambda _: build.TABLE)
    return a_hold()


def a_hold() -> Hold:
    return Hold(own_tenant(STACK), build.ACCOUNT, "us-east-1", "uninstall")


def holder() -> Any:
    return (Locks(build.TABLE).holder(own_tenant(STACK)) or {}).get("execution_arn")


# The lock ---------------------------------------------------------------------------------------


def test_the_lock_is_held_and_given_back(hold: Hold) -> None:
    hold.take()
    assert holder() == hold.arn
    hold.release()
    assert holder() is None


def test_a_command_that_died_blocks_nobody(hold: Hold) -> None:
    hold.take()
    other = a_hold()
    other.take()
    assert holder() == other.arn
    hold.release()  # the dead one's, should it wake up, frees nothing of the other's
    assert holder() == other.arn
    with pytest.raises(Refused, match="somebody else"):
        hold.keep()


def test_an_update_that_runs_is_named(hold: Hold, script: scripted.Scripted) -> None:
    Locks(build.TABLE).acquire(hold.tenant, "20261125-000000-000aaaaa", build.arn("u"), "")
    script.on(aws.stepfunctions(), "DescribeExecution", {"status": "RUNNING"})
    with pytest.raises(Refused, match=r"by deployment 20261125-000000-000aaaaa.*syndi cancel"):
        hold.take()
    assert holder() == build.arn("u")


def test_without_a_table_there_is_nothing_to_hold_nor_to_release(world: None) -> None:
    hold = a_hold()
    hold.take()
    hold.release()


def test_whether_the_holder_runs_is_never_guessed(hold: Hold, script: scripted.Scripted) -> None:
    Locks(build.TABLE).acquire(hold.tenant, "20261125-000000-000aaaaa", build.arn("u"), "")
    script.on(aws.stepfunctions(), "DescribeExecution", scripted.failure("AccessDeniedException"))
    with pytest.raises(Exception, match="AccessDenied"):
        hold.take()
    assert holder() == build.arn("u")


# Refusals ---------------------------------------------------------------------------------------


def deployed(tenant: Tenant) -> None:
    """A tenant whose last deployment succeeded."""
    made = build.deployment(tenant)
    build.opened(made)
    build.take_lock(made)
    current = {"last_deployment": made.id, "last_status": "SUCCEEDED", "last_good": made.id}
    History(build.TABLE).succeed(tenant, made.id, made.execution_arn, {}, current)


def test_only_tenants_whose_stacks_are_there_are_in_the_way(
    hold: Hold, script: scripted.Scripted
) -> None:
    for org in ("alpha", "beta"):
        deployed(build.tenant(org))
    stacks = [
        {"StackName": name, "StackStatus": "CREATE_COMPLETE", "CreationTime": hold.started}
        for name in ("notes-stage-alpha", "notes-stage-beta2", STACK)
    ]
    script.on(aws.cloudformation(), "DescribeStacks", {"Stacks": stacks})
    found = uninstalling._deployed(hold)
    assert [tenant["stack_name"] for tenant in found] == ["notes-stage-alpha"]
    told = uninstalling._offboard_first(found)
    assert "'syndi offboard stage alpha --application notes'" in told


def test_nothing_that_holds_data_is_deleted_with_the_control_plane(
    world: None, script: scripted.Scripted
) -> None:
    kept = {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "RetainExceptOnCreate"}
    cloud, template = aws.cloudformation(), {"Table": kept}

    def listed(_: dict[str, Any]) -> dict[str, Any]:
        kinds = {name: one["Type"] for name, one in template.items()} | {
            "RecordLogs": "AWS::Logs::LogGroup",
            "StrangerPool": "AWS::Cognito::UserPool",
        }
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "ResourceType": kind,
                    "ResourceStatus": "CREATE_COMPLETE",
                }
                for name, kind in kinds.items()
            ]
        }

    script.on(cloud, "ListStackResources", listed)
    script.on(cloud, "GetTemplate", lambda _: {"TemplateBody": {"Resources": template}})
    own_stack.refuse_destruction(STACK, STACK_ID)
    template["Table"] = {"Type": "AWS::DynamoDB::Table"}
    template["Users"] = {"Type": "AWS::Cognito::UserPool"}
    with pytest.raises(
        Refused, match=r"destroy .* Table \(AWS::DynamoDB::Table\), Users .*Install"
    ):
        own_stack.refuse_destruction(STACK, STACK_ID)


def test_running_executions_are_named_and_no_state_machine_is_none(
    hold: Hold, script: scripted.Scripted
) -> None:
    uninstalling._refuse_running(hold)  # moto has no state machine of these names
    running = {"executionArn": build.arn("x"), "stateMachineArn": hold.machine, "name": "dev-lab-1",
               "status": "RUNNING", "startDate": hold.started}  # fmt: skip
    script.on(aws.stepfunctions(), "ListExecutions", {"executions": [running]})
    with pytest.raises(Refused, match=r"3 executions run \(dev-lab-1, "):
        uninstalling._refuse_running(hold)


@pytest.mark.parametrize("typed", ["", "control-plane-prod-main2", "control-plane-prod"])
def test_only_the_whole_name_confirms(typed: str) -> None:
    with pytest.raises(Refused, match="nothing was removed"):
        uninstalling._check(own_tenant(STACK), typed)
    uninstalling._check(own_tenant(STACK), STACK)


def test_another_first_prefix_would_be_another_bucket(
    world: None, script: scripted.Scripted
) -> None:
    used = f"notes-sam-deployments-{build.ACCOUNT}"
    stack = {"StackName": STACK, "StackStatus": "UPDATE_COMPLETE",
             "Outputs": [{"OutputKey": "ArtifactBucketName", "OutputValue": used}]}  # fmt: skip
    script.on(aws.cloudformation(), "DescribeStacks", {"Stacks": [stack]})
    assert own_stack.artifact_bucket(target("notes,other"), build.ACCOUNT) == used
    with pytest.raises(Refused, match="put notes first"):
        own_stack.artifact_bucket(target("other,notes"), build.ACCOUNT)


def target(prefixes: str) -> Target:
    return Target(
        tenant=own_tenant(STACK), runtime="python3.13", architecture="arm64",
        layer_platform="aarch64-manylinux2014", prefixes=prefixes, default_application="notes",
        variables={},
    )  # fmt: skip


# What goes and what stays -----------------------------------------------------------------------


def test_a_neighbour_with_a_longer_name_keeps_everything(world: None) -> None:
    for path in (f"/{STACK}/0123456789ab/", f"/{STACK}-two/0123456789ab/", "/"):
        name = "role" + path.strip("/").replace("/", "-")
        aws.iam().create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=TRUST)
        aws.iam().put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=POLICY)
    layer = {"ZipFile": build.zipped({"x": "y"})}
    for name in (f"{STACK}-dependencies", f"{STACK}-two-dependencies"):
        aws.lambda_().publish_layer_version(LayerName=name, Content=layer)
    removed = own_leftovers.remove(STACK, Left((), (), ()), with_tenants=True)
    assert removed == [
        f"role role{STACK}-0123456789ab",
        f"layer {STACK}-dependencies:1",
    ]
    assert len(roles.below("/")) == 2
    neighbours = aws.lambda_().list_layer_versions(LayerName=f"{STACK}-two-dependencies")
    assert len(neighbours["LayerVersions"]) == 1


@pytest.mark.parametrize("with_tenants", [True, False])
def test_what_tenants_refer_to_goes_with_the_last_of_them(world: None, with_tenants: bool) -> None:
    iam = aws.iam()
    iam.create_role(RoleName="cut-CloudFormationRole-1", AssumeRolePolicyDocument=TRUST)
    policy = iam.create_policy(PolicyName="cut-TenantBoundary-1", PolicyDocument=POLICY)
    arn = policy["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=POLICY)
    left = Left((), ("cut-CloudFormationRole-1",), (arn,))
    removed = own_leftovers.remove(STACK, left, with_tenants=with_tenants)
    gone = ["role cut-CloudFormationRole-1", "policy cut-TenantBoundary-1"]
    assert removed == ([] if with_tenants else gone)
    assert len(roles.below("/")) == (1 if with_tenants else 0)
    assert own_leftovers.remove(STACK, left, with_tenants=False) == (gone if with_tenants else [])


def test_a_boundary_that_is_somebodys_stays(world: None, script: scripted.Scripted) -> None:
    script.on(aws.iam(), "ListPolicyVersions", {"Versions": []})
    script.on(aws.iam(), "DeletePolicy", scripted.failure("DeleteConflict"))
    left = Left((), (), (f"arn:aws:iam::{build.ACCOUNT}:policy/b",))
    assert own_leftovers.remove(STACK, left, with_tenants=False) == []


def test_what_was_left_is_known_by_the_stacks_own_word(script: scripted.Scripted) -> None:
    def resources(params: dict[str, Any]) -> dict[str, Any]:
        if params["StackName"] != STACK_ID:
            return scripted.failure("ValidationError", "Stack with id … does not exist")
        rows = (("CloudFormationRole", "r"), ("ArtifactBucket", "b"), ("RecordLogs", "l"))
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": physical,
                    "ResourceType": "AWS::X::Y",
                    "ResourceStatus": "DELETE_SKIPPED",
                }
                for name, physical in rows
            ]
        }

    script.on(aws.cloudformation(), "ListStackResources", resources)
    assert own_leftovers.left_by([STACK_ID, "forgotten"]) == Left(("b",), ("r",), ())


def test_each_thing_that_stays_says_why_and_how_it_goes() -> None:
    left = Left(("bucket-1",), (), ())
    kept = own_leftovers.kept("table-1", left, with_tenants=True, local=False)
    assert [one.resource for one in kept] == [
        "table table-1", "bucket bucket-1", "CloudFormationRole and TenantBoundary"
    ]  # fmt: skip
    assert "--no-deletion-protection-enabled" in kept[0].remove
    compile(kept[1].remove.removeprefix("python3 -c '").removesuffix("'"), "command", "exec")
    assert all("reset" in one.remove for one in own_leftovers.kept(
        "table-1", left, with_tenants=False, local=True
    ))  # fmt: skip
    assert own_leftovers.kept(None, Left((), (), ()), with_tenants=False, local=False) == []


def test_a_removal_is_in_the_history_and_the_current_state_forgets(hold: Hold) -> None:
    tenant = hold.tenant
    deployed(tenant)
    hold.take()
    record_removal(hold, "0" * 64)
    newest = Listing(build.TABLE).deployments(tenant, 1)[0]
    assert (newest["mode"], newest["status"], newest["trigger"]) == (
        "offboard", "SUCCEEDED", "install"
    )  # fmt: skip
    assert newest["request"]["confirm"] == STACK
    current = Listing(build.TABLE).current(tenant) or {}
    assert "last_good" not in current
    assert current["offboarded_at"]
    assert holder() is None
