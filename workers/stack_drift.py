"""Drift as CloudFormation sees it: resources that are not as the stack's template says."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import ServiceBusy, StackFailed
from control_plane.models import Deployment, JsonObject
from control_plane.rules import drift
from workers.step import Outcome

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackResourceDriftTypeDef


def detect_drift(deployment: Deployment, event: JsonObject) -> Outcome:
    """Have CloudFormation compare the stack's resources with its template.

    It reads them with this function's permissions. Raises StackFailed, or ServiceBusy while
    somebody else's comparison runs.
    """
    name = deployment.tenant.stack_name
    try:
        answer = aws.cloudformation().detect_stack_drift(StackName=name)
    except ClientError as error:
        if aws.error_code(error) != "ValidationError":
            raise
        message = str(error.response["Error"].get("Message", ""))
        if "already in progress" in message:
            raise ServiceBusy(f"a drift detection of {name} runs already: {message}") from error
        raise StackFailed(f"{name} could not be compared with its template: {message}") from error
    return Outcome({"detection_id": answer["StackDriftDetectionId"]}, "comparing")


def await_drift(deployment: Deployment, event: JsonObject) -> Outcome:
    """What CloudFormation found, when it is through.

    A comparison that failed for some resources is a finding too: for the others it has results.
    """
    status = aws.cloudformation().describe_stack_drift_detection_status(
        StackDriftDetectionId=event["detection_id"]
    )
    if status["DetectionStatus"] == "DETECTION_IN_PROGRESS":
        return Outcome({"drift": {"findings": []}}, done=False)
    name = deployment.tenant.stack_name
    findings = [_finding(item) for item in _drifted(name)]
    if status["DetectionStatus"] == "DETECTION_FAILED":
        reason = status.get("DetectionStatusReason", "")
        findings.append(drift.unchecked_finding(name, reason))
    told = ", ".join(finding["resource"] for finding in findings)
    note = f"differ: {told}" if told else "the resources are as the template says"
    return Outcome({"drift": {"findings": findings}}, note)


def _drifted(stack_name: str) -> "list[StackResourceDriftTypeDef]":
    """The resources that differ; there is no paginator for this call."""
    found: list[StackResourceDriftTypeDef] = []
    more: dict[str, Any] = {}
    while True:
        page = aws.cloudformation().describe_stack_resource_drifts(
            StackName=stack_name,
            StackResourceDriftStatusFilters=["MODIFIED", "DELETED"],
            **more,
        )
        found += page["StackResourceDrifts"]
        if not page.get("NextToken"):
            return found
        more = {"NextToken": page["NextToken"]}


def _finding(item: "StackResourceDriftTypeDef") -> JsonObject:
    return drift.resource_finding(
        item["LogicalResourceId"],
        item["ResourceType"],
        item["StackResourceDriftStatus"],
        item.get("PropertyDifferences", []),
    )
