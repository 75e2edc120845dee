"""Who gets a slot: urgent ones first, then in their order; who is silent is passed over."""

from datetime import UTC, datetime, timedelta

import pytest

from control_plane.models import Priority
from control_plane.rules.slot_rules import (
    CHECKED_AT_ONCE,
    PATIENCE,
    Waiter,
    may_take,
    rank,
    to_check,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def at(minutes: float, priority: Priority = Priority.NORMAL, name: str = "d") -> str:
    return rank(NOW + timedelta(minutes=minutes), priority, name)


ORDER = [
    ("the earlier one", at(0), at(1)),
    ("by their ids within a second", at(0, name="a"), at(0, name="b")),
    ("an urgent one before all that wait", at(60, Priority.URGENT), at(0)),
    ("a normal one before a rollout's", at(9), at(0, Priority.LOW)),
    ("but not for ever", at(0, Priority.LOW), at(11)),
    ("urgent ones among themselves", at(0, Priority.URGENT), at(1, Priority.URGENT)),
]


@pytest.mark.parametrize(("first", "second"), [o[1:] for o in ORDER], ids=[o[0] for o in ORDER])
def test_who_goes_first(first: str, second: str) -> None:
    assert first < second


def waiter(place: str, silent: timedelta = timedelta(0)) -> Waiter:
    return Waiter(place, NOW - silent)


MAY = [
    ("nobody else waits", [], 1, True),
    ("no slot is free", [], 0, False),
    ("one goes first", [waiter(at(-1))], 1, False),
    ("one goes first, and there are two slots", [waiter(at(-1))], 2, True),
    ("as many go first as there are slots", [waiter(at(-1)), waiter(at(-2))], 2, False),
    ("later ones come later", [waiter(at(1)), waiter(at(2))], 1, True),
    ("one that is silent is passed over", [waiter(at(-1), PATIENCE * 1.01)], 1, True),
    ("one that may still ask is not", [waiter(at(-1), PATIENCE)], 1, False),
]


@pytest.mark.parametrize(("others", "free", "may"), [m[1:] for m in MAY], ids=[m[0] for m in MAY])
def test_whether_it_gets_a_slot(others: list[Waiter], free: int, may: bool) -> None:
    assert may_take(at(0), others, free, NOW) is may


def test_all_holders_are_asked_about_in_their_turn() -> None:
    holders = [str(number) for number in range(40)]
    asked = [to_check(holders, NOW + timedelta(seconds=second)) for second in range(40)]
    assert {len(names) for names in asked} == {CHECKED_AT_ONCE}
    assert {name for names in asked for name in names} == set(holders)
    assert to_check(["b"], NOW) == ["b"]
