"""The tenants' stacks, changed past the control plane, and kept busy until a signal."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from syndi_command import Syndi, eventually


def stack_name(org: str) -> str:
    """A tenant's stack."""
    return f"almanac-dev-{org}"


class Stacks:
    """The tenants' stacks, changed past the control plane, as root."""

    def __init__(self, syndi: Syndi) -> None:
        self.client = syndi.client("cloudformation")

    def status(self, org: str) -> str | None:
        """A stack's status; None when there is none."""
        try:
            found = self.client.describe_stacks(StackName=stack_name(org))["Stacks"]
        except self.client.exceptions.ClientError as error:
            if "does not exist" not in str(error):
                raise
            return None
        return str(found[0]["StackStatus"])

    def settled(self, org: str, status: str) -> None:
        """Wait for a status."""
        eventually(lambda: self.status(org) == status, 30, f"{stack_name(org)} is {status}")

    def create(self, org: str, resources: dict[str, Any], **more: Any) -> None:
        """Create a stack of a tenant's name."""
        body = json.dumps({"Resources": resources})
        self.client.create_stack(StackName=stack_name(org), TemplateBody=body, **more)

    def update(self, org: str, change: Callable[[dict[str, Any]], None], **more: Any) -> None:
        """Start an update of a stack: its own template, changed."""
        self.client.update_stack(
            StackName=stack_name(org),
            TemplateBody=self.template(org, change),
            Parameters=self.parameters(org),
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            **more,
        )

    def template(self, org: str, change: Callable[[dict[str, Any]], None]) -> str:
        """The stack's own template, changed; it is JSON, as the control plane wrote it."""
        body = self.client.get_template(StackName=stack_name(org), TemplateStage="Original")[
            "TemplateBody"
        ]
        template = json.loads(body) if isinstance(body, str) else dict(body)
        change(template)
        return json.dumps(template)

    def hold(self, org: str, change: Callable[[dict[str, Any]], None], after: str) -> str:
        """Start an update that applies `change` and then stays in progress until it is signalled.

        Gives the address that takes the signal.
        """
        self.update(org, lambda template: template["Resources"].update(waiting(1, kept=True)))
        self.settled(org, "UPDATE_COMPLETE")
        found = self.client.describe_stack_resource(
            StackName=stack_name(org), LogicalResourceId="Never"
        )

        def held(template: dict[str, Any]) -> None:
            change(template)
            template["Resources"].update(waiting(120, after))

        self.update(org, held)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def parameters(self, org: str) -> list[dict[str, Any]]:
        """The stack's parameters, kept."""
        found = self.client.describe_stacks(StackName=stack_name(org))["Stacks"][0]
        return [
            {"ParameterKey": item["ParameterKey"], "UsePreviousValue": True}
            for item in found.get("Parameters", [])
        ]


def waiting(seconds: int, after: str | None = None, kept: bool = False) -> dict[str, Any]:
    """Resources that keep a stack busy until a signal, or for some seconds, and then fail.

    `kept`: only what takes the signal.
    """
    handle: dict[str, Any] = {"Never": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    if kept:
        return handle
    condition: dict[str, Any] = {
        "Type": "AWS::CloudFormation::WaitCondition",
        "Properties": {"Handle": {"Ref": "Never"}, "Timeout": str(seconds), "Count": 1},
    }
    if after:
        condition["DependsOn"] = after
    return {**handle, "NeverSignalled": condition}


def signal(address: str, status: str) -> None:
    """End the wait: SUCCESS or FAILURE."""
    told = {"Status": status, "UniqueId": "1", "Data": "x", "Reason": "because the test says so"}
    request = urllib.request.Request(address, json.dumps(told).encode(), method="PUT")
    request.add_header("Content-Type", "")
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200
