"""A stack and the stacks nested in it as one template. Pure.

A nested stack gets the ids of its parent's resources as parameters: an API may have its routes, its
authorizers and its stages in other stacks than itself. So the resources of all of them are put
together, each under its path (`Child/Api`), before routes and buckets are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from control_plane.models import JsonObject
from control_plane.rules import template_values as values
from control_plane.rules.template_values import Resolved, Resource

_IDS = ("ApiId", "AuthorizerId", "ParentId", "ResourceId", "RestApiId")
"""The properties of API Gateway's resources that name another one by its id."""

_OF_APIS = "AWS::ApiGateway"
"""What their types begin with, those of AWS::ApiGatewayV2 too."""


@dataclass(frozen=True)
class Part:
    """The template of one stack with its values: one for each combination of the conditions that
    cannot be decided. `path`: `Child/`, empty for the root."""

    path: str
    variants: Sequence[Resolved]


def in_place(variants: Sequence[Resolved], logical_ids: frozenset[str]) -> Sequence[Resolved]:
    """The variants of a template whose resources are those that its stack has: what a condition
    was decided to be. All of them where none fits."""
    return [one for one in variants if one.resources.keys() == logical_ids] or variants


def joined(parts: Sequence[Part], physical: Mapping[str, str]) -> list[Resolved]:
    """The resources of all parts as one template, as many as the part with most variants has.

    `physical`: the physical ids of the stacks' resources, by path. An id that stands where the
    parent passed it on becomes a reference to the resource that has it.
    """
    kinds = {
        part.path + name: resource.kind
        for part in parts
        for one in part.variants
        for name, resource in one.resources.items()
    }
    by_id = {
        physical[path]: path
        for path, kind in kinds.items()
        if kind.startswith(_OF_APIS) and path in physical
    }
    most = max((len(part.variants) for part in parts), default=0)
    return [
        Resolved(
            resources={
                part.path + name: _moved(resource, part.path, by_id)
                for part in parts
                for name, resource in part.variants[
                    min(index, len(part.variants) - 1)
                ].resources.items()
            },
            outputs={},
        )
        for index in range(most)
    ]


def _moved(resource: Resource, path: str, by_id: Mapping[str, str]) -> Resource:
    given: JsonObject = values.below(resource.properties, path) if path else resource.properties
    if resource.kind.startswith(_OF_APIS):
        passed = {key: by_id[given[key]] for key in _IDS if given.get(key) in by_id}
        given = {**given, **{key: values.own(of) for key, of in passed.items()}}
    return replace(resource, logical_id=path + resource.logical_id, properties=given)
