"""Builds that fail: the reason in one line, and never joined."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from codebuild_answers import CodeBuild, another, start, wait
from worker_builders import ALPHA, TABLE

from control_plane import aws
from control_plane.errors import BuildFailed, ServiceBusy
from control_plane.models import Deployment
from control_plane.store.builds import Builds


@pytest.fixture
def made(source: str) -> Deployment:
    return build.opened(build.deployment(source=source))


def log(*lines: str) -> dict[str, Any]:
    """A log that CodeBuild wrote, as a build names it."""
    aws.logs().create_log_group(logGroupName="/aws/codebuild/syndi")
    aws.logs().create_log_stream(logGroupName="/aws/codebuild/syndi", logStreamName="1")
    now = int(build.NOON.timestamp() * 1000)
    aws.logs().put_log_events(
        logGroupName="/aws/codebuild/syndi",
        logStreamName="1",
        logEvents=[{"timestamp": now, "message": f"{line}\n"} for line in lines],
    )
    return {"logs": {"groupName": "/aws/codebuild/syndi", "streamName": "1"}}


PHASES = {
    "phases": [
        {"phaseType": "INSTALL", "phaseStatus": "SUCCEEDED"},
        {
            "phaseType": "BUILD",
            "phaseStatus": "FAILED",
            "contexts": [{"message": "exit status 1\n while executing sam build"}],
        },
    ]
}


def reason(made: Deployment, codebuild: CodeBuild, status: str = "FAILED", **more: Any) -> str:
    started = start(made)
    codebuild.ends(1, status, **more)
    with pytest.raises(BuildFailed) as failed:
        wait(made, started)
    assert build.record(made)["steps"]["AwaitBuild"]["note"] == str(failed.value)
    return str(failed.value)


def test_a_failed_pre_build_command_is_named(made: Deployment, codebuild: CodeBuild) -> None:
    told = "pre-build command failed with exit status 2: make generated"
    logged = log("+ make generated", "no rule", f"SYNDI-FAILURE {told}", "[Container] Phase", "sam")
    assert reason(made, codebuild, **logged, **PHASES) == f"BUILD: {told}"


def test_a_build_that_fails_otherwise_names_its_phase_and_its_last_words(
    made: Deployment, codebuild: CodeBuild
) -> None:
    logged = log("first", "Error: no template", "[Container] Phase complete: BUILD")
    told = reason(made, codebuild, **logged, **PHASES)
    assert told.startswith("BUILD: exit status 1 while executing sam build")
    assert "Error: no template" in told
    assert "[Container]" not in told


SAM = (
    'Error while executing command: sam build --cached --config-env "$SAM_CONFIG_ENV" --template '
    '"$TEMPLATE" --parameter-overrides "Runtime=$RUNTIME". Reason: exit status 1'
)
BUG_REPORT = [
    'An unexpected error was encountered while executing "sam build".',
    "Search for an existing issue:",
    "https://github.com/aws/aws-sam-cli/issues?q=is%3Aissue",
    "Or create a bug report:",
    "https://github.com/aws/aws-sam-cli/issues/new?template=Bug_report.md",
]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            ["SAM CLI, version 1", "Error: Failed to parse template: while parsing a sequence",
             '  in "<unicode string>", line 39, column 10:', "    Outputs: [", "             ^"],
            'Error: Failed to parse template: while parsing a sequence | in "<unicode string>", '
            "line 39, column 10: | Outputs: [",
        ),
        (
            ["Error: 'list' object has no attribute 'get'", "Traceback:", '  File "/x.py", line 1',
             "    raise ex", *BUG_REPORT],
            "Error: 'list' object has no attribute 'get'",
        ),
        (["Build Failed", "Error: Make Failed: cp: cannot stat 'x'", "make: *** Error 1"],
         "Error: Make Failed: cp: cannot stat 'x' | make: *** Error 1"),
        (["error: an earlier one", "error: Failed to fetch: `x`", "  Caused by: no route"],
         "error: Failed to fetch: `x` | Caused by: no route"),
        (["one", "two", "three", "  x No solution found", *BUG_REPORT],
         "two | three | x No solution found"),
    ],
)  # fmt: skip
def test_the_reason_has_what_was_wrong_and_not_the_command_that_said_it(
    made: Deployment, codebuild: CodeBuild, lines: list[str], why: str
) -> None:
    """330 characters of options and three links to a bug tracker left no room for it."""
    failed = {"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [{"message": SAM}]}
    told = reason(made, codebuild, **log(*lines), phases=[failed])
    assert told == f"BUILD: sam build: exit status 1 {why}"


REPEATED = "[Container] Command did not exit successfully\nwhile read command; do\n  sh; done"


def test_the_end_of_the_log_is_kept_for_every_deployment_that_joined_the_build(
    made: Deployment, codebuild: CodeBuild
) -> None:
    logged = log(*[f"line {number}" for number in range(50)], "x" * 900, REPEATED)
    started = start(made)
    joined = another(made.source)
    start(joined)
    codebuild.ends(1, "FAILED", **logged, **PHASES)
    for one in (made, joined):
        with pytest.raises(BuildFailed):
            wait(one, started)
        kept = build.record(one)["build_log"]
        assert len(kept) == 20
        assert kept[:2] == ["line 31", "line 32"]
        assert kept[-1] == "x" * 500


def test_a_log_that_cannot_be_read_does_not_hide_the_failure(
    made: Deployment, codebuild: CodeBuild
) -> None:
    nowhere = {"logs": {"groupName": "/gone", "streamName": "1"}}
    assert "exit status 1" in reason(made, codebuild, **nowhere, **PHASES)


@pytest.mark.parametrize(("status", "told"), [("STOPPED", "stopped"), ("TIMED_OUT", "timed out")])
def test_a_build_that_was_ended_says_so(
    made: Deployment, codebuild: CodeBuild, status: str, told: str
) -> None:
    assert reason(made, codebuild, status) == f"the build syndi-build:1 was {told}"


def test_a_build_that_codebuild_forgot_is_a_failure(made: Deployment, codebuild: CodeBuild) -> None:
    started = start(made)
    codebuild.builds.clear()
    with pytest.raises(BuildFailed, match="does not know syndi-build:1"):
        wait(made, started)


def test_a_failed_build_is_not_joined_but_made_again(
    made: Deployment, codebuild: CodeBuild
) -> None:
    start(made)
    codebuild.ends(1, "FAILED", **PHASES)  # and nobody looked before the next one came
    again = another(made.source, ALPHA)
    assert start(again)["reused"] is False
    assert len(codebuild.started) == 2
    tokens = {asked["idempotencyToken"] for asked in codebuild.started}
    assert len(tokens) == 2


def test_a_throttled_look_at_a_build_is_no_end(made: Deployment, codebuild: CodeBuild) -> None:
    started = start(made)
    throttled = scripted.failure("ThrottlingException")
    codebuild.script.on(aws.codebuild(), "BatchGetBuilds", throttled)
    with pytest.raises(ServiceBusy):
        wait(made, started)
    assert (Builds(TABLE).get(started["fingerprint"]) or {})["status"] == "RUNNING"
