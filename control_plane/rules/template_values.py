"""A processed template's intrinsic functions, resolved as far as their values are known. Pure.

What only CloudFormation knows stays in the text as a mark: `own` for an attribute of a resource of
this template (a generated name, an API's id), `unknown` for everything else (an import, a secret).
Sources: CloudFormation template reference, intrinsic functions, condition functions, pseudo
parameters, and each resource type's return values.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from control_plane.models import JsonObject

# Private-use characters: no template has them, and no wildcard is among them.
_OWN, _UNKNOWN, _END = "\ue000", "\ue001", "\ue002"
_MARK = re.compile(f"[{_OWN}{_UNKNOWN}]([^{_END}]*){_END}")
_OWN_MARK = re.compile(f"{_OWN}([^{_END}]*){_END}")
_DYNAMIC = re.compile(r"\{\{resolve:[^}]*\}\}")
_VARIABLE = re.compile(r"\$\{([^!][^}]*)\}")
_NO_VALUE = object()

_MOST_UNKNOWN_CONDITIONS = 4
"""Each doubles the number of templates that one template may turn out to be."""

NAME_PROPERTIES = {
    "AWS::ApiGateway::RestApi": "Name",
    "AWS::ApiGatewayV2::Api": "Name",
    "AWS::Cognito::UserPool": "UserPoolName",
    "AWS::DynamoDB::GlobalTable": "TableName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::EventBus": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Kinesis::Stream": "Name",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}
"""The property that names a resource, for the types whose names stand in policies."""

_ARNS = {
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::DynamoDB::GlobalTable": "dynamodb:{region}:{account}:table/{name}",
    "AWS::Events::EventBus": "events:{region}:{account}:event-bus/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::Kinesis::Stream": "kinesis:{region}:{account}:stream/{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::StepFunctions::StateMachine": "states:{region}:{account}:stateMachine:{name}",
}
"""What `Arn` is of a resource whose name is known."""

_REFERRED_BY_NAME = (
    "AWS::DynamoDB::GlobalTable", "AWS::DynamoDB::Table", "AWS::Events::EventBus", "AWS::IAM::Role",
    "AWS::Kinesis::Stream", "AWS::Lambda::Function", "AWS::Logs::LogGroup", "AWS::S3::Bucket",
    "AWS::SSM::Parameter",
)  # fmt: skip
"""Types whose `Ref` is their name."""


class Undecidable(Exception):
    """More of the template depends on unknown values than can be looked at."""


@dataclass(frozen=True)
class Stack:
    """What is known of a stack before its change set is executed.

    `parameters`: values by name; one that is absent or not readable (a secret) is unknown.
    """

    name: str
    account: str
    region: str
    partition: str
    parameters: Mapping[str, Any]
    stack_id: str = ""
    nested: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The outputs of its nested stacks, by logical id, as far as they are known."""


@dataclass(frozen=True)
class Resource:
    """A resource that the template makes, with its properties resolved."""

    logical_id: str
    kind: str
    properties: JsonObject
    name: str | None
    """Its physical name where the template gives one."""


@dataclass(frozen=True)
class Resolved:
    """A template with its values: only what its conditions let be there."""

    resources: Mapping[str, Resource]
    outputs: Mapping[str, Any]


def own(what: str) -> str:
    """The mark of an attribute of the template's own resource: `Table.Arn`."""
    return f"{_OWN}{what}{_END}"


def unknown(what: str) -> str:
    """The mark of a value that cannot be known: `Fn::ImportValue: x`."""
    return f"{_UNKNOWN}{what}{_END}"


def has_own(text: str) -> bool:
    """Whether the text has an attribute of the template's own resource in it."""
    return _OWN in text


def has_unknown(text: str) -> bool:
    """Whether a part of the text is not known."""
    return _UNKNOWN in text


def readable(text: str) -> str:
    """The text for people: marks as a template would write them."""
    return _MARK.sub(r"${\1}", text)


def own_resource(text: str) -> str | None:
    """The logical id of the own resource that a text begins with the mark of."""
    found = re.match(f"{_OWN}([^.{_END}]*)", text)
    return found[1] if found else None


def below(value: Any, path: str) -> Any:
    """A value of a nested stack's template, its marks of own resources with `path` before the
    logical id: as seen from the root."""
    match value:
        case str():
            return _OWN_MARK.sub(lambda mark: own(path + mark[1]), value)
        case list():
            return [below(item, path) for item in value]
        case dict():
            return {below(name, path): below(item, path) for name, item in value.items()}
    return value


def variants(template: JsonObject, stack: Stack) -> Iterator[Resolved]:
    """The template as it is with its values: once for each combination of the conditions that
    cannot be decided. Raises Undecidable when those are too many."""
    decided = _Resolver(template, stack, {})
    open_names = [
        name for name in template.get("Conditions") or {} if decided.condition(name) is None
    ]
    if len(open_names) > _MOST_UNKNOWN_CONDITIONS:
        raise Undecidable(f"conditions depend on unknown values: {', '.join(open_names)}")
    for values in itertools.product((True, False), repeat=len(open_names)):
        yield _Resolver(template, stack, dict(zip(open_names, values, strict=True))).resolved()


class _Pieces(list[str]):
    """The parts of a text of which only CloudFormation knows all: which part is which is not known,
    and one of an own name (`notes` of `notes-data-1x2y`) may begin another's too."""


class _Resolver:
    def __init__(self, template: JsonObject, stack: Stack, assumed: Mapping[str, bool]) -> None:
        self._template, self._stack, self._assumed = template, stack, assumed
        self._resources: JsonObject = template.get("Resources") or {}
        self._names: dict[str, str | None] = {}
        self._open: set[str] = set()

    def resolved(self) -> Resolved:
        resources = {}
        for logical_id, body in self._resources.items():
            if isinstance(body, dict) and self._is_there(body):
                properties = self.value(body.get("Properties") or {})
                resources[logical_id] = Resource(
                    logical_id,
                    str(body.get("Type", "")),
                    properties if isinstance(properties, dict) else {},
                    self._name(logical_id),
                )
        outputs = {
            name: self.value(body.get("Value"))
            for name, body in (self._template.get("Outputs") or {}).items()
            if isinstance(body, dict) and self._is_there(body)
        }
        return Resolved(resources, outputs)

    def _is_there(self, body: JsonObject) -> bool:
        return "Condition" not in body or self.condition(body["Condition"]) is not False

    # Conditions --------------------------------------------------------------------------------

    def condition(self, name: Any) -> bool | None:
        """Whether a named condition holds; None when that cannot be known."""
        if name in self._assumed:
            return self._assumed[name]
        return self._holds((self._template.get("Conditions") or {}).get(name))

    def _holds(self, test: Any) -> bool | None:
        match test:
            case {"Condition": name}:
                return self.condition(name)
            case {"Fn::Equals": [left, right]}:
                one, other = self.value(left), self.value(right)
                if _is_open(one) or _is_open(other):
                    return None
                return _text(one) == _text(other)
            case {"Fn::Not": [inner]}:
                held = self._holds(inner)
                return None if held is None else not held
            case {"Fn::And": list(parts)}:
                found = [self._holds(part) for part in parts]
                return False if False in found else None if None in found else True
            case {"Fn::Or": list(parts)}:
                found = [self._holds(part) for part in parts]
                return True if True in found else None if None in found else False
        return None

    # Values ------------------------------------------------------------------------------------

    def value(self, given: Any) -> Any:
        """A value with every intrinsic function in it resolved, marks for what is not known."""
        found = self._value(given)
        return None if found is _NO_VALUE else found

    def _value(self, given: Any) -> Any:
        match given:
            case str():
                return _DYNAMIC.sub(lambda reference: unknown(reference[0]), given)
            case list():
                items = [self._value(item) for item in given]
                return [value for value in items if value is not _NO_VALUE]
            case dict() if len(given) == 1:
                ((name, argument),) = given.items()
                if name == "Ref" or name.startswith("Fn::"):
                    return self._intrinsic(name, argument)
        if isinstance(given, dict):
            values = {name: self._value(item) for name, item in given.items()}
            return {name: value for name, value in values.items() if value is not _NO_VALUE}
        return given

    def _intrinsic(self, name: str, argument: Any) -> Any:
        match name, argument:
            case "Ref", str():
                return self._ref(argument)
            case "Fn::GetAtt", [str(logical_id), attribute]:
                return self._attribute(logical_id, _text(self.value(attribute)))
            case "Fn::GetAtt", str():
                logical_id, _, attribute = argument.partition(".")
                return self._attribute(logical_id, attribute)
            case "Fn::Sub", str():
                return self._substituted(argument, {})
            case "Fn::Sub", [str(text), dict(local)]:
                return self._substituted(text, local)
            case "Fn::Join", [str(separator), parts]:
                return self._joined(separator, self.value(parts))
            case "Fn::Split", [str(separator), text]:
                split = self.value(text)
                if not isinstance(split, str):
                    return unknown("Fn::Split")
                parts = split.split(separator)
                return _Pieces(parts) if _is_open(split) else parts
            case "Fn::Select", [index, values]:
                return self._selected(self.value(index), self.value(values))
            case "Fn::If", [condition, yes, no]:
                held = self.condition(condition)
                if held is None:
                    return unknown(f"Fn::If {condition}")
                return self._value(yes if held else no)
            case "Fn::FindInMap", [table, first, second, *_]:
                keys = [_text(self.value(item)) for item in (table, first, second)]
                found: Any = self._template.get("Mappings") or {}
                for key in keys:
                    found = found.get(key) if isinstance(found, dict) else None
                return unknown(f"Fn::FindInMap {'.'.join(keys)}") if found is None else found
            case "Fn::ToJsonString", _:
                return json.dumps(self.value(argument))
            case "Fn::Base64", _:
                return self.value(argument)
            case "Fn::ImportValue", _:
                return unknown(f"Fn::ImportValue {readable(_text(self.value(argument)))}")
        return unknown(name)

    def _ref(self, name: str) -> Any:
        stack = self._stack
        match name:
            case "AWS::NoValue":
                return _NO_VALUE
            case "AWS::AccountId":
                return stack.account
            case "AWS::Region":
                return stack.region
            case "AWS::Partition":
                return stack.partition
            case "AWS::StackName":
                return stack.name
            case "AWS::URLSuffix":
                return "amazonaws.com"
            case "AWS::StackId":
                return stack.stack_id or own("AWS::StackId")
        if name in self._resources:
            return self._reference(name)
        declared = (self._template.get("Parameters") or {}).get(name)
        if not isinstance(declared, dict) or declared.get("NoEcho") in (True, "true"):
            return unknown(name)
        kind = str(declared.get("Type", "String"))
        given = stack.parameters.get(name)
        if given is None and not kind.startswith("AWS::SSM::"):
            given = declared.get("Default")
        if given is None:
            return unknown(name)
        if kind == "CommaDelimitedList" or "List<" in kind:
            return (
                given if isinstance(given, list) else [x.strip() for x in _text(given).split(",")]
            )
        return _text(given)

    def _reference(self, logical_id: str) -> str:
        kind, name = self._resources[logical_id].get("Type"), self._name(logical_id)
        if name and kind in _REFERRED_BY_NAME:
            return name
        if name and kind == "AWS::SNS::Topic":
            stack = self._stack
            return f"arn:{stack.partition}:sns:{stack.region}:{stack.account}:{name}"
        return own(logical_id)

    def _attribute(self, logical_id: str, attribute: str) -> str:
        body = self._resources.get(logical_id)
        if not isinstance(body, dict):
            return unknown(f"{logical_id}.{attribute}")
        kind, name, stack = str(body.get("Type", "")), self._name(logical_id), self._stack
        if attribute == "Arn" and name and kind in _ARNS:
            path = _text(self.value((body.get("Properties") or {}).get("Path") or "/"))
            if kind == "AWS::IAM::Role" and path != "/":
                name = path.strip("/") + "/" + name
            here = _ARNS[kind].format(region=stack.region, account=stack.account, name=name)
            return f"arn:{stack.partition}:{here}"
        if attribute in ("QueueName", "TopicName", "Name") and name:
            return name
        outputs = self._stack.nested.get(logical_id, {})
        if attribute.startswith("Outputs.") and attribute.removeprefix("Outputs.") in outputs:
            return _text(outputs[attribute.removeprefix("Outputs.")])
        if _makes_values_up(kind):  # whatever code answers
            return unknown(f"{logical_id}.{attribute}")
        return own(f"{logical_id}.{attribute}")

    def _name(self, logical_id: str) -> str | None:
        """The resource's physical name, when the template gives it and all of it is known."""
        if logical_id in self._names:
            return self._names[logical_id]
        body = self._resources[logical_id]
        key = NAME_PROPERTIES.get(str(body.get("Type")))
        given = (body.get("Properties") or {}).get(key) if key else None
        if given is None or logical_id in self._open:
            return None
        self._open.add(logical_id)  # a name that refers to itself has none
        name = self.value(given)
        self._open.discard(logical_id)
        self._names[logical_id] = name if isinstance(name, str) and not _MARK.search(name) else None
        return self._names[logical_id]

    def _substituted(self, text: str, local: Mapping[str, Any]) -> str:
        def one(found: re.Match[str]) -> str:
            name = found[1].strip()
            if name in local:
                return _text(self.value(local[name]))
            if name.partition(".")[0] in self._resources and "." in name:
                return self._attribute(*name.split(".", 1))
            if name.startswith(("aws:", "s3:", "saml:", "cognito-identity")):
                return found[0]  # a policy variable that somebody forgot to escape
            return _text(self.value({"Ref": name}))

        filled = _DYNAMIC.sub(lambda reference: unknown(reference[0]), _VARIABLE.sub(one, text))
        return filled.replace("${!", "${")

    def _joined(self, separator: str, parts: Any) -> str:
        if not isinstance(parts, list):
            return unknown("Fn::Join")
        return separator.join(_text(part) for part in parts)

    def _selected(self, index: Any, values: Any) -> Any:
        if not isinstance(values, list) or isinstance(values, _Pieces):
            return unknown("Fn::Select")
        try:
            return values[int(index)]
        except (ValueError, TypeError, IndexError):
            return unknown("Fn::Select")


def _makes_values_up(kind: str) -> bool:
    return kind.startswith("Custom::") or kind in (
        "AWS::CloudFormation::CustomResource",
        "AWS::CloudFormation::Macro",
        "AWS::CloudFormation::Stack",
    )


def _is_open(value: Any) -> bool:
    return isinstance(value, str) and bool(_MARK.search(value))


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return ",".join(_text(item) for item in value)
        case dict():
            return json.dumps(value)
    return str(value)
