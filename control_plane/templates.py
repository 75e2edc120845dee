"""Templates as data: CloudFormation's YAML with its short forms, read and written.

`!Sub x` and `Fn::Sub: x` are the same thing, and read as the same.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, cast

import yaml

from control_plane import parsing
from control_plane.models import JsonObject


class _Loader(parsing.BoundedLoader):
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
    """A template, JSON or YAML, in its long form. Raises ValueError that says what is wrong."""
    value = parsing.json_value(text) if text.startswith("{") else parsing.yaml_value(text, _Loader)
    if not isinstance(value, dict):
        raise ValueError("is not a template: its top level is no object")
    return cast(JsonObject, value)


_NAMES = {
    "AWS::S3::Bucket": "BucketName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::DynamoDB::GlobalTable": "TableName",
    "AWS::Logs::LogGroup": "LogGroupName",
}
"""Types whose custom name is also what they are imported by (template reference, primary
identifiers), and the property that has it."""

_RETAINED = ("Retain", "RetainExceptOnCreate")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def with_literal_names(
    template: JsonObject, values: Mapping[str, str], types: Collection[str]
) -> JsonObject:
    """The template with the names of what holds data written out.

    CloudFormation adopts a resource that exists (`ImportExistingResources`) only when its name is a
    literal and its DeletionPolicy retains it (user guide, automatic import). `values`: parameters
    and pseudo parameters that are known. `types`: the resource types that hold data. A name that
    needs anything else stays as it is, and so does every other resource.
    """
    resources = {
        name: _named(resource, values) if _is_adoptable(resource, types) else resource
        for name, resource in template.get("Resources", {}).items()
    }
    return {**template, "Resources": resources}


def _is_adoptable(resource: JsonObject, types: Collection[str]) -> bool:
    kind = resource.get("Type")
    return kind in types and kind in _NAMES and resource.get("DeletionPolicy") in _RETAINED


def _named(resource: JsonObject, values: Mapping[str, str]) -> JsonObject:
    properties, name = resource.get("Properties") or {}, _NAMES[resource["Type"]]
    literal = _literal(properties.get(name), values)
    if literal is None:
        return resource
    return {**resource, "Properties": {**properties, name: literal}}


def _literal(value: Any, values: Mapping[str, str]) -> str | None:
    """What a Ref, an Fn::Sub or an Fn::Join of known values comes to; None of anything else."""
    match value:
        case {"Fn::Join": [str(between), list(parts)], **rest} if not rest:
            known = [part if isinstance(part, str) else _literal(part, values) for part in parts]
            if any(part is None for part in known):
                return None
            return between.join(part for part in known if part is not None)
        case {"Ref": str(name), **rest} if not rest:
            return values.get(name)
        case {"Fn::Sub": str(pattern), **rest} if not rest:
            if any(name not in values for name in _VARIABLE.findall(pattern)):
                return None
            return _VARIABLE.sub(lambda found: values[found[1]], pattern)
        case _:
            return None


def bucket_resource(template: JsonObject, name: str, values: Mapping[str, str]) -> str | None:
    """The logical id of the bucket that a template names `name`, or None: as far as its name is a
    text, or a Ref, an Fn::Sub or an Fn::Join of known `values`."""
    for logical_id, resource in template.get("Resources", {}).items():
        if not isinstance(resource, dict) or resource.get("Type") != "AWS::S3::Bucket":
            continue
        given = (resource.get("Properties") or {}).get("BucketName")
        if given == name or _literal(given, values) == name:
            return str(logical_id)
    return None


PARAMETERS_VARIABLE = "PARAMETERS_SHA256"
"""The environment variable whose only use is to differ when a parameter does."""


def with_versions_of(template: JsonObject, parameters: Mapping[str, str]) -> JsonObject:
    """The template, whose published functions get new versions when a parameter changes.

    SAM publishes a version when a function's properties change, as they stand in the template
    (AutoPublishAliasAllProperties): a `!Ref` stands there whatever its value. A literal that
    depends on the values makes it see them, and makes Lambda publish what differs from before.
    `parameters`: all that the stack is told. Functions without that property stay as they are.
    """
    told = json.dumps(dict(parameters), sort_keys=True).encode()
    digest = hashlib.sha256(told).hexdigest()
    shared = (template.get("Globals") or {}).get("Function") or {}
    resources = {
        name: _told(resource, digest) if _follows_all(resource, shared) else resource
        for name, resource in template.get("Resources", {}).items()
    }
    return {**template, "Resources": resources}


def _follows_all(resource: JsonObject, shared: JsonObject) -> bool:
    found = {**shared, **(resource.get("Properties") or {})}
    return (
        resource.get("Type") == "AWS::Serverless::Function"
        and bool(found.get("AutoPublishAlias"))
        and found.get("AutoPublishAliasAllProperties") in (True, "true")
    )


def _told(resource: JsonObject, digest: str) -> JsonObject:
    properties = resource["Properties"]
    environment = properties.get("Environment") or {}
    variables = {**(environment.get("Variables") or {}), PARAMETERS_VARIABLE: digest}
    return {
        **resource,
        "Properties": {**properties, "Environment": {**environment, "Variables": variables}},
    }


def dump(template: JsonObject) -> str:
    """A template as text that CloudFormation takes: JSON, the same for the same template."""
    return json.dumps(template, ensure_ascii=False, separators=(",", ":"))
