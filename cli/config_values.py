"""Overrides as they are typed: `limits.pageSize=50`. Pure."""

import copy
import json
from typing import Any

from cli.failure import Refused


def parsed_assignment(text: str) -> tuple[list[str], Any]:
    """`KEY=VALUE` as path and value: JSON when it is JSON, otherwise a text. Raises Refused."""
    key, equals, value = text.partition("=")
    if not equals:
        raise Refused(f"{text}: must be KEY=VALUE, such as limits.pageSize=50")
    return _path(key), _value(value)


def _path(key: str) -> list[str]:
    path = key.split(".")
    if not all(path):
        raise Refused(f"{key or '(nothing)'} is no key: write it as limits.pageSize")
    return path


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(name: str) -> None:
    """Python reads NaN and Infinity, which are no JSON: here they are words."""
    raise ValueError(name)


def assigned(overrides: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """The overrides with `value` at `path`; the given ones stay as they are. Raises Refused."""
    changed = copy.deepcopy(overrides)
    place = changed
    for depth, key in enumerate(path[:-1], start=1):
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            there = ".".join(path[:depth])
            raise Refused(f"{there} is overridden as a whole: unset it first, or set {there}")
    place[path[-1]] = value
    return changed


def unset_paths(overrides: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """The overrides without these dotted keys, and without objects that are empty then.

    Raises Refused for a key that is not overridden.
    """
    changed = copy.deepcopy(overrides)
    for key in keys:
        path = _path(key)
        places = [changed]
        for part in path[:-1]:
            below = places[-1].get(part)
            places.append(below if isinstance(below, dict) else {})
        if path[-1] not in places[-1]:
            raise Refused(
                f"{key} is not overridden: 'config show --explain' tells where it is from"
                " ('config set' with null deletes it)"
            )
        del places[-1][path[-1]]
        for place, part in zip(reversed(places[:-1]), reversed(path[:-1]), strict=True):
            if not place[part]:
                del place[part]
    return changed
