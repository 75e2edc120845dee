"""The stack worker's drift steps: CloudFormation compares, the worker waits and tells."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from cloudformation_answers import Cloud

from control_plane.errors import ServiceBusy, StackFailed
from workers import stack as worker


@pytest.fixture
def cloud(script: scripted.Scripted) -> Cloud:
    return Cloud(script)


def detect() -> dict[str, Any]:
    made = build.opened(build.deployment(mode="drift"))
    return worker.handler(build.event(made, "DetectDrift"), None)


def wait_for() -> tuple[dict[str, Any], str]:
    """The step's answer and its note."""
    made = build.opened(build.deployment(mode="drift"))
    answer = worker.handler(build.event(made, "AwaitDrift", detection_id="d-1"), None)
    return answer, build.record(made)["steps"]["AwaitDrift"].get("note", "")


def status(name: str, reason: str = "") -> dict[str, Any]:
    return {"DetectionStatus": name, "DetectionStatusReason": reason}


def drifted(name: str, kind: str, differences: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "LogicalResourceId": name,
        "ResourceType": "AWS::S3::Bucket",
        "StackResourceDriftStatus": kind,
        "PropertyDifferences": differences,
    }


def test_a_detection_is_started_for_the_tenants_stack(cloud: Cloud) -> None:
    cloud.says("DetectStackDrift", {"StackDriftDetectionId": "d-1"})
    assert detect()["detection_id"] == "d-1"
    assert cloud.asked("DetectStackDrift")[0]["StackName"] == "notes-stage-alpha"


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("Drift detection is already in progress for stack [arn]", ServiceBusy),
        ("Stack [notes-stage-alpha] does not exist", StackFailed),
    ],
)
def test_a_detection_that_is_refused_is_told_apart_from_one_that_runs_already(
    cloud: Cloud, message: str, error: type[Exception]
) -> None:
    cloud.says("DetectStackDrift", scripted.failure("ValidationError", message))
    with pytest.raises(error, match="notes-stage-alpha"):
        detect()


def test_while_cloudformation_compares_the_step_is_not_done(cloud: Cloud) -> None:
    cloud.says("DescribeStackDriftDetectionStatus", status("DETECTION_IN_PROGRESS"))
    assert wait_for()[0] == {"drift": {"findings": []}, "done": False}


def test_every_page_of_what_differs_is_told(cloud: Cloud) -> None:
    cloud.says("DescribeStackDriftDetectionStatus", status("DETECTION_COMPLETE"))
    changed = {
        "PropertyPath": "/VersioningConfiguration/Status",
        "ExpectedValue": "Enabled",
        "ActualValue": "Suspended",
        "DifferenceType": "NOT_EQUAL",
    }
    cloud.says(
        "DescribeStackResourceDrifts",
        {"StackResourceDrifts": [drifted("Forms", "MODIFIED", [changed])], "NextToken": "more"},
        {"StackResourceDrifts": [drifted("Drafts", "DELETED", [])]},
    )
    answer, note = wait_for()
    assert [item["detail"] for item in answer["drift"]["findings"]] == [
        "VersioningConfiguration.Status: Enabled → Suspended",
        "deleted by hand",
    ]
    assert note == "differ: Forms (AWS::S3::Bucket), Drafts (AWS::S3::Bucket)"
    asked = cloud.asked("DescribeStackResourceDrifts")
    assert asked[1]["NextToken"] == "more"
    assert asked[0]["StackResourceDriftStatusFilters"] == ["MODIFIED", "DELETED"]


def test_a_comparison_that_failed_for_a_resource_is_not_called_in_sync(cloud: Cloud) -> None:
    failed = status("DETECTION_FAILED", "Failed to detect drift on resources [Pool]")
    cloud.says("DescribeStackDriftDetectionStatus", failed)
    cloud.says("DescribeStackResourceDrifts", {"StackResourceDrifts": []})
    [finding] = wait_for()[0]["drift"]["findings"]
    assert "[Pool]" in finding["detail"]
    assert finding["deployment_would"].startswith("unknown")
