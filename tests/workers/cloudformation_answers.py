"""CloudFormation's answers, as its API reference has them, for what moto does otherwise."""

import json
from datetime import UTC, datetime
from typing import Any

import scripted_aws as scripted
import worker_builders as build

from control_plane import aws
from control_plane.models import Deployment
from control_plane.store.progress import Progress

STACK_ID = f"arn:aws:cloudformation:{build.REGION}:{build.ACCOUNT}:stack/notes-stage-alpha/1"
CHANGE_SET_ID = f"arn:aws:cloudformation:{build.REGION}:{build.ACCOUNT}:changeSet/syndi-1/1"
MISSING = scripted.failure("ValidationError", "Stack with id notes-stage-alpha does not exist")
TEMPLATE = {
    "Parameters": {
        name: {"Type": "String", "Default": default}
        for name, default in {
            "Environment": "dev",
            "EnableAuth": "true",
            "CreateBuckets": "true",
            "LogLevel": "INFO",
        }.items()
    },
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    "Outputs": {"Url": {"Value": "https://x"}},
}


def stack(status: str, **more: Any) -> dict[str, Any]:
    """DescribeStacks' answer."""
    described = {"StackName": "notes-stage-alpha", "StackId": STACK_ID, "StackStatus": status}
    return {"Stacks": [{**described, **more}]}


def event(
    status: str, name: str = "notes-stage-alpha", token: str = "", reason: str = ""
) -> dict[str, Any]:
    """One event; the stack's own unless it is named otherwise."""
    own = name == "notes-stage-alpha"
    found = {
        "StackId": STACK_ID,
        "LogicalResourceId": name,
        "PhysicalResourceId": STACK_ID if own else f"id-of-{name}",
        "ResourceType": "AWS::CloudFormation::Stack" if own else "AWS::S3::Bucket",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }
    return {**found, "ClientRequestToken": token} if token else found


def resource(
    name: str, status: str, reason: str = "", kind: str = "AWS::S3::Bucket"
) -> dict[str, Any]:
    """One resource of ListStackResources' answer."""
    return {
        "LogicalResourceId": name,
        "PhysicalResourceId": f"id-of-{name}",
        "ResourceType": kind,
        "LastUpdatedTimestamp": datetime(2026, 11, 22, tzinfo=UTC),
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def change(
    action: str,
    name: str,
    kind: str,
    replacement: str = "False",
    physical_id: str = "",
    **more: Any,
) -> dict[str, Any]:
    """One change of a change set; `more`: PolicyAction, ChangeSetId."""
    changed = {
        "Action": action,
        "LogicalResourceId": name,
        "ResourceType": kind,
        "Replacement": replacement,
        **more,
    }
    if physical_id:
        changed["PhysicalResourceId"] = physical_id
    return {"Type": "Resource", "ResourceChange": changed}


def change_set(status: str, reason: str = "", changes: list[Any] | None = None) -> dict[str, Any]:
    """DescribeChangeSet's answer."""
    return {
        "ChangeSetId": CHANGE_SET_ID,
        "StackId": STACK_ID,
        "Status": status,
        "StatusReason": reason,
        "Changes": changes or [],
    }


class Cloud:
    """CloudFormation under a test's control: `says` what a call answers, `asked` what was asked."""

    def __init__(self, script: scripted.Scripted) -> None:
        self._script = script

    def says(self, operation: str, *answers: scripted.Answer) -> None:
        self._script.on(aws.cloudformation(), operation, *answers)

    def watches(self, *operations: str) -> None:
        """These are answered by moto, and remembered."""
        for operation in operations:
            self._script.watch(aws.cloudformation(), operation)

    def has_events(self, *events: dict[str, Any]) -> None:
        """Newest first, as CloudFormation has them."""
        self.says("DescribeStackEvents", {"StackEvents": list(events)})

    def has_resources(self, *resources: dict[str, Any]) -> None:
        """A hundred a page, as AWS gives them."""

        def page(asked: dict[str, Any]) -> dict[str, Any]:
            start = int(asked.get("NextToken", 0))
            answer: dict[str, Any] = {
                "StackResourceSummaries": list(resources)[start : start + 100]
            }
            return answer | ({"NextToken": str(start + 100)} if resources[start + 100 :] else {})

        self.says("ListStackResources", page)

    def has_templates(self, now: dict[str, Any], then: dict[str, Any] | None = None) -> None:
        """The resources of the stack's template, and of its change set's (as now, if not given)."""

        def answer(asked: dict[str, Any]) -> dict[str, Any]:
            found = then if then is not None and asked.get("ChangeSetName") else now
            return {"TemplateBody": {"Resources": found}}

        self.says("GetTemplate", answer)

    def asked(self, operation: str) -> list[dict[str, Any]]:
        return self._script.of(operation)


def looked_at(made: Deployment, **facts: str) -> None:
    """AwaitChangeSet looked at the change set; `facts`: what it refused."""
    Progress(build.TABLE).add_facts(made, {"change_set": {"id": CHANGE_SET_ID, **facts}})


def upload_template(
    key: str = "notes-stage-alpha/builds/f00/template.yaml",
    resources: dict[str, Any] | None = None,
) -> str:
    """A packaged template in the artifact bucket; gives its key."""
    template = TEMPLATE if resources is None else {**TEMPLATE, "Resources": resources}
    aws.s3().put_object(Bucket=build.ARTIFACTS, Key=key, Body=json.dumps(template).encode())
    return key
