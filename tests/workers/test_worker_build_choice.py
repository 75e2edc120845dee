"""The build that is there already: the last one, one to go back to, and the way back by itself."""

from typing import Any

import pytest
import worker_builders as build
from codebuild_answers import CodeBuild, keys, put, start, text, wait
from worker_builders import ALPHA, ARTIFACTS, TABLE

from control_plane import aws
from control_plane.errors import InvalidRequest, NoSuchBuild
from control_plane.events import Target
from control_plane.models import Build, Deployment, DeploymentStatus, JsonObject
from control_plane.store.history import History
from control_plane.store.progress import Progress
from control_plane.store.sources import SourceArchive
from control_plane.use_cases.admission import admit
from workers import build as worker

NOW = {**build.FILES, "config/stage.json": '{"now": true}'}


def built(source: str, name: str) -> JsonObject:
    """A build with its artifacts."""
    key = f"notes-stage-alpha/builds/{name * 64}/template.yaml"
    put(key, f"Function: {{CodeUri: s3://{ARTIFACTS}/notes-stage-alpha/c0de}}\n")
    put("notes-stage-alpha/c0de", "code")
    return {
        "fingerprint": name * 64,
        "source": source,
        "build_id": "syndi-build:1",
        "template_key": key,
        "reused": False,
        "code_digests": {"notes-stage-alpha/c0de": "b64"},
    }


def deployed(number: int, source: str, name: str, **more: Any) -> Deployment:
    """A deployment of a build that succeeded."""
    made = build.opened(build.deployment(number=number, source=source))
    build.take_lock(made)
    facts = {
        "build": built(source, name),
        "running": name * 64,
        "source": source,
        "config_source": source,
        "stack": {"parameters": {"EnableAuth": "true", "CreateBuckets": "true"}},
        "config": {"sha256": f"config-{name}"},
        **more,
    }
    current = {**facts, "last_good": made.id, "last_deployment": made.id}
    History(TABLE).succeed(ALPHA, made.id, made.execution_arn, facts, current, is_whole=True)
    return made


def failed(number: int, source: str, **facts: Any) -> Deployment:
    """A deployment that failed after it had found `facts`."""
    made = build.opened(build.deployment(number=number, source=source))
    if facts:
        Progress(TABLE).add_facts(made, facts)
    status = DeploymentStatus.FAILED
    History(TABLE).fail(ALPHA, made.id, made.execution_arn, status, {"reason": "why"})
    return made


def find(source: str, **options: Any) -> tuple[Deployment, JsonObject]:
    """FindBuild of a new deployment: how the deployment goes on, and the build."""
    made = build.opened(build.deployment(number=9, source=source, **options))
    answer = worker.handler(build.event(made, "FindBuild"), None)
    assert build.record(made)["build"] == answer["build"]
    return Deployment.model_validate(answer["deployment"]), answer["build"]


@pytest.fixture
def source(world: None) -> str:
    """What the tenant was built from; the environment has a newer one."""
    return build.push_source()


@pytest.fixture
def newer(source: str) -> str:
    return build.push_source(NOW)


# deploy-only --------------------------------------------------------------------------------------


def test_deploy_only_takes_the_running_build_and_the_configuration_of_now(
    source: str, newer: str
) -> None:
    deployed(1, source, "a")
    patched = {**built(source, "b"), "patched": "9" * 64}
    deployed(2, source, "b", build=patched)
    failed(3, newer, build=built(newer, "c"))
    found, chosen = find(newer, mode="deploy-only")
    assert chosen == {**built(source, "b"), "reused": True}
    assert (found.source, found.config_source) == (source, newer)
    assert found.config_version is None
    assert found.rolling_back is False


def test_deploy_only_of_a_tenant_that_never_worked_takes_its_newest_build(
    source: str, newer: str
) -> None:
    failed(1, source, build=built(source, "a"))
    failed(2, newer, build=built(newer, "b"))
    failed(3, newer)
    _, chosen = find(newer, mode="deploy-only")
    assert chosen["fingerprint"] == "b" * 64


def test_deploy_only_of_a_tenant_without_a_build_is_refused(newer: str) -> None:
    failed(1, newer)
    with pytest.raises(NoSuchBuild, match="was never built: deploy it in full first"):
        find(newer, mode="deploy-only")


@pytest.mark.parametrize("lost", ["template.yaml", "c0de"])
def test_a_build_that_is_not_complete_is_not_deployed(source: str, newer: str, lost: str) -> None:
    deployed(1, source, "a")
    for item in aws.s3().list_objects_v2(Bucket=ARTIFACTS)["Contents"]:
        if item["Key"].endswith(lost):
            aws.s3().delete_object(Bucket=ARTIFACTS, Key=item["Key"])
    with pytest.raises(NoSuchBuild, match=f"{lost} is gone"):
        find(newer, mode="deploy-only")


def test_a_build_below_another_tenants_prefix_is_not_deployed(source: str, newer: str) -> None:
    foreign = {**built(source, "a"), "template_key": "notes-stage-alphabet/builds/x/template.yaml"}
    deployed(1, source, "a", build=foreign)
    with pytest.raises(NoSuchBuild, match="not notes-stage-alpha's own"):
        find(newer, mode="deploy-only")


# What a build needs of its source -----------------------------------------------------------------


def truly_built(number: int, source: str, codebuild: CodeBuild, **more: Any) -> JsonObject:
    """A deployment of a build that CodeBuild made and whose digests were recorded."""
    made = build.opened(build.deployment(number=number, source=source))
    started = start(made)
    codebuild.ends(len(codebuild.started))
    answer = wait(made, started)
    found = {name: answer[name] for name in Build.model_fields}
    deployed(number, source, "a", build=found, running=found["fingerprint"], **more)
    return found


def forget_sources() -> None:
    """The environment has no source any more, and nothing of those that it had is there."""
    found = aws.dynamodb().query(
        TableName=TABLE,
        KeyConditionExpression="PK = :pk",
        ExpressionAttributeValues={":pk": {"S": "APPLICATION#notes"}},
    )
    for item in found["Items"]:
        aws.dynamodb().delete_item(TableName=TABLE, Key={"PK": item["PK"], "SK": item["SK"]})
    for key in keys("sources/"):
        aws.s3().delete_object(Bucket=ARTIFACTS, Key=key)


def admitted(**asked: Any) -> Deployment:
    """A 9th deployment, as the API and PrepareDeployment admit it."""
    target = Target(application="notes", **asked)
    own = build.ENVIRONMENT["CONTROL_PLANE_STACK"]
    source, described = admit(ALPHA, target, TABLE, build.ACCOUNT, own)
    mode = {"mode": target.mode}
    return build.opened(build.deployment(number=9, source=source, manifest=described, **mode))


MODES: dict[str, JsonObject] = {
    "deploy-only": {},
    "rollback": {},
    "drift": {},
    "offboard": {"confirm": "notes-stage-alpha"},
}


@pytest.mark.parametrize("mode", MODES)
def test_what_brings_no_code_needs_no_source_of_the_environment(
    source: str, newer: str, codebuild: CodeBuild, mode: str
) -> None:
    """A tenant could neither be brought back nor removed, although all of it is there."""
    before = truly_built(1, source, codebuild, config={"sha256": "c1"})
    now = truly_built(2, newer, codebuild)
    forget_sources()
    made = admitted(mode=mode, **MODES[mode])
    assert (made.manifest.name, made.source) == ("notes", newer)
    if mode in ("deploy-only", "rollback"):
        answer = worker.handler(build.event(made, "FindBuild"), None)
        wanted = before if mode == "rollback" else now
        assert answer["build"]["fingerprint"] == wanted["fingerprint"]
        chosen = Deployment.model_validate(answer["deployment"])
        for sha256 in (chosen.source, chosen.config_source):
            archive = SourceArchive.fetch(ARTIFACTS, ALPHA, sha256)
            assert archive.read("config/base.json"), "what its configuration is made of"


def test_what_brings_code_says_which_source_to_push(source: str, codebuild: CodeBuild) -> None:
    truly_built(1, source, codebuild)
    forget_sources()
    with pytest.raises(InvalidRequest, match="no source for stage: push one with 'syndi source"):
        admitted(mode="full")


def test_a_manifest_that_is_nowhere_is_named_with_what_to_do(source: str, newer: str) -> None:
    deployed(1, source, "a")
    forget_sources()
    with pytest.raises(InvalidRequest, match=f"push its source {source[:12]} again"):
        admitted(mode="deploy-only")


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_a_copy_that_is_not_as_it_was_recorded_is_made_good_before_it_is_deployed(
    source: str, newer: str, codebuild: CodeBuild, how: str
) -> None:
    found = truly_built(1, source, codebuild)
    if how == "gone":
        aws.s3().delete_object(Bucket=ARTIFACTS, Key="notes-stage-alpha/c0de")
    else:
        put("notes-stage-alpha/c0de", "something else")
    _, chosen = find(newer, mode="deploy-only")
    assert text("notes-stage-alpha/c0de") == "code"
    assert chosen["code_digests"] == found["code_digests"]


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_what_cannot_be_made_good_is_not_deployed_and_named(
    source: str, newer: str, codebuild: CodeBuild, how: str
) -> None:
    found = truly_built(1, source, codebuild)
    output = f"builds/stage/notes/{found['fingerprint']}"
    for one in aws.s3().list_object_versions(Bucket=ARTIFACTS, Prefix=output)["Versions"]:
        aws.s3().delete_object(Bucket=ARTIFACTS, Key=one["Key"], VersionId=one["VersionId"])
    _, chosen = find(newer, mode="deploy-only")
    assert chosen["fingerprint"] == found["fingerprint"], "the tenant's own copy is all there"
    if how == "gone":
        aws.s3().delete_object(Bucket=ARTIFACTS, Key="notes-stage-alpha/c0de")
    else:
        put("notes-stage-alpha/c0de", "something else")
    with pytest.raises(NoSuchBuild, match=r"is not complete any more .*c0de is gone.*in full"):
        find(newer, mode="deploy-only")


# rollback -----------------------------------------------------------------------------------------


def test_a_rollback_takes_the_build_before_and_its_configuration(source: str, newer: str) -> None:
    deployed(1, source, "a", config={"sha256": "c1", "overrides_version": 4})
    deployed(2, newer, "b")
    found, chosen = find(newer, mode="rollback")
    assert chosen["fingerprint"] == "a" * 64
    assert (found.source, found.config_source, found.config_version) == (source, source, 4)


def isolating(table: str) -> str:
    """A source whose manifest has this `[isolation]`."""
    return build.push_source({**NOW, "application.toml": f"{build.MANIFEST}\n[isolation]\n{table}"})


OPENED = """
public = {"GET /about" = "for everybody", "Website" = "as it is now"}
shared = {"arn:aws:sns:us-east-1:123456789012:alarms" = "the operators' topic"}
"""


def test_a_rollback_to_before_isolation_was_declared_goes_by_what_is_declared_now(
    source: str,
) -> None:
    """Otherwise nobody could go back to a build that was approved before `[isolation]` existed."""
    newest = isolating(OPENED)
    deployed(1, source, "a")
    deployed(2, newest, "b")
    found, chosen = find(newest, mode="rollback")
    assert chosen["fingerprint"] == "a" * 64
    assert set(found.manifest.isolation.public) == {"GET /about", "Website"}
    assert set(found.manifest.isolation.shared) == {"arn:aws:sns:us-east-1:123456789012:alarms"}


def test_a_rollback_opens_nothing_that_neither_manifest_declares(source: str) -> None:
    """What the newest push declares counts only once it is deployed."""
    pushed = isolating(OPENED)
    older = isolating('public = {"Website" = "as it was then", "Old" = "was open"}')
    now = isolating('public = {"New" = "is open"}')
    deployed(1, older, "a")
    deployed(2, now, "b")
    failed(3, pushed, build=built(pushed, "c"))
    found, _ = find(pushed, mode="rollback")
    assert found.manifest.isolation.public == {
        "New": "is open",
        "Website": "as it was then",
        "Old": "was open",
    }
    assert found.manifest.isolation.shared == {}


def test_a_rollback_to_a_build_that_is_gone_does_not_ask_for_the_current_source(
    source: str, newer: str
) -> None:
    deployed(1, source, "a")
    deployed(2, newer, "b")
    aws.s3().delete_object(Bucket=ARTIFACTS, Key=built(source, "a")["template_key"])
    with pytest.raises(NoSuchBuild, match="nobody can go back to it any more"):
        find(newer, mode="rollback")


def test_a_rollback_to_a_named_deployment(source: str, newer: str) -> None:
    ids = [deployed(n, source, name).id for n, name in ((1, "a"), (2, "b"), (3, "c"))]
    found, chosen = find(newer, mode="rollback", to=ids[0])
    assert chosen["fingerprint"] == "a" * 64
    assert found.config_version == 0


def test_a_rollback_to_what_was_not_good_says_what_it_was(source: str, newer: str) -> None:
    deployed(1, source, "a")
    bad = failed(2, newer, build=built(newer, "b"))
    for to, why in ((bad.id, "ended FAILED"), ("20200101-000000-000abcde", "has no deployment")):
        with pytest.raises(NoSuchBuild, match=why):
            find(newer, mode="rollback", to=to)
    with pytest.raises(NoSuchBuild, match="no good deployment of another build"):
        find(newer, mode="rollback")


def test_a_rollback_of_nothing_is_refused(newer: str) -> None:
    with pytest.raises(NoSuchBuild, match="has nothing deployed"):
        find(newer, mode="rollback")


# RollBack -----------------------------------------------------------------------------------------


def at_its_tests(source: str, **more: Any) -> Deployment:
    """A deployment that is about to fail its tests."""
    facts = {name: more.pop(name) for name in ("build", "config_content") if name in more}
    made = build.opened(build.deployment(number=9, source=source, **more))
    Progress(TABLE).add_facts(made, facts)
    return made


def roll_back(made: Deployment) -> JsonObject:
    return worker.handler(build.event(made, "RollBack"), None)


def test_the_way_back_leads_to_the_last_good_state(source: str, newer: str) -> None:
    good = deployed(1, source, "a", config={"sha256": "c1", "overrides_version": 4})
    made = at_its_tests(newer, build=built(newer, "b"), enable_auth=False, admin_username="a@b.c")
    answer = roll_back(made)
    assert (answer["available"], answer["why"]) == (True, "")
    assert answer["build"] == {**built(source, "a"), "reused": True}
    back = Deployment.model_validate(answer["deployment"])
    assert (back.id, back.execution_arn, back.rolling_back) == (made.id, made.execution_arn, True)
    assert (back.source, back.config_source, back.config_version) == (source, source, 4)
    assert back.options.enable_auth is True, "as it was, not as the failed deployment asked"
    assert back.operation != made.operation
    found = build.record(made)
    assert {step["status"] for step in found["rollback_steps"].values()} == {"PENDING"}
    assert found["rollback_build"]["fingerprint"] == "a" * 64
    assert found["build"]["fingerprint"] == "b" * 64
    assert good.id in found["steps"]["RollBack"]["note"]
    # Once more, after a step of the way back: what happened stays.
    Progress(TABLE).begin_step(back, "CreateChangeSet")
    assert roll_back(made) == answer
    assert build.record(made)["rollback_steps"]["CreateChangeSet"]["status"] == "RUNNING"


def test_without_a_good_build_there_is_no_way_back(newer: str) -> None:
    made = at_its_tests(newer, build=built(newer, "b"))
    answer = roll_back(made)
    assert answer["available"] is False
    assert answer["why"] == "there is no previous good build to roll back to"
    assert answer["deployment"]["id"] == made.id
    assert "rollback_steps" not in build.record(made)


def test_a_good_build_whose_artifacts_are_gone_cannot_be_put_back(source: str, newer: str) -> None:
    deployed(1, source, "a")
    aws.s3().delete_object(Bucket=ARTIFACTS, Key=built(source, "a")["template_key"])
    answer = roll_back(at_its_tests(newer, build=built(newer, "b")))
    assert answer["available"] is False
    assert "is not complete any more" in answer["why"]


@pytest.mark.parametrize(
    ("facts", "available"),
    [
        ({}, False),
        ({"config_content": {"title": "other"}}, True),
        ({"enable_auth": False}, True),
        ({"enable_auth": True}, False),
    ],
)
def test_going_back_to_the_same_makes_no_sense(
    source: str, newer: str, facts: JsonObject, available: bool
) -> None:
    deployed(1, source, "a", config={})
    answer = roll_back(at_its_tests(source, build=built(source, "a"), **facts))
    assert answer["available"] is available
    assert ("are the same" in answer["why"]) is not available


def test_a_tenant_that_does_not_work_is_rolled_back_although_somebody_cancelled(
    source: str, newer: str
) -> None:
    deployed(1, source, "a")
    made = at_its_tests(newer, build=built(newer, "b"))
    Progress(TABLE).add_facts(made, {"cancel": {"by": "somebody"}})
    assert roll_back(made)["available"] is True
