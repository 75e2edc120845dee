"""template.yaml as data. Intrinsics become one-key objects: `!Ref X` is {"Ref": "X"}."""

import importlib
import json
from functools import cache
from types import ModuleType
from typing import Any

import yaml
from asl_graph import ROOT, Json

TEMPLATE_FILE = ROOT / "template.yaml"
FUNCTION = "AWS::Serverless::Function"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> Json:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix: value}


_Loader.add_multi_constructor("!", _intrinsic)


@cache
def template() -> Json:
    """The control plane's own template, to be looked at only."""
    return dict(yaml.load(TEMPLATE_FILE.read_text(), _Loader))


def resource(name: str) -> Json:
    """A resource: Type, Properties and the rest."""
    return dict(template()["Resources"][name])


def properties(name: str) -> Json:
    """A resource's properties."""
    return dict(resource(name)["Properties"])


def of_type(kind: str) -> dict[str, Json]:
    """The properties of every resource of a type."""
    return {
        name: item.get("Properties", {})
        for name, item in template()["Resources"].items()
        if item["Type"] == kind
    }


def functions() -> dict[str, Json]:
    """The properties of every function."""
    return of_type(FUNCTION)


def function_defaults() -> Json:
    """What every function has."""
    return dict(template()["Globals"]["Function"])


def handler_module(function: str) -> ModuleType:
    """The module that a function's Handler names."""
    return importlib.import_module(properties(function)["Handler"].rpartition(".")[0])


def worker_functions() -> list[str]:
    """The functions whose code is a worker's."""
    return [name for name, found in functions().items() if found["Handler"].startswith("workers.")]


def substituted(machine: str) -> Json:
    """What a state machine's definition is given for its names."""
    return dict(properties(machine)["DefinitionSubstitutions"])


def environment(function: str) -> Json:
    """The variables that a function gets."""
    own = properties(function).get("Environment", {}).get("Variables", {})
    return {**function_defaults()["Environment"]["Variables"], **own}


def statements(function: str) -> list[Json]:
    """The policy statements of a function's own role."""
    return [
        statement
        for policy in properties(function)["Policies"]
        for statement in policy["Statement"]
    ]


def tenant_role(function: str) -> str | None:
    """The role in whose sessions a function reaches a tenant's resources; None without one."""
    given = environment(function).get("TENANT_ROLE_ARN")
    return given["GetAtt"].removesuffix(".Arn") if given else None


def role_statements(role: str) -> list[Json]:
    """The policy statements of a role of its own, which is no function's."""
    return [
        statement
        for policy in properties(role)["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def listed(value: Any) -> list[Any]:
    """A member that may be one or a list, as a list."""
    return value if isinstance(value, list) else [value]


def mentions(value: Any, text: str) -> bool:
    """Whether a text occurs anywhere in a value."""
    return text in json.dumps(value)
