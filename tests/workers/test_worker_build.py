"""The build worker: start, reuse, join, and make again what was lost."""

import base64
import hashlib

import pytest
import scripted_aws as scripted
import worker_builders as build
from codebuild_answers import TEMPLATE, CodeBuild, another, keys, put, start, text, wait
from worker_builders import ALPHA, ARTIFACTS, BETA, TABLE

from control_plane import aws, manifest
from control_plane.errors import BuildFailed, InvalidRequest, ServiceBusy
from control_plane.models import Deployment, Env
from control_plane.store.builds import Builds
from control_plane.store.sources import SourceArchive

CODE_SHA256 = base64.b64encode(hashlib.sha256(b"code").digest()).decode()


@pytest.fixture
def made(source: str) -> Deployment:
    return build.opened(build.deployment(source=source))


def test_a_build_is_started_with_the_environments_source_and_place(
    made: Deployment, codebuild: CodeBuild
) -> None:
    answer = start(made)
    assert answer["reused"] is False
    (asked,) = codebuild.started
    print_ = answer["fingerprint"]
    assert asked["sourceLocationOverride"] == f"{ARTIFACTS}/sources/stage/{made.source}.zip"
    assert asked["artifactsOverride"]["path"] == "builds/stage/notes"
    assert asked["artifactsOverride"]["name"] == print_
    assert len(asked["idempotencyToken"]) <= 64
    given = codebuild.variables()
    assert given["ARTIFACT_PREFIX"] == f"builds/stage/notes/{print_}"
    assert (given["FINGERPRINT"], given["SOURCE"]) == (print_, made.source)
    assert given["PRE_BUILD_COMMANDS"] == "make generated"
    assert (given["DEPENDENCIES"], given["STAMP"]) == ("requirements.txt", "build.json")
    assert given["LAYER_PYTHON_VERSION"] == "3.13"


@pytest.mark.parametrize(
    ("application", "env", "project"),
    [
        ("notes", Env.STAGE, "syndi-build-stage"),
        ("notes", Env.PROD, "syndi-build-prod"),
        ("control-plane", Env.PROD, "syndi-own-build"),
    ],
)
def test_each_environment_and_the_control_plane_are_built_in_a_project_of_their_own(
    codebuild: CodeBuild, application: str, env: Env, project: str
) -> None:
    """Each project has a role, and the role is what a build cannot leave."""
    source = build.push_source(envs=(env,))
    of = build.tenant(application=application, env=env)
    start(build.opened(build.deployment(of, source=source)))
    (asked,) = codebuild.started
    assert asked["projectName"] == project
    places = {asked["artifactsOverride"]["path"], asked["cacheOverride"]["location"]}
    if application == "control-plane":
        assert places == {"builds/own", f"{ARTIFACTS}/cache/own"}
    else:
        assert places == {f"builds/{env}/notes", f"{ARTIFACTS}/cache/{env}/notes/shared"}


# Whose build it is --------------------------------------------------------------------------------


def test_nothing_that_a_shared_build_sees_depends_on_the_tenant(codebuild: CodeBuild) -> None:
    """One organization would get files that were made for another."""
    source = build.push_source()
    for tenant in (ALPHA, BETA):
        start(build.opened(build.deployment(tenant, source=source)))
        key = {"PK": {"S": f"BUILD#{codebuild.variables()['FINGERPRINT']}"}, "SK": {"S": "BUILD"}}
        aws.dynamodb().delete_item(TableName=TABLE, Key=key)
    alpha, beta = ({**asked, "idempotencyToken": ""} for asked in codebuild.started)
    assert alpha == beta
    assert not {"TENANT_ENV", "TENANT_ORG", "STACK_NAME"} & codebuild.variables().keys()
    assert "alpha" not in str(alpha)
    assert "beta" not in str(alpha)


PER_TENANT = build.MANIFEST.replace("[build]", "[build]\nper_tenant = true")


def test_a_build_that_needs_a_tenants_name_is_made_for_each(codebuild: CodeBuild) -> None:
    source = build.push_source({**build.FILES, "application.toml": PER_TENANT})
    described = manifest.parse(PER_TENANT)
    prints = [
        start(build.opened(build.deployment(tenant, source=source, manifest=described)))[
            "fingerprint"
        ]
        for tenant in (ALPHA, BETA)
    ]
    assert prints[0] != prints[1]
    given = codebuild.variables(2)
    assert (given["TENANT_ENV"], given["TENANT_ORG"]) == ("stage", "beta")
    assert (given["STACK_NAME"], given["SAM_CONFIG_ENV"]) == ("notes-stage-beta", "stage-beta")
    caches = {asked["cacheOverride"]["location"] for asked in codebuild.started}
    assert len(caches) == 2, "what one tenant's build left would reach the other's"
    assert f"{ARTIFACTS}/cache/stage/notes/shared" not in caches


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
    output = f"builds/stage/notes/{started['fingerprint']}"
    put(f"{output}/c0de", "changed since")
    wait(made, started)
    found = Builds(TABLE).get(started["fingerprint"]) or {}
    assert found["code_digests"] == {f"{output}/c0de": CODE_SHA256}
    assert sorted(found["artifacts"]) == keys(f"{output}/")
    assert found["artifacts"][f"{output}/c0de"]["sha256"] == CODE_SHA256
    assert text("notes-stage-alpha/c0de") == "code"


def test_a_build_that_left_nothing_has_failed(made: Deployment, codebuild: CodeBuild) -> None:
    started = start(made)
    codebuild.builds["syndi-build:1"]["buildStatus"] = "SUCCEEDED"
    with pytest.raises(BuildFailed, match=r"ended well, but .*template\.yaml is gone"):
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
    assert Builds(TABLE).claim(print_, {"stack_name": "notes-stage-alpha"}, "another-execution")
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
    kept = f"notes-stage-beta/sources/{made.source}.zip"
    assert keys("notes-stage-beta/") == [answer["template_key"], "notes-stage-beta/c0de", kept]


def test_a_tenants_own_dependencies_make_a_build_of_its_own(codebuild: CodeBuild) -> None:
    lock = {"overrides/stage-beta.txt": "httpx==1.0"}
    sha256 = build.push_source({**build.FILES, **lock})
    alpha, beta = (
        build.opened(build.deployment(tenant, 1, source=sha256)) for tenant in (ALPHA, BETA)
    )
    assert start(alpha)["fingerprint"] != start(beta)["fingerprint"]
    assert codebuild.variables(1)["DEPENDENCIES"] == "requirements.txt"
    assert codebuild.variables(2)["DEPENDENCIES"] == "overrides/stage-beta.txt"


# What was lost or changed -------------------------------------------------------------------------


def built(made: Deployment, codebuild: CodeBuild) -> str:
    """A build that ended and was copied; gives where CodeBuild put it."""
    started = start(made)
    codebuild.ends(len(codebuild.started))
    wait(made, started)
    return f"builds/stage/notes/{started['fingerprint']}"


@pytest.mark.parametrize("lost", ["template.yaml", "c0de", "n.template", "1a4e5"])
@pytest.mark.parametrize("how", ["gone", "changed"])
def test_a_build_of_which_something_is_gone_or_was_changed_is_made_again(
    made: Deployment, codebuild: CodeBuild, lost: str, how: str
) -> None:
    """Every later deployment of the source would reuse it, and fail or run foreign code."""
    codebuild.nested = True
    output = built(made, codebuild)
    if how == "gone":
        aws.s3().delete_object(Bucket=ARTIFACTS, Key=f"{output}/{lost}")
    else:
        put(f"{output}/{lost}", "something else")
    again = another(made.source, ALPHA)
    answer = start(again)
    assert answer["reused"] is False
    assert len(codebuild.started) == 2
    note = build.record(again)["steps"]["StartBuild"]["note"]
    assert f"{output}/{lost} {'is gone' if how == 'gone' else 'was changed'}" in note
    codebuild.ends(2)
    assert wait(again, answer)["build_id"] == "syndi-build:2"


def test_a_build_that_is_lost_while_it_is_waited_for_is_made_again(
    made: Deployment, codebuild: CodeBuild
) -> None:
    output = built(made, codebuild)
    other = another(made.source)
    answer = start(other)
    assert answer["reused"] is True
    aws.s3().delete_object(Bucket=ARTIFACTS, Key=f"{output}/c0de")
    versions = aws.s3().list_object_versions(Bucket=ARTIFACTS, Prefix=f"{output}/c0de")
    for one in versions["Versions"]:
        aws.s3().delete_object(Bucket=ARTIFACTS, Key=one["Key"], VersionId=one["VersionId"])
    answer = wait(other, answer)
    assert (answer["done"], answer["reused"]) == (False, False)
    codebuild.ends(2)
    assert wait(other, answer)["build_id"] == "syndi-build:2"


def test_a_build_whose_recorded_version_was_deleted_is_made_again(
    made: Deployment, codebuild: CodeBuild
) -> None:
    """The same bytes are there, as another version: the build looks whole and cannot be copied."""
    output = built(made, codebuild)
    other = another(made.source)
    (recorded,) = aws.s3().list_object_versions(Bucket=ARTIFACTS, Prefix=f"{output}/c0de")[
        "Versions"
    ]
    put(f"{output}/c0de", text(f"{output}/c0de"))
    aws.s3().delete_object(Bucket=ARTIFACTS, Key=recorded["Key"], VersionId=recorded["VersionId"])
    answer = start(other)
    answer = wait(other, answer)
    assert (answer["done"], answer["reused"]) == (False, False)
    codebuild.ends(2)
    assert wait(other, answer)["build_id"] == "syndi-build:2"


def test_a_build_that_an_earlier_release_made_for_another_tenant_is_made_again(
    made: Deployment, codebuild: CodeBuild
) -> None:
    """It lies below the other tenant's prefix: nothing of it may be copied, nor waited for."""
    built(made, codebuild)
    print_ = start(made)["fingerprint"]
    key = {"PK": {"S": f"BUILD#{print_}"}, "SK": {"S": "BUILD"}}
    aws.dynamodb().update_item(
        TableName=TABLE, Key=key, UpdateExpression="REMOVE artifacts, code_digests, #output",
        ExpressionAttributeNames={"#output": "output"},
    )  # fmt: skip
    other = another(made.source)
    answer = start(other)
    assert answer["reused"] is False
    assert len(codebuild.started) == 2
    codebuild.ends(2)
    assert wait(other, answer)["build_id"] == "syndi-build:2"


def test_what_is_changed_while_it_is_waited_for_is_not_deployed(
    made: Deployment, codebuild: CodeBuild
) -> None:
    output = built(made, codebuild)
    other = another(made.source)
    answer = start(other)
    put(f"{output}/c0de", "something else")
    wait(other, answer)
    assert text("notes-stage-beta/c0de") == "code"


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_a_tenants_copy_is_made_good_from_the_build(
    made: Deployment, codebuild: CodeBuild, how: str
) -> None:
    built(made, codebuild)
    if how == "gone":
        aws.s3().delete_object(Bucket=ARTIFACTS, Key="notes-stage-alpha/c0de")
    else:
        put("notes-stage-alpha/c0de", "something else")
    again = another(made.source, ALPHA)
    answer = wait(again, start(again))
    assert (answer["reused"], text("notes-stage-alpha/c0de")) == (True, "code")
    assert answer["code_digests"] == {"notes-stage-alpha/c0de": CODE_SHA256}
    assert len(codebuild.started) == 1


def test_a_source_whose_files_are_gone_is_named_before_anything_is_claimed(
    made: Deployment, codebuild: CodeBuild
) -> None:
    """CodeBuild would only say that access is denied, and others would wait for the claim."""
    aws.s3().delete_object(Bucket=ARTIFACTS, Key=f"sources/stage/{made.source}.zip")
    needs_no_lock = made.model_copy(update={"manifest": manifest.parse(build.PLAIN_MANIFEST)})
    with pytest.raises(InvalidRequest, match="are gone from the artifact bucket: push the same"):
        start(needs_no_lock)
    assert codebuild.started == []
    found = aws.dynamodb().scan(TableName=TABLE)["Items"]
    assert [item for item in found if item["SK"]["S"] == "BUILD"] == []


def test_a_source_stays_with_the_builds_that_were_made_of_it(
    made: Deployment, codebuild: CodeBuild
) -> None:
    """A rollback needs its configuration files, long after the source was pushed."""
    built(made, codebuild)
    aws.s3().delete_object(Bucket=ARTIFACTS, Key=f"sources/stage/{made.source}.zip")
    assert SourceArchive.fetch(ARTIFACTS, ALPHA, made.source).manifest().name == "notes"
    lost = keys("builds/")[0]
    aws.s3().delete_object(Bucket=ARTIFACTS, Key=lost)
    assert start(another(made.source, ALPHA))["reused"] is False
    assert keys("sources/stage/") == [f"sources/stage/{made.source}.zip"], "its role reads it there"
