"""What may be said of an execution that has ended. test_workflow_verdicts.py shows that these
can say no."""

import json

from rehearsal import Told

HAPPY = [
    "PrepareDeployment",
    "AcquireLock",
    "AcquireSlot",
    "CheckStack",
    "StartBuild",
    "AwaitBuild",
    "CreateChangeSet",
    "AwaitChangeSet",
    "UploadConfig",
    "ExecuteChangeSet",
    "AwaitStack",
    "ReconcileFunction",
    "SyncConfig",
    "RunTests",
    "ProveDeployment",
    "RecordSuccess",
]
"""The steps of a first deployment without an administrator, when nothing has to be waited for."""


def happy_with(**replaced: list[str]) -> list[str]:
    """The happy path with some of its steps replaced by these."""
    return [step for name in HAPPY for step in replaced.get(name, [name])]


def assert_succeeded(told: Told, steps: list[str]) -> None:
    """It went this way, was recorded as a success last, and is green."""
    assert told.steps == steps
    assert told.steps[-1] == "RecordSuccess"
    assert (told.status, told.error) == ("SUCCEEDED", None)


def assert_failed_and_recorded(told: Told, state: str, error: str, message: str | None) -> None:
    """It failed in this state, is red, and its record says so.

    `message`: what the worker said, found in what RecordFailure is given; None when no worker did.
    """
    assert told.status == "FAILED"
    assert told.error == error
    failures = [payload["failure"] for payload in told.payloads("RecordFailure")]
    assert [(failure["state"], failure["error"]) for failure in failures] == [(state, error)]
    if message is not None:
        assert json.loads(failures[0]["cause"])["errorMessage"] == message
    assert told.payloads("RecordFailure")[0]["execution"]["Id"] == told.arn
    # The reason that was recorded is the one that the console shows.
    assert told.cause == f"recorded of {state}: {error}"
    last = len(told.steps) - 1 - told.steps[::-1].index(state)
    after = told.steps[last + 1 :]
    tidied = [step] if (step := _tidied_by(state, error)) else []
    assert after == [*tidied, "RecordFailure"], "nothing goes on after a failure"


def _tidied_by(state: str, error: str) -> str | None:
    """What puts back, between a failure and its record, what the deployment had begun."""
    match state, error:
        case "AwaitApproval", _:  # what was not approved is not left for somebody else
            return "DiscardChangeSet"
        case "UploadConfig", "ConfigInvalid" | "InvalidRequest" | "Cancelled":
            return "DiscardChangeSet"  # nothing was uploaded
        case "AwaitChangeSet", "Cancelled":
            return "DiscardChangeSet"
        case ("UploadConfig" | "ExecuteChangeSet", _) | ("AwaitStack", "StackFailed" | "Cancelled"):
            return "RestoreConfig"  # the stack is what it was before
        case _:
            return None
