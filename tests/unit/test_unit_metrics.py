"""The metrics: names, units, dimensions; which end counts as what; and how long it took."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest

from control_plane import observability
from control_plane.models import OPEN_STATUSES, DeploymentStatus
from control_plane.rules.timings import deployment_seconds, queue_seconds, step_seconds

Tell = Callable[[], None]

ENDS = {
    "SUCCEEDED": {"DeploymentsSucceeded"},
    "FAILED": {"DeploymentsFailed"},
    "ROLLED_BACK": {"DeploymentsFailed", "DeploymentsRolledBack"},
    "TIMED_OUT": {"DeploymentsFailed", "DeploymentsTimedOut"},
    "CANCELLED": {"DeploymentsCancelled"},
    "SUPERSEDED": {"DeploymentsSuperseded"},
}
METRICS: list[tuple[Tell, dict[str, float], str, dict[str, str]]] = [
    (
        lambda: observability.deployment_took(61.5, "function"),
        {"DeploymentSeconds": 61.5},
        "Seconds",
        {"mode": "function"},
    ),
    (
        lambda: observability.deployment_took(1, ""),
        {"DeploymentSeconds": 1},
        "Seconds",
        {"mode": "full"},
    ),
    (
        lambda: observability.step_took(0.25, "AwaitBuild"),
        {"StepSeconds": 0.25},
        "Seconds",
        {"state": "AwaitBuild"},
    ),
    (lambda: observability.queued_for(3), {"QueueSeconds": 3}, "Seconds", {}),
    (lambda: observability.still_queued(90), {"QueueAgeSeconds": 90}, "Seconds", {}),
    (
        lambda: observability.slots(6, 50, 2),
        {"SlotsTaken": 6, "SlotsLimit": 50, "DeploymentsWaiting": 2},
        "Count",
        {},
    ),
    (observability.count_unexpected, {"UnexpectedFailures": 1}, "Count", {}),
    (observability.count_untold, {"NotificationsFailed": 1}, "Count", {}),
]


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines in CloudWatch's embedded format, as they are in the log."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def names_and_units(line: dict[str, Any]) -> dict[str, str]:
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == observability.NAMESPACE == "Syndi"
    return {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}


def dimensions(line: dict[str, Any]) -> dict[str, str]:
    (names,) = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    return {name: line[name] for name in names}


@pytest.mark.parametrize(("tell", "values", "unit", "also"), METRICS)
def test_a_metric_has_its_name_unit_and_dimensions(
    tell: Tell,
    values: dict[str, float],
    unit: str,
    also: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell()
    (line,) = told(capsys)
    assert names_and_units(line) == dict.fromkeys(values, unit)
    assert {name: line[name] for name in values} == {n: [float(v)] for n, v in values.items()}
    assert dimensions(line) == {"service": "syndi", **also}


@pytest.mark.parametrize("status", [s for s in DeploymentStatus if s not in OPEN_STATUSES])
def test_an_end_is_counted_for_all_for_its_application_and_for_its_environment(
    status: DeploymentStatus, capsys: pytest.CaptureFixture[str]
) -> None:
    observability.count_end("notes", "stage", status)
    lines = told(capsys)
    assert [set(names_and_units(line)) for line in lines] == [ENDS[status]] * 3
    assert all(line[name] == [1.0] for line in lines for name in ENDS[status])
    assert {unit for line in lines for unit in names_and_units(line).values()} == {"Count"}
    assert [dimensions(line) for line in lines] == [
        {"service": "syndi"},
        {"service": "syndi", "application": "notes"},
        {"service": "syndi", "environment": "stage"},
    ]


@pytest.mark.parametrize("status", OPEN_STATUSES)
def test_what_has_not_ended_counts_as_nothing(
    status: DeploymentStatus, capsys: pytest.CaptureFixture[str]
) -> None:
    observability.count_end("notes", "stage", status)
    assert told(capsys) == []


def test_every_metric_is_in_these_tests_and_none_has_a_tenant_as_its_dimension() -> None:
    """Each value of a dimension is a metric that is paid for: there are few, or none."""
    functions = [
        function
        for name, function in inspect.getmembers(observability, inspect.isfunction)
        if function.__module__ == observability.__name__ and name not in ("logger", "_emit")
    ]
    here = inspect.getsource(inspect.getmodule(told) or pytest)
    assert [f.__name__ for f in functions if f"observability.{f.__name__}" not in here] == []
    taken = {name for function in functions for name in inspect.signature(function).parameters}
    assert taken & {"org", "tenant", "stack_name", "deployment", "deployment_id"} == set()
    given = {name for *_, also in METRICS for name in also} | {"application", "environment"}
    assert given == {"application", "environment", "mode", "state"}


# From the record ----------------------------------------------------------------------------------

RECORD = {
    "created_at": "2026-11-22T12:00:00.000+00:00",
    "finished_at": "2026-11-22T12:10:00.500+00:00",
    "steps": {
        "AcquireLock": {
            "started_at": "2026-11-22T12:00:01.000+00:00",
            "finished_at": "2026-11-22T12:00:31.250+00:00",
        },
        "AcquireSlot": {
            "started_at": "2026-11-22T12:00:32.000+00:00",
            "finished_at": "2026-11-22T12:01:02.000+00:00",
        },
        "RunTests": {"started_at": "2026-11-22T12:05:00.000+00:00"},
    },
    "rollback_steps": {
        "RunTests": {
            "started_at": "2026-11-22T12:09:00.000+00:00",
            "finished_at": "2026-11-22T12:09:02.000+00:00",
        },
    },
}


def test_how_long_something_took_is_in_the_record() -> None:
    assert step_seconds(RECORD, "AcquireLock", rolling_back=False) == 30.25
    assert step_seconds(RECORD, "RunTests", rolling_back=True) == 2.0
    assert queue_seconds(RECORD) == 62.0
    assert deployment_seconds(RECORD) == 600.5


@pytest.mark.parametrize("record", [{}, {"steps": {}}, {**RECORD, "steps": {"AcquireSlot": {}}}])
def test_what_has_not_ended_took_no_time_yet(record: dict[str, Any]) -> None:
    assert step_seconds(record, "AcquireLock", rolling_back=False) is None
    assert queue_seconds(record) is None
    assert step_seconds(RECORD, "RunTests", rolling_back=False) is None
    assert deployment_seconds({"created_at": RECORD["created_at"]}) is None


def test_clocks_that_differ_give_no_time_below_zero() -> None:
    late = {"created_at": RECORD["finished_at"], "finished_at": RECORD["created_at"]}
    assert deployment_seconds(late) == 0.0
