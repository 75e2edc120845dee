"""What is in a stack, as CloudFormation lists it: all resources, with those of nested stacks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control_plane import aws

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackResourceSummaryTypeDef

NESTED = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class StackResource:
    """A resource of a stack. `path`: the logical ids of the nested stacks above it, and its own."""

    path: str
    type: str
    physical_id: str
    status: str

    @property
    def is_gone(self) -> bool:
        """Whether CloudFormation deleted it."""
        return self.status == "DELETE_COMPLETE"

    @property
    def is_left(self) -> bool:
        """Whether it is no part of the stack any more, which kept it."""
        return self.status == "DELETE_SKIPPED"


def summaries(stack_id: str) -> "list[StackResourceSummaryTypeDef]":
    """The resources of a stack, also of a deleted one by its id (ListStackResources: 90 days).

    DescribeStackResources answers with the first 100 of them only.
    """
    pages = aws.cloudformation().get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return [item for page in pages for item in page["StackResourceSummaries"]]


def own(stack_id: str, above: str = "") -> list[StackResource]:
    """The resources of one stack, without those of its nested stacks."""
    return [
        StackResource(
            path=f"{above}{item['LogicalResourceId']}",
            type=item["ResourceType"],
            physical_id=item.get("PhysicalResourceId", ""),
            status=item["ResourceStatus"],
        )
        for item in summaries(stack_id)
    ]


def with_nested(stack_id: str, above: str = "") -> Iterator[StackResource]:
    """The resources of a stack and of the stacks nested in it, each stack before what is in it.

    Raises ClientError (ValidationError) for a stack that CloudFormation does not know.
    """
    for item in own(stack_id, above):
        yield item
        if item.type == NESTED and item.physical_id:
            yield from with_nested(item.physical_id, f"{item.path}/")
