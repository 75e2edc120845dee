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


A_SECOND = {Service.CLOUDFORMATION: 12, Service.LAMBDA: 5}
"""The requests that all steps together may make in a second.

CloudFormation publishes no limit, and raises none: an account meets it at a few DescribeStacks a
second, and each action has its own. Of twelve requests of what deployments ask for, at most six are
DescribeStacks (`syndi simulate`). Lambda's control calls are 15 a second for the account (Lambda
quotas, not raised); CloudFormation makes more of them, for its stacks, than the steps do."""

CALLS: dict[str, dict[Service, int]] = {
    "CheckStack": {Service.CLOUDFORMATION: 2},
    "ContinueRollback": {Service.CLOUDFORMATION: 1},
    "DeleteFailedStack": {Service.CLOUDFORMATION: 3},
    "AwaitDeletion": {Service.CLOUDFORMATION: 1},
    "CreateChangeSet": {Service.CLOUDFORMATION: 3},
    "AwaitChangeSet": {Service.CLOUDFORMATION: 1},
    "ExecuteChangeSet": {Service.CLOUDFORMATION: 1},
    "AwaitStack": {Service.CLOUDFORMATION: 1},
    "DiscardChangeSet": {Service.CLOUDFORMATION: 3},
    "DeleteStack": {Service.CLOUDFORMATION: 3},
    "AwaitRemoval": {Service.CLOUDFORMATION: 1},
    "DetectDrift": {Service.CLOUDFORMATION: 1},
    "AwaitDrift": {Service.CLOUDFORMATION: 1},
    "ReconcileFunction": {Service.CLOUDFORMATION: 2, Service.LAMBDA: 1},
    "PatchFunction": {Service.CLOUDFORMATION: 2, Service.LAMBDA: 2},
    "CheckFunction": {Service.CLOUDFORMATION: 2, Service.LAMBDA: 1},
    "SyncConfig": {Service.CLOUDFORMATION: 1},
    "CreateAdmin": {Service.CLOUDFORMATION: 1},
    "RunTests": {Service.CLOUDFORMATION: 1},
    "ProveDeployment": {Service.CLOUDFORMATION: 3, Service.LAMBDA: 3},
    # Dozens: it takes what is left beside those that are asked again, and its client slows down.
    "PruneVersions": {Service.CLOUDFORMATION: 1, Service.LAMBDA: 3},
}
"""The requests of a step that goes well, and of a look at what is not there yet; more are rare: for
what is there, code that is put back, a refusal that is looked into, a second page."""

LOOKS = frozenset({"AwaitDeletion", "AwaitChangeSet", "AwaitStack", "AwaitRemoval", "AwaitDrift"})
"""The steps that only look whether something is through, most of them in vain: their states ask
again anyway, and take a busy AWS for "not yet"."""

A_LOOK, PATIENCE = timedelta(seconds=1), timedelta(seconds=20)
"""How long a look, and any other step, waits for a second with enough requests left.

A look tries the next second too, or the unlucky ones of two hundred were never served before their
deadline. The others may be retried five times only, and then the deployment fails: so they wait for
a third of their function's time. What is enough is seen in `tests/unit/test_unit_simulation.py`."""


def calls(step: str) -> Mapping[Service, int]:
    """What a step asks for; nothing for one that makes no such requests."""
    return CALLS.get(step, {})


def room(step: str, service: Service) -> int:
    """How many requests of a second may be taken by others, for a step to have enough.

    Looks leave half of each second to the others: many of them, each of which is small, would
    starve those that need several requests at once.
    """
    share = A_SECOND[service] // 2 if step in LOOKS else A_SECOND[service]
    return share - calls(step)[service]


def patience(step: str) -> timedelta:
    """How long a step waits for its requests."""
    return A_LOOK if step in LOOKS else PATIENCE
