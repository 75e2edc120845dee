"""The rules of `syndi health`: periods, sums of parts, cold starts, and what is printed."""

from typing import Any

import pytest

from cli.measuring import lines
from control_plane.errors import InvalidRequest
from control_plane.use_cases.health import Calls, bucket_seconds, calls_of, hours_of, is_cold_start

NOTHING: dict[str, list[float]] = {
    "invocations": [], "errors": [], "throttles": [], "total_ms": [], "measured": [],
    "maximum_ms": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("period", "hours"), [("1h", 1), ("24h", 24), ("7d", 168), ("60d", 1440), ("1440h", 1440)]
)
def test_a_period_is_hours_or_days(period: str, hours: int) -> None:
    assert hours_of(period) == hours


@pytest.mark.parametrize("period", ["", "24", "0h", "-1h", "1.5h", "61d", "1441h", "24m", "1h\n"])
def test_any_other_period_is_refused_with_an_example(period: str) -> None:
    with pytest.raises(InvalidRequest, match="24h, 7d") as refused:
        hours_of(period)
    assert refused.value.details[0]["field"] == "period"


@pytest.mark.parametrize("hours", [1, 3, 24, 72, 168, 1440])
def test_the_parts_of_a_period_are_kept_for_so_long_and_are_not_too_many(hours: int) -> None:
    seconds = bucket_seconds(hours)
    kept_days = {60: 15, 300: 63, 3600: 455}[seconds]  # CloudWatch guide, metrics retention
    assert hours <= kept_days * 24
    assert hours * 3600 / seconds * 6 < 100_800  # data points of one answer
    assert seconds <= hours * 3600 / 60


# Sums ---------------------------------------------------------------------------------------------


def test_the_average_is_over_calls_and_not_over_parts() -> None:
    """A quiet hour of one slow call and a busy one: 1 of 1000 ms and 99 of 10 ms."""
    found = calls_of(
        {
            "invocations": [1.0, 99.0],
            "errors": [1.0, 2.0],
            "throttles": [0.0, 4.0],
            "total_ms": [1000.0, 990.0],
            "measured": [1.0, 99.0],
            "maximum_ms": [1000.0, 30.0],
        }
    )
    assert found == Calls(
        invocations=100, errors=3, throttles=4, average_ms=19.9, maximum_ms=1000.0
    )


@pytest.mark.parametrize("zeros", [[], [0.0], [0.0, 0.0]])
def test_nothing_counted_is_no_number_at_all(zeros: list[float]) -> None:
    assert calls_of({**NOTHING, "invocations": zeros, "throttles": zeros}) is None


def test_calls_that_were_all_throttled_have_no_duration() -> None:
    found = calls_of({**NOTHING, "throttles": [3.0]})
    assert found == Calls(invocations=0, errors=0, throttles=3)


# Cold starts --------------------------------------------------------------------------------------

REPORT = "REPORT RequestId: 8f5a\tDuration: 3.10 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB"
COLD = f"{REPORT}\tMax Memory Used: 40 MB\tInit Duration: 118.33 ms\t\n"
JSON_REPORT = (
    '{"time": "2026-11-22T12:00:00Z", "type": "platform.report", "record": {"requestId": "8f5a",'
    ' "metrics": {"durationMs": 3.1, "billedDurationMs": 4, "initDurationMs": 118.33}}}'
)


@pytest.mark.parametrize(
    ("line", "is_json", "is_cold"),
    [
        (COLD, False, True),
        (REPORT, False, False),
        ("the Init Duration: 118 ms of REPORT RequestId: 1", False, False),
        ("REPORT RequestId: of my own, no Init Duration", False, False),
        (JSON_REPORT, False, False),
        (JSON_REPORT, True, True),
        (JSON_REPORT.replace(', "initDurationMs": 118.33', ""), True, False),
        (JSON_REPORT.replace("platform.report", "mine"), True, False),
        ('{"type": "platform.report", "record": null}', True, False),
        ('["initDurationMs"]', True, False),
        ("initDurationMs", True, False),
        (COLD, True, False),
    ],
)
def test_a_cold_start_is_what_lambda_reports_and_not_what_an_application_writes(
    line: str, is_json: bool, is_cold: bool
) -> None:
    assert is_cold_start(line, is_json=is_json) is is_cold


# Printed ------------------------------------------------------------------------------------------


def told(calls: Any, cold_starts: Any = None) -> dict[str, str]:
    answer = {
        "function": "notes-stage-alpha",
        "since": "2026-11-21T12:00:00.123Z",
        "until": "2026-11-22T12:00:00.123Z",
        "calls": calls,
        "cold_starts": cold_starts,
    }
    return dict(lines(answer))


CALLS = {
    "invocations": 400, "errors": 3, "throttles": 0, "average_ms": 38.14, "maximum_ms": 912.0,
}  # fmt: skip
SOME = {"count": 9, "complete": True, "problem": None}


def test_what_was_measured_is_printed() -> None:
    assert told(CALLS, SOME) == {
        "function": "notes-stage-alpha",
        "period": "2026-11-21T12:00 to 2026-11-22T12:00 UTC",
        "calls": "400, 3 failed (0.8 %)",
        "duration": "average 38.1 ms, maximum 912.0 ms",
        "cold starts": "9 (2.2 % of the calls)",
    }


def test_without_calls_there_are_no_zeros() -> None:
    found = told(None)
    assert found["calls"] == "no calls in the period"
    assert set(found) == {"function", "period", "calls"}


@pytest.mark.parametrize(
    ("cold_starts", "text"),
    [
        ({**SOME, "count": 0}, "none"),
        ({**SOME, "complete": False}, "at least 9: the log is too large to count"),
        ({"count": None, "complete": True, "problem": "why"}, "not known: why"),
    ],
)
def test_cold_starts_that_are_not_known_are_not_none(
    cold_starts: dict[str, Any], text: str
) -> None:
    assert told(CALLS, cold_starts)["cold starts"] == text


def test_throttled_calls_are_told_also_when_they_were_all() -> None:
    found = told({**CALLS, "errors": 0, "throttles": 2}, SOME)
    assert found["calls"] == "400, none failed, and 2 throttled"
    only = {"invocations": 0, "errors": 0, "throttles": 2, "average_ms": None, "maximum_ms": None}
    found = told(only, {**SOME, "count": 0})
    assert (found["calls"], found["duration"]) == (
        "0, none failed, and 2 throttled",
        "none was measured",
    )
