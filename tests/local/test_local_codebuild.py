"""Builds that really run, through the endpoint, with the emulator's S3, IAM and logs."""

from __future__ import annotations

import http.client
import uuid
from typing import Any

import pytest
from local_aws import Aws, allow, error_of, zipped

from local.environment import STACK_SECONDS_VARIABLE
from local.lifecycle import down, up
from local.processes import wait_until

LOGS = allow("logs:CreateLogStream", "logs:PutLogEvents")


class Project:
    """A project made by CloudFormation, as the control plane's own."""

    def __init__(self, aws: Aws, name: str, *statements: dict[str, Any]) -> None:
        self.aws, self.name = aws, name
        role = aws.role(f"{name}-role", "codebuild.amazonaws.com", *statements)
        project = {
            "Type": "AWS::CodeBuild::Project",
            "Properties": {
                "Name": name, "ServiceRole": role, "TimeoutInMinutes": 7,
                "Source": {
                    "Type": "S3", "Location": "builds/none.zip", "BuildSpec": "buildspec.yml",
                },
                "Artifacts": {"Type": "NO_ARTIFACTS"},
                "Environment": {
                    "Type": "ARM_CONTAINER", "Image": "x", "ComputeType": "y",
                    "EnvironmentVariables": [
                        {"Name": "FROM", "Value": "project"}, {"Name": "KEPT", "Value": "1"},
                    ],
                },
                "LogsConfig": {
                    "CloudWatchLogs": {"Status": "ENABLED", "GroupName": f"/{name}/log"}
                },
            },
        }  # fmt: skip
        group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": f"/{name}/log"}}
        aws.create_stack(name, {"Resources": {"P": project, "G": group}})
        assert aws.settled(name)["StackStatus"] == "CREATE_COMPLETE"

    def start(self, buildspec: str, **overrides: Any) -> str:
        """Start a build of a source that has this buildspec.yml; its id."""
        if "sourceLocationOverride" not in overrides:
            key = f"sources/{uuid.uuid4()}.zip"
            files = {"buildspec.yml": buildspec, "a/file": "1"}
            self.aws.s3.put_object(Bucket="builds", Key=key, Body=zipped(files))
            overrides["sourceLocationOverride"] = f"builds/{key}"
        answer = self.aws.codebuild.start_build(
            projectName=self.name, sourceTypeOverride="S3", **overrides
        )["build"]
        assert answer["buildStatus"] == "IN_PROGRESS"
        return str(answer["id"])

    def get(self, build_id: str) -> dict[str, Any]:
        build: dict[str, Any] = self.aws.codebuild.batch_get_builds(ids=[build_id])["builds"][0]
        return build

    def ended(self, build_id: str) -> dict[str, Any]:
        assert wait_until(lambda: self.get(build_id)["buildComplete"], 30)
        return self.get(build_id)

    def log(self, build: dict[str, Any]) -> str:
        events = self.aws.logs.get_log_events(
            logGroupName=build["logs"]["groupName"], logStreamName=build["logs"]["streamName"]
        )["events"]
        return "".join(event["message"] for event in events)


def phases(build: dict[str, Any]) -> dict[str, str | None]:
    return {phase["phaseType"]: phase.get("phaseStatus") for phase in build["phases"]}


def contexts(build: dict[str, Any], phase: str) -> list[tuple[str, str]]:
    [found] = [item for item in build["phases"] if item["phaseType"] == phase]
    return [(context["statusCode"], context["message"]) for context in found["contexts"]]


@pytest.fixture(scope="module")
def project(aws: Aws) -> Project:
    aws.s3.create_bucket(Bucket="builds")
    aws.s3.create_bucket(Bucket="elsewhere")
    objects = allow("s3:GetObject", "s3:PutObject", on="arn:aws:s3:::builds/*")
    return Project(aws, "builder", LOGS, objects)


def test_a_build(project: Project) -> None:
    build = project.ended(
        project.start(
            "version: 0.2\n"
            "env: {shell: bash, variables: {FROM: buildspec, OWN: '2'}}\n"
            "phases:\n"
            "  install: {commands: ['export SET=3', 'cd a']}\n"
            "  build:\n"
            "    commands:\n"
            '      - echo "got $FROM $KEPT $OWN $SET $EXTRA ${PWD##*/}"\n'
            "      - mkdir -p $CODEBUILD_SRC_DIR/out/deep && cp file $CODEBUILD_SRC_DIR/out/deep/\n"
            "      - sam --version && uv --version\n"
            "      - python -c 'import boto3; print(boto3.client(\"sts\")"
            '.get_caller_identity()["Arn"])\'\n'
            "artifacts: {base-directory: out, files: ['**/*']}\n",
            environmentVariablesOverride=[
                {"name": "FROM", "value": "start", "type": "PLAINTEXT"},
                {"name": "EXTRA", "value": "4"},
            ],
            artifactsOverride={
                "type": "S3", "location": "builds", "path": "out", "name": "one",
                "packaging": "NONE", "namespaceType": "NONE",
            },
        )
    )  # fmt: skip
    log = project.log(build)
    assert build["buildStatus"] == "SUCCEEDED", log
    assert "got start 1 2 3 4 a\n" in log
    assert "assumed-role/builder-role/AWSCodeBuild-" in log
    assert "Phase complete: BUILD State: SUCCEEDED" in log
    assert build["artifacts"]["location"] == "arn:aws:s3:::builds/out/one"
    assert (
        project.aws.s3.get_object(Bucket="builds", Key="out/one/deep/file")["Body"].read() == b"1"
    )
    assert build["logs"]["groupName"] == "/builder/log"
    assert build["timeoutInMinutes"] == 7
    assert build["endTime"] >= build["startTime"]
    assert list(phases(build)) == [
        "SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD",
        "POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED",
    ]  # fmt: skip
    assert "durationInSeconds" in build["phases"][0]
    assert not (project.aws.laptop.state_dir / "builds" / build["id"].split(":")[1]).exists()


def test_a_failed_build_says_which_command_and_uploads_nothing(project: Project) -> None:
    build = project.ended(
        project.start(
            "version: 0.2\nphases:\n"
            "  build: {commands: [echo 1 > made, 'exit 3', echo never], finally: [echo always]}\n"
            '  post_build: {commands: ["echo after, succeeding=$CODEBUILD_BUILD_SUCCEEDING"]}\n'
            "artifacts: {files: [made]}\n",
            artifactsOverride={"type": "S3", "location": "builds", "path": "", "name": "failed"},
        )
    )
    assert build["buildStatus"] == "FAILED"
    assert contexts(build, "BUILD") == [
        (
            "COMMAND_EXECUTION_ERROR",
            "Error while executing command: exit 3. Reason: exit status 3",
        )
    ]
    log = project.log(build)
    assert "\nalways\n" in log
    assert "after, succeeding=0\n" in log
    assert "\nnever\n" not in log
    assert project.aws.s3.list_objects_v2(Bucket="builds", Prefix="failed")["KeyCount"] == 0


def test_a_failed_installation_stops_the_build(project: Project) -> None:
    build = project.ended(
        project.start(
            "version: 0.2\nphases:\n  install: {commands: ['false']}\n  build: {commands: ['true']}"
        )
    )
    assert build["buildStatus"] == "FAILED"
    assert phases(build)["INSTALL"] == "FAILED"
    assert "BUILD" not in phases(build)


def test_what_cannot_be_built_fails_where_it_shows(project: Project) -> None:
    spec = "version: 0.2\nphases: {build: {commands: ['true']}}"
    missing = project.ended(project.start("", sourceLocationOverride="builds/no.zip"))
    assert contexts(missing, "DOWNLOAD_SOURCE")[0][0] == "CLIENT_ERROR"
    wrong = project.ended(project.start(spec, buildspecOverride="no.yml"))
    assert contexts(wrong, "DOWNLOAD_SOURCE") == [
        ("YAML_FILE_ERROR", "YAML file does not exist: no.yml")
    ]
    project.aws.s3.put_object(Bucket="builds", Key="bad.zip", Body=zipped({"../x": "1"}))
    slipped = project.ended(project.start("", sourceLocationOverride="builds/bad.zip"))
    assert "outside" in contexts(slipped, "DOWNLOAD_SOURCE")[0][1]


def test_the_service_role_is_enforced(project: Project) -> None:
    project.aws.s3.put_object(Bucket="elsewhere", Key="s.zip", Body=zipped({"buildspec.yml": ""}))
    build = project.ended(project.start("", sourceLocationOverride="elsewhere/s.zip"))
    assert build["buildStatus"] == "FAILED"
    denied = project.ended(
        project.start(
            "version: 0.2\nphases: {build: {commands: [echo 1 > f]}}\nartifacts: {files: [f]}",
            artifactsOverride={"type": "S3", "location": "elsewhere", "path": "p", "name": "n"},
        )
    )
    assert contexts(denied, "UPLOAD_ARTIFACTS")[0][0] == "ACCESS_DENIED"


def test_the_cache_is_there_the_next_time(project: Project) -> None:
    spec = (
        "version: 0.2\nphases: {build: {commands: ["
        "'ls .kept/f && echo warm || echo cold', 'mkdir -p .kept && touch .kept/f']}}\n"
        "cache: {paths: ['.kept/**/*']}"
    )
    cache = {"type": "S3", "location": "builds/caches/one"}
    logs = [project.log(project.ended(project.start(spec, cacheOverride=cache))) for _ in "12"]
    assert "\ncold\n" in logs[0]
    assert "\nwarm\n" in logs[1]


def test_builds_wait_for_a_place_stop_and_do_not_meet(project: Project) -> None:
    slow = "version: 0.2\nphases: {build: {commands: [pwd, sleep 60]}}"
    builds = [project.start(slow) for _ in range(3)]
    assert wait_until(
        lambda: [project.get(b)["currentPhase"] for b in builds] == ["BUILD", "BUILD", "QUEUED"], 20
    )
    for build_id in builds:
        project.aws.codebuild.stop_build(id=build_id)
    ended = [project.ended(build_id) for build_id in builds]
    assert [build["buildStatus"] for build in ended] == ["STOPPED"] * 3
    assert phases(ended[0])["BUILD"] == "STOPPED"
    directories = {line for build in ended[:2] for line in project.log(build).split("\n")
                   if line.endswith("/src")}  # fmt: skip
    assert len(directories) == 2


def test_the_same_token_is_the_same_build(project: Project) -> None:
    spec = "version: 0.2\nphases: {build: {commands: ['true']}}"
    same = {"idempotencyToken": "t1", "buildspecOverride": spec,
            "sourceLocationOverride": "builds/none.zip"}  # fmt: skip
    first = project.start("", **same)
    assert project.start("", **same) == first
    code, _ = error_of(
        project.aws.codebuild.start_build, projectName=project.name, idempotencyToken="t1"
    )
    assert code == "InvalidInputException"
    project.ended(first)


def test_errors_look_like_awss(project: Project) -> None:
    codebuild = project.aws.codebuild
    code, message = error_of(codebuild.start_build, projectName="nobody")
    assert code == "ResourceNotFoundException"
    assert message.startswith("Project cannot be found: arn:aws:codebuild:")
    assert error_of(codebuild.stop_build, id="builder:0")[0] == "ResourceNotFoundException"
    code, message = error_of(
        codebuild.start_build, projectName="builder", privilegedModeOverride=True
    )
    assert code == "InvalidInputException"
    assert "privilegedModeOverride" in message
    assert codebuild.batch_get_builds(ids=["builder:0"])["buildsNotFound"] == ["builder:0"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Amz-Target": "CodeBuild_20161006.BatchGetBuilds"},
        {"X-Amz-Target": "CodeBuild_20161006.BatchGetBuilds", "Host": "evil.example",
         "Authorization": "AWS4-HMAC-SHA256 Credential=x"},
    ],
)  # fmt: skip
def test_a_web_page_cannot_start_anything(project: Project, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", project.aws.laptop.codebuild_port)
    connection.request("POST", "/", body='{"ids": ["x"]}', headers=headers)
    response = connection.getresponse()
    assert response.status == 403
    assert b"MissingAuthenticationToken" in response.read()
    connection.close()


def test_a_build_does_not_outlive_the_laptop(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Last in this file: it restarts the laptop that the other files' tests go on with."""
    monkeypatch.setenv(STACK_SECONDS_VARIABLE, "0.25")
    slow = "version: 0.2\nphases: {build: {commands: [sleep 60]}}"
    build_id = project.start(slow)
    assert wait_until(lambda: project.get(build_id)["currentPhase"] == "BUILD", 20)
    assert down(project.aws.laptop).killed == []
    up(project.aws.laptop)
    assert project.get(build_id)["buildStatus"] in ("STOPPED", "FAILED")
