"""Locks, claims of builds, and sources: who gets a thing that only one may have."""

import hashlib
from datetime import timedelta

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError
from worker_builders import ALPHA, BETA, NOON, TABLE

from control_plane import aws, naming
from control_plane.errors import InvalidRequest
from control_plane.models import Env
from control_plane.store import items
from control_plane.store.builds import CLAIM_SECONDS, Builds, BuildStatus
from control_plane.store.locks import Locks
from control_plane.store.sources import SourceArchive, Sources

pytestmark = pytest.mark.usefixtures("world")


def take(me: str, instead_of: str | None = None) -> bool:
    return Locks(TABLE).acquire(ALPHA, f"deployment-{me}", me, instead_of=instead_of or me)


def test_a_free_tenant_is_taken_and_its_holder_known() -> None:
    assert take("me")
    found = Locks(TABLE).holder(ALPHA)
    assert found is not None
    assert (found["execution_arn"], found["deployment_id"]) == ("me", "deployment-me")


def test_a_lock_is_not_stolen() -> None:
    assert take("me")
    assert not take("you")
    assert build.holder() == "me"


def test_a_lock_is_taken_again_by_its_own_holder() -> None:
    assert take("me")
    assert take("me")


def test_a_lock_is_taken_over_from_exactly_the_execution_that_ended() -> None:
    assert take("dead")
    assert take("me", instead_of="dead")
    # A third one that saw the dead one too comes too late.
    assert not take("you", instead_of="dead")
    assert build.holder() == "me"


def test_neighbours_have_locks_of_their_own() -> None:
    assert take("me")
    assert Locks(TABLE).holder(BETA) is None
    assert Locks(TABLE).acquire(BETA, "d", "you", instead_of="you")


def test_a_throttled_lock_is_neither_taken_nor_refused(script: scripted.Scripted) -> None:
    script.on(aws.dynamodb(), "PutItem", scripted.failure("ThrottlingException"))
    with pytest.raises(ClientError, match="ThrottlingException"):
        take("me")


# Builds -------------------------------------------------------------------------------------------

PRINT = "f" * 64


def at(seconds: int) -> Builds:
    return Builds(TABLE, clock=lambda: NOON + timedelta(seconds=seconds))


def claim(who: str, seconds: int = 0) -> bool:
    return at(seconds).claim(PRINT, {"stack_name": f"stack-of-{who}"}, who)


def status() -> str:
    found = Builds(TABLE).get(PRINT)
    assert found is not None
    return str(found["status"])


def test_of_two_claimers_one_builds() -> None:
    assert [claim("me"), claim("you")] == [True, False]
    found = Builds(TABLE).get(PRINT)
    assert found is not None
    assert (found["claimed_by"], found["stack_name"]) == ("me", "stack-of-me")


def test_a_claim_is_repeated_by_whoever_made_it() -> None:
    assert claim("me")
    assert claim("me", 1)


@pytest.mark.parametrize(("age", "taken"), [(CLAIM_SECONDS - 1, False), (CLAIM_SECONDS + 1, True)])
def test_a_claim_without_a_build_counts_for_a_while(age: int, taken: bool) -> None:
    assert claim("dead")
    assert claim("me", age) is taken


def test_a_running_build_is_not_claimed_however_old() -> None:
    claim("me")
    at(1).started(PRINT, {"stack_name": "stack-of-me"}, "me", "build:1")
    assert status() == "RUNNING"
    assert not claim("you", 10 * CLAIM_SECONDS)


@pytest.mark.parametrize("end", [BuildStatus.FAILED, BuildStatus.SUCCEEDED])
def test_a_build_that_ended_may_be_made_again(end: BuildStatus) -> None:
    claim("me")
    builds = Builds(TABLE)
    builds.started(PRINT, {"stack_name": "stack-of-me"}, "me", "build:1")
    builds.finished(PRINT, builds.get(PRINT) or {}, end, "why")
    assert status() == end
    assert claim("you")


def test_only_the_claimer_says_that_it_started() -> None:
    claim("me")
    Builds(TABLE).started(PRINT, {"stack_name": "stack-of-you"}, "you", "build:2")
    assert status() == "CLAIMED"


def test_the_first_end_of_a_build_stays_and_another_builds_end_is_ignored() -> None:
    claim("me")
    builds = Builds(TABLE)
    builds.started(PRINT, {"stack_name": "stack-of-me"}, "me", "build:1")
    running = builds.get(PRINT) or {}
    builds.finished(PRINT, {**running, "build_id": "build:0"}, BuildStatus.FAILED, "another")
    assert status() == "RUNNING"
    builds.finished(PRINT, running, BuildStatus.SUCCEEDED)
    builds.finished(PRINT, running, BuildStatus.FAILED, "late")
    assert status() == "SUCCEEDED"


# Sources ------------------------------------------------------------------------------------------


def test_an_environment_deploys_its_current_source_and_any_other_by_name() -> None:
    old = build.push_source()
    new = build.push_source({**build.FILES, "README.md": "new"})
    assert Sources(TABLE).resolve("notes", Env.STAGE, None)[0] == new
    found, manifest = Sources(TABLE).resolve("notes", Env.STAGE, old)
    assert (found, manifest.stack.function) == (old, "Function")


def test_an_environment_without_a_source_is_refused_with_what_to_do() -> None:
    build.push_source()
    with pytest.raises(InvalidRequest, match="no source for prod: push one"):
        Sources(TABLE).resolve("notes", Env.PROD, None)


def test_a_source_of_another_application_is_unknown() -> None:
    sha256 = build.push_source()
    with pytest.raises(InvalidRequest, match="is unknown") as refused:
        Sources(TABLE).resolve("plain", Env.STAGE, sha256)
    assert refused.value.details[0]["field"] == "source"


def test_sources_are_listed_with_what_each_environment_deploys() -> None:
    one = build.push_source(envs=(Env.DEV, Env.STAGE))
    two = build.push_source({**build.FILES, "README.md": "new"}, envs=(Env.STAGE,))
    found = Sources(TABLE).listed("notes")
    assert {item["sha256"] for item in found["sources"]} == {one, two}
    assert found["environments"] == {"dev": one, "stage": two}
    assert Sources(TABLE).listed("plain") == {"sources": [], "environments": {}}


def test_a_source_is_read_file_by_file() -> None:
    archive = SourceArchive.fetch(build.ARTIFACTS, ALPHA, build.upload_source())
    assert archive.read("template.yaml") == "Resources: {}"
    assert archive.read("missing") is None
    assert archive.manifest().name == "notes"


def test_a_source_whose_content_is_not_its_name_is_refused() -> None:
    sha256 = build.upload_source()
    other = build.zipped({"application.toml": build.PLAIN_MANIFEST})
    aws.s3().put_object(Bucket=build.ARTIFACTS, Key=naming.source_key("stage", sha256), Body=other)
    with pytest.raises(InvalidRequest, match="does not have that SHA-256"):
        SourceArchive.fetch(build.ARTIFACTS, ALPHA, sha256)


def test_a_source_that_was_never_uploaded_is_unknown() -> None:
    with pytest.raises(InvalidRequest, match="are gone from the artifact bucket: push"):
        SourceArchive.fetch(build.ARTIFACTS, ALPHA, "a" * 64)


@pytest.mark.parametrize("place", ["notes-stage-alpha/sources/{}.zip", "sources/{}.zip"])
def test_a_source_is_read_as_it_was_kept_with_a_build_or_by_an_earlier_release(place: str) -> None:
    sha256 = build.upload_source(envs=())
    key = place.format(sha256)
    aws.s3().put_object(Bucket=build.ARTIFACTS, Key=key, Body=build.zipped(build.FILES))
    assert SourceArchive.fetch(build.ARTIFACTS, ALPHA, sha256).manifest().name == "notes"
    beta_prod = build.tenant("beta", Env.PROD)
    if not place.startswith("sources/"):
        with pytest.raises(InvalidRequest, match="are gone"):
            SourceArchive.fetch(build.ARTIFACTS, beta_prod, sha256)


def test_a_source_of_one_environment_is_none_of_another() -> None:
    """Otherwise whoever may push for dev decides what can be deployed to prod."""
    sha256 = build.push_source(envs=(Env.DEV,))
    with pytest.raises(InvalidRequest, match="was not pushed for prod, only for others: push it"):
        Sources(TABLE).resolve("notes", Env.PROD, sha256)
    build.push_source(envs=(Env.PROD,))
    newer = build.push_source({**build.FILES, "new": ""}, envs=(Env.PROD,))
    assert Sources(TABLE).resolve("notes", Env.PROD, sha256)[0] == sha256
    assert Sources(TABLE).resolve("notes", Env.PROD, None)[0] == newer
    found = Sources(TABLE).listed_for("notes", Env.PROD)
    assert {one["sha256"] for one in found["sources"]} == {sha256, newer}
    assert found["current"] == newer
    found = Sources(TABLE).listed_for("notes", Env.DEV)
    assert [one["sha256"] for one in found["sources"]] == [sha256]


def register_as_before(sha256: str, *environments: Env, current: bool = True) -> None:
    """Register a source as the release before this one wrote it: no environment is recorded."""
    now = "2026-11-20T08:00:00.000+00:00"
    described = SourceArchive(build.zipped(build.FILES)).manifest()
    values = described.model_dump(mode="json", by_alias=True, exclude_none=True)
    source = {"application": "notes", "sha256": sha256, "manifest": values, "registered_at": now}
    written = {f"SOURCE#{sha256}": source}
    for env in environments:
        written[f"ENVIRONMENT#{env}"] = {"sha256": sha256, "env": env, "changed_at": now}
    for sk, item in written.items():
        whole = items.whole("APPLICATION#notes", sk, item)
        aws.dynamodb().put_item(TableName=TABLE, Item=whole)


def test_a_source_of_an_earlier_release_still_counts_for_every_environment() -> None:
    """Rollouts that run, schedules and retries name one that is not the current one any more."""
    old = "0" * 64
    register_as_before(old)
    register_as_before("1" * 64, Env.STAGE)
    for env in Env:
        assert Sources(TABLE).resolve("notes", env, old)[0] == old
        assert old in {one["sha256"] for one in Sources(TABLE).listed_for("notes", env)["sources"]}
    assert Sources(TABLE).resolve("notes", Env.STAGE, None)[0] == "1" * 64


def test_a_source_of_an_earlier_release_that_is_pushed_again_is_taken_from_nobody() -> None:
    """A push for dev must not end the rollout in prod that has the same source."""
    sha256 = hashlib.sha256(build.zipped(build.FILES)).hexdigest()
    register_as_before(sha256)
    assert build.push_source(build.FILES, envs=(Env.DEV,)) == sha256
    assert Sources(TABLE).resolve("notes", Env.PROD, sha256)[0] == sha256
    assert Sources(TABLE).resolve("notes", Env.DEV, None)[0] == sha256


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no zip at all", "is not a zip file"),
        (build.zipped({"README.md": "x"}), r"has no application\.toml"),
        (build.zipped({"application.toml": "x" * (1024 * 1024 + 1)}), "is larger than"),
        (build.deflated({"application.toml": "x = 1\n" * 99}, damaged=True), "cannot be read"),
    ],
    ids=["no-zip", "no-manifest", "too-large", "damaged"],
)
def test_a_source_that_cannot_be_used_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        SourceArchive(content).manifest()
