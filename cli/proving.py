"""What was installed is asked which build it is, before it is called good."""

import time
from collections.abc import Callable

from cli.failure import Failed
from cli.install import Built, Target
from control_plane import aws
from control_plane.errors import TenantNotReady
from control_plane.rules.tenant_health import health_verdict
from control_plane.services import stack_reading as reading
from control_plane.services.client import signed_get

PATIENCE = 180.0
"""Seconds in which a new API answers: a deployment of API Gateway takes some to be everywhere."""


def prove(target: Target, built: Built, clock: Callable[[], float] = time.monotonic) -> None:
    """Wait until the control plane reports the build that was installed. Raises Failed.

    A self-update goes back to what was recorded last: something that never answered must not be it.
    """
    stack = reading.describe(target.stack)
    assert stack is not None  # it was deployed a moment ago
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
    url, until = f"{outputs['ApiUrl']}/health", clock() + PATIENCE
    while problem := _not_yet(url, built):
        if clock() > until:
            raise Failed(
                f"{target.stack} was brought to build {built.fingerprint[:12]} and does not work: "
                f"{problem}. It is not recorded; 'syndi install' from a checkout that worked "
                "puts it right"
            )
        time.sleep(target.poll_seconds)


def _not_yet(url: str, built: Built) -> str:
    """What is wrong with the answer; empty when it is the build's own."""
    try:
        answer = signed_get(url, aws.cloudformation().meta.region_name)
    except TenantNotReady as error:
        return str(error)
    if answer.status != 200:
        return f"{url} answered {answer.status}"
    reported = answer.body.get("build") if isinstance(answer.body, dict) else None
    if reported != built.fingerprint:
        return f"{url} reports build {str(reported)[:12]}"
    return health_verdict(answer.status, answer.body, built.manifest.tests).problem
