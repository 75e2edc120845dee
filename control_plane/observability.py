"""One logger and one set of metrics for all functions. Facts as keys; no payloads, no secrets.

A metric is a line of the function's log in CloudWatch's embedded format (EMF): no call, and nothing
that can fail a deployment. Its dimensions have few values and never name an organization: every
value of a dimension is a metric of its own, which is paid for. A tenant's own numbers are asked for
(`syndi health`), not collected.
"""

from functools import cache

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from control_plane.models import DeploymentStatus, Mode

NAMESPACE = "Syndi"


@cache
def logger() -> Logger:
    """The logger: JSON lines to standard output."""
    return Logger(service="syndi")


def _emit(values: dict[str, float], unit: MetricUnit, **dimensions: str) -> None:
    """One line with these metrics. `service` is always a dimension."""
    metrics = Metrics(namespace=NAMESPACE, service="syndi")
    metrics.clear_metrics()
    for name, value in dimensions.items():
        metrics.add_dimension(name=name, value=value)
    for name, number in values.items():
        metrics.add_metric(name=name, unit=unit, value=number)
    metrics.flush_metrics()


_COUNTED = {
    DeploymentStatus.SUCCEEDED: ("DeploymentsSucceeded",),
    DeploymentStatus.FAILED: ("DeploymentsFailed",),
    DeploymentStatus.ROLLED_BACK: ("DeploymentsFailed", "DeploymentsRolledBack"),
    DeploymentStatus.TIMED_OUT: ("DeploymentsFailed", "DeploymentsTimedOut"),
    DeploymentStatus.CANCELLED: ("DeploymentsCancelled",),
    DeploymentStatus.SUPERSEDED: ("DeploymentsSuperseded",),
}
"""What an end counts as. `DeploymentsFailed`, which an alarm watches, has every end that is not as
it was asked for; whoever cancels or supersedes a deployment knows: that is nobody's alarm."""


def count_end(application: str, env: str, status: str) -> None:
    """Count an ended deployment: over all, for its application, and for its environment."""
    counted = dict.fromkeys(_COUNTED.get(DeploymentStatus(status), ()), 1.0)
    if counted:
        _emit(counted, MetricUnit.Count)
        _emit(counted, MetricUnit.Count, application=application)
        _emit(counted, MetricUnit.Count, environment=env)


def deployment_took(seconds: float, mode: str) -> None:
    """How long a deployment was there, from its request to its end.

    By mode: a drift check of seconds and a build of minutes have no average that says anything.
    """
    _emit({"DeploymentSeconds": seconds}, MetricUnit.Seconds, mode=mode or Mode.FULL)


def step_took(seconds: float, state: str) -> None:
    """How long a step was there, from its first attempt to its end; waiting is part of it."""
    _emit({"StepSeconds": seconds}, MetricUnit.Seconds, state=state)


def queued_for(seconds: float) -> None:
    """How long a deployment waited, from its request until it could begin."""
    _emit({"QueueSeconds": seconds}, MetricUnit.Seconds)


def still_queued(seconds: float) -> None:
    """How long a deployment waits by now, told at every look: `QueueSeconds` knows only those that
    came through."""
    _emit({"QueueAgeSeconds": seconds}, MetricUnit.Seconds)


def slots(taken: int, limit: int, waiting: int) -> None:
    """How many deployment slots are taken, how many there are, and who waits for one."""
    told = {"SlotsTaken": taken, "SlotsLimit": limit, "DeploymentsWaiting": waiting}
    _emit({name: float(value) for name, value in told.items()}, MetricUnit.Count)


def count_unexpected() -> None:
    """Count a failure that is none of the control plane's own kinds: a missing permission, a
    worker that died, a mistake in its code."""
    _emit({"UnexpectedFailures": 1.0}, MetricUnit.Count)


def count_untold() -> None:
    """Count a notification that could not be sent."""
    _emit({"NotificationsFailed": 1.0}, MetricUnit.Count)
