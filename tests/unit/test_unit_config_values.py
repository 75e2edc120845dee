"""Overrides as they are typed on a command line."""

from typing import Any

import pytest

from cli.config_values import assigned, parsed_assignment, unset_paths
from cli.failure import Refused


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("a=1", ["a"], 1),
        ("a.b=true", ["a", "b"], True),
        ("a=Alpha", ["a"], "Alpha"),
        ('a="1"', ["a"], "1"),
        ("a=", ["a"], ""),
        ("a=x=y", ["a"], "x=y"),
        ("a=null", ["a"], None),
        ('a={"b": [1]}', ["a"], {"b": [1]}),
        ("a=NaN", ["a"], "NaN"),
        ("a=[1", ["a"], "[1"),
    ],
)
def test_a_value_is_json_or_else_a_text(text: str, path: list[str], value: Any) -> None:
    assert parsed_assignment(text) == (path, value)


@pytest.mark.parametrize("text", ["a", "", "=1", "a.=1", ".a=1", "a..b=1"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parsed_assignment(text)


def test_a_value_is_put_at_its_path_beside_what_is_there() -> None:
    before = {"a": {"b": 1}}
    assert assigned(before, ["a", "c"], 2) == {"a": {"b": 1, "c": 2}}
    assert assigned(before, ["x", "y", "z"], 2) == {"a": {"b": 1}, "x": {"y": {"z": 2}}}
    assert before == {"a": {"b": 1}}
    with pytest.raises(Refused, match=r"a\.b is overridden as a whole"):
        assigned(before, ["a", "b", "c"], 2)


def test_what_is_unset_leaves_no_empty_objects() -> None:
    before = {"a": {"b": {"c": 1}}, "d": 1, "e": {"f": None, "g": 1}}
    assert unset_paths(before, ["a.b.c"]) == {"d": 1, "e": {"f": None, "g": 1}}
    assert unset_paths(before, ["e.f", "d", "a"]) == {"e": {"g": 1}}
    assert "a" in before


@pytest.mark.parametrize("key", ["x", "a.x", "d.x", "a.b.c.d"])
def test_unsetting_what_is_not_overridden_is_refused(key: str) -> None:
    with pytest.raises(Refused, match="is not overridden"):
        unset_paths({"a": {"b": {"c": 1}}, "d": 1}, [key])
