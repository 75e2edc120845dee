"""Which ends of a deployment are counted, and as what."""

import json

import pytest

from control_plane.models import OPEN_STATUSES, DeploymentStatus
from control_plane.observability import count_end

FAILED = {"FAILED", "ROLLED_BACK", "TIMED_OUT"}


@pytest.mark.parametrize("status", [s for s in DeploymentStatus if s not in OPEN_STATUSES])
def test_an_end_is_counted_once_for_all_and_once_for_its_application(
    status: DeploymentStatus, capsys: pytest.CaptureFixture[str]
) -> None:
    count_end("notes", status)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kind = "DeploymentsSucceeded" if status == "SUCCEEDED" else "DeploymentsFailed"
    counted = {"SUCCEEDED", *FAILED}
    assert [item.get(kind) for item in told] == ([[1.0], [1.0]] if status in counted else [])
    assert [item.get("application") for item in told] == ([None, "notes"] if told else [])
