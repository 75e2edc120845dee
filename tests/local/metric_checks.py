"""What is measured of functions, as on AWS."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from local_aws import Aws, client

from local.processes import wait_until

COUNTING = """
import json, time

def handler(event, context):
    line = {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [{
        "Namespace": "Own", "Dimensions": [["kind"]],
        "Metrics": [{"Name": "Counted", "Unit": "Count"}]}]},
        "kind": context.function_name, "Counted": [2.0, 3.0]}
    print(json.dumps(line))
    if event.get("fail"):
        raise ValueError("as asked")
    return {}
"""


def _sum(aws: Aws, namespace: str, metric: str, **dimensions: str) -> float:
    now = datetime.now(UTC)
    found = aws.cloudwatch.get_metric_statistics(
        Namespace=namespace, MetricName=metric, Period=3600, Statistics=["Sum"],
        StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1),
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
    )["Datapoints"]  # fmt: skip
    return sum(float(point["Sum"]) for point in found)


def _reports(aws: Aws, function: str) -> list[str]:
    events = aws.logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    return [event["message"] for event in events if event["message"].startswith("REPORT ")]


def _state(function: str) -> dict[str, Any]:
    return {
        "StartAt": "Call",
        "States": {"Call": {"Type": "Task", "Resource": function, "End": True}},
    }


def every_call_is_measured_once(aws: Aws) -> None:
    function = aws.function("measured", COUNTING)
    aws.execute("measured-by-a-state", _state(function))
    client(aws.laptop, "lambda").invoke(FunctionName="measured", Payload=b"{}")
    client(aws.laptop, "lambda").invoke(
        FunctionName="measured", Payload=json.dumps({"fail": 1}).encode()
    )
    assert _sum(aws, "AWS/Lambda", "Invocations", FunctionName="measured") == 3
    assert _sum(aws, "AWS/Lambda", "Errors", FunctionName="measured") == 1
    assert _sum(aws, "AWS/Lambda", "Duration", FunctionName="measured") >= 3


def a_cold_start_is_in_the_report_and_not_in_the_duration(aws: Aws) -> None:
    # Loading takes what the test looks for in the report: the time of a cold start.
    aws.function("slow-to-start", "import time\ntime.sleep(0.4)\n" + COUNTING)
    for _ in range(2):
        client(aws.laptop, "lambda").invoke(FunctionName="slow-to-start", Payload=b"{}")
    first, second = _reports(aws, "slow-to-start")
    assert "\tInit Duration: " in first
    assert "Init Duration" not in second
    words = first.replace("\t", " ").split()
    assert float(words[words.index("Duration:") + 1]) < 400
    assert float(words[words.index("Init") + 2]) >= 400


def lines_in_the_embedded_format_become_metrics(aws: Aws) -> None:
    aws.function("counting", COUNTING)
    client(aws.laptop, "lambda").invoke(FunctionName="counting", Payload=b"{}")
    aws.cloudwatch.put_metric_alarm(
        AlarmName="counted", Namespace="Own", MetricName="Counted", Statistic="Sum", Period=60,
        Dimensions=[{"Name": "kind", "Value": "counting"}], EvaluationPeriods=1, Threshold=7,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )  # fmt: skip
    client(aws.laptop, "lambda").invoke(FunctionName="counting", Payload=b"{}")
    assert wait_until(lambda: _sum(aws, "Own", "Counted", kind="counting") == 10, 3)

    def state() -> str:
        (alarm,) = aws.cloudwatch.describe_alarms(AlarmNames=["counted"])["MetricAlarms"]
        return str(alarm["StateValue"])

    assert wait_until(lambda: state() == "ALARM", 3)


CHECKS = [
    every_call_is_measured_once,
    a_cold_start_is_in_the_report_and_not_in_the_duration,
    lines_in_the_embedded_format_become_metrics,
]
