"""The layered configuration: precedence, `null`, outputs at dotted paths, readable errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.errors import ConfigInvalid
from control_plane.manifest import ConfigTable
from control_plane.models import Env, Tenant
from control_plane.rules.config import (
    all_layers,
    file_layers,
    from_outputs,
    layer_names,
    merge,
    merged,
    parse_layer,
    rendered,
)

ALPHA = Tenant(application="notes", env=Env.STAGE, org="alpha")
TABLE = ConfigTable(
    directory="config",
    bucket="notes-{env}-{org}",
    key="config.json",
    outputs={"auth.pool": "PoolId", "api.url": "Url"},
)

keys = st.sampled_from("abcd")
scalars = st.booleans() | st.integers() | st.text(max_size=3)
whole = st.recursive(
    scalars | st.lists(scalars, max_size=3), lambda below: st.dictionaries(keys, below, max_size=3)
)
with_nulls = st.recursive(
    scalars | st.none() | st.lists(scalars, max_size=3),
    lambda below: st.dictionaries(keys, below, max_size=3),
)
objects = st.dictionaries(keys, whole, max_size=4)
layers = st.dictionaries(keys, with_nulls, max_size=4)


def nulls(value: Any) -> int:
    if isinstance(value, dict):
        return sum(nulls(below) for below in value.values())
    return int(value is None)


@given(st.lists(layers, max_size=4))
def test_no_null_survives_a_merge_of_any_layers(several: list[dict[str, Any]]) -> None:
    merged: dict[str, Any] = {}
    for layer in several:
        merged = merge(merged, layer)
    assert nulls(merged) == 0


@given(objects)
def test_an_empty_layer_changes_nothing(config: dict[str, Any]) -> None:
    assert merge(config, {}) == config
    assert merge({}, config) == config


@given(objects)
def test_a_layer_over_itself_changes_nothing(config: dict[str, Any]) -> None:
    assert merge(config, config) == config


@given(layers, layers)
def test_a_merge_changes_neither_of_its_layers(
    base: dict[str, Any], override: dict[str, Any]
) -> None:
    before = json.dumps([base, override])
    merge(base, override)
    assert json.dumps([base, override]) == before


@given(objects, layers)
def test_what_the_upper_layer_does_not_name_stays_as_it_is(
    base: dict[str, Any], override: dict[str, Any]
) -> None:
    merged = merge(base, override)
    for key in base.keys() - override.keys():
        assert merged[key] == base[key]


@given(objects, keys, st.lists(scalars, max_size=3) | scalars)
def test_arrays_and_scalars_replace_whatever_was_there(
    base: dict[str, Any], key: str, value: Any
) -> None:
    assert merge(base, {key: value})[key] == value


@pytest.mark.parametrize(
    ("base", "override", "merged"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 2}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({"a": True}, {"a": False}, {"a": False}),
    ],
)
def test_objects_merge_and_null_deletes(
    base: dict[str, Any], override: dict[str, Any], merged: dict[str, Any]
) -> None:
    assert merge(base, override) == merged


# Layers -------------------------------------------------------------------------------------------


def config_of(files: dict[str, Any], outputs: dict[str, str] | None = None) -> dict[str, Any]:
    texts = {
        name: text if isinstance(text, str) else json.dumps(text) for name, text in files.items()
    }
    files = file_layers(TABLE, ALPHA, texts.get)
    return merged(all_layers(files, TABLE, {}, outputs or {}))


def test_the_organization_wins_over_the_environment_and_that_over_the_base() -> None:
    files = {
        "config/base.json": {"a": "base", "b": "base", "c": "base"},
        "config/stage.json": {"a": "env", "b": "env"},
        "config/stage-alpha.json": {"a": "org"},
        "config/stage-beta.json": {"a": "somebody else's"},
    }
    assert config_of(files) == {"a": "org", "b": "env", "c": "base", "auth": {}, "api": {}}


def test_the_layers_are_the_tenants_own_and_no_others() -> None:
    assert layer_names(TABLE, ALPHA) == [
        "config/base.json",
        "config/stage.json",
        "config/stage-alpha.json",
    ]


def test_stack_outputs_win_over_every_file() -> None:
    files = {"config/base.json": {"auth": {"pool": "old", "on": True}}}
    found = config_of(files, {"PoolId": "new", "Url": "https://x"})
    assert found == {"auth": {"pool": "new", "on": True}, "api": {"url": "https://x"}}


def test_an_output_that_is_missing_deletes_what_an_earlier_one_left() -> None:
    files = {"config/base.json": {"auth": {"pool": "stale", "on": False}, "api": {"url": "stale"}}}
    assert config_of(files, {"Url": "u"}) == {"auth": {"on": False}, "api": {"url": "u"}}


def test_outputs_that_nobody_asked_for_do_not_reach_the_configuration() -> None:
    assert from_outputs(TABLE, {"PoolId": "p", "Url": "u", "Else": "e"}) == {
        "auth": {"pool": "p"},
        "api": {"url": "u"},
    }


def test_a_missing_base_is_refused_by_name() -> None:
    with pytest.raises(ConfigInvalid, match=r"config/base\.json is missing"):
        config_of({"config/stage.json": {}})


def test_the_upper_layers_may_be_missing() -> None:
    assert config_of({"config/base.json": {"a": 1}})["a"] == 1


def test_bad_json_is_refused_with_file_and_line() -> None:
    with pytest.raises(ConfigInvalid, match=r"config/stage\.json is not JSON \(line 3, column 1\)"):
        config_of({"config/base.json": {}, "config/stage.json": '{\n"a": 1,\n}'})


@pytest.mark.parametrize("text", ["[]", '"text"', "1", "null"])
def test_a_layer_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"base\.json must hold a JSON object"):
        parse_layer("base.json", text)


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": -Infinity}'])
def test_numbers_that_json_does_not_have_are_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"base\.json"):
        parse_layer("base.json", text)


def test_the_same_configuration_is_always_the_same_bytes() -> None:
    first, second = {"b": 1, "a": {"d": "ä", "c": 2}}, {"a": {"c": 2, "d": "ä"}, "b": 1}
    assert rendered(first) == rendered(second)
    assert json.loads(rendered(first)) == first
    assert "ä".encode() in rendered(first)
    assert rendered(first) != rendered({**first, "b": 2})
