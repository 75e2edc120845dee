"""How many requests deployments make of CloudFormation and Lambda together: the numbers, pure.

Slots bound how many deployments work at once, not how many of them ask in the same second.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum


class Service(StrEnum):
    """Whose requests are counted."""

    CLOUDFORMATION = "cloudformation"
    LAMBDA = "lambda"


A_SECOND = {Service.CLOUDFORMATION: 10, Service.LAMBDA: 5}
"""The requests that all steps together may make in a second.

CloudFormation publishes no limit, and raises none: an account meets it at a few DescribeStacks a
second, and each action has its own. Of ten requests of a deployment's mixture no action is more
than about half. Lambda's control calls are 15 a second for the account (Lambda quotas, not
raised); CloudFormation makes more of them, for the stacks that it works on, than the steps do."""

CALLS: dict[str, dict[Service, int]] = {
    "CheckStack": {Service.CLOUDFORMATION: 2},
    "ContinueRollback": {Service.CLOUDFORMATION: 1},
    "DeleteFailedStack": {Service.CLOUDFORMATION: 3},
    "AwaitDeletion": {Service.CLOUDFORMATION: 1},
    "CreateChangeSet": {Service.CLOUDFORMATION: 3},
    "AwaitChangeSet": {Service.CLOUDFORMATION: 2},
    "ExecuteChangeSet": {Service.CLOUDFORMATION: 1},
    "AwaitStack": {Service.CLOUDFORMATION: 2},
    "DiscardChangeSet": {Service.CLOUDFORMATION: 3},
    "DeleteStack": {Service.CLOUDFORMATION: 3},
    "AwaitRemoval": {Service.CLOUDFORMATION: 1},
    "DetectDrift": {Service.CLOUDFORMATION: 1},
    "AwaitDrift": {Service.CLOUDFORMATION: 2},
    "ReconcileFunction": {Service.CLOUDFORMATION: 2, Service.LAMBDA: 1},
    "PatchFunction": {Service.CLOUDFORMATION: 2, Service.LAMBDA: 2},
    "CheckFunction": {Service.CLOUDFORMATION: 2, Service.LAMBDA: 1},
    # Dozens: it begins in a second that nobody else uses, and its client slows down by itself.
    "PruneVersions": {Service.CLOUDFORMATION: 1, Service.LAMBDA: A_SECOND[Service.LAMBDA]},
}
"""The requests of a step that goes well, and ends what it waits for; more are rare (code that is
put back, a refusal that is looked into, a second page)."""

ASKED_AGAIN = frozenset(
    {
        "CheckStack", "AwaitDeletion", "AwaitChangeSet", "AwaitStack", "AwaitRemoval",
        "AwaitDrift", "ReconcileFunction", "PatchFunction",
    }
)  # fmt: skip
"""The steps whose states take a busy AWS for "not yet": they come again after a wait."""

PATIENCE = timedelta(seconds=5)
"""How long any other step waits for a second with enough requests left: far less than its
function's time, and then it is retried by the state machine."""


def calls(step: str) -> Mapping[Service, int]:
    """What a step asks for; nothing for one that makes no such requests."""
    return CALLS.get(step, {})


def patience(step: str) -> timedelta:
    """How long a step waits for its requests."""
    return timedelta(0) if step in ASKED_AGAIN else PATIENCE
