"""Requests to AWS: how many there may be in a second, and how many there were."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass

DESCRIBE_STACKS = "cloudformation:DescribeStacks"
STACK_EVENTS = "cloudformation:DescribeStackEvents"
CREATE_CHANGE_SET = "cloudformation:CreateChangeSet"
DESCRIBE_CHANGE_SET = "cloudformation:DescribeChangeSet"
EXECUTE_CHANGE_SET = "cloudformation:ExecuteChangeSet"
DESCRIBE_EVENTS = "cloudformation:DescribeEvents"
STACK_RESOURCE = "cloudformation:DescribeStackResource"
GET_TEMPLATE = "cloudformation:GetTemplate"
FUNCTION_CONTROL = "lambda:control calls"
INVOKE = "lambda:Invoke"
ASSUME_ROLE = "sts:AssumeRole"
START_EXECUTION = "states:StartExecution"
DESCRIBE_EXECUTION = "states:DescribeExecution"
TRANSITIONS = "states:transitions"
START_BUILD = "codebuild:StartBuild"
BATCH_GET_BUILDS = "codebuild:BatchGetBuilds"
WRITES = "dynamodb:write units"
READS = "dynamodb:read units"
SLOT_WRITES = "dynamodb:write units, slots"


@dataclass(frozen=True)
class Limit:
    """Requests a second. `published`: AWS says so; otherwise it is what people have met."""

    a_second: float
    published: bool


LIMITS = {
    DESCRIBE_STACKS: Limit(10, published=False),
    STACK_EVENTS: Limit(10, published=False),
    CREATE_CHANGE_SET: Limit(10, published=False),
    DESCRIBE_CHANGE_SET: Limit(10, published=False),
    EXECUTE_CHANGE_SET: Limit(10, published=False),
    DESCRIBE_EVENTS: Limit(10, published=False),
    STACK_RESOURCE: Limit(10, published=False),
    GET_TEMPLATE: Limit(10, published=False),
    FUNCTION_CONTROL: Limit(15, published=True),
    INVOKE: Limit(10_000, published=True),
    ASSUME_ROLE: Limit(600, published=True),
    START_EXECUTION: Limit(150, published=True),
    DESCRIBE_EXECUTION: Limit(15, published=True),
    TRANSITIONS: Limit(800, published=True),
    WRITES: Limit(40_000, published=True),
    READS: Limit(40_000, published=True),
    SLOT_WRITES: Limit(1_000, published=True),
}
"""CloudFormation publishes none: a few a second is what is met, 10 is assumed. Lambda: control
calls of all kinds together, and so STS's calls. Step Functions: the refill of most regions, without
the bursts (us-east-1 has 300 starts and 5,000 transitions). DynamoDB: a table on demand; all slots
are one partition."""

_AHEAD = 512
"""Seconds by which a count grows at a time."""


class Api:
    """One kind of request: its quota, and its counts by whole seconds. `limit` None: none known."""

    def __init__(self, name: str, limit: float | None) -> None:
        self.name, self.limit = name, limit
        self.throttled = 0
        self._served = array("Q", [0]) * _AHEAD
        self._asked = array("Q", [0]) * _AHEAD

    def count(self, at: float, number: int = 1) -> None:
        """Count requests that no quota refuses, also of a time to come."""
        second = self._second(at)
        self._asked[second] += number
        self._served[second] += number

    def admit(self, at: float) -> bool:
        """Whether one more request in this second is served."""
        second = self._second(at)
        self._asked[second] += 1
        if self.limit is not None and self._served[second] >= self.limit:
            self.throttled += 1
            return False
        self._served[second] += 1
        return True

    @property
    def total(self) -> int:
        """Requests that were served."""
        return sum(self._served)

    def peak(self) -> int:
        """The most in a second, those that were refused included."""
        return max(self._asked)

    def busiest_minute(self) -> float:
        """The most in sixty seconds on end, for each of these seconds."""
        window = most = sum(self._asked[:60])
        for second in range(60, len(self._asked)):
            window += self._asked[second] - self._asked[second - 60]
            most = max(most, window)
        return most / 60

    def _second(self, at: float) -> int:
        second = int(at)
        if second >= len(self._asked):
            more = array("Q", [0]) * (second - len(self._asked) + _AHEAD)
            self._asked += more
            self._served += more
        return second


def apis(instead: Mapping[str, float]) -> dict[str, Api]:
    """All kinds of requests. `instead`: requests a second, where they are not `LIMITS`'.

    Raises KeyError for a name that is none.
    """
    names = (*LIMITS, START_BUILD, BATCH_GET_BUILDS)
    for name in instead:
        if name not in names:
            raise KeyError(name)
    known = {name: limit.a_second for name, limit in LIMITS.items()} | dict(instead)
    return {name: Api(name, known.get(name)) for name in names}
