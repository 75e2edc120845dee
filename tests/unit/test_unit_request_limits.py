"""What steps ask of CloudFormation and Lambda: numbers that can be had."""

import pytest

from control_plane.rules import request_limits as limits
from control_plane.rules.request_limits import A_SECOND, CALLS, Service


@pytest.mark.parametrize("step", CALLS)
def test_a_second_has_enough_for_every_step(step: str) -> None:
    for service, calls in CALLS[step].items():
        assert calls > 0
        assert limits.room(step, service) >= 0, "it would never get them"


def test_looks_leave_half_of_a_second_to_the_others() -> None:
    both = ("AwaitStack", "ExecuteChangeSet")  # a request each
    look, other = (limits.room(step, Service.CLOUDFORMATION) for step in both)
    assert other - look == A_SECOND[Service.CLOUDFORMATION] / 2


def test_lambda_keeps_most_for_cloudformation() -> None:
    assert A_SECOND[Service.LAMBDA] < 15 / 2


@pytest.mark.parametrize(
    ("step", "seconds"),
    [("AwaitStack", 1), ("CheckStack", 20), ("CreateChangeSet", 20), ("ReconcileFunction", 20)],
)
def test_a_look_waits_for_the_next_second_only(step: str, seconds: int) -> None:
    assert limits.patience(step).total_seconds() == seconds


def test_a_step_that_makes_no_requests_takes_none() -> None:
    assert limits.calls("UploadConfig") == {}
