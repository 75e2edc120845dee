"""What people are told, what is measured, and how a tenant did."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from live import ask, reaches
from sources import APPLICATION
from syndi_command import Syndi, eventually

from cli.connection import for_laptop

CONTROL_PLANE = "control-plane-dev-local"
ACCOUNT = "000000000000"
ORG = "watchtower"
TENANT = ("dev", ORG, *APPLICATION)


@dataclass
class Inbox:
    """A queue that gets what the topic gets."""

    client: Any
    url: str
    seen: list[str] = field(default_factory=list)

    def text(self, *words: str) -> str:
        """The first message, old or new, that has all of these words."""

        def found() -> str | None:
            answer = self.client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                self.seen.append(json.loads(message["Body"])["Message"])
                self.client.delete_message(
                    QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"]
                )
            return next((text for text in self.seen if all(w in text for w in words)), None)

        return eventually(found, 30, f"a message with {words}")


@pytest.fixture(scope="module")
def inbox(syndi: Syndi) -> Iterator[Inbox]:
    """Subscribed to the topic as an operator subscribes a queue, or an address."""
    topic = syndi.outputs()["NotificationsTopicArn"]
    sqs, arn = syndi.client("sqs"), f"arn:aws:sqs:us-east-1:{ACCOUNT}:told"
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    allowed = {
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns = syndi.client("sns")
    made = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    yield Inbox(sqs, url)
    sns.unsubscribe(SubscriptionArn=made["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def waited(syndi: Syndi, almanac: Any, inbox: Inbox) -> dict[str, Any]:
    """A deployment that waited for an approval, got it, and succeeded."""
    started = syndi.attempt(*TENANT, "--approval", "--no-wait").json
    reaches(syndi, started, "AwaitApproval")
    inbox.text(started["id"], "waits for an approval")
    syndi.ok("--local", "approve", started["id"])
    record = syndi.ended(started["id"])
    assert record["status"] == "SUCCEEDED", record
    return record


def metric_lines(syndi: Syndi, worker: str) -> list[dict[str, Any]]:
    """The lines in CloudWatch's embedded format that a worker wrote."""
    found: list[dict[str, Any]] = []
    pages = syndi.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=f"/aws/lambda/{CONTROL_PLANE}-{worker}"):
        for event in page["events"]:
            if '"_aws"' in event["message"]:
                found.append(json.loads(event["message"]))
    return found


# Telling ------------------------------------------------------------------------------------------


def test_a_failed_deployment_is_told_with_tenant_reason_and_what_to_do(
    syndi: Syndi, almanac: Any, inbox: Inbox
) -> None:
    alarm = f"{CONTROL_PLANE}-failed-deployments"
    # Other tests have let deployments fail: one that rings already does not tell it again.
    syndi.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="test")
    failed = syndi.fail("dev", "nowhere", *APPLICATION, "--mode", "deploy-only")
    lines = inbox.text(failed["id"], "failed").splitlines()
    assert [for_laptop(line.strip('"')) for line in lines] == [
        f"almanac-dev-nowhere: deployment {failed['id']} failed",
        f"reason: {failed['reason']}",
        f"what to do: {failed['hint']}",
        f"console: {failed['console_url']}",
    ]
    assert eventually(lambda: syndi.show(failed["id"]).get("end_told_at"), 15, "it is marked")
    told = inbox.text(alarm, "ALARM")
    assert json.loads(told)["NewStateValue"] == "ALARM"


def test_one_that_waits_for_an_approval_is_told_with_the_command_that_gives_it(
    inbox: Inbox, waited: dict[str, Any]
) -> None:
    text = inbox.text(waited["id"], "waits for an approval")
    assert f"almanac-dev-{ORG}" in text
    assert f"syndi approve {waited['id']}" in text
    assert f"changes: {waited['steps']['AwaitChangeSet']['note']}" in text
    assert f"asked by {waited['requested_by']}" in text


def test_what_went_well_is_not_told(inbox: Inbox, waited: dict[str, Any]) -> None:
    inbox.text(waited["id"])
    assert [text for text in inbox.seen if waited["id"] in text and "approval" not in text] == []


# Measuring ----------------------------------------------------------------------------------------


def test_the_numbers_of_a_deployment_are_in_the_logs_of_the_workers(
    syndi: Syndi, waited: dict[str, Any]
) -> None:
    own = metric_lines(syndi, "record")
    told = {name for line in own for name in line}
    assert told >= {"DeploymentsSucceeded", "DeploymentSeconds", "QueueSeconds", "StepSeconds"}
    states = {line.get("state") for line in metric_lines(syndi, "stack")}
    assert states >= {"CheckStack", "CreateChangeSet", "AwaitChangeSet", "AwaitStack"}
    took = [line["DeploymentSeconds"][0] for line in own if line.get("mode") == "full"]
    assert max(took) > 1
    assert not [line for line in own if ORG in json.dumps(line)], "a tenant is no dimension"


def test_the_dashboard_is_there(syndi: Syndi) -> None:
    cloudwatch = syndi.client("cloudwatch")
    body = cloudwatch.get_dashboard(DashboardName=CONTROL_PLANE)["DashboardBody"]
    assert len(json.loads(body)["widgets"]) >= 9
    assert "${" not in body
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix=CONTROL_PLANE)["MetricAlarms"]
    topic = syndi.outputs()["NotificationsTopicArn"]
    assert len(alarms) >= 6
    assert all(alarm["AlarmActions"] == [topic] for alarm in alarms)


# A tenant's health --------------------------------------------------------------------------------


def health(syndi: Syndi, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = syndi.ok("--local", "health", *TENANT, *more, "--json").json
    return found


def test_how_a_tenant_did(syndi: Syndi, waited: dict[str, Any]) -> None:
    before = health(syndi)
    assert before["cold_starts"]["count"] >= 1, "the tests of its deployment started it"
    url = syndi.ok("--local", "url", *TENANT).stdout.strip()
    for _ in range(5):
        assert ask(f"{url}/status")[0] == 200
    after = health(syndi)
    assert after["function"] == f"almanac-dev-{ORG}"
    assert after["calls"]["invocations"] == before["calls"]["invocations"] + 5
    assert after["calls"]["errors"] == 0
    assert 0 < after["calls"]["average_ms"] <= after["calls"]["maximum_ms"]
    assert after["cold_starts"]["complete"]
    shown = syndi.ok("--local", "health", *TENANT, "--period", "1h").stdout
    assert f"calls        {after['calls']['invocations']}, none failed" in shown
    assert "duration     average" in shown


def test_a_log_that_is_gone_is_said_and_not_taken_for_none(
    syndi: Syndi, waited: dict[str, Any]
) -> None:
    """Last: the log is not put back."""
    syndi.client("logs").delete_log_group(logGroupName=f"/aws/lambda/almanac-dev-{ORG}")
    found = health(syndi)
    assert found["calls"]["invocations"] > 0
    assert found["cold_starts"]["count"] is None
    assert "there is no log" in found["cold_starts"]["problem"]
    shown = syndi.ok("--local", "health", *TENANT).stdout
    assert f"cold starts  not known: there is no log /aws/lambda/almanac-dev-{ORG}" in shown


@pytest.mark.parametrize(
    ("asked", "code"),
    [(("dev", "nobody-here", *APPLICATION), "NotFound"), ((*TENANT, "--period", "1y"), "Invalid")],
)
def test_what_cannot_be_told_is_refused(
    syndi: Syndi, waited: dict[str, Any], asked: tuple[str, ...], code: str
) -> None:
    refused = syndi.run("--local", "health", *asked, "--json")
    assert refused.exit_code == 2
    assert refused.json["error"]["code"].startswith(code)
