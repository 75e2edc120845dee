"""A configuration as the paths of its values: who wins at each, and where two of them differ. Pure.

A path is a tuple of keys, since a key may have a dot in it; for people it is written with dots.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from control_plane.models import JsonObject
from control_plane.rules.config import Layer

Path = tuple[str, ...]

CHANGES_SHOWN = 200
"""Paths of a kind of change: a record has room for 400 KB."""


def dotted(path: Path) -> str:
    """A path for people: `auth.enabled`; a key that is no plain word stands in quotes."""
    return ".".join(
        key if key and "." not in key and '"' not in key else json.dumps(key, ensure_ascii=False)
        for key in path
    )


def leaves(content: JsonObject, above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is no object, with its path; an empty object is one, too."""
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def differing(one: JsonObject, other: JsonObject) -> list[str]:
    """The paths, for people, at which two configurations differ. Values are left out."""
    first, second = (
        {path: canonical(value) for path, value in leaves(content)} for content in (one, other)
    )
    return sorted(
        dotted(path) for path in first.keys() | second.keys() if first.get(path) != second.get(path)
    )


def changes(before: JsonObject, after: JsonObject) -> JsonObject:
    """The paths, for people, that are added, changed and removed from one configuration to the
    next, at most CHANGES_SHOWN of a kind, and `more`: how many others. Values are left out."""
    first, second = (
        {path: canonical(value) for path, value in leaves(content)} for content in (before, after)
    )
    kinds = {
        "added": second.keys() - first.keys(),
        "changed": {path for path in first.keys() & second.keys() if first[path] != second[path]},
        "removed": first.keys() - second.keys(),
    }
    found: JsonObject = {
        kind: [dotted(path) for path in sorted(paths)[:CHANGES_SHOWN]]
        for kind, paths in kinds.items()
    }
    return {**found, "more": sum(max(0, len(paths) - CHANGES_SHOWN) for paths in kinds.values())}


def canonical(value: Any) -> str:
    """A value as text: the same for equal values, however their numbers and keys are written."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    """The same with whole numbers as such: the table keeps 1.0 as 1, and true is no number."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case _:
            return value


@dataclass(frozen=True)
class Winner:
    """Whose value stands at a path, or who deleted it; `overrode` names the layers that lost."""

    path: Path
    layer: str
    value: Any = None
    deleted: bool = False
    overrode: tuple[str, ...] = ()

    def as_json(self) -> JsonObject:
        """For the API: `value` is only there where there is one."""
        found = {"path": dotted(self.path), "layer": self.layer, "overrode": list(self.overrode)}
        return {**found, "deleted": True} if self.deleted else {**found, "value": self.value}


def explain(layers: Iterable[Layer]) -> list[Winner]:
    """The winner at every path of the merged layers, and the deletions that met something.

    `layers`: weakest first, as `merge` takes them. Sorted by path.
    """
    found: dict[Path, Winner] = {}
    rank: dict[str, int] = {}
    for number, layer in enumerate(layers):
        rank[layer.name] = number
        for path, value in leaves(layer.content):
            _put(found, layer.name, path, value)
    return [
        replace(winner, overrode=tuple(sorted(winner.overrode, key=rank.__getitem__)))
        for _, winner in sorted(found.items())
    ]


def _put(found: dict[Path, Winner], layer: str, path: Path, value: Any) -> None:
    """What one value of a layer does to what the layers below it made."""
    above = [path[:length] for length in range(1, len(path)) if path[:length] in found]
    below = [known for known in found if known[: len(path)] == path]
    if value is None or value == {}:
        # A null deletes all that is there; an empty object only what is no object.
        met = [*above, *below] if value is None else [k for k in (*above, path) if k in found]
        for known in met:
            if not found[known].deleted:
                losers = _losers(found, [known], layer)
                found[known] = Winner(known, layer, deleted=True, overrode=losers)
        return
    losers = _losers(found, [*above, *below], layer)
    for known in (*above, *below):
        del found[known]
    found[path] = Winner(path, layer, value, overrode=losers)


def _losers(found: dict[Path, Winner], paths: Iterable[Path], layer: str) -> tuple[str, ...]:
    """The other layers that had a say at these paths, each once.

    `layer` itself may be among those that had: it made an object of what was none.
    """
    names = {name for path in paths for name in (*found[path].overrode, found[path].layer)}
    return tuple(names - {layer})
