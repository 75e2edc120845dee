"""The rollout worker: plans, starts, skips, counts, brings back, hands over, ends."""

import json
from typing import Any

import pytest
import worker_builders as build
from rollout_calls import (
    ARN,
    advance,
    begun,
    ended,
    execution,
    found,
    label,
    later,
    prepare,
    prepared,
    rows,
    state,
)
from worker_builders import TABLE

from control_plane import aws, naming
from control_plane.builds import fingerprint
from control_plane.errors import InvalidRequest, Superseded
from control_plane.events import STARTED_BY
from control_plane.needed_builds import BUILDSPEC
from control_plane.notifications import Notice
from control_plane.rollouts import Rollouts
from control_plane.settings import forget_settings
from control_plane.slots import Slots
from workers import rollout

FOUR = ["alpha", "beta", "delta", "gamma"]


@pytest.fixture(autouse=True)
def _slots_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYMENT_SLOTS", "50")
    forget_settings()


def names(answer: dict[str, Any]) -> list[str]:
    return [start["input"]["org"] for start in answer["starts"]]


# Planning -----------------------------------------------------------------------------------------


def test_a_rollout_by_hand_is_planned_and_written(source: str) -> None:
    made = prepare(tenants=FOUR, waves=[{"tenants": ["gamma"]}, {"rest": True}])
    assert (state(made)["status"], found(made)["trigger"]) == ("RUNNING", "execution")
    assert [(row["org"], row["wave"], row["status"]) for row in rows(made).values()] == [
        ("gamma", 0, "PENDING"), ("alpha", 1, "PENDING"), ("beta", 1, "PENDING"),
        ("delta", 1, "PENDING"),
    ]  # fmt: skip
    assert state(made)["source"] == source


def test_planning_twice_changes_nothing(source: str) -> None:
    made = prepare(tenants=FOUR)
    advance(made)
    before = found(made)
    assert prepare(tenants=FOUR) == made
    assert found(made) == before


def test_all_that_are_deployed_are_selected_by_label_and_build(source: str) -> None:
    for number, org in enumerate(FOUR):
        one = prepare_tenant(org, "a" * 64 if number < 3 else "b" * 64)
        label(one, tier="gold" if number % 2 else "free")
    assert list(rows(prepare())) == FOUR
    close()
    assert list(rows(prepare(labels={"tier": "gold"}, arn=ARN + "2"))) == ["beta", "gamma"]
    close(ARN + "2")
    assert list(rows(prepare(build="aaaa", arn=ARN + "3"))) == ["alpha", "beta", "delta"]


def prepare_tenant(org: str, print_: str) -> Any:
    of = build.tenant(org)
    made = build.opened(build.deployment(of))
    start = {"name": naming.execution_name(of, made.id), "input": {"org": org}}
    ended(start, build={"fingerprint": print_})
    return of


def close(arn: str = ARN) -> None:
    """Its rollout is over."""
    rollout.handler({"detail": detail("ABORTED", {"env": "stage"}, arn)}, None)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no environment", {"org": "alpha"}, "env"),
    ("a field that nobody knows", {"env": "stage", "wave": 1}, "wave"),
    ("an application that is not this one's", {"env": "stage", "application": "else"}, "else"),
    ("the control plane", {"env": "stage", "application": "control-plane"}, "self-update"),
    ("no source", {"env": "prod", "tenants": ["a"]}, "no source for prod"),
    ("nobody", {"env": "stage"}, "no tenant fits"),
    ("a name that does not fit", {"env": "stage", "tenants": ["a" * 40]}, "org: has 40"),
]


@pytest.mark.parametrize(("given", "why"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_cannot_be_is_refused_and_leaves_nothing(
    source: str, given: dict[str, Any], why: str
) -> None:
    before = build.everything()
    with pytest.raises(InvalidRequest, match=why):
        prepare(given)
    assert build.everything() == before


def test_one_rollout_at_a_time_in_an_environment(source: str) -> None:
    first = prepare(tenants=["alpha"])
    with pytest.raises(InvalidRequest, match=f"rollout {first} of notes in stage is RUNNING"):
        prepare(tenants=["beta"], arn=ARN + "2")
    failure = {"state": "PrepareRollout", "error": "InvalidRequest", "cause": "{}"}
    refused = execution({"env": "stage"}, ARN + "2")
    rollout.handler({"step": "StopRollout", "execution": refused, "failure": failure}, None)
    close()
    prepare(tenants=["beta"], arn=ARN + "3")


# Starting -----------------------------------------------------------------------------------------


def test_as_many_as_may_are_started_each_with_all_it_needs(source: str) -> None:
    made = prepare(tenants=FOUR, concurrency=2)
    answer = advance(made)
    assert (answer["action"], names(answer)) == ("wait", ["alpha", "beta"])
    first = answer["starts"][0]
    assert first["name"] == f"stage-alpha-{rows(made)['alpha']['deployment']}"
    assert first["input"] == {
        "application": "notes", "env": "stage", "org": "alpha", "mode": "full", "priority": "low",
        "trigger": "rollout", "rollout": made, "source": source,
        "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": ARN,
    }  # fmt: skip
    assert prepared(first).options.priority == "low"
    assert build.record(prepared(first))["rollout"] == made


def test_no_more_are_started_than_there_are_slots(source: str) -> None:
    made = prepare(tenants=FOUR, concurrency=4)
    Slots(TABLE, 50).set_limit(2, None)
    assert names(advance(made)) == ["alpha", "beta"]


def test_what_did_not_begin_is_started_again_under_the_same_name(source: str) -> None:
    made = prepare(tenants=FOUR, concurrency=2)
    first = advance(made)
    begun(first["starts"][0])
    again = advance(made)
    assert again["starts"] == first["starts"][1:]
    begun(first["starts"][1])
    assert advance(made)["starts"] == []


def test_a_look_that_is_taken_twice_starts_the_same(source: str, monkeypatch: Any) -> None:
    made = prepare(tenants=FOUR, concurrency=2)

    def dies(*_: Any) -> None:
        raise RuntimeError("before it could keep how far it was")

    with monkeypatch.context() as patched:
        patched.setattr(Rollouts, "save", dies)
        with pytest.raises(RuntimeError):
            advance(made)
    planned = {org: row.get("deployment") for org, row in rows(made).items()}
    answer = advance(made)
    assert names(answer) == ["alpha", "beta"]
    assert [rows(made)[org]["deployment"] for org in names(answer)] == [
        planned["alpha"], planned["beta"],
    ]  # fmt: skip


def test_one_that_never_begins_has_failed_after_a_while(source: str, monkeypatch: Any) -> None:
    made = prepare(tenants=["alpha"])
    advance(made)
    after_a_while = later(minutes=16)
    monkeypatch.setattr("workers.rollout.utc_now", lambda: after_a_while)
    answer = advance(made)
    assert (answer["action"], answer["good"], answer["error"]) == (
        "finished", False, "RolloutFailed",
    )  # fmt: skip
    assert rows(made)["alpha"]["reason"] == "its execution never began"


def test_one_that_cannot_be_started_says_why(source: str, monkeypatch: Any) -> None:
    made = prepare(tenants=["alpha"])
    (start,) = advance(made)["starts"]
    refused = [{"name": start["name"], "error": "StepFunctions.AccessDeniedException"}]
    assert advance(made, refused=refused)["starts"] == [start], "it is tried again"
    after_a_while = later(minutes=16)
    monkeypatch.setattr("workers.rollout.utc_now", lambda: after_a_while)
    advance(made)
    assert "could not be started: StepFunctions.AccessDenied" in rows(made)["alpha"]["reason"]


def test_who_has_the_build_and_the_configuration_is_skipped_and_says_so(source: str) -> None:
    print_ = fingerprint(source, "", "python3.13", "arm64", BUILDSPEC.read_text())
    whole = {"build": {"fingerprint": print_, "source": source}, "config_source": source}
    for org, receipt in (("alpha", whole), ("beta", {**whole, "config_source": "4" * 64})):
        of = build.tenant(org)
        made = build.deployment(of)
        ended({"name": naming.execution_name(of, made.id), "input": {"org": org}}, **receipt)
    made = prepare(tenants=["alpha", "beta"])
    assert names(advance(made)) == ["beta"]
    skipped = rows(made)["alpha"]
    assert (skipped["status"], skipped["reason"]) == (
        "SKIPPED", f"has build {print_[:12]} and its configuration already",
    )  # fmt: skip
    assert state(made)["waves"][0]["skipped"] == 1


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
    assert prepare(handed_over(made), other) == made
    with pytest.raises(Superseded):
        advance(made)
    assert advance(made, arn=other)["action"] == "wait"


def handed_over(made: str) -> dict[str, Any]:
    """The input that ContinueRollout gives the next execution."""
    told = {"env": "stage", "continues": made, STARTED_BY: ARN}
    state_ = json.loads((build.ROOT / "rollout.asl.json").read_text())["States"]["ContinueRollout"]
    assert set(state_["Arguments"]["Input"]) == set(told)
    return told


def test_one_that_never_came_to_go_on_ends_the_rollout(source: str) -> None:
    made = prepare(tenants=FOUR)
    failure = {"state": "PrepareRollout", "error": "KeyError", "cause": "{}"}
    next_one = execution(handed_over(made), ARN + "2")
    rollout.handler({"step": "StopRollout", "execution": next_one, "failure": failure}, None)
    assert state(made)["status"] == "FAILED"


def detail(status: str, given: Any, arn: str = ARN) -> dict[str, Any]:
    """EventBridge's `Step Functions Execution Status Change` (Step Functions guide)."""
    return {
        "executionArn": arn, "status": status, "startDate": 1795348800123,
        "input": json.dumps(given), "error": None, "cause": None,
    }  # fmt: skip


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


# Telling people ----------------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Notice]:
    """What people were told."""
    notices: list[Notice] = []
    monkeypatch.setattr(
        "control_plane.notifications.send", lambda notice, stack: notices.append(notice)
    )
    return notices


def test_people_are_told_once_that_a_rollout_stopped(source: str, told: list[Notice]) -> None:
    made = prepare(tenants=FOUR, concurrency=1)
    ended(advance(made)["starts"][0], "FAILED")
    advance(made)
    advance(made)
    (notice,) = told
    assert (notice.kind, notice.reason) == ("Rollout Failed", "1 of wave 1 failed, and 0 may")
    assert notice.subject == f"notes in stage: rollout {made} failed"
    assert f"syndi rollout show {made}" in notice.todo


def test_people_are_told_once_that_a_rollout_waits_for_them(
    source: str, told: list[Notice]
) -> None:
    made = prepare(tenants=FOUR, approval=True, waves=[{"count": 1}, {"rest": True}])
    ended(advance(made)["starts"][0])
    advance(made)
    advance(made)
    (notice,) = told
    assert notice.kind == "Rollout Waiting For Approval"
    assert f"syndi rollout approve {made}" in notice.todo


def test_nobody_is_told_of_what_goes_well(source: str, told: list[Notice]) -> None:
    made = prepare(tenants=["alpha"])
    ended(advance(made)["starts"][0])
    assert advance(made)["good"] is True
    assert told == []
