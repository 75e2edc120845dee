"""The script and the options that lead an execution to a state, when all else goes well."""

from rehearsal import Json, answering, failing

DELETE_FIRST = {"CheckStack": [answering(done=True, action="delete-first")]}
REMOVED = {"CheckStack": [answering(done=True, action="delete")]}
INSPECTED = {"CheckStack": [answering(done=True, action="inspect")]}
WAY_TO: dict[str, Json] = {
    "ContinueRollback": {"CheckStack": [answering(done=True, action="continue-rollback")]},
    "DeleteFailedStack": DELETE_FIRST,
    "AwaitDeletion": DELETE_FIRST,
    "RollBack": {"RunTests": [failing("TestsFailed", "the tenant does not work")]},
    **dict.fromkeys(("ExportData", "DeleteStack", "AwaitRemoval"), REMOVED),
    **dict.fromkeys(("PurgeLeftovers", "InspectLeftovers", "RecordOffboarding"), REMOVED),
    **dict.fromkeys(("DetectDrift", "AwaitDrift"), INSPECTED),
    **dict.fromkeys(("CheckFunction", "CheckConfig", "RecordDrift"), INSPECTED),
}
"""The script that leads to a state beside the happy path; an administrator is always asked for."""

OPTIONS: dict[str, Json] = {
    "FindBuild": {"mode": "deploy-only"},
    "PatchFunction": {"mode": "function"},
    "AwaitApproval": {"approval": True},
    "PreviewConfig": {"dry_run": True},
    "RecordDryRun": {"dry_run": True},
    "RollBack": {"rollback_on_failure": True},
    "PurgeLeftovers": {"mode": "offboard", "purge": True},
    "StartTrial": {"trial": True},
    "AwaitTrial": {"trial": True},
}
"""The options that lead to a state; the way back after failed tests is a test of its own."""


def options_to(name: str) -> Json:
    """What to ask for so that the state is reached."""
    return {
        "admin_username": "admin@example.com", "rollback_on_failure": False, **OPTIONS.get(name, {})
    }  # fmt: skip
