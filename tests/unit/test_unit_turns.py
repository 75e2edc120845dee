"""Whose turn it is: first come, first served; one that supersedes passes all that wait."""

from typing import Any

import pytest

from control_plane.rules.turns import Rival, going_first, taking_its_place


def rival(number: int, **more: Any) -> Rival:
    """A deployment that waits; larger numbers are newer."""
    values = {"queued": True, "is_open": True, "supersedes": False, "had_the_tenant": False}
    return Rival(id=str(number), execution_arn=f"arn-{number}", **{**values, **more})


def ids(found: list[Rival]) -> list[str]:
    return [item.id for item in found]


def ended(number: int, **more: Any) -> Rival:
    return rival(number, queued=False, is_open=False, **more)


GOING_FIRST = [
    ("nobody else", [], []),
    ("itself", [rival(5)], []),
    ("the older ones, in their order", [rival(4), rival(2), rival(3)], ["2", "3", "4"]),
    ("newer ones come later", [rival(6), rival(7)], []),
    ("one that works is the lock's business", [rival(4, queued=False)], []),
    ("one that ended does not wait", [ended(4, supersedes=True)], []),
]


@pytest.mark.parametrize(
    ("rivals", "first"), [row[1:] for row in GOING_FIRST], ids=[row[0] for row in GOING_FIRST]
)
def test_whoever_came_first_goes_first(rivals: list[Rival], first: list[str]) -> None:
    assert ids(going_first("5", rivals, supersedes=False)) == first


def test_whoever_supersedes_lets_nobody_go_first() -> None:
    assert going_first("5", [rival(3), rival(4)], supersedes=True) == []


TAKING_ITS_PLACE = [
    ("a newer one that waits", [rival(6, supersedes=True)], ["6"]),
    ("a newer one that works", [rival(6, supersedes=True, queued=False)], ["6"]),
    ("the newest first", [rival(n, supersedes=True) for n in (6, 8, 7)], ["8", "7", "6"]),
    ("not one that asked for something else", [rival(6)], []),
    ("not an older one", [rival(4, supersedes=True)], []),
    ("not itself", [rival(5, supersedes=True)], []),
    ("one that has come and gone", [ended(6, supersedes=True, had_the_tenant=True)], ["6"]),
    ("not one that never got the tenant", [ended(6, supersedes=True)], []),
]


@pytest.mark.parametrize(
    ("rivals", "takers"),
    [row[1:] for row in TAKING_ITS_PLACE],
    ids=[row[0] for row in TAKING_ITS_PLACE],
)
def test_who_takes_the_place_of_one_that_waits(rivals: list[Rival], takers: list[str]) -> None:
    assert ids(taking_its_place("5", rivals)) == takers
