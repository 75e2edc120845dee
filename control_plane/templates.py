"""Templates as data: CloudFormation's YAML with its short forms, read and written.

`!Sub x` and `Fn::Sub: x` are the same thing, and read as the same.
"""

from typing import Any, cast

import yaml

from control_plane.models import JsonObject


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms (template reference, intrinsic functions)."""


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> JsonObject:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)
# A date in a template is a text, as CloudFormation takes it: `Version: 2012-10-17`.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(text: str) -> JsonObject:
    """A template, JSON or YAML, in its long form. Raises ValueError when it is neither."""
    try:
        # The loader is a SafeLoader: it makes plain values only.
        value = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise ValueError("is not a template: its top level is no object")
    return cast(JsonObject, value)
