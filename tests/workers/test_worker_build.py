"""The build worker: start, reuse, join, make again, and say why a build failed."""

import json
from typing import Any

import pytest
import worker_builders as build
from worker_builders import ALPHA, ARTIFACTS, BETA, TABLE

from control_plane import aws
from control_plane.builds import Builds
from control_plane.errors import BuildFailed, ServiceBusy
from control_plane.models import Deployment, Tenant
from workers import build as worker

TEMPLATE = "Function: {CodeUri: s3://%s/%s/c0de}\n"


class CodeBuild:
    """CodeBuild under the test's control: every build it was asked for, and how each one goes."""

    def __init__(self, script: build.Scripted) -> None:
        self.started: list[dict[str, Any]] = []
        self.builds: dict[str, dict[str, Any]] = {}
        self.script = script
        script.on(aws.codebuild(), "StartBuild", self._start)
        script.on(aws.codebuild(), "BatchGetBuilds", self._get)

    def _start(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.started.append(asked)
        made = {"id": f"syndi-build:{len(self.started)}", "buildStatus": "IN_PROGRESS"}
        self.builds[made["id"]] = made
        return {"build": made}

    def _get(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"builds": [self.builds[id_] for id_ in asked["ids"] if id_ in self.builds]}

    def ends(self, number: int = 1, status: str = "SUCCEEDED", **more: Any) -> None:
        """A build ends; one that succeeded has left its template and artifact."""
        found = self.builds[f"syndi-build:{number}"]
        found.update(buildStatus=status, **more)
        if status == "SUCCEEDED":
            given = self.variables(number)
            place = f"{given['STACK_NAME']}/builds/{given['FINGERPRINT']}/template.yaml"
            put(place, TEMPLATE % (ARTIFACTS, given["STACK_NAME"]))
            put(f"{given['STACK_NAME']}/c0de", "code")

    def variables(self, number: int = 1) -> dict[str, str]:
        given = self.started[number - 1]["environmentVariablesOverride"]
        return {item["name"]: item["value"] for item in given}


def put(key: str, text: str) -> None:
    aws.s3().put_object(Bucket=ARTIFACTS, Key=key, Body=text.encode())


def keys(prefix: str) -> list[str]:
    found = aws.s3().list_objects_v2(Bucket=ARTIFACTS, Prefix=prefix)
    return [item["Key"] for item in found.get("Contents", [])]


@pytest.fixture
def codebuild(script: build.Scripted) -> CodeBuild:
    return CodeBuild(script)


@pytest.fixture
def made(source: str) -> Deployment:
    return build.opened(build.deployment(source=source))


def another(source: str, tenant: Tenant = BETA, number: int = 2) -> Deployment:
    return build.opened(build.deployment(tenant, number, source=source))


def start(made: Deployment) -> dict[str, Any]:
    return worker.handler(build.event(made, "StartBuild"), None)


def wait(made: Deployment, started: dict[str, Any]) -> dict[str, Any]:
    given = {name: started[name] for name in ("fingerprint", "reused")}
    return worker.handler(build.event(made, "AwaitBuild", **given), None)


def test_a_build_is_started_with_the_tenants_source_and_place(
    made: Deployment, codebuild: CodeBuild
) -> None:
    answer = start(made)
    assert answer["reused"] is False
    (asked,) = codebuild.started
    print_ = answer["fingerprint"]
    assert asked["sourceLocationOverride"] == f"{ARTIFACTS}/sources/{made.source}.zip"
    assert asked["artifactsOverride"]["path"] == "notes-stage-alpha/builds"
    assert asked["artifactsOverride"]["name"] == print_
    assert len(asked["idempotencyToken"]) <= 64
    given = codebuild.variables()
    assert (given["TENANT_ENV"], given["TENANT_ORG"]) == ("stage", "alpha")
    assert (given["FINGERPRINT"], given["SOURCE"]) == (print_, made.source)
    assert given["PRE_BUILD_COMMANDS"] == "make generated"
    assert (given["DEPENDENCIES"], given["STAMP"]) == ("requirements.txt", "build.json")
    assert given["LAYER_PYTHON_VERSION"] == "3.13"


def test_a_build_is_waited_for_and_then_its_template_known(
    made: Deployment, codebuild: CodeBuild
) -> None:
    started = start(made)
    assert wait(made, started)["done"] is False
    codebuild.ends()
    answer = wait(made, started)
    print_ = started["fingerprint"]
    assert answer == {
        "fingerprint": print_,
        "build_id": "syndi-build:1",
        "template_key": f"notes-stage-alpha/builds/{print_}/template.yaml",
        "reused": False,
        "done": True,
    }
    assert wait(made, started) == answer


def test_the_step_run_twice_starts_one_build(made: Deployment, codebuild: CodeBuild) -> None:
    first = start(made)
    assert start(made) == first
    assert len(codebuild.started) == 1


def test_a_step_that_died_between_claim_and_start_starts_the_build(
    made: Deployment, codebuild: CodeBuild
) -> None:
    codebuild.script.on(aws.codebuild(), "StartBuild", build.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        start(made)
    codebuild.script.on(aws.codebuild(), "StartBuild", codebuild._start)
    assert start(made)["reused"] is False
    assert len(codebuild.started) == 1


def test_a_build_that_is_there_is_not_made_again(made: Deployment, codebuild: CodeBuild) -> None:
    first = start(made)
    codebuild.ends()
    wait(made, first)
    again = another(made.source, ALPHA)
    answer = wait(again, start(again))
    assert len(codebuild.started) == 1
    assert (answer["build_id"], answer["reused"]) == ("syndi-build:1", True)


def test_a_build_that_another_deployment_makes_is_joined(
    made: Deployment, codebuild: CodeBuild
) -> None:
    started = start(made)
    other = another(made.source)
    joined = start(other)
    assert joined == {**started, "reused": True}
    assert wait(other, joined)["done"] is False
    codebuild.ends()
    assert wait(other, joined)["build_id"] == "syndi-build:1"
    assert len(codebuild.started) == 1


def test_a_build_that_another_deployment_claimed_is_waited_for(
    made: Deployment, codebuild: CodeBuild
) -> None:
    print_ = start(made)["fingerprint"]
    aws.dynamodb().delete_item(
        TableName=TABLE, Key={"PK": {"S": f"BUILD#{print_}"}, "SK": {"S": "BUILD"}}
    )
    assert Builds(TABLE).claim(print_, "notes-stage-alpha", "another-execution")
    answer = start(made)
    assert answer["reused"] is True
    assert wait(made, answer)["done"] is False
    assert len(codebuild.started) == 1


def test_a_claim_whose_maker_died_is_taken_over_while_waiting(
    made: Deployment, codebuild: CodeBuild
) -> None:
    print_ = start(made)["fingerprint"]
    other = another(made.source)
    aws.dynamodb().put_item(
        TableName=TABLE,
        Item={
            "PK": {"S": f"BUILD#{print_}"},
            "SK": {"S": "BUILD"},
            "status": {"S": "CLAIMED"},
            "stack_name": {"S": "notes-stage-alpha"},
            "claimed_by": {"S": "dead"},
            "claimed_at": {"S": "2020-01-01T00:00:00+00:00"},
        },
    )
    answer = wait(other, {"fingerprint": print_, "reused": True})
    assert (answer["done"], answer["reused"]) == (False, False)
    assert len(codebuild.started) == 2
    codebuild.ends(2)
    assert wait(other, answer)["build_id"] == "syndi-build:2"


# Another tenant's build ---------------------------------------------------------------------------


def test_a_build_for_one_tenant_is_copied_to_another_tenants_own_place(
    made: Deployment, codebuild: CodeBuild
) -> None:
    first = start(made)
    codebuild.ends()
    wait(made, first)
    other = another(made.source)
    answer = wait(other, start(other))
    print_ = first["fingerprint"]
    assert answer["template_key"] == f"notes-stage-beta/builds/{print_}/template.yaml"
    body = aws.s3().get_object(Bucket=ARTIFACTS, Key=answer["template_key"])["Body"].read()
    assert body.decode() == TEMPLATE % (ARTIFACTS, "notes-stage-beta")
    assert keys("notes-stage-beta/") == [answer["template_key"], "notes-stage-beta/c0de"]


def test_a_tenants_own_dependencies_make_a_build_of_its_own(codebuild: CodeBuild) -> None:
    lock = {"overrides/stage-beta.txt": "httpx==1.0"}
    sha256 = build.push_source({**build.FILES, **lock})
    alpha, beta = (
        build.opened(build.deployment(tenant, 1, source=sha256)) for tenant in (ALPHA, BETA)
    )
    assert start(alpha)["fingerprint"] != start(beta)["fingerprint"]
    assert codebuild.variables(1)["DEPENDENCIES"] == "requirements.txt"
    assert codebuild.variables(2)["DEPENDENCIES"] == "overrides/stage-beta.txt"


@pytest.mark.parametrize("lost", ["template.yaml", "both"])
def test_a_build_whose_artifacts_were_lost_is_made_again(
    made: Deployment, codebuild: CodeBuild, lost: str
) -> None:
    first = start(made)
    codebuild.ends()
    wait(made, first)
    for key in keys("notes-stage-alpha/"):
        if lost == "both" or key.endswith(lost):
            aws.s3().delete_object(Bucket=ARTIFACTS, Key=key)
    again = another(made.source, ALPHA)
    assert start(again)["reused"] is False
    assert len(codebuild.started) == 2


# Failures -----------------------------------------------------------------------------------------


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
    assert reason(made, codebuild, **logged, **PHASES) == told


def test_a_build_that_fails_otherwise_names_its_phase_and_its_last_words(
    made: Deployment, codebuild: CodeBuild
) -> None:
    logged = log("first", "Error: no template", "[Container] Phase complete: BUILD")
    told = reason(made, codebuild, **logged, **PHASES)
    assert told.startswith("BUILD: exit status 1 while executing sam build")
    assert "Error: no template" in told
    assert "[Container]" not in told


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
    throttled = build.failure("ThrottlingException")
    codebuild.script.on(aws.codebuild(), "BatchGetBuilds", throttled)
    with pytest.raises(ServiceBusy):
        wait(made, started)
    assert json.dumps(Builds(TABLE).get(started["fingerprint"])).count("RUNNING") == 1
