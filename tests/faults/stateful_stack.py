"""One stack that changes as CloudFormation's do, with the refusals that AWS has for what is done.

What decides between recovery and failure is in the errors: a change set is gone once it was
executed, a stack in progress takes no other operation, an event carries its operation's token.
"""

from typing import Any

import scripted_aws as scripted
from cloudformation_answers import CHANGE_SET_ID, STACK_ID, change, change_set, event, stack

from control_plane import aws
from control_plane.models import JsonObject

NAME = "notes-stage-alpha"
OPERATIONS = (
    "DescribeStacks", "DescribeStackEvents", "DescribeStackResources", "ListStackResources",
    "CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "DeleteChangeSet",
    "ListChangeSets", "DeleteStack", "ContinueUpdateRollback", "UpdateTerminationProtection",
    "GetTemplate", "DetectStackDrift", "DescribeStackDriftDetectionStatus",
    "DescribeStackResourceDrifts", "DescribeEvents",
)  # fmt: skip


_INTERRUPTED = {
    "CREATE_IN_PROGRESS": "CREATE_FAILED",
    "DELETE_IN_PROGRESS": "DELETE_FAILED",
    "UPDATE_IN_PROGRESS": "UPDATE_ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_FAILED",
}


class Stack:
    """The stack. `status` None: there is none. `begun`: the operations, by their tokens."""

    def __init__(self, script: scripted.Scripted, status: str | None) -> None:
        self.status = status
        self.events: list[dict[str, Any]] = []
        self.change_sets: dict[str, JsonObject] = {}
        self.begun: list[str] = []
        self.is_protected = False
        self.detecting = False
        for operation in OPERATIONS:
            answer = getattr(self, f"_{operation}")
            script.on(aws.cloudformation(), operation, answer)

    def shown(self) -> JsonObject:
        """What is there, to be compared."""
        return {
            "status": self.status, "begun": self.begun, "protected": self.is_protected,
            "change_sets": sorted(self.change_sets),
        }  # fmt: skip

    def begins(self, status: str, token: str) -> None:
        """An operation begins."""
        self.status = status
        self.begun.append(token)
        self.events.insert(0, event(status, token=token))

    def settles(self, status: str, token: str) -> None:
        """It ends."""
        self.status = status
        self.events.insert(0, event(status, token=token))

    def restarts(self) -> None:
        """A laptop's AWS was killed and is up again: an operation that ran has failed
        (docs/emulator.md, `interrupted_stacks`)."""
        self.status = _INTERRUPTED.get(self.status or "", self.status)

    def has_change_set(self) -> None:
        """There is one, ready to be executed."""
        self.change_sets[CHANGE_SET_ID] = change_set(
            "CREATE_COMPLETE", changes=[change("Add", "Topic", "AWS::SNS::Topic")]
        )

    def _busy(self) -> JsonObject | None:
        if self.status and self.status.endswith("_IN_PROGRESS") and "REVIEW" not in self.status:
            told = f"Stack:{STACK_ID} is in {self.status} state and can not be updated."
            return scripted.failure("ValidationError", told)
        return None

    def _DescribeStacks(self, asked: JsonObject) -> JsonObject:
        if self.status is None or (self.status == "DELETE_COMPLETE" and asked["StackName"] == NAME):
            return scripted.failure("ValidationError", f"Stack with id {NAME} does not exist")
        return stack(self.status, EnableTerminationProtection=self.is_protected)

    def _DescribeStackEvents(self, asked: JsonObject) -> JsonObject:
        return {"StackEvents": list(self.events)}

    def _DescribeStackResources(self, asked: JsonObject) -> JsonObject:
        return {"StackResources": []}

    def _ListStackResources(self, asked: JsonObject) -> JsonObject:
        return {"StackResourceSummaries": []}

    def _GetTemplate(self, asked: JsonObject) -> JsonObject:
        return {"TemplateBody": {"Resources": {}}}

    def _DescribeEvents(self, asked: JsonObject) -> JsonObject:
        return {"OperationEvents": []}

    def _CreateChangeSet(self, asked: JsonObject) -> JsonObject:
        if self.change_sets:
            return scripted.failure("AlreadyExistsException", "ChangeSet already exists")
        self.has_change_set()
        if self.status is None:
            self.status = "REVIEW_IN_PROGRESS"
        return {"Id": CHANGE_SET_ID, "StackId": STACK_ID}

    def _DescribeChangeSet(self, asked: JsonObject) -> JsonObject:
        if not self.change_sets:
            return scripted.failure("ChangeSetNotFound", "ChangeSet does not exist")
        return self.change_sets[CHANGE_SET_ID]

    def _ListChangeSets(self, asked: JsonObject) -> JsonObject:
        return {"Summaries": [{"ChangeSetId": id_} for id_ in self.change_sets]}

    def _ExecuteChangeSet(self, asked: JsonObject) -> JsonObject:
        if busy := self._busy():
            return busy
        if not self.change_sets:
            return scripted.failure("ChangeSetNotFound", "ChangeSet does not exist")
        self.change_sets.clear()
        self.begins("UPDATE_IN_PROGRESS", asked["ClientRequestToken"])
        return {}

    def _DeleteChangeSet(self, asked: JsonObject) -> JsonObject:
        self.change_sets.clear()
        return {}

    def _DeleteStack(self, asked: JsonObject) -> JsonObject:
        if self.is_protected:
            return scripted.failure("ValidationError", "TerminationProtection is enabled")
        if self.status != "DELETE_IN_PROGRESS":
            self.begins("DELETE_IN_PROGRESS", asked["ClientRequestToken"])
        return {}

    def _ContinueUpdateRollback(self, asked: JsonObject) -> JsonObject:
        if self.status != "UPDATE_ROLLBACK_FAILED":
            return scripted.failure("ValidationError", f"Stack is in {self.status} state")
        self.begins("UPDATE_ROLLBACK_IN_PROGRESS", asked["ClientRequestToken"])
        return {}

    def _UpdateTerminationProtection(self, asked: JsonObject) -> JsonObject:
        if self.status == "DELETE_IN_PROGRESS":
            return scripted.failure("ValidationError", "Stack is in DELETE_IN_PROGRESS state")
        self.is_protected = asked["EnableTerminationProtection"]
        return {"StackId": STACK_ID}

    def _DetectStackDrift(self, asked: JsonObject) -> JsonObject:
        if self.detecting:  # and has ended by the next call
            self.detecting = False
            told = f"Drift detection is already in progress for stack [{STACK_ID}]"
            return scripted.failure("ValidationError", told)
        self.detecting = True
        return {"StackDriftDetectionId": "d-1"}

    def _DescribeStackDriftDetectionStatus(self, asked: JsonObject) -> JsonObject:
        return {"DetectionStatus": "DETECTION_COMPLETE"}

    def _DescribeStackResourceDrifts(self, asked: JsonObject) -> JsonObject:
        return {"StackResourceDrifts": []}
