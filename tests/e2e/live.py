"""What is live: tenants' answers and states, buckets, change sets, executions; and records."""

import json
import urllib.error
import urllib.request
from typing import Any

from syndi_command import Syndi, eventually


def ask(address: str, token: str | None = None) -> tuple[int, Any]:
    """A GET's status and JSON."""
    request = urllib.request.Request(address)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, None


def listed(syndi: Syndi, stack: str) -> Any:
    """A tenant's state, as the API lists it; None when there is none."""
    found = syndi.ok("--local", "tenants", "--json").json
    return next((item for item in found if item["stack_name"] == stack), None)


def bucket_names(syndi: Syndi) -> list[str]:
    """Every bucket of the account, sorted."""
    return sorted(item["Name"] for item in syndi.client("s3").list_buckets()["Buckets"])


def change_sets(syndi: Syndi, stack: str) -> list[str]:
    """The change sets of a stack that could be executed."""
    found = syndi.client("cloudformation").list_change_sets(StackName=stack)["Summaries"]
    return [item["ChangeSetName"] for item in found if item.get("ExecutionStatus") == "AVAILABLE"]


def executions(syndi: Syndi) -> int:
    """How many executions there are."""
    machine = syndi.outputs()["StateMachineArn"]
    pages = syndi.client("stepfunctions").get_paginator("list_executions")
    return sum(len(page["executions"]) for page in pages.paginate(stateMachineArn=machine))


def reaches(syndi: Syndi, deployment: dict[str, Any], step: str) -> dict[str, Any]:
    """The record, as soon as the deployment has begun a step."""

    def there() -> dict[str, Any] | None:
        found = syndi.show(deployment["id"])
        return found if step in found["steps"] else None

    return eventually(there, 90, f"{step} of {deployment['id']}")


def entered(record: dict[str, Any]) -> list[str]:
    """The steps that a deployment has begun."""
    return [name for name, step in record["steps"].items() if step["status"] != "PENDING"]


def decided(record: dict[str, Any]) -> str:
    """What the look at the stack led to, and why."""
    return str(record["steps"]["CheckStack"]["note"])
