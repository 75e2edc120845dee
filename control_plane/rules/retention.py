"""What outlives its stack, by the template: pure rules."""

from collections.abc import Collection

from control_plane.models import JsonObject
from control_plane.rules import data


def holds_data(resource_type: str, stateful_types: Collection[str]) -> bool:
    """Whether resources of a type hold data that outlives the tenant's stack, or may.

    `stateful_types`: those that manifests name. Logs go with the stack, unless one names them. A
    type of which nothing is known (a custom resource, a third party's, a new one) may hold data.
    """
    if resource_type in data.LOGS:
        return resource_type in stateful_types
    found = data.holding(resource_type, stateful_types)
    return found in (data.Holding.DATA, data.Holding.UNKNOWN)


def is_retained(resource: JsonObject) -> bool:
    """Whether a resource, as a processed template declares it, outlives the deletion of its stack.

    A policy that is no plain text cannot be decided here, and does not count as retaining. Of a
    snapshot the data outlives the resource; CloudFormation refuses one for types that have none.
    """
    if resource.get(data.DELETION) == data.Policy.SNAPSHOT:
        return True
    return data.policy(resource, data.DELETION) != data.Policy.DELETE
