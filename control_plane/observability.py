"""One logger and one set of metrics for all functions. Facts as keys; no payloads, no secrets."""

from functools import cache

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from control_plane.models import DeploymentStatus

NAMESPACE = "Syndi"


@cache
def logger() -> Logger:
    """The logger: JSON lines to standard output."""
    return Logger(service="syndi")


_COUNTED = {
    DeploymentStatus.SUCCEEDED: "DeploymentsSucceeded",
    DeploymentStatus.FAILED: "DeploymentsFailed",
    DeploymentStatus.ROLLED_BACK: "DeploymentsFailed",
    DeploymentStatus.TIMED_OUT: "DeploymentsFailed",
}
"""Ends that count. Whoever cancels or supersedes a deployment knows: that is nobody's alarm."""


def count_end(application: str, status: str) -> None:
    """Count an ended deployment: the metric that the alarm on failed deployments watches.

    Twice: over all applications (the alarm's) and per application.
    """
    kind = _COUNTED.get(DeploymentStatus(status))
    if kind is None:
        return
    for dimensions in ({}, {"application": application}):
        metrics = Metrics(namespace=NAMESPACE, service="syndi")
        metrics.clear_metrics()
        for name, value in dimensions.items():
            metrics.add_dimension(name=name, value=value)
        metrics.add_metric(name=kind, unit=MetricUnit.Count, value=1)
        metrics.flush_metrics()
