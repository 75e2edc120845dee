"""Every state that the emulator can bring a stack into, and what a deployment does about it.

The others (`*_CLEANUP_IN_PROGRESS`, `IMPORT_ROLLBACK_FAILED` and what passes in a moment) are only
tested as rules.
"""

import json
from typing import Any

import pytest
import vault
from live import decided, entered
from stacks import Stacks, signal, stack_name, waiting
from syndi_command import Syndi, eventually

# A stack that is not there yet, or never came to be -----------------------------------------------


def test_a_change_set_that_nobody_executed_is_followed_by_a_creation(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...]
) -> None:
    stacks.client.create_change_set(
        StackName=stack_name("review"), ChangeSetName="theirs", ChangeSetType="CREATE",
        TemplateBody=json.dumps({"Resources": waiting(1)}),
    )  # fmt: skip
    assert stacks.status("review") == "REVIEW_IN_PROGRESS"
    record = syndi.deploy("dev", "review", *vaulted)
    assert decided(record).startswith("REVIEW_IN_PROGRESS: create, because")
    assert stacks.status("review") == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    ("org", "more", "status"),
    [
        ("undone", {}, "ROLLBACK_COMPLETE"),
        ("unfinished", {"DisableRollback": True}, "CREATE_FAILED"),
    ],
)
def test_a_first_creation_that_failed_is_deleted_and_made_again(
    syndi: Syndi,
    stacks: Stacks,
    vaulted: tuple[str, ...],
    org: str,
    more: dict[str, bool],
    status: str,
) -> None:
    stacks.create(org, waiting(1), **more)
    stacks.settled(org, status)
    if status == "ROLLBACK_COMPLETE":
        dry = syndi.fail("dev", org, *vaulted, "--dry-run")
        assert "deploy without --dry-run" in dry["reason"]
        assert stacks.status(org) == status
    record = syndi.deploy("dev", org, *vaulted)
    assert decided(record).startswith(f"{status}: delete-first, because")
    assert record["steps"]["AwaitDeletion"]["note"] == "deleted"
    assert stacks.status(org) == "CREATE_COMPLETE"


def test_function_mode_needs_a_stack(syndi: Syndi, vaulted: tuple[str, ...]) -> None:
    record = syndi.fail("dev", "nowhere", *vaulted, "--mode", "function")
    assert record["failed_step"] == "CheckStack"
    assert "does not exist" in record["reason"]
    assert "deploy it in full first" in record["reason"]


# A live tenant ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def live(syndi: Syndi, vaulted: tuple[str, ...]) -> str:
    """A tenant that works, with data in its bucket."""
    syndi.deploy("dev", "live", *vaulted)
    vault.put(syndi, "live")
    return "live"


def failing(template: dict[str, Any]) -> None:
    """A change of a template that fails after a second."""
    template["Resources"] |= waiting(1)


def test_a_failed_update_that_was_undone_is_updated_and_keeps_its_data(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...], live: str
) -> None:
    stacks.update(live, failing)
    stacks.settled(live, "UPDATE_ROLLBACK_COMPLETE")
    before = syndi.stack(stack_name(live))["resources"]
    record = syndi.deploy("dev", live, *vaulted)
    assert decided(record).startswith("UPDATE_ROLLBACK_COMPLETE: update, because")
    assert "DeleteFailedStack" not in entered(record)
    assert syndi.stack(stack_name(live))["resources"]["Vault"] == before["Vault"]
    assert vault.data(syndi, live) == b"do not lose me"


def test_an_update_that_was_not_undone_is_refused(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...], live: str
) -> None:
    stacks.update(live, failing, DisableRollback=True)
    stacks.settled(live, "UPDATE_FAILED")
    record = syndi.fail("dev", live, *vaulted)
    assert record["failed_step"] == "CheckStack"
    assert "UPDATE_FAILED" in record["reason"]
    assert "RollbackStack" in record["reason"]
    assert "NeverSignalled" in record["reason"]
    stacks.client.rollback_stack(StackName=stack_name(live))
    stacks.settled(live, "UPDATE_ROLLBACK_COMPLETE")
    assert vault.data(syndi, live) == b"do not lose me"


def test_a_stuck_rollback_is_continued_once_and_then_refused_until_it_is_mended(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...], live: str
) -> None:
    functions, s3 = syndi.client("lambda"), syndi.client("s3")
    before = functions.get_function_configuration(FunctionName=stack_name(live))["CodeSha256"]
    code: dict[str, str] = {}

    def change(template: dict[str, Any]) -> None:
        properties = template["Resources"]["AlmanacFunction"]["Properties"]
        bucket, key = properties.pop("CodeUri").removeprefix("s3://").split("/", 1)
        code.update(Bucket=bucket, Key=key)
        properties["InlineCode"] = "def handler(event, context): return None"

    def changed() -> bool:
        found = functions.get_function_configuration(FunctionName=stack_name(live))
        return bool(found["CodeSha256"] != before)

    held = stacks.hold(live, change, after="AlmanacFunction")
    content = s3.get_object(**code)["Body"].read()
    eventually(changed, 20, "the function has other code")
    s3.delete_object(**code)  # what the rollback needs
    signal(held, "FAILURE")
    stacks.settled(live, "UPDATE_ROLLBACK_FAILED")
    assert "deploy without" in syndi.fail("dev", live, *vaulted, "--dry-run")["reason"]
    refused = syndi.fail("dev", live, *vaulted)
    assert refused["steps"]["ContinueRollback"]["status"] == "SUCCEEDED"
    assert "continued and failed again" in refused["reason"]
    assert "AlmanacFunction" in refused["reason"]
    assert stacks.status(live) == "UPDATE_ROLLBACK_FAILED"
    s3.put_object(**code, Body=content)
    record = syndi.deploy("dev", live, *vaulted)
    assert record["steps"]["ContinueRollback"]["note"] == "continued"
    assert decided(record).startswith("UPDATE_ROLLBACK_COMPLETE: update, because")
    assert vault.data(syndi, live) == b"do not lose me"


def test_somebody_elses_update_is_waited_for(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...], live: str
) -> None:
    held = stacks.hold(live, lambda template: None, after="AlmanacLogGroup")
    started = syndi.attempt("dev", live, *vaulted, "--no-wait").json

    def told() -> str:
        return str(syndi.show(started["id"])["steps"].get("CheckStack", {}).get("note", ""))

    eventually(lambda: told().startswith("UPDATE_"), 20, "what it waits for")
    assert told() == "UPDATE_IN_PROGRESS: wait, because somebody else is changing the stack"
    signal(held, "SUCCESS")
    record = syndi.ended(started["id"])
    assert record["status"] == "SUCCEEDED", record
    assert record["steps"]["CheckStack"]["attempts"] > 1
    assert decided(record).startswith("UPDATE_COMPLETE: update, because")


@pytest.mark.parametrize("status", ["IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"])
def test_a_stack_that_something_was_imported_into_is_updated(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...], live: str, status: str
) -> None:
    logs, group = syndi.client("logs"), f"/aws/lambda/almanac-{status.lower()}"
    logs.create_log_group(logGroupName=group)

    def change(template: dict[str, Any]) -> None:
        template["Resources"]["Imported"] = {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Retain",
            "Properties": {"LogGroupName": group},
        }

    imported = {
        "ResourceType": "AWS::Logs::LogGroup",
        "LogicalResourceId": "Imported",
        "ResourceIdentifier": {"LogGroupName": group},
    }
    asked = {"StackName": stack_name(live), "ChangeSetName": "imports"}
    stacks.client.create_change_set(
        **asked, ChangeSetType="IMPORT", TemplateBody=stacks.template(live, change),
        ResourcesToImport=[imported], Parameters=stacks.parameters(live),
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )  # fmt: skip
    if status == "IMPORT_ROLLBACK_COMPLETE":
        logs.delete_log_group(logGroupName=group)
    stacks.client.execute_change_set(**asked)
    stacks.settled(live, status)
    # The source does not have what was imported: log data, which only leaves with its name.
    record = syndi.deploy("dev", live, *vaulted, "--allow-replacement", "Imported")
    assert decided(record).startswith(f"{status}: update, because")
    assert vault.data(syndi, live) == b"do not lose me"


def test_a_healthy_stack_is_updated(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...], live: str
) -> None:
    before = stacks.status(live)
    record = syndi.deploy("dev", live, *vaulted)
    assert decided(record).startswith(f"{before}: update, because")
    assert record["change_set"] == {**record["change_set"], "has_changes": False, "summary": {}}
