"""Bytes that somebody else wrote: each is a value or a ValueError, in little time.

What a user loses otherwise: one upload that the API answers with 500, or that stops its function
for everybody (a dotted key of 400 KB took 39 s and 3 GB).
"""

import contextlib
import io
import itertools
import json
import struct
import sys
import time
import tomllib
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane import manifest, parsing, templates
from control_plane.errors import ConfigInvalid, InvalidRequest
from control_plane.rules import config
from control_plane.store.sources import SourceArchive

SECONDS = 10
"""Processor time that the worst input may take; without a limit each of these takes minutes, or
gigabytes."""


def short(value: str | bytes) -> str:
    """A test's name."""
    return str(value)[:20]


def refused(parse: Callable[[Any], Any], text: Any) -> str:
    """The reason of a refusal, which came in time."""
    begun = time.process_time()
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is looked at by the caller
        parse(text)
    assert time.process_time() - begun < SECONDS
    return str(caught.value)


# JSON ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("[" * 70 + "]" * 70, "nested too deeply"),
        ("9" * 100_000, "too large"),
        ("1e999", "too large"),
        ("NaN", "NaN is not a number"),
        ("-Infinity", "-Infinity is not a number"),
        ('"\\ud800"', "half a character"),
        ('{"\\udfff": 1}', "half a character"),
        (b"\xff\xfe", "not UTF-8"),
        ("{'a': 1}", "line 1, column 2"),
        ("", "is not JSON"),
    ],
    ids=short,
)
def test_json_that_would_break_a_reader_is_refused(text: str | bytes, reason: str) -> None:
    assert reason in refused(parsing.json_value, text)


def test_json_as_deep_as_allowed_is_read_and_can_be_written_again() -> None:
    text = "[" * parsing.DEPTH + "]" * parsing.DEPTH
    assert json.dumps(parsing.json_value(text)) == text


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert parsing.json_value(json.dumps(value)) == value


# TOML ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a" + ".a" * 200_000 + " = 1", "bytes"),
        ("a" + ".a" * 30_000 + " = 1", "parts"),
        ('"a"' + '."a"' * 15_000 + " = 1", "parts"),
        ("[a" + " . a" * 15_000 + "]", "parts"),
        ("x = {a" + ".a" * 30_000 + " = 1}", "parts"),
        ("a = " + "[" * 60_000, "nested too deeply"),
        ("a = " + "{a = " * 12_000, "nested too deeply"),
        ("a = " + "9" * 5_000, "impossible date or number"),
        ("a = 2026-99-99", "is not TOML"),
        ('a = """' + "x" * 60_000, "is not TOML"),
        ("a = '''" + "''x" * 20_000, "is not TOML"),
    ],
    ids=short,
)
def test_toml_that_would_cost_time_or_memory_is_refused(text: str, reason: str) -> None:
    assert reason in refused(parsing.toml_table, text)


@pytest.mark.parametrize(
    "text",
    [
        f'a = "{"." * 5_000}"',
        f"a = '{'[' * 5_000}'",
        f'a = """\n{"[a.b.c.d.e.f.g.h.i.j]" * 500}\n"""',
        f"# {'.' * 5_000}{'[' * 5_000}\na = 1",
        "\n".join(f"a{number} = 1.5" for number in range(2_000)),
        "[a.b.c.d]\nx = 1",
    ],
)
def test_what_stands_in_a_text_or_a_comment_is_no_nesting(text: str) -> None:
    assert parsing.toml_table(text) == tomllib.loads(text)


def test_a_manifest_with_a_control_character_names_the_key() -> None:
    text = 'schema = 1\nname = "x"\n[build]\nstamp = "s"\ncommands = ["make", "echo \\u0000"]'
    with pytest.raises(InvalidRequest) as caught:
        manifest.parse(text)
    assert [item["field"] for item in caught.value.details] == ["build.commands.1"]


@given(st.text(max_size=200))
def test_any_text_is_a_manifest_or_a_refusal(text: str) -> None:
    with pytest.raises(InvalidRequest):
        manifest.parse(text)


# YAML ---------------------------------------------------------------------------------------------


def doubling(line: str) -> str:
    """A document each of whose lines stands for ten of the line before."""
    names = [f"n{number}" for number in range(10)]
    lines = [f"n0: &n0 {'{x: 1}' if '<<' in line else '[x]'}"]
    for before, name in itertools.pairwise(names):
        lines.append(f"{name}: &{name} {line.format(', '.join([f'*{before}'] * 10))}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (doubling("[{}]"), "aliases"),
        (doubling("{{<<: [{}]}}"), "aliases"),
        ("&a [*a]", "alias to what it lies in"),
        ("&a {x: {y: *a}}", "alias to what it lies in"),
        ("[" * 500_000, "nested too deeply"),
        ("{a: " * 100_000, "nested too deeply"),
        ("\n".join(" " * level + "a:" for level in range(200)), "nested too deeply"),
        ("- a: 1\n" * 140_000, "aliases"),
        ("x" * 2_000_000, "bytes"),
        ("!!bool perhaps", "does not fit its type"),
        ("!!timestamp never", "does not fit its type"),
        ("!!int x", "does not fit its type"),
        ("!!python/object/apply:os.system [ls]", "is not YAML"),
        ('a: "\x00"', "is not YAML"),
        ("a: b: c", "is not YAML"),
        ("{a: 1}: 2", "is not YAML"),
    ],
    ids=short,
)
def test_yaml_that_would_cost_time_or_memory_is_refused(text: str, reason: str) -> None:
    assert reason in refused(parsing.yaml_value, text)


def test_an_alias_that_stands_for_little_is_read() -> None:
    assert parsing.yaml_value("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}") == {
        "a": {"x": 1},
        "b": {"x": 1},
        "c": {"x": 1, "y": 2},
    }


@given(st.text(max_size=100))
def test_any_text_is_a_template_or_a_refusal(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(templates.parse(text), dict)


@given(st.text(max_size=100))
def test_any_text_is_a_layer_of_configuration_or_a_refusal(text: str) -> None:
    with contextlib.suppress(ConfigInvalid):
        assert isinstance(config.parse_layer("base.json", text), dict)


# Zip files ----------------------------------------------------------------------------------------


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of these files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


GOOD = packed({"application.toml": b"schema = 1\n" * 20, "src/app.py": b"x = 1\n" * 50})


def a_link() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        info = zipfile.ZipInfo("passwords")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return content.getvalue()


def two_of_a_name() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", b"2")
    return content.getvalue()


def encrypted() -> bytes:
    """The flag of encryption in both places where a zip has it (APPNOTE.TXT, 4.4.4)."""
    content = bytearray(packed({"a": b"secret"}, zipfile.ZIP_STORED))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def claiming(size: int) -> bytes:
    """A zip whose list says that its file has `size` bytes."""
    content = bytearray(packed({"a": b"0"}))
    struct.pack_into("<L", content, content.index(b"PK\x01\x02") + 24, size)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a zip file"),
        (b"PK\x05\x06", "is not a zip file"),
        (b"not a zip at all" * 100, "is not a zip file"),
        (GOOD[:-30], "is not a zip file"),
        (encrypted(), "encrypted"),
        (packed({"a": b"1" * 100}, zipfile.ZIP_BZIP2), "another method"),
        (packed({"a": b"1" * 100}, zipfile.ZIP_LZMA), "another method"),
        (a_link(), "has a link"),
        (two_of_a_name(), "two files"),
        (packed({"../outside": b"1"}), "outside its own directory"),
        (packed({"/etc/cron.d/x": b"1"}), "outside its own directory"),
        (packed({"a\\..\\b": b"1"}), "outside its own directory"),
        (packed({"a\nb": b"1"}), "control character"),
        (claiming(0xFFFFFFF0), "bytes unpacked"),
        (packed({f"{number:060}": b"" for number in range(45_000)}), "too many files"),
        (b"\0" * (parsing.ZIP_BYTES + 1), "are allowed"),
    ],
    ids=short,
)
def test_a_zip_that_cannot_be_unpacked_safely_is_refused(content: bytes, reason: str) -> None:
    assert reason in refused(parsing.open_zip, content)


def test_a_file_that_is_larger_than_its_list_says_is_refused_not_unpacked() -> None:
    bomb = bytearray(packed({"a": b"0" * 50_000_000}))
    struct.pack_into("<L", bomb, bomb.index(b"PK\x01\x02") + 24, 1_000)
    archive = parsing.open_zip(bytes(bomb))
    assert "cannot be read" in refused(
        lambda info: parsing.zip_member(archive, info), archive.infolist()[0]
    )


@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, len(GOOD)),
)
def test_a_damaged_source_is_refused_by_name_or_read(
    changes: list[tuple[int, int]], length: int
) -> None:
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value
    for damaged in (bytes(content), bytes(content[:length])):
        with contextlib.suppress(InvalidRequest):
            archive = SourceArchive(damaged)
            archive.contents()
            archive.read("application.toml")
            archive.manifest()


def test_the_limits_are_below_python_s_own() -> None:
    assert sys.getrecursionlimit() > parsing.DEPTH * 4
