"""A call that AWS throttles is tried again, but never for so long that the function is cut off."""

from collections.abc import Iterator
from typing import Any

import botocore.endpoint
import botocore.retries.bucket
import pytest
import worker_builders as build
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import ClientError

from control_plane import aws, retrying
from control_plane.errors import ServiceBusy
from control_plane.retrying import retrying_for
from control_plane.rules import request_limits
from workers import stack, step

THROTTLED = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code>"
    "<Message>Rate exceeded</Message></Error><RequestId>1</RequestId></ErrorResponse>"
)
TRIES = 7


class Answer:
    """A raw answer, as urllib3 has it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield THROTTLED.encode()


class Throttling:
    """CloudFormation on the wire, which throttles. `clock` goes on by the pauses between tries."""

    def __init__(self) -> None:
        self.tries = 0
        self.clock = 1000.0

    def answer(self, request: AWSRequest, **_: Any) -> AWSResponse:
        self.tries += 1
        return AWSResponse(request.url, 400, {}, Answer())

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def monotonic(self) -> float:
        return self.clock


@pytest.fixture
def throttling(world: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Throttling]:
    found = Throttling()
    for module in (botocore.endpoint, retrying):
        monkeypatch.setattr(module, "time", found)
    # The pauses by which an adaptive client slows down for a time are real ones.
    monkeypatch.setattr(botocore.retries.bucket.TokenBucket, "acquire", lambda *_, **__: True)
    aws.forget_clients()  # a client remembers that it was throttled, and is slower for it
    aws.cloudformation().meta.events.register_first("before-send.cloudformation", found.answer)
    yield found
    aws.forget_clients()


def test_it_is_tried_as_often_as_the_client_does(throttling: Throttling) -> None:
    with pytest.raises(ClientError, match="Rate exceeded"):
        aws.cloudformation().describe_stacks()
    assert throttling.tries == TRIES


def test_not_at_all_when_the_time_is_over(throttling: Throttling) -> None:
    with retrying_for(0), pytest.raises(ServiceBusy, match="no time left"):
        aws.cloudformation().describe_stacks()
    assert throttling.tries == 1


def test_a_first_try_is_always_made(throttling: Throttling) -> None:
    with retrying_for(0):
        throttling.clock += 1
        with pytest.raises(ServiceBusy):
            aws.cloudformation().describe_stacks()
    assert throttling.tries == 1


def test_afterwards_there_is_no_limit(throttling: Throttling) -> None:
    with retrying_for(0):
        pass
    with pytest.raises(ClientError):
        aws.cloudformation().describe_stacks()
    assert throttling.tries == TRIES


def test_a_step_says_that_aws_is_busy_before_its_function_is_cut_off(
    throttling: Throttling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its calls alone has enough time, all of them together have not."""
    made = build.opened(build.deployment())

    def calls(*_: Any) -> Any:
        for _ in range(3):
            with pytest.raises(ClientError):
                aws.cloudformation().describe_stacks()
            throttling.clock += 8
        raise AssertionError("the function was cut off by then")

    monkeypatch.setitem(stack.STEPS, "CreateChangeSet", calls)
    began = throttling.clock
    with pytest.raises(ServiceBusy, match="no time left"):
        stack.handler(build.event(made, "CreateChangeSet"), None)
    assert throttling.clock - began < 60
    assert build.record(made)["steps"]["CreateChangeSet"]["status"] == "RUNNING"


def test_a_step_has_time_for_its_calls_after_it_waited_for_its_requests() -> None:
    pause, shortest = 20, 60  # of a client; of a function (template.yaml)
    assert step.RETRYING - request_limits.PATIENCE.total_seconds() >= 10
    assert step.RETRYING + pause < shortest
