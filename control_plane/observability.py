"""One logger and one set of metrics for all functions. Facts as keys; no payloads, no secrets."""

from functools import cache

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

NAMESPACE = "Syndi"


@cache
def logger() -> Logger:
    """The logger: JSON lines to standard output."""
    return Logger(service="syndi")


def count_end(application: str, status: str) -> None:
    """Count an ended deployment: the metric that the alarm on failed deployments watches.

    Twice: over all applications (the alarm's) and per application.
    """
    for dimensions in ({}, {"application": application}):
        metrics = Metrics(namespace=NAMESPACE, service="syndi")
        metrics.clear_metrics()
        for name, value in dimensions.items():
            metrics.add_dimension(name=name, value=value)
        kind = "DeploymentsSucceeded" if status == "SUCCEEDED" else "DeploymentsFailed"
        metrics.add_metric(name=kind, unit=MetricUnit.Count, value=1)
        metrics.flush_metrics()
