"""What stored overrides may say: decided before they are stored, and again before they are used.

An override that is accepted and then does nothing, or breaks the application, is worse than one
that is refused: each rule names the path and what to do.
"""

import json
import math
from typing import Any

from control_plane.errors import InvalidRequest
from control_plane.manifest import ConfigTable
from control_plane.models import JsonObject
from control_plane.rules.config_paths import Path, dotted

SIZE_LIMIT = 64 * 1024
"""Bytes of a tenant's overrides, as compact JSON: a record of the table has room for 400 KiB."""

DEPTH_LIMIT = 20
"""Objects and arrays in one another: the table takes 32 (DynamoDB, service quotas)."""

_DIGITS = 38
"""Digits of a number that the table takes (DynamoDB, naming rules and data types)."""


def check_overrides(overrides: JsonObject, below: JsonObject, table: ConfigTable) -> None:
    """Raise InvalidRequest, with the path as its field, for overrides that cannot be meant.

    `below`: what the files of the source make together. `null` deletes a key and is always taken.
    """
    _check_values(overrides)
    size = len(json.dumps(overrides, separators=(",", ":"), ensure_ascii=False).encode())
    if size > SIZE_LIMIT:
        raise InvalidRequest.of("overrides", f"have {size} bytes; {SIZE_LIMIT} are allowed")
    _check_outputs(overrides, table)
    _check_kinds(overrides, below, ())


def _check_values(value: Any, path: Path = ()) -> None:
    """Keys and values that can be written down, as JSON and into the table."""
    here = dotted(path) or "overrides"
    if len(path) > DEPTH_LIMIT:
        raise InvalidRequest.of(here, f"lies deeper than {DEPTH_LIMIT} levels")
    match value:
        case dict():
            for key, below in value.items():
                if not key:
                    raise InvalidRequest.of(here, "has an empty key: every key needs a name")
                _check_text(key, here)
                _check_values(below, (*path, key))
        case list():
            for number, item in enumerate(value):
                _check_values(item, (*path, str(number)))
        case float() if not math.isfinite(value):
            raise InvalidRequest.of(here, "is no number of JSON")
        case int() | float() if not _fits(value):
            raise InvalidRequest.of(here, f"is a number of more than {_DIGITS} digits")
        case str():
            _check_text(value, here)


def _fits(number: float) -> bool:
    return number == 0 or 10.0**-_DIGITS <= abs(number) < 10**_DIGITS


def _check_text(text: str, here: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest.of(here, "holds half a character, which no file can hold") from error


def _check_outputs(overrides: JsonObject, table: ConfigTable) -> None:
    """The stack's outputs lie over the overrides: what they own cannot be overridden."""
    for owned, output in table.outputs.items():
        value: Any = overrides
        keys = tuple(owned.split("."))
        for length, key in enumerate(keys, start=1):
            if key not in value:
                break
            value, here = value[key], dotted(keys[:length])
            if length == len(keys):
                told = f"is set by the stack's output {output}: an override would have no effect"
                raise InvalidRequest.of(here, told)
            if value is None:
                break  # deletes what lies beside the output, which comes back
            if not isinstance(value, dict):
                told = f"must be an object: the stack's output {output} sets {owned} in it"
                raise InvalidRequest.of(here, told)


def _check_kinds(overrides: JsonObject, below: JsonObject, path: Path) -> None:
    """An object stays an object, and what is none stays none: the application reads it as it is."""
    for key, value in overrides.items():
        if value is None or key not in below:
            continue
        here, known = (*path, key), below[key]
        if isinstance(value, dict) and isinstance(known, dict):
            _check_kinds(value, known, here)
        elif isinstance(value, dict) or isinstance(known, dict):
            raise InvalidRequest.of(
                dotted(here),
                f"is {_kind(known)} in the layers below, and {_kind(value)} here: "
                + ("override the keys in it" if isinstance(known, dict) else "give a plain value"),
            )


def _kind(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case _:
            return "a number"
