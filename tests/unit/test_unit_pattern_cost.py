"""Regular expressions of an application's schema: none of them can make a worker hang."""

import json
import re
import time
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.errors import InvalidRequest
from control_plane.rules import config_schema
from control_plane.rules.config_schema import ConfigSchema
from control_plane.rules.pattern_cost import Budget, UnsafePattern, longest_text

NAME = "config/schema.json"


def parse(schema: object) -> ConfigSchema:
    return ConfigSchema.parse(NAME, json.dumps(schema))


def told(schema: object, content: dict[str, object]) -> list[str]:
    return [str(problem) for problem in parse(schema).problems(content)]


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$", "(a|a)*", "(a|aa)+$", "(.*)*x", r"^(\w+\s?)*$", "(a*)*$", "(x+x+)+y",
        r"^(\d+|\d+\.)*$", r"^(([a-z])+.)+[A-Z]([a-z])+$", "(.*a){25}", "(a?){30}a{30}",
        "a?" * 30 + "a" * 30, "(a{0,50}){0,50}x", r"(\w{1,9}){1,9}!", "(|a|){30}b", ".*.*.*.*.*x",
        "(?=(a+)+$)", "x(?!(a|aa)+$)", "(?:(?:a+)b?){9,}", "(?i)(k|Kx?)+$", "([^ ]|a)+$",
        r"(é|\wx?)+$", r"(a*)\1*b", "^(a+)+$|b",
        "(?s:(.|\\nx?)+)$", "(?:){4000000000}", "(ab?b?)+c",
    ],
)  # fmt: skip
def test_a_pattern_that_may_take_for_ever_is_refused_with_the_schema(pattern: str) -> None:
    """Otherwise one value of a configuration stops every worker that reads it."""
    for schema in ({"pattern": pattern}, {"patternProperties": {pattern: {}}}):
        began = time.process_time()
        with pytest.raises(
            InvalidRequest, match=r"properties\.a: the pattern .* (can take|repeat)"
        ):
            parse({"properties": {"a": schema}})
        assert time.process_time() - began < 10


WORD = "[A-ZÄÖÜ][a-zäöüß]+"
OCTET = r"(25[0-5]|2[0-4]\d|1?\d?\d)"
SEMVER = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$"
)  # semver.org
HTML_EMAIL = (
    r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$"
)  # HTML standard, valid e-mail address


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        (r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "ada@example.com"),
        (r"[^@\s]+@[^@\s]+\.[^@\s]+", "ada@example.com"),
        (r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$", "ada@example.com"),
        (HTML_EMAIL, "ada.lovelace@mail.example.com"),
        (r"^https?://[^\s/$.?#].[^\s]*$", "https://example.com/a?b=c"),
        (r"^(https?|ftp)://[^\s/$.?#]+(:\d+)?(/\S*)?$", "https://localhost:80/x"),
        (r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
         "6f0d1c9e-1111-2222-8333-444455556666"),
        (SEMVER, "1.0.0-alpha.1+build.5"),
        (r"^\d{4}-\d{2}-\d{2}$", "2026-11-29"),
        (r"^\d{4}-(0[1-9]|1[0-2])-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$",
         "2026-11-29T12:00:00.5Z"),
        ("^#([0-9a-fA-F]{3}){1,2}$", "#a0b1c2"),
        ("^#(?:[0-9a-f]{3}|[0-9a-f]{6})$", "#a0b"),
        (rf"^({OCTET}(\.|$)){{4}}$", "192.168.0.1"),
        (rf"^(?:{OCTET}\.){{3}}{OCTET}$", "192.168.0.1"),
        (r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$", "00:11:22:33:44:55"),
        ("^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$", "c3luZGk="),
        ("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "us-east-1"),
        (r"^arn:aws:[a-z0-9-]+:[a-z0-9-]*:\d{12}:.+$", "arn:aws:s3:eu-west-1:123456789012:x"),
        (r"^(?=.*[A-Z])(?=.*\d)(?=.*[^\w]).{8,}$", "Passw0rd!"),
        (r"^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$", "a-b.example.com"),
        (r"^([01]\d|2[0-3]):[0-5]\d$", "23:59"),
        (r"^(\d{1,2}:?){3}$", "12:30:00"),
        (r"^\+?[1-9]\d{1,14}$", "+4912345678"),
        (r"^\S+( \S+)*$", "two words"),
        (r"^\s*\S.*$", " x"),
        (r"^.*foo.*bar.*$", "a foo and a bar"),
        (rf"^{WORD}([ -]{WORD})*$", "Müller-Lüdenscheidt"),
        ("^[a-z]+(,\\s*[a-z]+)*$", "a, b,c"),
        ("^(/[^/]*)+$", "/a//b"),
        (r"^cron\(\S+( \S+){5}\)$", "cron(0 12 * * ? *)"),
        (f"^({'|'.join(sorted(zoneinfo.available_timezones()))})$", "Europe/Berlin"),
    ],
)  # fmt: skip
def test_ordinary_patterns_stay_usable(pattern: str, fits: str) -> None:
    assert longest_text(pattern) >= 200
    schema = {"properties": {"a": {"pattern": pattern}}}
    assert told(schema, {"a": fits}) == []
    assert told(schema, {"a": "\n\n"})[0].startswith("a: must match ")


def test_a_text_that_a_pattern_may_take_too_long_for_does_not_pass() -> None:
    """Not even under a `not`: what cannot be decided is a problem, with the key that has it."""
    pattern = "a.*b.*c"
    longest = longest_text(pattern)
    for schema in ({"pattern": pattern}, {"not": {"pattern": pattern}}):
        (line,) = told(
            {"properties": {"x": {"items": schema}}},
            {"x": ["", "y" * longest, "z" * (longest + 1)]},
        )
        assert line.startswith(
            f"x.2: is too long to be compared with the pattern {pattern}: at most"
        )
        assert "zzz" not in line


def test_keys_are_as_bounded_as_values() -> None:
    for closed in ("additionalProperties", "unevaluatedProperties"):
        schema = {"patternProperties": {"^[a-z]+_": {}}, closed: False}
        (line,) = told({"properties": {"x": schema}}, {"x": {"a" * 2000: 1}})
        assert line == f"x: {'a' * 20}…: is too long a key to be compared with the patterns" or (
            line.startswith("x.") and "too long a key" in line
        )


def test_patterns_that_cannot_be_joined_are_refused_with_the_schema() -> None:
    """The library joins them, and its error then was a 500."""
    with pytest.raises(InvalidRequest, match="is no pattern"):
        parse({"patternProperties": {"a": {}, "(?i)b": {}}, "additionalProperties": False})


def test_many_slow_comparisons_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_schema, "PATTERN_SECONDS", 0.05)
    schema = {"items": {"pattern": r"\s+$"}}
    content = {"x": [" " * 5000 + "x"] * 1000}
    assert told({"properties": {"x": schema}}, content) == [
        f"the configuration: {NAME} needs too much work to be applied"
    ]


def test_the_check_of_many_patterns_ends() -> None:
    budget, many = Budget(500), [f"^[a-z]{{{number}}}(-[a-z0-9]+)*$" for number in range(50)]
    with pytest.raises(UnsafePattern, match="too large to be checked"):
        [longest_text(pattern, budget) for pattern in many]


atoms = st.sampled_from(["a", "b", "[ab]", ".", r"\w"])
counts = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{3,}", "*?", "{0,5}", "{12}"])
patterns = st.recursive(
    atoms,
    lambda part: st.one_of(
        st.tuples(part, part).map("".join),
        st.tuples(part, part).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(part, counts).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=8,
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(pattern=patterns, start=st.sampled_from(["", "^"]), end=st.sampled_from(["", "c", "$"]))
def test_whatever_is_accepted_ends_soon(pattern: str, start: str, end: str) -> None:
    """Also for the texts that make backtracking worst; some were exponential."""
    whole = start + pattern + end
    try:
        longest = min(longest_text(whole), 2000)
    except UnsafePattern:
        return
    for text in ("a" * longest, ("ab" * longest)[:longest], "a" * (longest - 1) + "\n"):
        began = time.process_time()
        re.search(whole, text)
        assert time.process_time() - began < 5, (whole, longest)
