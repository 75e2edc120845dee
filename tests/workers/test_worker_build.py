"""The build worker: start, reuse, join, and make again what was lost."""

import base64
import hashlib

import pytest
import scripted_aws as scripted
import worker_builders as build
from codebuild_answers import TEMPLATE, CodeBuild, another, keys, put, start, wait
from worker_builders import ALPHA, ARTIFACTS, BETA, TABLE

from control_plane import aws
from control_plane.errors import BuildFailed, ServiceBusy
from control_plane.models import Deployment
from control_plane.store.builds import Builds

CODE_SHA256 = base64.b64encode(hashlib.sha256(b"code").digest()).decode()


@pytest.fixture
def made(source: str) -> Deployment:
    return build.opened(build.deployment(source=source))


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


@pytest.mark.parametrize(
    ("application", "project"), [("notes", "syndi-build"), ("control-plane", "syndi-own-build")]
)
def test_only_the_control_plane_is_built_in_its_own_project(
    source: str, codebuild: CodeBuild, application: str, project: str
) -> None:
    of = build.tenant(application=application)
    start(build.opened(build.deployment(of, source=source)))
    assert [asked["projectName"] for asked in codebuild.started] == [project]


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
        "source": made.source,
        "reused": False,
        "code_digests": {"notes-stage-alpha/c0de": CODE_SHA256},
        "done": True,
    }
    assert wait(made, started) == answer


def test_what_a_build_made_is_recorded_when_it_ends(made: Deployment, codebuild: CodeBuild) -> None:
    """Otherwise nobody could say later whether the code that runs is the code that was built."""
    started = start(made)
    codebuild.ends()
    wait(made, started)
    put("notes-stage-alpha/c0de", "changed since")
    wait(made, started)
    found = Builds(TABLE).get(started["fingerprint"]) or {}
    assert found["code_digests"] == {"notes-stage-alpha/c0de": CODE_SHA256}
    assert sorted(found["artifacts"]) == keys("notes-stage-alpha/")
    assert found["artifacts"]["notes-stage-alpha/c0de"]["sha256"] == CODE_SHA256


def test_a_build_that_left_nothing_has_failed(made: Deployment, codebuild: CodeBuild) -> None:
    started = start(made)
    codebuild.builds["syndi-build:1"]["buildStatus"] = "SUCCEEDED"
    with pytest.raises(BuildFailed, match=r"left no .*template\.yaml"):
        wait(made, started)


def test_the_step_run_twice_starts_one_build(made: Deployment, codebuild: CodeBuild) -> None:
    first = start(made)
    assert start(made) == first
    assert len(codebuild.started) == 1


def test_a_step_that_died_between_claim_and_start_starts_the_build(
    made: Deployment, codebuild: CodeBuild
) -> None:
    codebuild.script.on(aws.codebuild(), "StartBuild", scripted.failure("ThrottlingException"))
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
