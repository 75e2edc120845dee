"""Bytes from outside, parsed within limits: JSON, TOML, YAML and zip files of somebody else.

Each parser refuses what is too large or nested too deeply before it costs memory or time, and every
refusal is a ValueError whose message says what is wrong. The time of a parser is bounded by its
size limit: none of them does more than linear work on what passes the checks. Pure.
"""

import json
import math
import re
import stat
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, cast

import yaml

DEPTH = 64
"""Objects and lists in one another. The deepest that anything stores is 32 (DynamoDB, service
quotas); a template has a dozen."""

WHOLE_DIGITS = 400
"""Digits of a whole number: a double has 309 at most, and Python takes quadratic time for more."""

TOML_BYTES = 64 * 1024
"""A manifest has a few kilobytes."""

TOML_KEY_PARTS = 8
"""Parts of a dotted key. Each makes a table in a table; tomllib's work grows with the square."""

TEMPLATE_BYTES = 1024 * 1024
"""CloudFormation's own limit (quotas: template body in an S3 object)."""

YAML_NODES = 60_000
"""Nodes of a YAML document with its aliases written out, which a few lines can multiply. A stack of
500 resources, which is CloudFormation's limit, has half as many."""

ZIP_BYTES = 50 * 1024 * 1024
"""A source's zip, and what the API grants an upload for."""

ZIP_INDEX_BYTES = 4 * 1024 * 1024
"""A zip's list of files: about 40,000 of them. It is read whole before anything can be asked."""

UNPACKED_BYTES = 1024 * 1024 * 1024
"""All files of a zip together, by its own list; a build unpacks them on its disk."""

_BRACKETS = re.compile(r"[\[\]{}]")
_TOML_TEXT = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^\']|\'(?!\'\'))*\'\'\''
    r"|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|#[^\n]*",
    re.DOTALL,
)
"""Strings and comments of TOML (specification 1.0, "String", "Comment")."""


def json_value(text: str | bytes) -> Any:
    """A JSON text's value. Raises ValueError for all that another reader of JSON would refuse too:
    NaN, Infinity, numbers beyond a double, half characters; and for what is nested too deeply."""
    try:
        if isinstance(text, bytes):  # json.loads would guess: UTF-16 and UTF-32 too
            text = text.decode()
        value = json.loads(text, parse_constant=_no_number, parse_float=_number, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"is not JSON (line {error.lineno}, column {error.colno}): {error.msg}"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError("is not JSON: it is not UTF-8") from error
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    check_value(value)
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"is not JSON: {name} is not a number of JSON")


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"holds a number that is too large: {digits[:40]}")
    return value


def _whole(digits: str) -> int:
    if len(digits) > WHOLE_DIGITS:
        raise ValueError(f"holds a number that is too large: {digits[:40]}…")
    return int(digits)


def check_value(value: Any) -> None:
    """Raise ValueError for a value that is nested deeper than DEPTH, or holds half a character."""
    level, depth = [value], 0
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                below.extend(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str):
                _check_characters(item)
        level, depth = below, depth + 1
        if depth > DEPTH + 1:
            raise ValueError(_too_deep())


def _check_characters(text: str) -> None:
    """JSON can spell one half of a surrogate pair (`\\ud800`), which no file and no table holds."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds half a character, which cannot be written as UTF-8") from error


def _too_deep() -> str:
    return f"is nested too deeply: {DEPTH} levels are allowed"


def toml_table(text: str) -> dict[str, Any]:
    """A TOML document's table. Raises ValueError.

    Size, nesting and the parts of keys are checked first, on the text: `tomllib` recurses, and
    spends quadratic time on a dotted key.
    """
    size = len(text.encode(errors="replace"))
    if size > TOML_BYTES:
        raise ValueError(f"has {size} bytes; {TOML_BYTES} are allowed")
    bare = _TOML_TEXT.sub(lambda found: "" if found[0].startswith("#") else '""', text)
    if _nesting(bare) > DEPTH:
        raise ValueError(_too_deep())
    for segment in re.split(r"[\n=,{}]", bare):
        if segment.count(".") >= TOML_KEY_PARTS:
            raise ValueError(f"has a key of more than {TOML_KEY_PARTS} parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is not TOML: {error}") from error
    except (ValueError, OverflowError) as error:  # Python's own, in words for programmers
        raise ValueError("is not TOML: it has an impossible date or number") from error


def _nesting(text: str) -> int:
    """How deeply brackets lie in one another in a text without strings."""
    depth = deepest = 0
    for bracket in _BRACKETS.finditer(text):
        depth = depth + 1 if bracket[0] in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


class BoundedLoader(yaml.SafeLoader):
    """A loader of plain values that stops at the limits while it reads."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """One node, and all below it. Raises ValueError for too many of them, or too deep ones."""
        self._nodes, self._depth = self._nodes + 1, self._depth + 1
        if self._depth > DEPTH:
            raise ValueError(_too_deep())
        if self._nodes > YAML_NODES:
            raise ValueError(_too_many())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def yaml_value(text: str, loader: type[BoundedLoader] = BoundedLoader) -> Any:
    """A YAML document's value, as `loader` makes it. Raises ValueError.

    Aliases are counted as what they stand for: ten lines can stand for a billion nodes, and a merge
    key copies them.
    """
    size = len(text.encode(errors="replace"))
    if size > TEMPLATE_BYTES:
        raise ValueError(f"has {size} bytes; {TEMPLATE_BYTES} are allowed")
    try:
        reading = loader(text)
        node = reading.get_single_node()
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {' '.join(str(error).split())}") from error
    if node is None:
        return None
    _check_nodes(node)
    try:
        return reading.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {' '.join(str(error).split())}") from error
    except (ValueError, KeyError, AttributeError, TypeError, OverflowError) as error:
        # PyYAML's own constructors, for a value that is not of its tag: `!!bool perhaps`.
        raise ValueError(f"is not YAML: a value does not fit its type ({error})") from error


def _check_nodes(root: yaml.Node) -> None:
    """Raise ValueError for a document whose aliases, written out, make it too large, too deep, or
    endless."""
    sizes: dict[int, tuple[int, int]] = {}  # by node: how many nodes it is, and how deep
    open_: set[int] = set()
    stack: list[tuple[yaml.Node, bool]] = [(root, False)]
    while stack:
        node, is_done = stack.pop()
        known = id(node)
        if is_done:
            open_.discard(known)
            below = [sizes[id(child)] for child in _children(node)]
            count = 1 + sum(nodes for nodes, _ in below)
            depth = 1 + max((levels for _, levels in below), default=0)
            if count > YAML_NODES:
                raise ValueError(_too_many())
            if depth > DEPTH:
                raise ValueError(_too_deep())
            sizes[known] = (count, depth)
        elif known in open_:
            raise ValueError("has an alias to what it lies in")
        elif known not in sizes:
            open_.add(known)
            stack.append((node, True))
            stack.extend((child, False) for child in _children(node))


def _too_many() -> str:
    return f"has more than {YAML_NODES} values with its aliases written out"


def _children(node: yaml.Node) -> Iterable[yaml.Node]:
    match node:
        case yaml.MappingNode():
            return [part for pair in node.value for part in pair]
        case yaml.SequenceNode():
            return cast("list[yaml.Node]", node.value)
        case _:
            return []


# Zip files ----------------------------------------------------------------------------------------

_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error, UnicodeError,
    NotImplementedError, RuntimeError, ValueError, IndexError, OverflowError,
)  # fmt: skip
"""What `zipfile` raises for bytes that are no zip, or one of a kind that it does not read."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_END = b"PK\x05\x06"
_END_BYTES = 22 + 0xFFFF  # the end record, with the longest comment (APPNOTE.TXT, 4.3.16)


def open_zip(content: bytes) -> zipfile.ZipFile:
    """A zip file of plain files that can be unpacked anywhere. Raises ValueError.

    Refused: what is damaged, encrypted, packed by another method than deflate, or too large
    unpacked; links; two files of one name; and names that leave the directory.
    """
    if len(content) > ZIP_BYTES:
        raise ValueError(f"has {len(content)} bytes; {ZIP_BYTES} are allowed")
    end = content.rfind(_END, max(0, len(content) - _END_BYTES))
    if end < 0 or len(content) - end < 22:
        raise ValueError("is not a zip file, or is cut off")
    (index_size,) = struct.unpack_from("<L", content, end + 12)
    if index_size > ZIP_INDEX_BYTES:
        raise ValueError("has too many files: leave out what can be installed or generated")
    try:
        opened = zipfile.ZipFile(BytesIO(content))
        infos = opened.infolist()
    except _DAMAGED as error:
        raise ValueError(f"is not a zip file that can be read: {error}") from error
    if sum(info.file_size for info in infos) > UNPACKED_BYTES:
        raise ValueError(f"has more than {UNPACKED_BYTES} bytes unpacked")
    names: set[str] = set()
    for info in infos:
        _check_entry(info)
        if info.filename in names:
            raise ValueError(f"has two files {info.filename!r}")
        names.add(info.filename)
    return opened


def _check_entry(info: zipfile.ZipInfo) -> None:
    name, path = info.filename, PurePosixPath(info.filename)
    if info.flag_bits & 0x1:
        raise ValueError(f"has an encrypted file: {name!r}")
    if info.compress_type not in _METHODS:
        raise ValueError(f"has a file that is packed by another method than deflate: {name!r}")
    if (info.external_attr >> 16) and stat.S_ISLNK(info.external_attr >> 16):
        raise ValueError(f"has a link: {name!r}; only files and directories are taken")
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise ValueError(f"has a file outside its own directory: {name!r}")
    if has_control_character(info.orig_filename):
        raise ValueError(f"has a file whose name holds a control character: {name!r}")


def zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """One file of a zip: no more bytes than the zip's own list says. Raises ValueError."""
    try:
        return archive.read(info)
    except _DAMAGED as error:
        raise ValueError(f"cannot be read: {error}") from error


def has_control_character(text: str) -> bool:
    """Whether a text holds a character that ends or garbles it elsewhere, such as NUL."""
    return any(ord(character) < 0x20 or ord(character) == 0x7F for character in text)
