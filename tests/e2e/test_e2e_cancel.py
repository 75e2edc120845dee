"""Ends that somebody asks for, in the control plane or past it, and another try."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live import listed, reaches
from sources import ALMANAC, APPLICATION, add_resources, copied, push, replace, updates_slowly
from syndi_command import Syndi, eventually

Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def sources(
    syndi: Syndi, almanac: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Push an almanac, changed by `edit`; gives the source's name. Only `test` deploys it."""

    def edited(edit: Edit | None = None) -> str:
        copy = copied(ALMANAC, tmp_path_factory.mktemp("source"))
        if edit:
            edit(copy)
        return push(syndi, copy, "test")

    return edited


def builds_slowly(copy: Path) -> None:
    """A build that is never through while a test looks."""
    replace(copy / "application.toml", "commands = [", 'commands = ["sleep 120", ')


DRAWER = "almanac-drawer-of-the-tests"


def has_a_drawer(copy: Path) -> None:
    """A stack with a bucket, which may be there already."""
    drawer = f"{{Type: AWS::S3::Bucket, Properties: {{BucketName: {DRAWER}}}}}"
    add_resources(copy, f"  Drawer: {drawer}\n")


def start(syndi: Syndi, org: str, source: str) -> dict[str, Any]:
    found: dict[str, Any] = syndi.attempt(
        "test", org, *APPLICATION, "--source", source, "--no-wait"
    ).json
    return found


def cancel(syndi: Syndi, deployment: dict[str, Any]) -> dict[str, Any]:
    """Cancel and watch; gives the record, which must say who did it and leave the tenant free."""
    record: dict[str, Any] = syndi.ok("--local", "cancel", deployment["id"], "--json").json
    assert record["status"] == "CANCELLED", record
    assert record["cancel"]["by"].endswith("user/syndi-operator")
    assert record["reason"].startswith(f"cancelled by {record['cancel']['by']} at ")
    execution = syndi.ended_execution(record["execution_arn"])
    assert (execution["status"], execution["error"]) == ("FAILED", "Cancelled")
    return record


def build_of(syndi: Syndi, record: dict[str, Any]) -> str:
    """The build that a deployment started, by its CodeBuild id."""
    return str(record["steps"]["StartBuild"]["note"]).removeprefix("started ")


def assert_stopped(syndi: Syndi, build_id: str) -> None:
    builds = syndi.client("codebuild")

    def status() -> str | None:
        (found,) = builds.batch_get_builds(ids=[build_id])["builds"]
        return str(found["buildStatus"]) if found["buildComplete"] else None

    assert eventually(status, 30, f"the end of {build_id}") == "STOPPED"


def test_a_build_is_stopped_and_the_tenant_free_for_the_next(
    syndi: Syndi, sources: Callable[..., str]
) -> None:
    started = start(syndi, "tern", sources(builds_slowly))
    build_id = build_of(syndi, reaches(syndi, started, "AwaitBuild"))
    record = cancel(syndi, started)
    assert record["failed_step"] == "AwaitBuild"
    assert f"its build {build_id} was stopped" in record["reason"]
    assert_stopped(syndi, build_id)
    assert syndi.lock("test", "tern", "almanac") is None
    good = syndi.deploy("test", "tern", *APPLICATION, "--source", sources())
    assert good["steps"]["CheckStack"]["note"].startswith("no stack")
    late = syndi.run("--local", "cancel", started["id"], "--json")
    assert late.exit_code == 2
    assert late.json["error"]["code"] == "Conflict"
    assert "ended CANCELLED already" in late.json["error"]["message"]


def test_one_that_waits_is_cancelled_and_the_one_that_works_goes_on_until_it_is_stopped(
    syndi: Syndi, sources: Callable[..., str]
) -> None:
    slow = sources(builds_slowly)
    works = start(syndi, "plover", slow)
    build_id = build_of(syndi, reaches(syndi, works, "AwaitBuild"))
    waits = start(syndi, "plover", slow)
    reaches(syndi, waits, "AcquireLock")
    record = cancel(syndi, waits)
    assert (record["failed_step"], set(record["steps"])) == (
        "AcquireLock", {"PrepareDeployment", "AcquireLock"},
    )  # fmt: skip
    assert syndi.show(works["id"])["status"] == "RUNNING"
    assert syndi.lock("test", "plover", "almanac"), "the other one holds its tenant"

    # Now past the control plane, in the console.
    states = syndi.client("stepfunctions", operator=True)
    states.stop_execution(executionArn=works["execution_arn"], cause="the operator's mistake")
    ended = syndi.ended(works["id"])
    assert ended["status"] == "CANCELLED"
    assert "the execution ended ABORTED" in ended["reason"]
    assert_stopped(syndi, build_id)
    assert syndi.lock("test", "plover", "almanac") is None
    syndi.deploy("test", "plover", *APPLICATION, "--source", sources())


def test_an_update_is_undone_and_the_tenant_is_what_it_was(
    syndi: Syndi, sources: Callable[..., str]
) -> None:
    stack, cloudformation = "almanac-test-dunlin", syndi.client("cloudformation")
    good = syndi.deploy("test", "dunlin", *APPLICATION, "--source", sources())
    started = start(syndi, "dunlin", sources(updates_slowly))
    reaches(syndi, started, "AwaitStack")
    syndi.ok("--local", "cancel", started["id"], "--no-wait")
    before = syndi.show(started["id"])["steps"]["AwaitStack"]["attempts"]

    def looked_again() -> bool:
        return bool(syndi.show(started["id"])["steps"]["AwaitStack"]["attempts"] >= before + 2)

    eventually(looked_again, 60, "a look at the stack after the cancel")
    assert "finished_at" not in syndi.show(started["id"]), "it ends when the stack has settled"
    cloudformation.signal_resource(
        StackName=stack, LogicalResourceId="Signalled", UniqueId="1", Status="SUCCESS"
    )
    record = syndi.ended(started["id"])
    assert record["status"] == "CANCELLED", record
    assert "the stack is UPDATE_ROLLBACK_COMPLETE: it is what it was before" in record["reason"]
    found = syndi.stack(stack)
    assert found["status"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "Afterwards" not in found["resources"]
    assert syndi.lock("test", "dunlin", "almanac") is None
    assert syndi.ok("--local", "check", "test", "dunlin", *APPLICATION)
    tenant = listed(syndi, stack)
    assert (tenant["last_good"], tenant["last_status"]) == (good["id"], "CANCELLED")


def test_what_a_stopped_execution_left_running_is_waited_for(
    syndi: Syndi, sources: Callable[..., str]
) -> None:
    stack, cloudformation = "almanac-test-knot", syndi.client("cloudformation")
    good = sources()
    started = start(syndi, "knot", sources(updates_slowly))
    reaches(syndi, started, "AwaitStack")
    states = syndi.client("stepfunctions", operator=True)
    states.stop_execution(executionArn=started["execution_arn"], cause="killed")
    ended = syndi.ended(started["id"])
    assert "the stack's operation goes on, and the next deployment waits" in ended["reason"]
    following = start(syndi, "knot", good)
    waits = reaches(syndi, following, "CheckStack")
    assert waits["steps"]["CheckStack"]["status"] == "RUNNING"

    def says_whose() -> bool:
        note = syndi.show(following["id"])["steps"]["CheckStack"].get("note", "")
        return f"the operation of deployment {started['id']} is still running" in note

    eventually(says_whose, 30, "whose operation it is that is waited for")
    cloudformation.signal_resource(
        StackName=stack, LogicalResourceId="Signalled", UniqueId="1", Status="SUCCESS"
    )
    record = syndi.ended(following["id"])
    assert record["status"] == "SUCCEEDED", record
    assert "CREATE_COMPLETE: update" in record["steps"]["CheckStack"]["note"]
    told = syndi.show(started["id"])["aftermath"]
    assert told == "its operation on the stack went on and ended CREATE_COMPLETE"


def test_a_failed_deployment_is_tried_again_with_the_build_that_it_has(
    syndi: Syndi, sources: Callable[..., str]
) -> None:
    s3 = syndi.client("s3")
    s3.create_bucket(Bucket=DRAWER)
    failed = syndi.fail("test", "godwit", *APPLICATION, "--source", sources(has_a_drawer))
    assert failed["failed_step"] == "AwaitChangeSet"
    assert DRAWER in failed["reason"]
    s3.delete_bucket(Bucket=DRAWER)
    sources(builds_slowly)  # what `test` would deploy by now is something else
    record: dict[str, Any] = syndi.ok("--local", "retry", failed["id"], "--json").json
    assert (record["status"], record["retry_of"]) == ("SUCCEEDED", failed["id"])
    assert record["source"] == failed["source"]
    assert record["build"]["reused"] is True
    assert "StartBuild" in record["steps"]
    refused = syndi.run("--local", "retry", record["id"], "--json")
    assert refused.exit_code == 2
    assert "SUCCEEDED: deploy again instead" in refused.json["error"]["message"]
