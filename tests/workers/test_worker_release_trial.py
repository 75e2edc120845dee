"""The trial of a new version begins: its API is asked as an operator would ask it."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import worker_builders as build
from new_version import (
    A_REFUSAL,
    A_SILENCE,
    ANSWERS,
    SILENCE,
    Answer,
    NewVersion,
    Reply,
    going_back,
    source_of,
    started,
    step,
    told,
    updating,
)  # fmt: skip
from test_worker_api_starts import executions, input_of

from control_plane import aws, naming
from control_plane.errors import TenantNotReady, TrialFailed
from control_plane.models import Deployment, Env
from control_plane.settings import forget_settings
from control_plane.store.sources import Sources
from workers import release_files

STACK = "syndi-trial-dev-prod-main"


@pytest.fixture
def made(world: None) -> Deployment:
    return updating()


# The start ----------------------------------------------------------------------------------------


def test_the_new_version_is_asked_to_deploy_the_bundled_trial(
    made: Deployment, version: NewVersion
) -> None:
    answer = step(made, "StartTrial")
    (arn,) = executions()
    trial = answer["trial"]
    assert answer["done"]
    assert trial == {
        "env": "dev", "org": "prod-main", "attempt": 1, "phase": "deploying",
        "id": trial["id"], "execution_arn": arn,
    }  # fmt: skip
    assert arn.endswith(f":dev-prod-main-{trial['id']}")
    asked = input_of(arn)
    assert asked["admin_username"].endswith("@tests.invalid")
    assert asked["rollback_on_failure"] is False
    assert Sources(build.TABLE).resolve("syndi-trial", Env.DEV, None)[0] == asked["source"]
    assert told(made, "StartTrial")["note"] == f"{STACK}: {trial['id']}"


def test_an_earlier_release_takes_the_trial_at_its_own_route(
    made: Deployment, version: NewVersion
) -> None:
    """A control plane that is rolled back is tried through the API of the release before."""
    version.has_no_route = "/envs/dev/sources/"
    started(made)
    pushes = [path for path in version.paths if "/sources/" in path]
    assert pushes[0].startswith("PUT /envs/dev/sources/")
    assert pushes[-1].startswith("PUT /sources/")


def test_its_source_is_what_lies_in_the_bundle(made: Deployment, version: NewVersion) -> None:
    key = naming.source_key("dev", source_of(started(made)))
    body = aws.s3().get_object(Bucket=build.ARTIFACTS, Key=key)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert {"application.toml", "app/handler.py", "template.yaml"} < set(archive.namelist())
        assert archive.read("trial.txt").decode() == f"{made.id} 1\n"
        handler = (build.ROOT / "trial" / "app" / "handler.py").read_bytes()
        assert archive.read("app/handler.py") == handler


def test_what_python_leaves_beside_the_trial_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("app/handler.py", "app/__pycache__/handler.pyc"):
        (tmp_path / "trial" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "trial" / name).write_bytes(b"x")
    monkeypatch.setattr(release_files, "BUNDLED", tmp_path)
    assert release_files.files.__wrapped__() == {"app/handler.py": b"x"}


def test_a_step_that_runs_twice_starts_one_trial(made: Deployment, version: NewVersion) -> None:
    assert started(made) == started(made)
    assert len(executions()) == 1
    assert version.asked.count("PUT upload") == 1


def test_the_way_back_is_tried_with_a_tenant_and_a_source_of_its_own(
    made: Deployment, version: NewVersion
) -> None:
    forth, back = started(made), started(going_back(made))
    assert (forth["org"], back["org"]) == ("prod-main", "prod-main-back")
    assert source_of(forth) != source_of(back)


@pytest.mark.parametrize(("approvals", "env"), [("dev", "test"), ("dev,test,prod", "stage")])
def test_no_trial_waits_for_an_approval(
    made: Deployment,
    version: NewVersion,
    monkeypatch: pytest.MonkeyPatch,
    approvals: str,
    env: str,
) -> None:
    monkeypatch.setenv("APPROVAL_ENVIRONMENTS", approvals)
    forget_settings()
    trial = started(made)
    assert (trial["env"], input_of(trial["execution_arn"])["env"]) == (env, env)


def test_where_everything_waits_for_approvals_nothing_is_asked(
    made: Deployment, version: NewVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPROVAL_ENVIRONMENTS", "dev,test,stage,prod")
    forget_settings()
    with pytest.raises(TrialFailed, match="--approval-in"):
        started(made)
    assert version.asked == []


def test_a_bundle_without_a_trial_fails(
    made: Deployment, version: NewVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_files, "BUNDLED", tmp_path)
    release_files.files.cache_clear()
    with pytest.raises(TrialFailed, match=r"there is no trial in .*trial of this bundle"):
        started(made)
    assert version.asked == []


# The new version says no, or nothing --------------------------------------------------------------

UPLOADS: list[tuple[Answer, type[Exception], str]] = [
    (Reply(403, b"expired"), TrialFailed, "the upload was refused with 403: b'expired'"),
    (Reply(503, b"slow"), TenantNotReady, "the upload was refused with 503"),
    (SILENCE, TenantNotReady, "the upload failed"),
]


@pytest.mark.parametrize(
    ("kind", "answer", "error", "says"),
    [
        *(("POST deployments", *case) for case in ANSWERS),
        *(("PUT sources", *case) for case in (A_REFUSAL, A_SILENCE)),
        *(("PUT upload", *case) for case in UPLOADS),
    ],
)
def test_a_refusal_of_the_start_fails_the_trial_and_silence_may_pass(
    made: Deployment, version: NewVersion, kind: str, answer: Answer, error: Any, says: str
) -> None:
    version.wrong[kind] = answer
    with pytest.raises(error, match=says):
        started(made)
    failed = error is TrialFailed
    assert told(made, "StartTrial")["status"] == ("FAILED" if failed else "RUNNING")
    assert executions() == []
    version.wrong.clear()
    assert started(made)["id"], "tried again, nothing is in its way"
