"""Termination protection: nobody deletes a prod stack by a slip of the hand."""

from typing import TYPE_CHECKING

from control_plane import aws
from control_plane.models import Deployment, Env

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef


def protect(deployment: Deployment, stack: "StackTypeDef") -> None:
    """Turn it on for a deployed stack of prod; harmless when it is on already."""
    if deployment.tenant.env == Env.PROD and not stack.get("EnableTerminationProtection"):
        _set(stack, enabled=True)


def unprotect(stack: "StackTypeDef") -> None:
    """Turn it off for a stack whose removal was asked for."""
    if stack.get("EnableTerminationProtection"):
        _set(stack, enabled=False)


def restore(stack: "StackTypeDef") -> None:
    """Turn it on again for a stack that had it and was not deleted after all."""
    if stack.get("EnableTerminationProtection"):
        _set(stack, enabled=True)


def _set(stack: "StackTypeDef", *, enabled: bool) -> None:
    aws.cloudformation().update_termination_protection(
        StackName=stack["StackName"], EnableTerminationProtection=enabled
    )
