"""CloudWatch alarms as they are now: looked at between the waves of a rollout and in a shift."""

from collections.abc import Sequence

from control_plane import aws
from control_plane.models import JsonObject

RINGS = "ALARM"
"""The state of an alarm that rings."""

_ASKED = 100
"""Alarms that one DescribeAlarms takes by name (CloudWatch API reference)."""


def described(names: Sequence[str]) -> dict[str, JsonObject]:
    """State and reason of those of the alarms that exist, metric alarms and composite ones."""
    known: dict[str, JsonObject] = {}
    for start in range(0, len(names), _ASKED):
        answer = aws.cloudwatch().describe_alarms(
            AlarmNames=list(names[start : start + _ASKED]),
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            MaxRecords=_ASKED,
        )
        for one in [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]:
            told = {"state": one["StateValue"], "reason": one.get("StateReason", "")}
            known[one["AlarmName"]] = told
    return known
