"""An application's JSON Schema: what it refuses is named, and it can neither fetch nor hang."""

import json
import socket
from typing import Any

import pytest

from control_plane.errors import InvalidRequest
from control_plane.manifest import ConfigTable
from control_plane.rules import config_schema
from control_plane.rules.config import Layer, merged
from control_plane.rules.config_schema import (
    DIALECTS,
    ConfigSchema,
    check_fits,
    with_outputs_unknown,
)

NAME = "config/schema.json"
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title"],
    "properties": {
        "title": {"type": "string", "enum": ["Notes", "Alpha"]},
        "limits": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "pageSize": {"type": "integer", "minimum": 1, "maximum": 1000},
                "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            },
        },
        "auth": {
            "type": "object",
            "additionalProperties": False,
            "required": ["pool"],
            "properties": {"pool": {"type": "string", "pattern": "^pool-"}},
        },
        "store": {"anyOf": [{"type": "null"}, {"required": ["bucket"], "type": "object"}]},
    },
}
TABLE = ConfigTable(directory="config", bucket="b", key="k", outputs={"auth.pool": "PoolId"})


def parse(schema: Any) -> ConfigSchema:
    return ConfigSchema.parse(NAME, schema if isinstance(schema, str) else json.dumps(schema))


def told(content: Any, schema: Any = SCHEMA) -> list[str]:
    return [str(problem) for problem in parse(schema).problems(content)]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"title": 5}, "title: must be a text, is a number"),
        ({"title": "Beta"}, 'title: must be one of "Notes", "Alpha"'),
        ({"titel": "Notes"}, "titel: is not a known key: did you mean title?"),
        ({}, "title: is required, and missing"),
        ({"limits": {"pagesize": 5}}, "limits.pagesize: is not a known key: did you mean pageS"),
        ({"limits": {"pageSize": "5"}}, "limits.pageSize: must be a whole number, is a text"),
        ({"limits": {"pageSize": True}}, "limits.pageSize: must be a whole number, is true or"),
        ({"limits": {"pageSize": 0}}, "limits.pageSize: must be at least 1"),
        ({"limits": {"pageSize": 1001}}, "limits.pageSize: must be at most 1000"),
        ({"limits": {"tags": ["a", 1]}}, "limits.tags.1: must be a text, is a number"),
        ({"limits": {"tags": ["a", "a"]}}, "limits.tags: must have no equal entries"),
        ({"limits": []}, "limits: must be an object, is an array"),
        ({"auth": {}}, "auth.pool: is required, and missing"),
        ({"auth": {"pool": "p"}}, "auth.pool: must match ^pool-"),
        ({"store": {}}, "store.bucket: is required, and missing"),
        ({"a.b": 1}, '"a.b": is not a known key'),
    ],
)  # fmt: skip
def test_each_key_that_does_not_fit_is_named(wrong: Any, expected: str) -> None:
    assert any(line.startswith(expected) for line in told(wrong)), told(wrong)


def test_what_fits_has_no_problem() -> None:
    fits = {"title": "Notes", "limits": {"pageSize": 1.0, "tags": ["a", "b"]}, "store": None}
    assert told(fits) == []


def test_no_value_is_repeated() -> None:
    """A configuration may hold what is not for the eyes that read a record or a log."""
    secret = "hunter2-hunter2"
    everywhere = {"title": secret, "limits": {"pageSize": secret, "tags": secret}, "store": secret}
    lines = told(everywhere | {"auth": {"pool": secret}})
    assert len(lines) == 5
    assert not any(secret in line for line in lines)


def test_the_layer_of_a_wrong_value_is_named() -> None:
    layers = [
        Layer("config/base.json", {"title": "Notes", "limits": {"pageSize": 1}}),
        Layer("stored overrides", {"limits": {"pagesize": 2}}),
    ]
    with pytest.raises(InvalidRequest) as refused:
        check_fits(parse(SCHEMA), merged(layers), layers)
    assert "limits.pagesize (from stored overrides): is not a known key" in str(refused.value)
    assert [item["field"] for item in refused.value.details] == ["limits.pagesize"]


# Before the stack is there ------------------------------------------------------------------------


@pytest.mark.parametrize("content", [{"title": "Notes"}, {"title": "Notes", "auth": {}}])
def test_what_the_stack_will_set_is_not_missing_before_it_is_there(content: Any) -> None:
    """A first deployment would never get as far as the stack that has the value."""
    assert parse(SCHEMA).problems(with_outputs_unknown(TABLE, content)) == []


def test_an_output_whose_key_the_schema_does_not_know_is_seen_before_the_stack_is_there() -> None:
    table = TABLE.model_copy(update={"outputs": {"auth.pol": "PoolId"}})
    lines = [
        str(p) for p in parse(SCHEMA).problems(with_outputs_unknown(table, {"title": "Notes"}))
    ]
    assert "auth.pol: is not a known key: did you mean pool?" in lines


@pytest.mark.parametrize(
    "rule",
    [
        {"oneOf": [{"properties": {"pool": {"const": n}}} for n in (1, 2)]},
        {"not": {"required": ["pool"]}},
        {"if": {"required": ["pool"]}, "then": {"required": ["client"]}},
        {"dependentRequired": {"pool": ["client"]}},
        {"maxProperties": 0},
    ],
)  # fmt: skip
def test_a_rule_about_a_whole_with_an_unknown_value_waits_until_it_is_known(rule: Any) -> None:
    schema = {"properties": {"auth": rule}}
    assert parse(schema).problems(with_outputs_unknown(TABLE, {})) == []
    assert parse(schema).problems({"auth": {"pool": "x"}}) != []


# The schema itself --------------------------------------------------------------------------------


def nested(levels: int) -> Any:
    schema: Any = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold a JSON object"),
        pytest.param('{"a":' * 60_000, "larger than", id="large"),
        pytest.param('{"a":' * 20_000, "nested too deeply", id="deep"),
        (nested(60), "nested deeper than 50 levels"),
        ({"type": "strin"}, "type: 'strin' is not valid"),
        ({"properties": {"a": {"minimum": "1"}}}, r"properties\.a\.minimum"),
        ({"properties": {"a": {"pattern": "("}}}, r"properties\.a"),
        ({"patternProperties": {"(": {}}}, r"its root|patternProperties"),
        ({"$schema": "https://example.com/mine"}, r"\$schema must be one of"),
        ({"$schema": 7}, r"\$schema must be one of"),
        ({"$ref": "https://example.com/x.json"}, "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
        ({"$ref": "other.json#/a"}, "nothing is fetched"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, r"properties\.a: \$ref .* leads nowhere"),
        ({"allOf": [{"$dynamicRef": "https://x/y"}]}, "nothing is fetched"),
        ({"$defs": {"a": {"$id": "https://x/y", "type": "string"}}}, "in the root only"),
    ],
)
def test_a_schema_that_is_none_is_refused(schema: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        parse(schema)
    assert NAME in str(refused.value)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("end", ["", "#"])
def test_every_dialect_works_with_local_references(dialect: str, end: str) -> None:
    schema = {
        "$schema": dialect + end,
        "definitions": {"size": {"type": "integer"}},
        "properties": {"a": {"$ref": "#/definitions/size"}},
    }
    assert told({"a": "x"}, schema) == ["a: must be a whole number, is a text"]
    assert told({"a": 1}, schema) == []


def test_nothing_is_ever_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    schema = {"$id": "https://example.com/config", "properties": {"a": {"$ref": "#/$defs/a"}}}
    assert told({"a": 1}, {**schema, "$defs": {"a": {"type": "string"}}})


def doubling(times: int) -> Any:
    defs: dict[str, Any] = {"a0": {"type": "object"}}
    for number in range(1, times):
        defs[f"a{number}"] = {"allOf": [{"$ref": f"#/$defs/a{number - 1}"}] * 2}
    return {"$defs": defs, "$ref": f"#/$defs/a{times - 1}"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [({"$ref": "#"}, "refers to itself without end"), (doubling(40), "too much work")],
)
def test_a_schema_that_never_ends_does_not_pass_and_does_not_hang(
    schema: Any, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_schema, "WORK_LIMIT", 5_000)
    assert expected in told({}, schema)[0]


def test_many_equal_objects_are_told_apart_without_comparing_each_with_each() -> None:
    schema = {"properties": {"a": {"uniqueItems": True}}}
    assert told({"a": [{"n": n} for n in range(20_000)]}, schema) == []
