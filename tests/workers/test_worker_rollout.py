"""The rollout worker: plans, starts and skips."""

from typing import Any

import pytest
import worker_builders as build
from rollout_calls import (
    ARN,
    advance,
    begun,
    detail,
    ended,
    execution,
    found,
    label,
    later,
    names,
    prepare,
    prepared,
    rows,
    state,
)
from worker_builders import TABLE

from control_plane import naming
from control_plane.errors import InvalidRequest
from control_plane.services.needed_builds import BUILDSPEC
from control_plane.settings import forget_settings
from control_plane.store.builds import fingerprint
from control_plane.store.rollouts import Rollouts
from control_plane.store.slots import Slots
from workers import rollout

FOUR = ["alpha", "beta", "delta", "gamma"]


@pytest.fixture(autouse=True)
def _slots_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYMENT_SLOTS", "50")
    forget_settings()


# Planning -----------------------------------------------------------------------------------------


def test_a_rollout_by_hand_is_planned_and_written(source: str) -> None:
    made = prepare(tenants=FOUR, waves=[{"tenants": ["gamma"]}, {"rest": True}])
    assert (state(made)["status"], found(made)["trigger"]) == ("RUNNING", "manual")
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
    ("no source", {"env": "test", "tenants": ["a"]}, "no source for test"),
    ("prod by hand", {"env": "prod", "tenants": ["a"]}, "prod accepts no rollout"),
    ("a rollout that goes on by hand", {"env": "stage", "continues": "x"}, "goes on by itself"),
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
    print_ = fingerprint(source, "", "python3.13", "arm64", BUILDSPEC.read_text(), "stage")
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
