"""What was changed by hand is found, with what a deployment would do; asked, and by schedule."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from live import listed
from sources import APPLICATION
from syndi_command import Syndi, eventually

TENANT = ("dev", "tidewatch", *APPLICATION)
NAME = "almanac-dev-tidewatch"
LOG_GROUP = "/aws/lambda/almanac-dev-tidewatch"


@pytest.fixture(scope="module")
def tidewatch(syndi: Syndi, almanac: Any) -> Iterator[dict[str, Any]]:
    """A tenant that is looked at every minute."""
    record = syndi.deploy(*TENANT)
    schedule = ("--local", "schedule")
    syndi.ok(*schedule, "set", *TENANT, "--drift", "--rate", "1 minute")
    yield record
    syndi.run(*schedule, "delete", *TENANT, "--drift")


def drift(syndi: Syndi, exit_code: int) -> dict[str, dict[str, Any]]:
    """The findings of a drift check, by the resource."""
    result = syndi.run("--local", "drift", *TENANT, "--json")
    assert result.exit_code == exit_code, f"{result.stdout}\n{result.stderr}"
    record = result.json
    assert (record["status"], record["mode"]) == ("SUCCEEDED", "drift")
    return {item["resource"]: item for item in record["drift"]["findings"]}


def test_nothing_differs_after_a_deployment(syndi: Syndi, tidewatch: Any) -> None:
    assert drift(syndi, 0) == {}
    told = syndi.ok("--local", "drift", *TENANT)
    assert "everything is as it was deployed" in told.stdout


def test_what_was_changed_and_deleted_by_hand_is_found(
    syndi: Syndi, tidewatch: dict[str, Any]
) -> None:
    functions, logs = syndi.client("lambda"), syndi.client("logs")
    tags = logs.list_tags_log_group(logGroupName=LOG_GROUP)["tags"]
    functions.update_function_configuration(FunctionName=NAME, MemorySize=256)
    logs.delete_log_group(logGroupName=LOG_GROUP)
    try:
        found = drift(syndi, 1)
        changed = found["AlmanacFunction (AWS::Lambda::Function)"]
        assert changed["detail"] == "MemorySize: 128 → 256"
        assert changed["deployment_would"].startswith("leave it as it is")
        deleted = found["AlmanacLogGroup (AWS::Logs::LogGroup)"]
        assert deleted["detail"] == "deleted by hand"
        assert deleted["deployment_would"].startswith("not bring it back")
        shown = syndi.run("--local", "drift", *TENANT)
        assert shown.exit_code == 1
        assert "MemorySize: 128 → 256" in shown.stdout
        tenant = listed(syndi, NAME)
        assert len(tenant["drift"]["findings"]) == len(found)
        assert tenant["last_good"] == tidewatch["id"], "a drift check is no deployment"
        assert functions.get_function(FunctionName=NAME)["Configuration"]["MemorySize"] == 256
    finally:
        functions.update_function_configuration(FunctionName=NAME, MemorySize=128)
        logs.create_log_group(logGroupName=LOG_GROUP, tags=tags)
        logs.put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=7)


def test_a_tenant_without_a_stack_is_not_looked_at(syndi: Syndi, almanac: Any) -> None:
    result = syndi.run("--local", "drift", "dev", "nobody", *APPLICATION)
    assert result.exit_code == 1
    assert "CheckStack: " in result.stdout


def test_only_what_needs_nobody_is_scheduled_and_both_schedules_stand_side_by_side(
    syndi: Syndi, tidewatch: Any
) -> None:
    schedule = ("--local", "schedule")
    syndi.ok(*schedule, "set", *TENANT, "--rate", "1 day")
    shown = syndi.ok(*schedule, "show", *TENANT, "--json").json
    looking = syndi.ok(*schedule, "show", *TENANT, "--drift", "--json").json
    assert (shown["expression"], looking["expression"]) == ("rate(1 day)", "rate(1 minute)")
    assert looking["request"]["mode"] == "drift"
    syndi.ok(*schedule, "delete", *TENANT)
    assert syndi.ok(*schedule, "show", *TENANT, "--drift")
    assert syndi.run(*schedule, "show", *TENANT).exit_code == 2


def test_the_schedule_looks_by_itself(syndi: Syndi, tidewatch: Any) -> None:
    """Last, so that most of its minute has passed."""

    def fired() -> dict[str, Any] | None:
        by_schedule = [
            item
            for item in syndi.history(*TENANT)
            if item["trigger"] == "schedule" and item["status"] not in ("QUEUED", "RUNNING")
        ]
        return by_schedule[0] if by_schedule else None

    record = eventually(fired, 120, "the schedule's drift check")
    assert (record["mode"], record["status"]) == ("drift", "SUCCEEDED")
    assert record["drift"]["findings"] == []


def test_code_and_configuration_changed_by_hand_are_found_and_put_back(
    syndi: Syndi, alpha: dict[str, Any]
) -> None:
    s3, functions = syndi.client("s3"), syndi.client("lambda")
    where = {"Bucket": "rawscribe-lambda-stage-alpha-000000000000", "Key": "config.json"}
    live = json.loads(s3.get_object(**where)["Body"].read())
    live["limits"]["pageSize"] = 3
    s3.put_object(**where, Body=json.dumps(live).encode())
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("rawscribe/main.py", "def handler(event, context): return {}")
    name = "rawscribe-stage-alpha-backend"
    functions.update_function_code(FunctionName=name, ZipFile=other.getvalue())

    result = syndi.run("--local", "drift", "stage", "alpha", "--json")
    assert result.exit_code == 1
    found = {item["kind"]: item for item in result.json["drift"]["findings"]}
    assert "changed past the control plane" in found["function"]["detail"]
    assert "put the build's code back" in found["function"]["deployment_would"]
    assert "limits.pageSize" in found["config"]["detail"]
    assert "the edit is lost" in found["config"]["deployment_would"]

    back = syndi.deploy("stage", "alpha", "--mode", "deploy-only")
    assert back["change_set"]["has_changes"] is False
    assert back["steps"]["ReconcileFunction"]["note"].startswith("put back")
    after = syndi.run("--local", "drift", "stage", "alpha", "--json").json["drift"]["findings"]
    assert {item["kind"] for item in after} & {"function", "config"} == set()
