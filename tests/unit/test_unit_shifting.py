"""Weighted routes: which weights may be, what a shift does next, and why traffic goes back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.errors import Conflict, InvalidRequest
from control_plane.models import Env, Tenant
from control_plane.rules.shifting import (
    LOOKS,
    Move,
    check_shift,
    check_start,
    check_weights,
    look_seconds,
    next_move,
    same,
    unsafe,
    weights_at,
)
from control_plane.traffic_requests import Shift, ShiftRequest, Weights

MYORG = Tenant(application="notes", env=Env.STAGE, org="myorg")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def shift(before: Weights | None = None, steps: tuple[int, ...] = (10, 50, 100)) -> Shift:
    return Shift(
        id="20261122-120000-000abcde",
        execution_arn="arn",
        route=MYORG,
        to="myorg-blue",
        steps=steps,
        every_seconds=300,
        look_seconds=30,
        alarms=(),
        before=before or {"myorg": 100},
        earlier={},
    )


@pytest.mark.parametrize(
    "weights",
    [
        {"myorg": 100},
        {"myorg": 90, "myorg-blue": 10},
        {"myorg-blue": 0, "myorg-green": 100},
        {"myorg-a-b": 100},
        {},
    ],
)
def test_weights_of_the_organizations_own_tenants_may_be_set(weights: Weights) -> None:
    check_weights(MYORG, weights)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({"myorg": 50, "myorg-a": 25, "myorg-b": 25}, "one or two organizations, not 3"),
        ({"other": 100}, "other is not of myorg"),
        ({"myorg": 90, "myorg2": 10}, "myorg2 is not of myorg"),
        ({"myorg": 110, "myorg-blue": -10}, "from 0 to 100"),
        ({"myorg": 90, "myorg-blue": 20}, "must be 100 together, not 110"),
        ({"myorg": 0}, "must be 100 together, not 0"),
    ],
)
def test_other_weights_are_refused(weights: Weights, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told) as refused:
        check_weights(MYORG, weights)
    assert refused.value.details[0]["field"] == "weights"


@pytest.mark.parametrize(
    ("asked", "field", "told"),
    [
        ({"to": "myorg2"}, "to", "must be myorg, or begin with myorg-"),
        ({"steps": ()}, "steps", "1 to 10 percentages, not 0"),
        ({"steps": tuple(range(1, 12))}, "steps", "1 to 10 percentages, not 11"),
        ({"steps": (0, 100)}, "steps", "from 1 to 100"),
        ({"steps": (10, 101)}, "steps", "from 1 to 100"),
        ({"steps": (50, 10)}, "steps", "must rise, such as 10,50,100: 50,10 does not"),
        ({"steps": (10, 10)}, "steps", "must rise"),
        ({"alarms": ("a", "a")}, "alarms", "twice"),
    ],
)
def test_a_shift_that_could_never_be_is_refused(
    asked: dict[str, object], field: str, told: str
) -> None:
    request = ShiftRequest.model_validate({"to": "myorg-blue", **asked})
    with pytest.raises(InvalidRequest, match=told) as refused:
        check_shift(MYORG, request)
    assert refused.value.details[0]["field"] == field


@pytest.mark.parametrize(
    ("weights", "steps"),
    [
        ({"myorg": 100}, (10,)),
        ({"myorg": 90, "myorg-blue": 10}, (11, 100)),
        ({"myorg-green": 100, "myorg-blue": 0}, (1,)),
    ],
)
def test_a_shift_may_begin_above_what_the_tenant_has(
    weights: Weights, steps: tuple[int, ...]
) -> None:
    check_start(MYORG, weights, ShiftRequest(to="myorg-blue", steps=steps))


@pytest.mark.parametrize(
    ("weights", "error", "told"),
    [
        ({"myorg": 90, "myorg-blue": 10}, InvalidRequest, "must begin above 10"),
        ({"myorg": 0, "myorg-blue": 100}, InvalidRequest, "must begin above 100"),
        ({"myorg-blue": 100}, Conflict, "needs one other tenant"),
        ({"myorg": 50, "myorg-green": 50}, Conflict, "leads to myorg and myorg-green"),
        ({}, Conflict, "leads to no tenant"),
    ],
)
def test_a_shift_that_these_weights_do_not_allow_is_refused(
    weights: Weights, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        check_start(MYORG, weights, ShiftRequest(to="myorg-blue", steps=(10, 100)))


def test_each_step_has_its_share_and_the_other_one_the_rest() -> None:
    found = [weights_at(shift(), step) for step in range(4)]
    assert found == [
        {"myorg": 100},
        {"myorg": 90, "myorg-blue": 10},
        {"myorg": 50, "myorg-blue": 50},
        {"myorg": 0, "myorg-blue": 100},
    ]


@given(
    has=st.integers(0, 99),
    more=st.sets(st.integers(1, 100), min_size=1, max_size=10),
)
def test_whatever_the_steps_are_all_traffic_goes_somewhere_and_never_less_to_the_new_one(
    has: int, more: set[int]
) -> None:
    steps = tuple(sorted(step for step in more if step > has)) or (100,)
    before = {"myorg": 100 - has, "myorg-blue": has}
    made = shift(before, steps)
    check_start(MYORG, before, ShiftRequest(to="myorg-blue", steps=steps))
    all_weights = [weights_at(made, step) for step in range(len(steps) + 1)]
    for weights in all_weights:
        check_weights(MYORG, weights)
    shares = [weights["myorg-blue"] for weights in all_weights]
    assert shares == sorted(set(shares))


@pytest.mark.parametrize(
    ("step", "left", "expected"),
    [
        (0, None, (Move.SET, 0, "10 % next")),
        (1, 300, (Move.BAKE, 30, "is well with 10 %")),
        (1, 12.2, (Move.BAKE, 13, "is well with 10 %")),
        (1, 0.001, (Move.BAKE, 1, "is well with 10 %")),
        (1, 0, (Move.SET, 0, "50 % next")),
        (2, -60, (Move.SET, 0, "100 % next")),
        (3, 1, (Move.BAKE, 1, "is well with 100 %")),
        (3, 0, (Move.DONE, 0, "as was asked for")),
    ],
)
def test_a_step_is_next_when_the_one_before_has_baked_and_the_end_when_none_is(
    step: int, left: float | None, expected: tuple[Move, int, str]
) -> None:
    until = None if left is None else NOON + timedelta(seconds=left)
    found = next_move(shift(), step, until, NOON)
    assert (found.move, found.seconds) == expected[:2]
    assert expected[2] in found.reason
    assert found.reason.startswith("myorg-blue is well")


@pytest.mark.parametrize(("every", "seconds"), [(1, 30), (300, 30), (3600, 180), (86400, 4320)])
def test_a_long_step_is_looked_at_seldomer(every: int, seconds: int) -> None:
    assert look_seconds(every) == seconds
    assert every / seconds <= LOOKS


WELL = {"name": "health", "status": "PASSED", "detail": "reports 1"}
ILL = {"name": "no-token", "status": "FAILED", "detail": "expected 401, got 200"}
RINGS = {"state": "ALARM", "reason": "5 errors"}
CALM = {"state": "OK", "reason": ""}
UNKNOWN = {"state": "INSUFFICIENT_DATA", "reason": ""}


@pytest.mark.parametrize(
    ("tests", "wanted", "alarms", "expected"),
    [
        ([WELL], [], {}, None),
        ([WELL], ["a"], {"a": CALM}, None),
        ([WELL], ["a"], {"a": UNKNOWN}, None),
        ([WELL], ["a"], {"a": CALM, "b": RINGS}, None),
        ([WELL, ILL], [], {}, "no-token: expected 401, got 200"),
        ([WELL], ["a"], {"a": RINGS}, "alarm a rings: 5 errors"),
        ([WELL], ["a", "b"], {"a": CALM}, "alarm b does not exist"),
        (
            [ILL],
            ["a", "b"],
            {"a": RINGS},
            "no-token: expected 401, got 200; alarm a rings: 5 errors; alarm b does not exist",
        ),
    ],
)
def test_a_failed_test_an_alarm_that_rings_and_one_that_is_gone_take_traffic_back(
    tests: list[dict[str, object]],
    wanted: list[str],
    alarms: dict[str, dict[str, object]],
    expected: str | None,
) -> None:
    assert unsafe(tests, wanted, alarms) == expected


def test_a_tenant_that_gets_nothing_makes_no_difference() -> None:
    assert same({"myorg": 100}, {"myorg": 100, "myorg-blue": 0})
    assert not same({"myorg": 100}, {"myorg": 90, "myorg-blue": 10})
