"""`syndi health`: what the code worker reads of a tenant's function, and the API's way to it."""

import io
import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import Reply, call
from record_calls import good_tenant
from worker_builders import ALPHA

from control_plane import aws
from workers import code, code_health

NAME = "notes-stage-alpha"
GROUP = f"/aws/lambda/{NAME}"
COLD = "REPORT RequestId: 1\tDuration: 3 ms\tInit Duration: 118.33 ms\t\n"
VALUES = {
    "invocations": [1.0, 99.0],
    "errors": [3.0],
    "throttles": [0.0],
    "total_ms": [1000.0, 990.0],
    "measured": [1.0, 99.0],
    "maximum_ms": [1000.0, 30.0],
}
DENIED = scripted.failure(
    "AccessDeniedException",
    "User: arn:aws:sts::1:assumed-role/syndi-code/f is not authorized to perform: "
    "logs:FilterLogEvents on resource: x",
)


@pytest.fixture
def function(script: scripted.Scripted) -> scripted.Scripted:
    """A tenant's function with calls, one of which was a cold start."""
    found = {"PhysicalResourceId": NAME, "ResourceType": "AWS::Lambda::Function"}
    resource = {"StackResourceDetail": found}
    script.on(aws.cloudformation(), "DescribeStackResource", resource)
    script.on(aws.lambda_(), "GetFunctionConfiguration", {"FunctionName": NAME})
    measured(script, VALUES)
    kept(script, 30)
    script.on(aws.logs(), "FilterLogEvents", {"events": [{"message": COLD}]})
    return script


def measured(script: scripted.Scripted, values: dict[str, list[float]]) -> None:
    results = [{"Id": id_, "Values": found} for id_, found in values.items()]
    script.on(aws.cloudwatch(), "GetMetricData", {"MetricDataResults": results})


def kept(script: scripted.Scripted, days: int | None) -> None:
    """The function's log, behind another one whose name begins alike."""
    mine = {"logGroupName": GROUP} | ({"retentionInDays": days} if days else {})
    script.on(
        aws.logs(),
        "DescribeLogGroups",
        {"logGroups": [{"logGroupName": f"{GROUP}-other", "retentionInDays": 1}, mine]},
    )


def ask(hours: int = 24) -> dict[str, Any]:
    question = {"tenant": ALPHA.model_dump(mode="json"), "function": "Function", "hours": hours}
    return code.handler({"health": question}, None)


def test_calls_duration_errors_and_cold_starts(function: scripted.Scripted) -> None:
    found = ask()
    assert found["function"] == NAME
    assert found["calls"] == {
        "invocations": 100, "errors": 3, "throttles": 0, "average_ms": 19.9, "maximum_ms": 1000.0,
    }  # fmt: skip
    assert found["cold_starts"] == {"count": 1, "complete": True, "problem": None}
    (asked,) = function.of("DescribeStackResource")
    assert asked == {"StackName": NAME, "LogicalResourceId": "Function"}
    (query,) = function.of("GetMetricData")
    for item in query["MetricDataQueries"]:
        metric = item["MetricStat"]["Metric"]
        assert metric["Namespace"] == "AWS/Lambda"
        assert metric["Dimensions"] == [{"Name": "FunctionName", "Value": NAME}]
    assert (query["EndTime"] - query["StartTime"]).total_seconds() == 24 * 3600
    (filtered,) = function.of("FilterLogEvents")
    assert (filtered["logGroupName"], filtered["filterPattern"]) == (GROUP, '"Init Duration"')
    assert filtered["endTime"] - filtered["startTime"] == 24 * 3600 * 1000


def test_without_calls_no_log_is_read(function: scripted.Scripted) -> None:
    measured(function, {name: [] for name in VALUES})
    found = ask()
    assert (found["calls"], found["cold_starts"], found["problem"]) == (None, None, None)
    assert function.of("FilterLogEvents") == []


def test_parts_on_several_pages_are_all_counted(function: scripted.Scripted) -> None:
    results = [{"Id": id_, "Values": found} for id_, found in VALUES.items()]
    page = {"MetricDataResults": results}
    function.on(aws.cloudwatch(), "GetMetricData", {**page, "NextToken": "more"}, page)
    assert ask()["calls"]["invocations"] == 200


def test_a_function_that_is_gone_has_no_numbers(function: scripted.Scripted) -> None:
    gone = scripted.failure("ResourceNotFoundException")
    function.on(aws.lambda_(), "GetFunctionConfiguration", gone)
    found = ask()
    assert found["problem"] == f"the function {NAME} does not exist any more"
    assert found["calls"] is None
    assert function.of("GetMetricData") == []


# Logs that do not say it --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logging", "days", "answer", "problem"),
    [
        ({}, 30, DENIED, "cannot be read: missing permission logs:FilterLogEvents on x"),
        ({}, 30, scripted.failure("ThrottlingException"), "cannot be read: "),
        ({"LogGroup": "/elsewhere"}, 30, {}, "there is no log /elsewhere"),
        ({}, 1, {}, "its log is kept for 1 days only"),
        ({"SystemLogLevel": "WARN"}, 30, {}, "SystemLogLevel WARN keeps reports out"),
    ],
)
def test_a_log_that_says_nothing_is_not_a_log_without_cold_starts(
    function: scripted.Scripted,
    logging: dict[str, str],
    days: int,
    answer: dict[str, Any],
    problem: str,
) -> None:
    configuration = {"FunctionName": NAME, "LoggingConfig": logging}
    function.on(aws.lambda_(), "GetFunctionConfiguration", configuration)
    kept(function, days)
    function.on(aws.logs(), "FilterLogEvents", answer or {"events": []})
    found = ask(hours=48)
    assert found["cold_starts"]["count"] is None
    assert problem in found["cold_starts"]["problem"]
    assert found["calls"]["invocations"] == 100


def test_a_log_that_is_kept_for_ever_says_all(function: scripted.Scripted) -> None:
    kept(function, None)
    assert ask(hours=1440)["cold_starts"]["count"] == 1


def test_a_log_of_json_is_filtered_for_other_words(function: scripted.Scripted) -> None:
    configuration = {"FunctionName": NAME, "LoggingConfig": {"LogFormat": "JSON"}}
    function.on(aws.lambda_(), "GetFunctionConfiguration", configuration)
    line = json.dumps({"type": "platform.report", "record": {"metrics": {"initDurationMs": 1}}})
    function.on(aws.logs(), "FilterLogEvents", {"events": [{"message": line}]})
    assert ask()["cold_starts"]["count"] == 1
    assert function.of("FilterLogEvents")[0]["filterPattern"] == "initDurationMs"


def test_a_large_log_is_read_up_to_a_bound_and_that_is_said(
    function: scripted.Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = {"events": [{"message": COLD}]}
    function.on(aws.logs(), "FilterLogEvents", *({**page, "nextToken": str(n)} for n in range(9)))
    monkeypatch.setattr(code_health, "PAGES", 3)
    assert ask()["cold_starts"] == {"count": 3, "complete": False, "problem": None}
    assert len(function.of("FilterLogEvents")) == 3
    function.on(aws.logs(), "FilterLogEvents", {**page, "nextToken": "1"}, {"events": []})
    assert ask()["cold_starts"] == {"count": 1, "complete": True, "problem": None}


def test_a_slow_log_is_read_for_some_seconds(
    function: scripted.Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = {"events": [{"message": COLD}]}
    function.on(aws.logs(), "FilterLogEvents", *({**page, "nextToken": str(n)} for n in range(9)))
    monkeypatch.setattr(code_health, "SECONDS", -1.0)
    assert ask()["cold_starts"] == {"count": 1, "complete": False, "problem": None}


# The API ------------------------------------------------------------------------------------------


@pytest.fixture
def asked(script: scripted.Scripted, function: scripted.Scripted) -> list[Any]:
    """The code worker answers the API; the questions."""
    questions = []

    def invoke(parameters: Any) -> Any:
        questions.append(parameters)
        answer = code.handler(json.loads(parameters["Payload"]), None)
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}

    script.on(aws.lambda_(), "Invoke", invoke)
    return questions


def get(**query: str) -> Reply:
    return call("GET", "/envs/stage/orgs/alpha/health", **query)


def test_the_api_asks_the_worker_that_may(source: str, asked: list[Any]) -> None:
    good_tenant(source=source)
    reply = get(period="7d")
    assert reply.status == 200
    assert (reply.body["tenant"], reply.body["period"]) == (NAME, "7d")
    assert reply.body["calls"]["invocations"] == 100
    (question,) = asked
    assert question["FunctionName"] == build.ENVIRONMENT["CODE_FUNCTION"]
    assert json.loads(question["Payload"])["health"]["hours"] == 168


def test_a_tenant_that_was_never_deployed_has_no_function(source: str, asked: list[Any]) -> None:
    reply = get()
    assert (reply.status, reply.error["code"]) == (404, "NotFound")
    assert asked == []


def test_a_period_that_is_none_is_refused(source: str, asked: list[Any]) -> None:
    good_tenant(source=source)
    reply = get(period="tomorrow")
    assert (reply.status, reply.fields) == (400, ["period"])


def test_an_application_without_a_function_says_so(world: None, asked: list[Any]) -> None:
    text = build.MANIFEST.replace('function = "Function"\n', "")
    pushed = build.push_source({**build.FILES, "application.toml": text})
    good_tenant(source=pushed)
    reply = get()
    assert reply.status == 404
    assert "names no function" in reply.error["message"]


def test_a_worker_that_fails_is_no_tenant_without_calls(
    source: str, script: scripted.Scripted
) -> None:
    good_tenant(source=source)
    told = json.dumps({"errorMessage": "it broke", "errorType": "ClientError"}).encode()
    failed = {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": io.BytesIO(told)}
    script.on(aws.lambda_(), "Invoke", failed)
    reply = get()
    assert (reply.status, reply.error["code"]) == (500, "HealthUnreadable")
    assert reply.error["message"] == f"{NAME}: it broke"
    script.on(aws.lambda_(), "Invoke", scripted.failure("AccessDeniedException", "no"))
    assert get().error["code"] == "HealthUnreadable"
