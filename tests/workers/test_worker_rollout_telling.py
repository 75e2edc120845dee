"""The rollout worker tells people what a rollout has become: at least once, whatever dies."""

from collections.abc import Callable

import pytest
import worker_builders as build
from botocore.exceptions import EndpointConnectionError
from people import People, died
from rollout_calls import ARN, advance, detail, ended, execution, found, prepare, state
from worker_builders import TABLE

from control_plane import naming
from control_plane.settings import forget_settings
from control_plane.store.rollouts import Rollouts
from control_plane.store.starts import Starts
from workers import rollout

FOUR = ["alpha", "beta", "delta", "gamma"]
WAVES = [{"count": 1}, {"count": 1}, {"rest": True}]
FAILURE = {"state": "AdvanceRollout", "error": "States.Timeout", "cause": ""}


@pytest.fixture(autouse=True)
def _slots_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYMENT_SLOTS", "50")
    forget_settings()


def failed_one() -> str:
    """A rollout whose next look finds that too many have failed."""
    made = prepare(tenants=FOUR, concurrency=1)
    ended(advance(made)["starts"][0], "FAILED")
    return made


def stop() -> None:
    """The state machine gives the rollout up."""
    event = {"step": "StopRollout", "execution": execution({"env": "stage"}), "failure": FAILURE}
    rollout.handler(event, None)


def finalize() -> None:
    """EventBridge's word of the execution's end."""
    rollout.handler({"detail": detail("FAILED", {"env": "stage"})}, None)


def test_people_are_told_once_that_a_rollout_stopped(source: str, people: People) -> None:
    made = failed_one()
    for _ in range(2):
        advance(made)
    finalize()
    (notice,) = people.notices
    assert (notice.kind, notice.reason) == ("Rollout Failed", "1 of wave 1 failed, and 0 may")
    assert notice.subject == f"notes in stage: rollout {made} failed"
    assert f"syndi rollout show {made}" in notice.todo
    assert notice.todo == found(made)["hint"], "as 'syndi rollout show' has it"
    assert "who has the build already is skipped" in notice.todo


def test_people_are_told_once_that_a_rollout_waits_for_them(source: str, people: People) -> None:
    made = prepare(tenants=FOUR, approval=True, waves=WAVES)
    ended(advance(made)["starts"][0])
    for _ in range(2):
        advance(made)
    (notice,) = people.notices
    assert notice.kind == "Rollout Waiting For Approval"
    assert f"syndi rollout approve {made}" in notice.todo


def test_nobody_is_told_of_what_goes_well(source: str, people: People) -> None:
    made = prepare(tenants=["alpha"])
    ended(advance(made)["starts"][0])
    assert advance(made)["good"] is True
    assert people.notices == []


@pytest.mark.parametrize(
    "comes_next", [lambda: advance(found_id()), stop, finalize], ids=["look", "stop", "end"]
)
def test_a_worker_that_dies_before_it_tells_is_made_up_for_by_whoever_comes_next(
    source: str, people: People, comes_next: Callable[[], object]
) -> None:
    made = failed_one()
    people.lost = [died()]
    with pytest.raises(RuntimeError, match="killed"):
        advance(made)
    assert (state(made)["status"], found(made)["untold"]) == ("FAILED", True), "written before"
    for _ in range(2):
        comes_next()
    assert people.kinds == ["Rollout Failed"]
    assert people.notices[0].reason == "1 of wave 1 failed, and 0 may", "and nothing else became"
    assert people.notices[0].todo == found(made)["hint"]
    assert "did not expect" not in people.notices[0].todo
    assert found(made)["untold"] is False


def found_id() -> str:
    """The only rollout."""
    (one,) = Rollouts(TABLE).newest(2)
    return str(one["id"])


def test_an_approval_that_nobody_was_asked_for_is_asked_for_at_the_next_look(
    source: str, people: People
) -> None:
    made = prepare(tenants=FOUR, approval=True, waves=WAVES)
    ended(advance(made)["starts"][0])
    people.lost = [died()]
    with pytest.raises(RuntimeError, match="killed"):
        advance(made)
    advance(made)
    advance(made)
    assert people.kinds == ["Rollout Waiting For Approval"]


def test_an_approval_that_was_given_meanwhile_is_not_asked_for(source: str, people: People) -> None:
    made = prepare(tenants=FOUR, approval=True, waves=WAVES)
    ended(advance(made)["starts"][0])
    people.lost = [None]
    advance(made)
    Rollouts(TABLE).ask(made, {"approved": 1})
    assert advance(made)["starts"]
    assert (people.kinds, found(made)["untold"]) == ([], False)


def test_whoever_takes_a_rollout_over_tells_what_was_not_told(source: str, people: People) -> None:
    made = prepare(tenants=FOUR, approval=True, waves=WAVES)
    ended(advance(made)["starts"][0])
    people.lost = [None]
    advance(made)
    other = naming.execution_arn(ARN.rsplit(":", 1)[0].replace("execution", "stateMachine"), "two")
    prepare(Starts(build.TABLE).register(other, {"env": "stage", "continues": made}), other)
    advance(made, arn=other)
    assert people.kinds == ["Rollout Waiting For Approval"]
    assert "two" in people.notices[0].console_url


def test_an_end_that_nobody_could_record_is_told_also_after_a_death(
    source: str, people: People
) -> None:
    made = prepare(tenants=FOUR)
    people.lost = [died()]
    with pytest.raises(RuntimeError, match="killed"):
        stop()
    finalize()
    assert (state(made)["status"], people.kinds) == ("FAILED", ["Rollout Failed"])
    assert "too slow or died" in people.notices[0].todo


def test_a_mark_that_cannot_be_taken_back_fails_nothing(
    source: str, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    made = failed_one()
    with monkeypatch.context() as patched:
        patched.setattr(Rollouts, "told", refused)
        assert advance(made)["action"] == "finished"
    finalize()
    assert people.kinds == ["Rollout Failed"] * 2, "twice is better than never"
