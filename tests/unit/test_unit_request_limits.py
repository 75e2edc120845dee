"""What steps ask of CloudFormation and Lambda: numbers that can be had."""

import pytest

from control_plane import request_limits as limits
from control_plane.request_limits import A_SECOND, CALLS, Service


@pytest.mark.parametrize("step", CALLS)
def test_a_second_has_enough_for_every_step(step: str) -> None:
    for service, calls in CALLS[step].items():
        assert 0 < calls <= A_SECOND[service], "it would never get them"


def test_lambda_keeps_most_for_cloudformation() -> None:
    assert A_SECOND[Service.LAMBDA] < 15 / 2


@pytest.mark.parametrize(
    ("step", "seconds"),
    [("AwaitStack", 0), ("CheckStack", 0), ("CreateChangeSet", 5), ("ExecuteChangeSet", 5)],
)
def test_only_a_step_that_is_not_asked_again_waits(step: str, seconds: int) -> None:
    assert limits.patience(step).total_seconds() == seconds


def test_a_step_that_makes_no_requests_takes_none() -> None:
    assert limits.calls("RunTests") == {}
