"""Why a build failed: phase and command in one line, and the end of its log."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane import aws

if TYPE_CHECKING:
    from mypy_boto3_codebuild.type_defs import BuildTypeDef

MARKER = "SYNDI-FAILURE "
"""How buildspec.yml begins the line that names a failed command of the application."""

TAIL = 20
"""Lines of the log that are kept with a failure."""

_LOOKED_AT = 200  # lines of the log, from its end
_LENGTH = 600  # characters of the reason
_WIDTH = 500  # characters of a line that is kept


@dataclass(frozen=True)
class Report:
    """A failed build: the reason in one line, and the last lines of its log."""

    reason: str
    log_tail: list[str]


def report(build: "BuildTypeDef") -> Report:
    """What is known of a build that did not succeed, from its phases and the end of its log."""
    said = _log(build)
    tail = [line.removeprefix(MARKER)[:_WIDTH] for line in said[-TAIL:]]
    return Report(_reason(build, said), tail)


def _reason(build: "BuildTypeDef", said: list[str]) -> str:
    status = build.get("buildStatus", "FAILED")
    if status in ("STOPPED", "TIMED_OUT"):
        return f"the build {build['id']} was {status.replace('_', ' ').lower()}"
    failed = [
        phase
        for phase in build.get("phases", [])
        if phase.get("phaseStatus") not in (None, "SUCCEEDED")
    ]
    marked = [line.removeprefix(MARKER) for line in said if line.startswith(MARKER)]
    if marked:
        return (f"{failed[0].get('phaseType')}: " if failed else "") + marked[-1]
    told = [
        f"{phase.get('phaseType')}: {_without_options(context.get('message', ''))}"
        for phase in failed
        for context in phase.get("contexts", [])
        if context.get("message")
    ]
    what = told[0] if told else f"the build {build['id']} failed"
    return f"{what} {' | '.join(_telling(said))}".strip()[:_LENGTH]


_COMMAND = re.compile(r"Error while executing command: (?P<command>.*?)\.? Reason: (?P<reason>.*)")
"""What CodeBuild says of a command that failed: all of it, which leaves no room for the cause."""

_OPTION = re.compile(r" -{1,2}[A-Za-z]")


def _without_options(message: str) -> str:
    """CodeBuild's message with the command's name only: `sam build: exit status 1`."""
    message = " ".join(message.split())
    found = _COMMAND.search(message)
    if found is None:
        return message
    command = _OPTION.split(found["command"].removesuffix("."), maxsplit=1)[0][:_NAMED]
    return f"{command}: {found['reason']}"


_NAMED = 80  # characters of a command without options
_LINES = 5  # of the log, in the reason
_ERROR = re.compile(r"\s*(?:Error|ERROR|error|[A-Za-z_.]+(?:Error|Exception)): \S")
_CHATTER = re.compile(
    r"\s*(?:https?://|Traceback|An unexpected error|Search for an existing|Or create a bug|File \"|"
    r"[\^~]+\s*$)"
)
"""What tools print around an error: links to their trackers, where in their own code it was."""


def _telling(said: list[str]) -> list[str]:
    """The lines of a log that say what was wrong: the last error and what follows it, or the end.

    SAM and uv begin it with `Error:` and `error:`; a traceback ends with the exception.
    """
    words = [line for line in said if not line.startswith("+ ")]
    errors = [at for at, line in enumerate(words) if _ERROR.match(line)]
    if not errors:
        return [line.strip() for line in words if not _CHATTER.match(line)][-3:] or words[-3:]
    lines = [words[errors[-1]]]
    for line in words[errors[-1] + 1 :]:
        if _CHATTER.match(line):
            break
        lines.append(line.strip())
    return lines[:_LINES]


def _log(build: "BuildTypeDef") -> list[str]:
    """What the build's commands said last; none when it never got as far as to have a log.

    CodeBuild's own messages are left out: they repeat the commands, over many lines, and say that
    the phases went on.
    """
    where = build.get("logs", {})
    group, stream = where.get("groupName"), where.get("streamName")
    if not group or not stream:
        return []
    try:
        events = aws.logs().get_log_events(
            logGroupName=group, logStreamName=stream, limit=_LOOKED_AT, startFromHead=False
        )["events"]
    except ClientError as error:
        if aws.is_busy(error):
            raise
        # The log only explains a failure that is certain: not to have it must not hide that.
        return [f"(its log cannot be read: {aws.error_code(error)})"]
    messages = [event.get("message", "") for event in events]
    text = "\n".join(m.rstrip("\n") for m in messages if not m.startswith("[Container]"))
    return [line.rstrip() for line in text.splitlines() if line.strip()]
