"""Why a build failed, in one line: the command, and what it said last."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws

if TYPE_CHECKING:
    from mypy_boto3_codebuild.type_defs import BuildTypeDef

MARKER = "SYNDI-FAILURE "
"""How buildspec.yml begins the line that names a failed command of the application."""

_TAIL = 60  # lines of the log that are looked at
_LENGTH = 600  # characters of the reason


def reason(build: "BuildTypeDef") -> str:
    """The reason of a build that did not succeed, from its phases and the end of its log."""
    status = build.get("buildStatus", "FAILED")
    if status in ("STOPPED", "TIMED_OUT"):
        return f"the build {build['id']} was {status.replace('_', ' ').lower()}"
    lines = _log_tail(build)
    marked = [line.removeprefix(MARKER) for line in lines if line.startswith(MARKER)]
    if marked:
        return marked[-1]
    told = [
        f"{phase.get('phaseType')}: {' '.join(context.get('message', '').split())}"
        for phase in build.get("phases", [])
        if phase.get("phaseStatus") not in (None, "SUCCEEDED")
        for context in phase.get("contexts", [])
        if context.get("message")
    ]
    said = [line for line in lines if not line.startswith(("[Container]", "+ "))]
    what = told[0] if told else f"the build {build['id']} failed"
    return f"{what} {' | '.join(said[-3:])}".strip()[:_LENGTH]


def _log_tail(build: "BuildTypeDef") -> list[str]:
    """The last lines of the build's log; none when it never got as far as to have one."""
    where = build.get("logs", {})
    group, stream = where.get("groupName"), where.get("streamName")
    if not group or not stream:
        return []
    try:
        events = aws.logs().get_log_events(
            logGroupName=group, logStreamName=stream, limit=_TAIL, startFromHead=False
        )["events"]
    except ClientError as error:
        if aws.is_busy(error):
            raise
        # The log only explains a failure that is certain: not to have it must not hide that.
        return [f"(its log cannot be read: {aws.error_code(error)})"]
    text = "\n".join(event.get("message", "").rstrip("\n") for event in events)
    return [line.strip() for line in text.splitlines() if line.strip()]
