"""What a new version of the control plane must have done before it is trusted."""

import io
import zipfile
from typing import Any

import pytest

from control_plane.errors import TrialFailed
from control_plane.models import Tenant
from control_plane.rules.trials import Execution, Move, Phase, judge, source_of, tenant_of

OWN = Tenant(application="control-plane", env="prod", org="main")
BUILD = "ab" * 32


def record(status: str, build: str | None = BUILD, **more: Any) -> dict[str, Any]:
    return {"id": "t1", "status": status, "control_plane": {"build": build}, **more}


@pytest.mark.parametrize(
    ("approvals", "env"),
    [("", "dev"), ("prod", "dev"), ("dev,prod", "test"), ("dev,test", "stage")],
)
def test_a_trial_goes_where_nobody_has_to_approve_it(approvals: str, env: str) -> None:
    tenant = tenant_of(OWN, approvals, rolling_back=False)
    assert tenant.stack_name == f"syndi-trial-{env}-prod-main"


def test_without_such_a_place_the_reason_says_what_to_do() -> None:
    with pytest.raises(TrialFailed, match="--approval-in"):
        tenant_of(OWN, "dev,prod,stage,test", rolling_back=False)


def test_the_way_back_has_a_trial_of_its_own() -> None:
    forth, back = (tenant_of(OWN, "", rolling_back=way) for way in (False, True))
    assert forth.stack_name != back.stack_name


def test_a_source_is_the_same_for_the_same_mark_and_holds_every_file() -> None:
    files = {"application.toml": b"x", "app/handler.py": b"y"}
    content, sha256 = source_of(files, "one")
    assert source_of(dict(reversed(files.items())), "one") == (content, sha256)
    assert source_of(files, "two")[1] != sha256
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["app/handler.py", "application.toml", "trial.txt"]
        assert archive.read("app/handler.py") == b"y"


@pytest.mark.parametrize(
    ("phase", "told", "execution", "move"),
    [
        (Phase.DEPLOYING, record("QUEUED"), "RUNNING", Move.WAIT),
        (Phase.DEPLOYING, record("RUNNING"), "RUNNING", Move.WAIT),
        (Phase.DEPLOYING, record("SUCCEEDED"), "SUCCEEDED", Move.REMOVE),
        (Phase.DEPLOYING, record("SUCCEEDED", "cd" * 32), "SUCCEEDED", Move.CLEAR),
        (Phase.DEPLOYING, record("SUCCEEDED", None), "SUCCEEDED", Move.CLEAR),
        (
            Phase.DEPLOYING,
            {"id": "t1", "status": "SUCCEEDED"},
            "SUCCEEDED",
            Move.CLEAR,
        ),
        (Phase.CLEARING, record("RUNNING", "cd" * 32), "RUNNING", Move.WAIT),
        (Phase.CLEARING, record("SUCCEEDED", "cd" * 32), "SUCCEEDED", Move.DEPLOY_AGAIN),
        (Phase.CLEARING, record("SUCCEEDED"), "SUCCEEDED", Move.DEPLOY_AGAIN),
        (Phase.REMOVING, record("RUNNING"), "RUNNING", Move.WAIT),
        (Phase.REMOVING, record("SUCCEEDED", "cd" * 32), "SUCCEEDED", Move.DEPLOY_AGAIN),
        (Phase.REMOVING, record("SUCCEEDED", leftovers={"items": []}), "SUCCEEDED", Move.DONE),
    ],
)
def test_what_comes_next(phase: Phase, told: dict[str, Any], execution: str, move: Move) -> None:
    assert judge(phase, told, Execution(execution, "no handler"), BUILD).move == move


@pytest.mark.parametrize(
    ("phase", "told", "execution", "says"),
    [
        (Phase.DEPLOYING, record("QUEUED"), "FAILED", r"its execution ended FAILED \(no handler\)"),
        (Phase.DEPLOYING, record("RUNNING"), "SUCCEEDED", "its record is RUNNING"),
        (Phase.DEPLOYING, record("QUEUED"), "NOT_STARTED", "NOT_STARTED"),
        (Phase.DEPLOYING, record("FAILED", reason="no table"), "FAILED", "no table"),
        (Phase.DEPLOYING, record("ROLLED_BACK"), "FAILED", "ROLLED_BACK"),
        (Phase.REMOVING, record("CANCELLED", reason="by me"), "FAILED", "by me"),
        (Phase.CLEARING, record("FAILED", reason="it stays"), "FAILED", "it stays"),
        (
            Phase.REMOVING,
            record("SUCCEEDED", leftovers={"items": [{"kind": "bucket", "name": "b1"}]}),
            "SUCCEEDED",
            "left bucket b1",
        ),
        (
            Phase.REMOVING,
            record("SUCCEEDED", leftovers={"items": [], "unread": ["the index of tags: no"]}),
            "SUCCEEDED",
            "could not be read: the index of tags",
        ),
    ],
)
def test_what_is_no_proof_fails_the_trial(
    phase: Phase, told: dict[str, Any], execution: str, says: str
) -> None:
    with pytest.raises(TrialFailed, match=says):
        judge(phase, told, Execution(execution, "no handler"), BUILD)
