"""The rollout worker: counts, brings back, hands over, and ends."""

from datetime import timedelta
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from rollout_calls import (
    ARN,
    advance,
    begun,
    detail,
    ended,
    execution,
    found,
    names,
    prepare,
    rows,
    state,
)
from worker_builders import TABLE

from control_plane import aws, naming
from control_plane.errors import Superseded
from control_plane.events import STARTED_BY
from control_plane.models import Env
from control_plane.settings import forget_settings
from control_plane.store.rollouts import loaded
from control_plane.store.starts import Starts
from workers import rollout, rollout_origin

FOUR = ["alpha", "beta", "delta", "gamma"]


@pytest.fixture(autouse=True)
def _slots_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYMENT_SLOTS", "50")
    forget_settings()


# Ends ---------------------------------------------------------------------------------------------


def test_waves_go_on_when_their_deployments_have_ended(source: str) -> None:
    made = prepare(tenants=FOUR, waves=[{"tenants": ["delta"]}, {"rest": True}])
    (start,) = advance(made)["starts"]
    assert advance(made)["action"] == "wait"
    ended(start)
    second = advance(made)
    assert names(second) == ["alpha", "beta", "gamma"]
    for one in second["starts"]:
        ended(one)
    last = advance(made)
    assert (last["action"], last["good"]) == ("finished", True)
    assert {row["status"] for row in rows(made).values()} == {"SUCCEEDED"}
    assert found(made)["finished_at"]
    assert advance(made)["action"] == "finished", "a last step that runs twice"


def test_more_failures_than_may_stop_the_rest(source: str) -> None:
    made = prepare(tenants=FOUR, concurrency=1)
    ended(advance(made)["starts"][0], "FAILED")
    last = advance(made)
    assert (last["action"], last["good"]) == ("finished", False)
    assert last["reason"] == "1 of wave 1 failed, and 0 may"
    assert [row["status"] for row in rows(made).values()] == ["FAILED", *["PENDING"] * 3]
    assert rows(made)["alpha"]["reason"] == "it is broken"


@pytest.mark.parametrize("new", [[], ["new"]])
def test_a_wave_is_brought_back_to_what_each_had(source: str, new: list[str]) -> None:
    before = {org: ended_before(org) for org in ("alpha", "beta")}
    before["zeta"] = ended_before("zeta")
    made = prepare(tenants=["alpha", "beta", *new, "zeta"], on_failure="rollback")
    starts = {s["input"]["org"]: s for s in advance(made)["starts"]}
    for org in ("alpha", "beta", *new):
        ended(starts[org])
    ended(starts["zeta"], "FAILED")
    back = advance(made)
    assert [(s["input"]["org"], s["input"]["mode"], s["input"]["to"]) for s in back["starts"]] == [
        (org, "rollback", before[org]) for org in ("alpha", "beta", "zeta")
    ], "the one that failed, too: what it left may be the new build"
    assert state(made)["status"] == "ROLLING_BACK"
    for start in back["starts"]:
        ended(start)
    last = advance(made)
    whole = "RolloutFailed" if new else "RolloutRolledBack"
    assert (last["action"], last["error"]) == ("finished", whole)
    told = {org: (row["status"], row.get("reason")) for org, row in rows(made).items()}
    assert (told["alpha"], told["zeta"]) == (("ROLLED_BACK", None), ("ROLLED_BACK", "it is broken"))
    if new:
        assert told["new"] == ("NOT_ROLLED_BACK", "stays: there was nothing deployed before it")
        assert last["reason"].endswith("; 1 could not be brought back")


def ended_before(org: str) -> str:
    of = build.tenant(org)
    made = build.deployment(of)
    return ended({"name": naming.execution_name(of, made.id), "input": {"org": org}}).id


# One driver ---------------------------------------------------------------------------------------


def test_a_long_rollout_goes_on_in_another_execution(source: str) -> None:
    made = prepare(tenants=FOUR, concurrency=1)
    assert advance(made, spent=15_001)["action"] == "wait", "what is to be started is started first"
    begun(advance(made)["starts"][0])
    assert advance(made, spent=15_001)["action"] == "continue"
    other = naming.execution_arn(build.ROLLOUT_MACHINE, "other")
    assert prepare(handed_over(made, other), other) == made
    with pytest.raises(Superseded):
        advance(made)
    assert advance(made, arn=other)["action"] == "wait"


def handed_over(made: str, arn: str = ARN + "2") -> dict[str, Any]:
    """The input that ContinueRollout gives the next execution, which is registered."""
    given = rollout_origin.next_execution(loaded(found(made)), ARN, 1)["input"]
    assert given == {"env": "stage", "continues": made, STARTED_BY: ARN}
    return dict(Starts(TABLE).register(arn, given))


def test_one_that_never_came_to_go_on_ends_the_rollout(source: str) -> None:
    made = prepare(tenants=FOUR)
    failure = {"state": "PrepareRollout", "error": "KeyError", "cause": "{}"}
    next_one = execution(handed_over(made), ARN + "2")
    rollout.handler({"step": "StopRollout", "execution": next_one, "failure": failure}, None)
    assert state(made)["status"] == "FAILED"


def test_a_stopped_execution_ends_its_rollout_and_no_deployment(source: str) -> None:
    made = prepare(tenants=FOUR, concurrency=1)
    running = begun(advance(made)["starts"][0])
    rollout.handler({"detail": detail("ABORTED", {"env": "stage", "tenants": FOUR})}, None)
    assert (state(made)["status"], state(made)["failure"]) == (
        "CANCELLED",
        "ABORTED: it was stopped",
    )
    assert build.record(running)["status"] == "QUEUED"


def test_the_end_of_an_execution_that_handed_over_ends_nothing(source: str) -> None:
    made = prepare(tenants=FOUR)
    prepare(handed_over(made), ARN + "2")
    rollout.handler({"detail": detail("FAILED", {"env": "stage", "tenants": FOUR})}, None)
    assert state(made)["status"] == "RUNNING"


def test_what_cannot_be_driven_on_says_why(source: str) -> None:
    made = prepare(tenants=FOUR)
    failure = {"state": "AdvanceRollout", "error": "KeyError", "cause": '{"errorMessage": "oh"}'}
    event = {"step": "StopRollout", "execution": execution({"env": "stage"}), "failure": failure}
    told = rollout.handler(event, None)
    assert (told["error"], state(made)["status"]) == ("KeyError", "FAILED")
    assert "oh" in state(made)["failure"]


# Alarms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("OK", ""),
        ("INSUFFICIENT_DATA", ""),
        ("ALARM", "after wave 1: in alarm: notes-stage-alpha-errors"),
        (None, "after wave 1: there is no alarm notes-stage-alpha-errors"),
    ],
)
def test_the_alarms_of_a_wave_are_looked_at_when_it_is_through(
    source: str, value: str | None, reason: str
) -> None:
    if value:
        aws.cloudwatch().put_metric_alarm(
            AlarmName="notes-stage-alpha-errors", EvaluationPeriods=1, Threshold=1,
            ComparisonOperator="GreaterThanThreshold", MetricName="Errors", Namespace="AWS/Lambda",
            Period=60, Statistic="Sum",
        )  # fmt: skip
        aws.cloudwatch().set_alarm_state(
            AlarmName="notes-stage-alpha-errors", StateValue=value, StateReason="test"
        )
    made = prepare(tenants=["alpha"], alarms=["notes-{env}-{org}-errors"])
    ended(advance(made)["starts"][0])
    last = advance(made)
    assert (last["action"], last["reason"]) == ("finished", reason)


def test_the_sweep_ends_a_rollout_whose_execution_is_over_and_no_other(world: None) -> None:
    """EventBridge's event of its end was lost."""
    aws.stepfunctions().create_state_machine(
        name="syndi-rollout", definition="{}", roleArn=build.ROLE
    )
    for env in (Env.STAGE, Env.TEST):
        build.push_source(envs=(env,))
    arns = [
        aws.stepfunctions().start_execution(stateMachineArn=build.ROLLOUT_MACHINE, name=name)[
            "executionArn"
        ]
        for name in ("dead", "alive")
    ]
    dead = prepare({"env": "stage", "tenants": ["alpha"]}, arns[0])
    alive = prepare({"env": "test", "tenants": ["alpha"]}, arns[1])
    aws.stepfunctions().stop_execution(executionArn=arns[0])
    assert rollout.handler({"sweep": True}, None) == {"closed": [dead]}
    assert (state(dead)["status"], state(alive)["status"]) == ("CANCELLED", "RUNNING")
    assert rollout.handler({"sweep": True}, None) == {"closed": []}


def test_the_sweep_leaves_a_rollout_that_is_being_handed_over(
    source: str, script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its execution has SUCCEEDED, and the next one has not taken it yet."""
    made = prepare(tenants=["alpha"])
    script.on(aws.stepfunctions(), "DescribeExecution", {"status": "SUCCEEDED"})
    assert rollout.handler({"sweep": True}, None) == {"closed": []}
    assert state(made)["status"] == "RUNNING"
    monkeypatch.setattr(rollout, "HANDED_OVER", timedelta(0))
    assert rollout.handler({"sweep": True}, None) == {"closed": [made]}
