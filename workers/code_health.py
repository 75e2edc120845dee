"""How a tenant's function did over a period: read for the API from CloudWatch and its log."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.models import JsonObject, utc_now
from control_plane.reasons import plain
from control_plane.use_cases import health
from control_plane.use_cases.health import Calls, ColdStarts, Health, HealthQuestion
from workers import function_code

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

PAGES, SECONDS = 20, 12.0
"""How much of a log is read: whoever asks waits for it, 29 s at most (API Gateway)."""


def answer(question: Mapping[str, Any]) -> JsonObject:
    """How the function did: the tenant's own, as its stack names it."""
    asked = HealthQuestion.model_validate(question)
    name = function_code.name_of(asked.tenant.stack_name, asked.function)
    until = utc_now()
    since = until - timedelta(hours=asked.hours)
    found = Health(function=name, since=since, until=until)
    try:
        functions = aws.of_tenant(asked.tenant).lambda_()
        function = functions.get_function_configuration(FunctionName=name)
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        problem = f"the function {name} does not exist any more"
        return found.model_copy(update={"problem": problem}).model_dump(mode="json")
    calls = _calls(name, since, until, health.bucket_seconds(asked.hours))
    if calls is not None:
        cold_starts = _cold_starts(function, since, until)
        found = found.model_copy(update={"calls": calls, "cold_starts": cold_starts})
    return found.model_dump(mode="json")


def _calls(name: str, since: datetime, until: datetime, seconds: int) -> Calls | None:
    values: dict[str, list[float]] = {id_: [] for id_ in health.METRICS}
    pages = aws.cloudwatch().get_paginator("get_metric_data").paginate(
        MetricDataQueries=[
            {
                "Id": id_,
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Lambda",
                        "MetricName": metric,
                        "Dimensions": [{"Name": "FunctionName", "Value": name}],
                    },
                    "Period": seconds,
                    "Stat": statistic,
                },
            }
            for id_, (metric, statistic) in health.METRICS.items()
        ],
        StartTime=since,
        EndTime=until,
    )  # fmt: skip
    for page in pages:
        for result in page["MetricDataResults"]:
            values[result["Id"]] += result["Values"]
    return health.calls_of(values)


def _cold_starts(
    function: "FunctionConfigurationResponseTypeDef", since: datetime, until: datetime
) -> ColdStarts:
    """How many calls had to start the runtime; what cannot be read is said, not counted as none."""
    logging: JsonObject = dict(function.get("LoggingConfig") or {})
    group = logging.get("LogGroup") or f"/aws/lambda/{function['FunctionName']}"
    if logging.get("SystemLogLevel") == "WARN":
        return ColdStarts(problem="the function's SystemLogLevel WARN keeps reports out of its log")
    try:
        if problem := _too_short(group, since, until):
            return ColdStarts(problem=problem)
        return _counted(group, since, until, is_json=logging.get("LogFormat") == "JSON")
    except aws.FAILURES as error:
        return ColdStarts(problem=f"its log {group} cannot be read: {plain(str(error))}")


def _too_short(group: str, since: datetime, until: datetime) -> str | None:
    """Why a log does not say anything about all of a period, or None."""
    found = aws.logs().describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    log = next((item for item in found if item["logGroupName"] == group), None)
    if log is None:
        return f"there is no log {group}"
    kept = log.get("retentionInDays")
    if kept is not None and until - since > timedelta(days=kept):
        return f"its log is kept for {kept} days only"
    return None


def _counted(group: str, since: datetime, until: datetime, *, is_json: bool) -> ColdStarts:
    pages = aws.logs().get_paginator("filter_log_events").paginate(
        logGroupName=group,
        startTime=int(since.timestamp() * 1000),
        endTime=int(until.timestamp() * 1000),
        filterPattern=health.pattern_of(is_json=is_json),
    )  # fmt: skip
    count, deadline = 0, time.monotonic() + SECONDS
    for number, page in enumerate(pages, 1):
        lines = (event.get("message", "") for event in page["events"])
        count += sum(health.is_cold_start(line, is_json=is_json) for line in lines)
        is_enough = number >= PAGES or time.monotonic() > deadline
        if is_enough and page.get("nextToken"):
            return ColdStarts(count=count, complete=False)
    return ColdStarts(count=count)
