"""An approval: nothing changes before it, who decided is known, and a no leaves nothing behind."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from live import change_sets
from sources import ALMANAC, APPLICATION, add_resources, copied, push_beside
from syndi_command import Syndi, eventually

ORG = "harbour"
EXTRA = "AWS::CloudFormation::WaitConditionHandle"
"""It holds no data: a later test's source, which has another, may remove it."""


@pytest.fixture(scope="module")
def harbour(syndi: Syndi, almanac: dict[str, Any]) -> dict[str, Any]:
    """`dev/harbour`, deployed without an approval."""
    return syndi.deploy("dev", ORG, *APPLICATION)


@pytest.fixture
def changed(
    syndi: Syndi, harbour: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> str:
    """The SHA-256 of an almanac whose stack has one thing more, of another name in each test."""
    copy = copied(ALMANAC, tmp_path)
    add_resources(copy, f"  Extra{abs(hash(request.node.name))}: {{Type: {EXTRA}}}\n")
    return push_beside(syndi, copy, "dev")


def waiting(syndi: Syndi, org: str, *options: str) -> dict[str, Any]:
    """A deployment that has come as far as to wait for an approval."""
    started = syndi.attempt("dev", org, *APPLICATION, "--approval", "--no-wait", *options).json[
        "id"
    ]

    def asked() -> dict[str, Any] | None:
        record = syndi.show(started)
        assert record["status"] in ("QUEUED", "RUNNING", "AWAITING_APPROVAL"), record
        return record if "approval" in record else None

    return eventually(asked, 60, "a deployment that waits")


def ended(syndi: Syndi, id_: str) -> dict[str, Any]:
    """A deployment's record when it has ended, and its execution too."""
    record = syndi.ended(id_)
    record["execution"] = syndi.ended_execution(record["execution_arn"])
    return record


def operator(syndi: Syndi) -> str:
    """The ARN of whoever calls the API in these tests."""
    answer = syndi.client("sts", operator=True).get_caller_identity()
    return str(answer["Arn"])


def test_nothing_is_changed_before_somebody_approves(
    syndi: Syndi, harbour: dict[str, Any], changed: str
) -> None:
    before = syndi.stack(f"almanac-dev-{ORG}")
    record = waiting(syndi, ORG, "--source", changed)
    assert record["status"] == "AWAITING_APPROVAL"
    assert record["steps"]["AwaitApproval"]["status"] == "RUNNING"
    shown = {"config_version", "requested_at", "expires_at"}
    assert record["approval"].keys() == shown, "the token stays inside"
    assert "UploadConfig" not in record["steps"]
    assert syndi.stack(f"almanac-dev-{ORG}") == before
    (added,) = record["change_set"]["summary"]["added"]
    assert added["type"] == EXTRA, "what is to be approved is there to be looked at"
    told = syndi.ok("--local", "show", record["id"]).stdout
    assert f"syndi --local approve {record['id']}" in told
    assert f"+ added {added['id']} ({EXTRA})" in told

    approved = syndi.ok("--local", "approve", record["id"], "--comment", "looks\n good", "--json")
    assert approved.json["approval"]["decided_by"] == operator(syndi)
    again = syndi.run("--local", "reject", record["id"], "--json")
    assert (again.exit_code, again.json["error"]["code"]) == (2, "Conflict")
    assert f"approved by {operator(syndi)}" in again.json["error"]["message"]

    record = ended(syndi, record["id"])
    assert record["status"] == "SUCCEEDED", record
    assert record["requested_by"] == operator(syndi)
    assert record["approval"]["decision"] == "APPROVED"
    assert record["approval"]["decided_by"] == operator(syndi)
    assert record["approval"]["requested_at"] <= record["approval"]["decided_at"]
    step = record["steps"]["AwaitApproval"]
    assert step["status"] == "SUCCEEDED"
    assert step["note"] == f"approved by {operator(syndi)}: looks good"
    assert len(syndi.stack(f"almanac-dev-{ORG}")["resources"]) == len(before["resources"]) + 1
    third = syndi.run("--local", "approve", record["id"])
    assert third.exit_code == 2
    assert "SUCCEEDED" in third.stderr


def test_a_rejected_deployment_changes_nothing_and_says_who_and_why(
    syndi: Syndi, harbour: dict[str, Any], changed: str
) -> None:
    before = syndi.stack(f"almanac-dev-{ORG}")
    record = waiting(syndi, ORG, "--source", changed)
    assert change_sets(syndi, f"almanac-dev-{ORG}"), "there was something to look at"
    told = syndi.ok("--local", "reject", record["id"], "--comment", "not on a Friday").stdout
    assert f"({EXTRA})" in told, "what was decided about"
    assert f"rejected   by {operator(syndi)}" in told
    record = ended(syndi, record["id"])
    assert record["status"] == "FAILED"
    assert (record["failed_step"], record["error"]) == ("AwaitApproval", "ApprovalRejected")
    why = f"AwaitApproval: rejected by {operator(syndi)}: not on a Friday"
    assert record["reason"] == why
    assert record["execution"]["status"] == "FAILED"
    assert record["execution"]["error"] == "ApprovalRejected"
    assert record["execution"]["cause"].startswith(why)
    assert record["approval"]["decision"] == "REJECTED"
    assert record["steps"]["AwaitApproval"]["status"] == "FAILED"
    assert record["steps"]["DiscardChangeSet"]["status"] == "SUCCEEDED"
    assert "UploadConfig" not in record["steps"]
    assert syndi.stack(f"almanac-dev-{ORG}") == before
    assert change_sets(syndi, f"almanac-dev-{ORG}") == []
    assert syndi.lock("dev", ORG, "almanac") is None
    assert syndi.run("--local", "approve", record["id"]).exit_code == 2


def test_a_rejected_first_deployment_leaves_no_stack(syndi: Syndi, almanac: dict[str, Any]) -> None:
    record = waiting(syndi, "jetty")
    assert record["change_set"]["summary"]["added"]
    syndi.ok("--local", "reject", record["id"])
    assert ended(syndi, record["id"])["status"] == "FAILED"
    cloudformation = syndi.client("cloudformation")

    def gone() -> bool:
        try:
            cloudformation.describe_stacks(StackName="almanac-dev-jetty")
        except ClientError as error:
            return "does not exist" in str(error)
        return False

    assert eventually(gone, 30, "the end of a stack that was never created")


def test_the_token_is_in_no_answer_and_no_log(syndi: Syndi, harbour: dict[str, Any]) -> None:
    table = syndi.outputs()["TableName"]
    items = syndi.client("dynamodb").scan(TableName=table)["Items"]
    tokens = {
        item["approval"]["M"]["token"]["S"]
        for item in items
        if "token" in item.get("approval", {}).get("M", {})
    }
    assert tokens, "there was an approval"
    logs = syndi.client("logs")
    texts = [syndi.ok("--local", "history", "dev", ORG, *APPLICATION, "--json").stdout]
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=group["logGroupName"]):
            texts += [event["message"] for event in page["events"]]
    assert len(texts) > 20, "there was something to look at"
    assert not [text for text in texts for token in tokens if token in text]


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_what_waits_for_nothing_or_does_not_exist_is_refused(
    syndi: Syndi, harbour: dict[str, Any], verb: str
) -> None:
    done = syndi.run("--local", verb, harbour["id"], "--json")
    assert (done.exit_code, done.json["error"]["code"]) == (2, "Conflict")
    assert "waits for no approval: it is SUCCEEDED" in done.json["error"]["message"]
    nobody = syndi.run("--local", verb, "20200101-000000-000abcde", "--json")
    assert (nobody.exit_code, nobody.json["error"]["code"]) == (2, "NotFound")


def test_what_is_no_environment_cannot_need_approvals_and_none_does_by_default(
    syndi: Syndi,
) -> None:
    wrong = syndi.run("--local", "up", "--approval-in", "prod,moon")
    assert wrong.exit_code == 2
    assert "moon" in wrong.stderr
    parameters = syndi.stack("control-plane-dev-local")["parameters"]
    assert parameters["ApprovalEnvironments"] == ""
