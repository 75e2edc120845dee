"""Reads CloudFormation templates: intrinsics as dicts, resolved for given parameter values."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

NOTHING = object()
ACCOUNT = "123456789012"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


_Loader.add_multi_constructor("!", _intrinsic)


@cache
def read(path: Path) -> dict[str, Any]:
    """The template at `path`, to be looked at only."""
    template: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return template


class Stack:
    """A template with its parameters filled in, as far as that is possible without an account."""

    def __init__(self, template: dict[str, Any], **parameters: str) -> None:
        self.template = template
        self.parameters = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Region": "us-east-1",
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            **{
                name: str(definition["Default"])
                for name, definition in template["Parameters"].items()
                if "Default" in definition
            },
            **parameters,
        }

    def condition(self, name: str) -> bool:
        """Whether a condition holds."""
        return bool(self._truth(self.template["Conditions"][name]))

    def _truth(self, expression: dict[str, Any]) -> bool:
        ((function, value),) = expression.items()
        match function:
            case "Condition":
                return self.condition(value)
            case "Fn::Equals":
                return bool(self.resolve(value[0]) == self.resolve(value[1]))
            case "Fn::And":
                return all(self._truth(part) for part in value)
            case "Fn::Or":
                return any(self._truth(part) for part in value)
            case "Fn::Not":
                return not self._truth(value[0])
        raise AssertionError(f"unknown condition function {function}")

    def section(self, name: str) -> dict[str, Any]:
        """`Resources` or `Outputs`: what exists with these parameters, resolved."""
        return {
            key: self.resolve({k: v for k, v in item.items() if k != "Condition"})
            for key, item in self.template[name].items()
            if "Condition" not in item or self.condition(item["Condition"])
        }

    def resolve(self, value: Any) -> Any:
        """`value` without intrinsics. A resource becomes `<Name>`, an attribute `<Name.Attr>`."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function in ("Ref", "Fn::Sub", "Fn::If", "Fn::GetAtt", "Fn::Join", "Fn::Split"):
                return self._function(function, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NOTHING}

    def _function(self, function: str, argument: Any) -> Any:
        match function:
            case "Ref":
                return self._name(argument)
            case "Fn::Sub":
                head, *rest = argument.split("${")
                parts = [part.split("}", 1) for part in rest]
                return head + "".join(str(self._name(name)) + tail for name, tail in parts)
            case "Fn::If":
                chosen = argument[1] if self.condition(argument[0]) else argument[2]
                return self.resolve(chosen)
            case "Fn::GetAtt":
                return self._name(".".join(argument))
            case "Fn::Join":
                return argument[0].join(self.resolve(argument[1]))
            case _:
                return self.resolve(argument[1]).split(argument[0])

    def _name(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NOTHING
        if name in self.parameters:
            return self.parameters[name]
        logical = name.split(".")[0]
        resource = self.template["Resources"][logical]
        gone = "Condition" in resource and not self.condition(resource["Condition"])
        assert not gone, f"{name} is used where it does not exist"
        return f"<{name}>"


def rawscribe(**parameters: str) -> Stack:
    """The stack of stage/myorg on its first deployment, with some parameters changed."""
    template = read(Path(__file__).parents[2] / "backend" / "template.yaml")
    tenant = {"Environment": "stage", "Organization": "myorg", "CreateBuckets": "true"}
    return Stack(template, **{**tenant, **parameters})
