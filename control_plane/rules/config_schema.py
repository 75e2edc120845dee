"""An application's own JSON Schema for its configuration: whether it is one, and what does not fit.

Pure: nothing is ever fetched. A schema comes with a source, so it is bounded in size, depth and in
the work that one validation may take; messages name keys and what is allowed, never a value.
"""

import difflib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
from jsonschema import validators
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from control_plane.errors import ConfigInvalid, InvalidRequest
from control_plane.manifest import ConfigTable
from control_plane.models import JsonObject
from control_plane.rules import config
from control_plane.rules.config import Layer
from control_plane.rules.config_paths import Path, canonical, dotted
from control_plane.rules.pattern_cost import Budget, UnsafePattern, longest_text

SIZE_LIMIT = 128 * 1024
"""Bytes of a schema."""

DEPTH_LIMIT = 50
"""Objects and arrays in one another, in a schema."""

WORK_LIMIT = 100_000
"""Keywords that one validation applies: a second or two. References can be nested so that a short
schema takes for ever."""

PATTERN_SECONDS = 5.0
"""For how long one validation compares texts with patterns. One comparison is bounded by itself
(`pattern_cost`)."""

KEY_LIMIT = 1000
"""Characters of a key that is compared with patterns: a document may have many keys."""

SHOWN = 20
"""Problems that are listed for one document."""

NEWEST = "https://json-schema.org/draft/2020-12/schema"

DIALECTS: Mapping[str, Any] = {
    "http://json-schema.org/draft-04/schema": jsonschema.Draft4Validator,
    "http://json-schema.org/draft-06/schema": jsonschema.Draft6Validator,
    "http://json-schema.org/draft-07/schema": jsonschema.Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": jsonschema.Draft201909Validator,
    NEWEST: jsonschema.Draft202012Validator,
}
"""By `$schema`; a schema without one is of the newest."""

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

_OF_THE_WHOLE = frozenset(
    {
        "const", "contains", "dependencies", "dependentRequired", "dependentSchemas", "enum", "if",
        "maxProperties", "minProperties", "not", "oneOf", "unevaluatedProperties", "uniqueItems",
    }
)  # fmt: skip
"""Keywords whose verdict about an object can change with a value in it that is not known yet."""


class _Unknown:
    """A value that the stack will set: it may be anything, or be left out."""

    def __repr__(self) -> str:
        return "(set by the stack)"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class SchemaProblem:
    """What does not fit: where, and why. Without a path it is about the document as a whole.
    `is_missing`: another layer may still bring it."""

    path: Path
    reason: str
    is_missing: bool = False

    @property
    def field(self) -> str:
        """The key, for people."""
        return dotted(self.path) or "the configuration"

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class TooMuchWork(Exception):
    """A validation that would not end, or not soon."""


class TextTooLong(Exception):
    """A text that a pattern may take too long for. Attributes: `text`, `pattern`, `longest`."""

    def __init__(self, text: str, pattern: str, longest: int) -> None:
        self.text, self.pattern, self.longest = text, pattern, longest
        super().__init__(
            f"is too long to be compared with the pattern {_cut(pattern)}: at most {longest} "
            "characters; limit it with maxLength and simplify the pattern"
        )


class ConfigSchema:
    """A schema that was looked at: `parse` makes one."""

    def __init__(
        self, name: str, schema: JsonObject, validator: Any, patterns: Mapping[str, int]
    ) -> None:
        self.name = name
        self._schema = schema
        self._work = _Work()
        self._longest_key = _longest_key(schema, patterns)
        own = {"uniqueItems": _unique, "pattern": _pattern(patterns, self._work)}
        checks = {
            keyword: _guarded(keyword, check, self._work)
            for keyword, check in {**validator.VALIDATORS, **own}.items()
        }
        kind = validators.extend(validator, checks)  # type: ignore[no-untyped-call]
        # An empty registry: the library's own would fetch what it does not know.
        self._validator = kind(schema, registry=Registry())

    @classmethod
    def parse(cls, name: str, text: str) -> "ConfigSchema":
        """The schema in the file `name` of a source. Raises InvalidRequest that names the place."""
        if len(text.encode()) > SIZE_LIMIT:
            raise _wrong(name, f"is larger than {SIZE_LIMIT} bytes")
        try:
            schema = config.parse_layer(name, text)
        except ConfigInvalid as error:
            raise InvalidRequest(str(error), [{"field": name, "reason": str(error)}]) from error
        except RecursionError as error:
            raise _wrong(name, f"is nested deeper than {DEPTH_LIMIT} levels") from error
        _check_depth(name, schema)
        dialect = str(schema.get("$schema", NEWEST)).removesuffix("#")
        validator = DIALECTS.get(dialect)
        if validator is None:
            raise _wrong(name, f"$schema must be one of {', '.join(DIALECTS)}")
        try:
            validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            place = dotted(tuple(str(part) for part in error.absolute_path)) or "its root"
            raise _wrong(name, f"{place}: {_cut(error.message)}") from error
        patterns = _check_parts(name, schema, dialect)
        return cls(name, schema, validator, patterns)

    def problems(self, content: JsonObject) -> list[SchemaProblem]:
        """What of a configuration does not fit, at most SHOWN, by path; empty when it fits.

        Values that are UNKNOWN fit wherever they may be. A schema that refers to itself without
        end, or needs too much work, is a problem of its own: what cannot be decided does not pass.
        """
        self._work.start()
        found: list[SchemaProblem] = []
        if (key := _too_long_key(content, self._longest_key)) is not None:
            return [SchemaProblem(key, "is too long a key to be compared with the patterns")]
        try:
            for error in self._validator.iter_errors(content):
                found += _problems(error)
                if len(found) >= SHOWN:
                    break
        except TextTooLong as error:
            return [SchemaProblem(_path_of(content, error.text) or (), str(error))]
        except TooMuchWork:
            return [SchemaProblem((), f"{self.name} needs too much work to be applied")]
        except RecursionError:
            return [SchemaProblem((), f"{self.name} refers to itself without end")]
        except OverflowError:
            return [SchemaProblem((), "has a number that is too large to be compared")]
        return sorted(dict.fromkeys(found), key=lambda problem: problem.path)[:SHOWN]


def with_outputs_unknown(table: ConfigTable, content: JsonObject) -> JsonObject:
    """A configuration before the stack is there: what its outputs will set is UNKNOWN."""
    unknown: Mapping[str, Any] = dict.fromkeys(table.outputs.values(), UNKNOWN)
    return config.merge(content, config.from_outputs(table, unknown))


def described(problem: SchemaProblem, layers: Sequence[Layer]) -> str:
    """A problem with the layer that its value is from."""
    name = origin(layers, problem.path)
    return f"{problem.field} (from {name}): {problem.reason}" if name else str(problem)


def origin(layers: Sequence[Layer], path: Path) -> str | None:
    """The strongest layer that has something at a path, or None."""
    for layer in reversed(layers):
        value: Any = layer.content
        for key in path:
            if not isinstance(value, dict) or key not in value:
                break
            value = value[key]
        else:
            if path:
                return layer.name
    return None


def check_fits(schema: ConfigSchema | None, content: JsonObject, layers: Sequence[Layer]) -> None:
    """Raise InvalidRequest that names each key of a configuration that does not fit."""
    problems = schema.problems(content) if schema else []
    if schema and problems:
        told = "; ".join(described(problem, layers) for problem in problems)
        details = [{"field": problem.field, "reason": problem.reason} for problem in problems]
        raise InvalidRequest(f"the configuration does not fit {schema.name}: {told}", details)


# The schema itself --------------------------------------------------------------------------------


def _wrong(name: str, reason: str) -> InvalidRequest:
    return InvalidRequest.of(name, reason)


def _check_depth(name: str, schema: JsonObject) -> None:
    level: list[Any] = [schema]
    for _ in range(DEPTH_LIMIT):
        level = [below for value in level for below in _within(value)]
        if not level:
            return
    raise _wrong(name, f"is nested deeper than {DEPTH_LIMIT} levels")


def _within(value: Any) -> Iterable[Any]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def _check_parts(name: str, schema: JsonObject, dialect: str) -> dict[str, int]:
    """References lead to a place in the same document, and patterns are regular expressions that
    come to an end. Gives the patterns, each with the length of the texts that it can take."""
    found, budget = dict[str, int](), Budget()
    root = specification_with(dialect).create_resource(schema)
    resolver = Registry().resolver_with_root(root)
    for path, part in _objects(schema, ()):
        here = dotted(path) or "its root"
        for keyword in _REFERENCES:
            target = part.get(keyword)
            if not isinstance(target, str):
                continue
            if not target.startswith("#"):
                raise _wrong(
                    name, f"{here}: {keyword} {_cut(target)} leads elsewhere: only references "
                    "within the file (#/…) are followed, nothing is fetched"
                )  # fmt: skip
            try:
                resolver.lookup(target)
            except Unresolvable as error:
                raise _wrong(name, f"{here}: {keyword} {_cut(target)} leads nowhere") from error
        if path:
            for keyword in ("$id", "$schema"):
                if isinstance(part.get(keyword), str):
                    raise _wrong(name, f"{here}: {keyword} may stand in the root only")
        patterns = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
        if isinstance(part.get("patternProperties"), dict):
            patterns += part["patternProperties"]
            _check_joined(name, here, part["patternProperties"])
        for pattern in patterns:
            if pattern in found:
                continue
            try:
                re.compile(pattern)
                found[pattern] = longest_text(pattern, budget)
            except (re.error, OverflowError, RecursionError) as error:
                raise _wrong(name, f"{here}: {_cut(pattern)} is no pattern: {error}") from error
            except UnsafePattern as error:
                raise _wrong(name, f"{here}: the pattern {_cut(pattern)} {error}") from error
    return found


def _check_joined(name: str, here: str, patterns: Iterable[str]) -> None:
    """The patterns of one object are one, too: the library joins them for the other keywords."""
    joined = "|".join(patterns)
    try:
        re.compile(joined)
    except (re.error, OverflowError, RecursionError) as error:
        raise _wrong(name, f"{here}: {_cut(joined)} is no pattern: {error}") from error


def _objects(value: Any, path: Path) -> Iterator[tuple[Path, JsonObject]]:
    """Every object in a schema, with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, below in value.items():
            yield from _objects(below, (*path, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _objects(below, (*path, str(number)))


def _longest_key(schema: JsonObject, patterns: Mapping[str, int]) -> int | None:
    """How long a key may be that is compared with the schema's patterns for keys; None: none is.

    The library compares keys at several places (`additionalProperties`, `unevaluatedProperties`),
    all of them with the patterns of one object at once.
    """
    of_keys = [part["patternProperties"] for _, part in _objects(schema, ())
               if isinstance(part.get("patternProperties"), dict)]  # fmt: skip
    shortest = [min(patterns[p] for p in found) // len(found) for found in of_keys if found]
    return min([*shortest, KEY_LIMIT]) if shortest else None


# Validating ---------------------------------------------------------------------------------------


class _Work:
    """How many keywords were applied since `start`, and for how long texts were compared."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._done, self._seconds = 0, 0.0

    def took(self, seconds: float) -> None:
        self._seconds += seconds
        if self._seconds > PATTERN_SECONDS:
            raise TooMuchWork

    def count(self) -> None:
        self._done += 1
        if self._done > WORK_LIMIT:
            raise TooMuchWork


Check = Callable[[Any, Any, Any, Any], Iterable[Any] | None]


def _guarded(keyword: str, check: Check, work: _Work) -> Check:
    """A keyword that counts its work, and lets pass what it cannot know."""

    def guarded(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        work.count()
        if instance is UNKNOWN or (keyword in _OF_THE_WHOLE and _has_unknown(instance)):
            return
        yield from check(validator, value, instance, schema) or ()

    return guarded


def _pattern(patterns: Mapping[str, int], work: _Work) -> Check:
    """`pattern`, for texts that are not too long for it."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not isinstance(instance, str):
            return
        longest = patterns.get(value, 0)  # 0: one that was not checked is not used
        if len(instance) > longest:
            raise TextTooLong(instance, value, longest)
        began = time.monotonic()
        fits = re.search(value, instance)
        work.took(time.monotonic() - began)
        if not fits:
            yield jsonschema.ValidationError("does not match")

    return check


def _path_of(value: Any, text: str) -> Path | None:
    """Where a text stands in a configuration, as a value or as a key."""
    parts = enumerate(value) if isinstance(value, list) else ()
    for key, below in value.items() if isinstance(value, dict) else parts:
        if text in (key, below):
            return (str(key),)
        if (path := _path_of(below, text)) is not None:
            return (str(key), *path)
    return None


def _too_long_key(value: Any, longest: int | None) -> Path | None:
    """The path to a key that is longer than `longest`, or None."""
    if longest is None:
        return None
    parts = enumerate(value) if isinstance(value, list) else ()
    for key, below in value.items() if isinstance(value, dict) else parts:
        if isinstance(key, str) and len(key) > longest:
            return (f"{key[:20]}…",)
        if (path := _too_long_key(below, longest)) is not None:
            return (str(key), *path)
    return None


def _has_unknown(value: Any) -> bool:
    match value:
        case dict():
            return any(_has_unknown(below) for below in value.values())
        case list():
            return any(_has_unknown(below) for below in value)
        case _:
            return value is UNKNOWN


def _unique(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    """`uniqueItems`; the library's compares every object with every other."""
    if not value or not isinstance(instance, list):
        return
    if len({canonical(item) for item in instance}) < len(instance):
        yield jsonschema.ValidationError("has equal items")


def _problems(error: jsonschema.ValidationError) -> list[SchemaProblem]:
    """What an error of the library says, by its keyword: its own messages repeat values."""
    path = tuple(str(part) for part in error.absolute_path)
    value: Any = error.validator_value
    instance: Any = error.instance
    if "propertyNames" in error.absolute_schema_path:
        return [SchemaProblem((*path, str(instance)), "is not a name that is allowed here")]
    match error.validator:
        case "required":
            value = value if isinstance(value, list) else []
            missing = [key for key in value if key not in instance]
            # The library has one error for each missing key.
            named = next((key for key in missing if error.message.startswith(repr(key))), None)
            keys = missing if named is None else [named]
            return [SchemaProblem((*path, key), "is required, and missing", True) for key in keys]
        case "additionalProperties" if value is False:
            schema = error.schema if isinstance(error.schema, dict) else {}
            known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
            return [
                SchemaProblem((*path, key), f"is not a known key{_meant(key, known)}")
                for key in instance
                if key not in known and not any(re.search(p, key) for p in patterns)
            ]
        case "anyOf" | "oneOf" if error.context:
            best = jsonschema.exceptions.best_match([error])
            if best is not error and best is not None:
                return _problems(best)
            return [SchemaProblem(path, "fits none of the alternatives")]
        case _:
            return [SchemaProblem(path, _reason(error, value))]


def _reason(error: jsonschema.ValidationError, value: Any) -> str:
    match error.validator:
        case "type":
            kinds = value if isinstance(value, list) else [value]
            wanted = " or ".join(_KINDS.get(str(kind), str(kind)) for kind in kinds)
            return f"must be {wanted}, is {_kind(error.instance)}"
        case "enum":
            return f"must be one of {_cut(', '.join(map(_as_json, value)))}"
        case "const":
            return f"must be {_cut(_as_json(value))}"
        case "minimum":
            return f"must be at least {value}"
        case "maximum":
            return f"must be at most {value}"
        case "exclusiveMinimum":
            return f"must be more than {value}"
        case "exclusiveMaximum":
            return f"must be less than {value}"
        case "multipleOf":
            return f"must be a multiple of {value}"
        case "minLength":
            return f"must have at least {value} characters"
        case "maxLength":
            return f"must have at most {value} characters"
        case "minItems" | "minProperties":
            return f"must have at least {value} entries"
        case "maxItems" | "maxProperties":
            return f"must have at most {value} entries"
        case "pattern":
            return f"must match {_cut(str(value))}"
        case "uniqueItems":
            return "must have no equal entries"
        case "unevaluatedProperties":
            keys = ", ".join(re.findall(r"'([^']*)'", error.message))
            return f"has unknown keys: {_cut(keys)}" if keys else "has unknown keys"
        case "dependentRequired" | "dependencies":
            return "lacks a key that another key requires"
        case "oneOf":
            return "fits more than one of the alternatives"
        case None:
            return "is not allowed here"
        case keyword:
            return f"does not fit '{keyword}' of the schema"


_KINDS = {
    "object": "an object", "array": "an array", "string": "a text", "integer": "a whole number",
    "number": "a number", "boolean": "true or false", "null": "null",
}  # fmt: skip


def _kind(value: Any) -> str:
    match value:
        case bool():
            return _KINDS["boolean"]
        case None:
            return _KINDS["null"]
        case dict():
            return _KINDS["object"]
        case list():
            return _KINDS["array"]
        case str():
            return _KINDS["string"]
        case _:
            return _KINDS["number"]


def _meant(key: str, known: Iterable[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(key.lower(), by_lower, n=1)
    return f": did you mean {by_lower[close[0]]}?" if close else ""


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:199]}…"
