"""A worker that crashed instead of answering: which one it was, and where its log is. Pure."""

import json
from collections.abc import Mapping

ERRORS = (
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "Lambda.ClientExecutionTimeoutException",
    "States.Timeout",
)
"""What Step Functions says of a function that gave no answer: out of memory, out of time, or its
process ended (Step Functions guide, "Handle Lambda service exceptions"; Lambda reports newer
runtimes' crashes by a name of their own). The state machines retry these: every step may run twice.
"""

ATTEMPTS = 3
"""How often a step that crashes is tried in all: MaxAttempts of its Retry, and the first time."""

WORKERS = {
    "record": (
        "PrepareDeployment", "AcquireLock", "AcquireSlot", "RegainSlot", "AwaitApproval",
        "RecordSuccess", "RecordDryRun", "RecordOffboarding", "RecordDrift", "RecordFailure",
    ),
    "stack": (
        "CheckStack", "ContinueRollback", "DeleteFailedStack", "AwaitDeletion", "CreateChangeSet",
        "AwaitChangeSet", "ExecuteChangeSet", "AwaitStack", "DiscardChangeSet", "DeleteStack",
        "AwaitRemoval", "DetectDrift", "AwaitDrift",
    ),
    "build": ("StartBuild", "AwaitBuild", "FindBuild", "RollBack"),
    "config": ("UploadConfig", "RestoreConfig", "SyncConfig", "PreviewConfig", "CheckConfig"),
    "code": ("ReconcileFunction", "PatchFunction", "CheckFunction"),
    "admin": ("CreateAdmin",),
    "verify": ("RunTests", "ProveDeployment"),
    "offboard": ("ExportData", "PurgeLeftovers", "InspectLeftovers"),
    "release": ("StartTrial", "AwaitTrial", "PruneVersions"),
    "rollout": ("PrepareRollout", "AdvanceRollout", "StopRollout"),
    "route": ("PrepareShift", "CheckShift", "SetWeights", "RestoreWeights", "RecordShift"),
}  # fmt: skip
"""Which worker carries out which state; tests/wiring compares it with the state machines."""


def is_crash(failure: Mapping[str, str]) -> bool:
    """Whether {state, error, cause} is a crash of the state's worker.

    An approval that nobody gave in time is none.
    """
    if failure["state"] == "AwaitApproval" and failure["error"] == "States.Timeout":
        return False
    return failure["error"] in ERRORS


def reason(failure: Mapping[str, str], control_plane: str) -> str:
    """What a crash is in a line; `control_plane` is the stack whose functions the workers are."""
    state, error, cause = failure["state"], failure["error"], failure["cause"]
    try:
        parsed = json.loads(cause)
    except json.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict):
        cause = str(parsed.get("errorMessage", ""))
    said = f"{error}: {' '.join(cause.split())}" if cause else error
    worker = next((name for name, states in WORKERS.items() if state in states), None)
    if worker is None:
        return f"{state}: {said}"
    return (
        f"{state}: the {worker} worker crashed {ATTEMPTS} times in a row ({said}); "
        f"its log group is /aws/lambda/{control_plane}-{worker}"
    )
