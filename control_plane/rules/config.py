"""A tenant's configuration: layers, later over earlier.

base < environment < organization (files of the source) < stored overrides < stack outputs. Objects
merge, arrays and scalars replace, `null` deletes a key.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from control_plane import parsing
from control_plane.errors import ConfigInvalid
from control_plane.manifest import ConfigTable
from control_plane.models import JsonObject, Tenant

SIZE_LIMIT = 128 * 1024
"""Bytes of a merged configuration: a record keeps two of them, and DynamoDB's items have 400 KB."""


def merge(base: JsonObject, override: JsonObject) -> JsonObject:
    """`base` with `override` over it; neither is changed.

    A `null` deletes its key, also inside an object that `base` does not have, so that no `null`
    ever reaches the application.
    """
    merged = dict(base)
    for key, value in override.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


class Layer(NamedTuple):
    """One layer: what it is called (a file, or where else it comes from), and what it says."""

    name: str
    content: JsonObject


STORED, OUTPUTS = "stored overrides", "stack outputs"
"""The layers that are no files."""


def layer_names(table: ConfigTable, tenant: Tenant) -> list[str]:
    """The files of the source that make a tenant's configuration, weakest first."""
    return [
        f"{table.directory}/{name}.json"
        for name in ("base", tenant.env, f"{tenant.env}-{tenant.org}")
    ]


def from_outputs(table: ConfigTable, outputs: Mapping[str, Any]) -> JsonObject:
    """The strongest layer: what the stack says of itself, at the manifest's dotted paths.

    An output that the stack does not have (authentication is off) deletes its key: a value from an
    earlier deployment would name something that is gone.
    """
    layer: JsonObject = {}
    for path, output in table.outputs.items():
        *parents, last = path.split(".")
        place = layer
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = outputs.get(output)
    return layer


def parse_layer(name: str, text: str) -> JsonObject:
    """One file of the source. Raises ConfigInvalid that names the file and the line."""
    try:
        value = parsing.json_value(text)
    except ValueError as error:
        raise ConfigInvalid(f"{name} {error}") from error
    if not isinstance(value, dict):
        raise ConfigInvalid(f"{name} must hold a JSON object, not {type(value).__name__}")
    return value


def file_layers(
    table: ConfigTable, tenant: Tenant, read: Callable[[str], str | None]
) -> list[Layer]:
    """The layers that the source holds, weakest first.

    `read` gives a file of the source, or None where the source has no such file. Raises
    ConfigInvalid when the first layer is missing or any layer is not a JSON object.
    """
    names = layer_names(table, tenant)
    texts = {name: read(name) for name in names}
    if texts[names[0]] is None:
        raise ConfigInvalid(f"{names[0]} is missing from the source")
    return [
        Layer(name, parse_layer(name, text)) for name, text in texts.items() if text is not None
    ]


def all_layers(
    files: Iterable[Layer],
    table: ConfigTable,
    overrides: JsonObject,
    outputs: Mapping[str, str],
) -> list[Layer]:
    """Every layer, weakest first: the files, the stored overrides, and what the stack says."""
    return [*files, Layer(STORED, overrides), Layer(OUTPUTS, from_outputs(table, outputs))]


def merged(layers: Iterable[Layer]) -> JsonObject:
    """What the layers make together; each one over those before it."""
    result: JsonObject = {}
    for layer in layers:
        result = merge(result, layer.content)
    return result


def rendered(config: JsonObject) -> bytes:
    """The bytes that are uploaded: the same configuration is always the same bytes."""
    return (json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
