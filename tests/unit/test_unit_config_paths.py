"""Who wins at each path of a configuration, and where two configurations differ."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.rules.config import Layer, merged
from control_plane.rules.config_paths import differing, dotted, explain, leaves

keys = st.sampled_from("abc")
scalars = st.booleans() | st.integers(0, 3) | st.lists(st.integers(0, 2), max_size=2)
contents = st.dictionaries(
    keys,
    st.recursive(
        scalars | st.none(), lambda below: st.dictionaries(keys, below, max_size=3), max_leaves=6
    ),
    max_size=3,
)


def layers(*several: dict[str, Any]) -> list[Layer]:
    return [Layer(str(number), content) for number, content in enumerate(several)]


def explained(*several: dict[str, Any]) -> dict[str, tuple[str, Any, list[str]]]:
    """By path: the layer that decided, the value or `deleted`, and the layers that lost."""
    found = [winner.as_json() for winner in explain(layers(*several))]
    return {
        one["path"]: (
            one["layer"], "deleted" if one.get("deleted") else one["value"], one["overrode"],
        )
        for one in found
    }  # fmt: skip


@pytest.mark.parametrize(
    ("several", "found"),
    [
        ([{"a": 1}], {"a": ("0", 1, [])}),
        ([{"a": 1}, {"a": 2}], {"a": ("1", 2, ["0"])}),
        ([{"a": 1}, {"a": 2}, {"a": 3}], {"a": ("2", 3, ["0", "1"])}),
        ([{"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}], {"a.b": ("1", 3, ["0"]), "a.c": ("0", 2, [])}),
        ([{"a": [1]}, {"a": [2]}], {"a": ("1", [2], ["0"])}),
        ([{"a": 1, "b": 2}, {"a": None}], {"a": ("1", "deleted", ["0"]), "b": ("0", 2, [])}),
        ([{"a": {"b": 1}}, {"a": None}], {"a.b": ("1", "deleted", ["0"])}),
        ([{"a": 1}, {"a": None}, {"a": 3}], {"a": ("2", 3, ["0", "1"])}),
        ([{"a": 1}, {"a": None}, {"a": None}], {"a": ("1", "deleted", ["0"])}),
        ([{}, {"a": None}], {}),
        ([{"a": 1}, {"a": {"b": 2}}], {"a.b": ("1", 2, ["0"])}),
        ([{"a": {"b": 2}}, {"a": 1}], {"a": ("1", 1, ["0"])}),
        ([{"a": 1}, {"a": {}}], {"a": ("1", "deleted", ["0"])}),
        ([{"a": {"b": 1}}, {"a": {}}], {"a.b": ("0", 1, [])}),
        ([{"a": False}, {"a": 0}], {"a": ("1", 0, ["0"])}),
        ([{"a": 1}, {"a": {"b": None, "c": 2}}], {"a.c": ("1", 2, ["0"])}),
        ([{"a": {"c": 1}}, {"a": {"b": 2}}, {"a": 3}], {"a": ("2", 3, ["0", "1"])}),
        (
            [{"a": {"c": 1}}, {"a": {"d": 1}}, {"a": {"b": 2}}, {"a": 3}],
            {"a": ("3", 3, ["0", "1", "2"])},
        ),
        ([{"a": {"b": 1, "c": 1}}, {"a": {"b": 2}}, {"a": 3}], {"a": ("2", 3, ["0", "1"])}),
    ],
)
def test_the_winner_is_named_and_whom_it_overrode(several: Any, found: Any) -> None:
    assert explained(*several) == found


@given(st.lists(contents, max_size=4))
def test_the_winners_are_exactly_what_the_layers_make_together(several: list[Any]) -> None:
    winners = {w.path: w.value for w in explain(layers(*several)) if not w.deleted}
    made = {path: value for path, value in leaves(merged(layers(*several))) if value != {}}
    assert winners == made
    assert {path: type(value) for path, value in winners.items()} == {
        path: type(value) for path, value in made.items()
    }


@given(st.lists(contents, max_size=4))
def test_no_layer_overrides_itself(several: list[Any]) -> None:
    for winner in explain(layers(*several)):
        assert winner.layer not in winner.overrode
        assert list(winner.overrode) == sorted(set(winner.overrode), key=int)


@pytest.mark.parametrize(
    ("one", "other", "paths"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1.0}, []),  # as the table keeps it
        ({"a": [1.0, {"b": 2.0}]}, {"a": [1, {"b": 2}]}, []),
        ({"a": 1}, {"a": True}, ["a"]),
        ({"a": "1"}, {"a": 1}, ["a"]),
        ({"a": 1}, {}, ["a"]),
        ({}, {"a": {"b": 1}}, ["a.b"]),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 1}, "d": 1}, ["a.b", "d"]),
        ({"a": {}}, {}, ["a"]),
        ({"a": {"b": 1}}, {"a": 1}, ["a", "a.b"]),
    ],
)
def test_the_paths_that_differ_are_named(one: Any, other: Any, paths: list[str]) -> None:
    assert differing(one, other) == paths
    assert differing(other, one) == paths


@given(contents)
def test_a_configuration_does_not_differ_from_itself(content: Any) -> None:
    assert differing(content, content) == []


def test_a_key_with_a_dot_is_told_from_a_path() -> None:
    assert dotted(("a.b", "c")) == '"a.b".c'
    assert dotted(("a", "b", "c")) == "a.b.c"
