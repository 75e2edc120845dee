"""What is simulated: the rollout that somebody asks for, and what is assumed of everything else."""

from typing import Annotated

from pydantic import Field

from control_plane.models import Frozen, Priority
from control_plane.rollout_models import Failure
from control_plane.rules.rollout_plan import LIMIT, Allowed, Concurrency, WaveRequest

Share = Annotated[float, Field(ge=0, le=1)]
LARGEST = 400
"""Slots that there can be, as in control_plane/store/slots.py: that module is about the table."""

Seconds = Annotated[float, Field(ge=0, le=24 * 3600)]


class Scenario(Frozen):
    """A rollout, and the world that it meets. Times are in seconds unless the name says otherwise.

    `stack_minutes` is the median of an update, `spread` how far stacks differ (the sigma of a
    lognormal distribution: with 0.25 two thirds lie between 78 % and 128 % of the median; 0: none).
    `skipped`: tenants that have the build already. `own_builds`: tenants with dependencies of their
    own, which need a build each. `others`, `urgent`: deployments an hour that somebody else starts.
    `quotas`: requests a second by API, instead of `quotas.LIMITS`. `budget`: steps keep to the
    requests a second that they share (`control_plane/rules/request_limits.py`), as the workers do.
    """

    tenants: int = Field(default=500, ge=1, le=LIMIT)
    slots: int = Field(default=50, ge=1, le=LARGEST)
    waves: tuple[WaveRequest, ...] = (WaveRequest(rest=True),)
    concurrency: Concurrency = 50
    max_failures: Allowed = "0"
    on_failure: Failure = Failure.STOP
    bake_seconds: int = Field(default=0, ge=0, le=7 * 24 * 3600)
    priority: Priority = Priority.LOW
    seed: int = 1

    failure_rate: Share = 0.0
    failing_tests: Share = 0.5
    skipped: Share = 0.0
    own_builds: Share = 0.0
    others: float = Field(default=0.0, ge=0, le=3600)
    urgent: float = Field(default=0.0, ge=0, le=3600)

    stack_minutes: float = Field(default=5.0, gt=0, le=240)
    spread: float = Field(default=0.25, ge=0, le=2)
    build_minutes: float = Field(default=3.0, ge=0, le=20)
    change_set_seconds: Seconds = 15.0
    tests_seconds: Seconds = 10.0
    step_seconds: Seconds = 1.0
    row_seconds: Seconds = 0.05
    function_calls: int = Field(default=8, ge=0, le=1000)
    quotas: dict[str, float] = Field(default_factory=dict)
    budget: bool = True

    def assumptions(self) -> list[str]:
        """What the numbers rest on, a sentence each."""
        spread = f"differing by {self.spread:g}" if self.spread else "all alike"
        return [
            f"a stack's update takes {self.stack_minutes:g} min (median, {spread}); one that fails "
            "does so on the way and takes as long again to be undone",
            f"a build takes {self.build_minutes:g} min, one for all tenants but "
            f"{self.own_builds:.0%}; CodeBuild makes as many at once as are asked for",
            f"a change set takes {self.change_set_seconds:g} s, the tests "
            f"{self.tests_seconds:g} s, any other step of a worker {self.step_seconds:g} s",
            f"CloudFormation makes {self.function_calls} control calls to Lambda for a stack, "
            "anywhere in its update, and asks again by itself when Lambda refuses",
            f"{self.failure_rate:.1%} of deployments fail, {self.failing_tests:.0%} of these in "
            "their tests, which takes the tenant back in the same execution; no way back fails",
            "a request above its quota (~: assumed, AWS publishes none), counted by whole seconds "
            "without any burst, is refused: the SDK tries 7 times, in the first half minute of a "
            "step, and the state 6 times, then a look is taken for 'not yet' and any other step "
            "fails",
            "steps keep to the budget of requests that all of them share"
            if self.budget
            else "steps ask without a budget",
            "every tenant is deployed already: each stack is updated, none is created",
            "not counted: S3, Cognito, the tenants' own APIs, logs",
        ]
