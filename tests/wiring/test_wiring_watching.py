"""Metrics, alarms, dashboard and notifications: what one part names, the other part has."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from asl_graph import MACHINES, ROOT
from sam_template import functions, listed, mentions, of_type, properties, statements, template
from sam_translation import translated

from control_plane import naming
from control_plane.observability import NAMESPACE
from control_plane.services.notifications import SOURCE, Notice
from control_plane.use_cases.schedule_targets import target_input
from workers import record_closing

OBSERVABILITY = (ROOT / "control_plane" / "observability.py").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ALARMS = of_type("AWS::CloudWatch::Alarm")


def widgets() -> list[dict[str, Any]]:
    """The dashboard's widgets, with `${Name}` as it stands in the template."""
    found: list[dict[str, Any]] = json.loads(properties("Dashboard")["DashboardBody"]["Sub"])[
        "widgets"
    ]
    return found


def shown() -> list[list[str]]:
    """Every metric that the dashboard shows: namespace, name, and pairs of dimensions."""
    found = [metric for item in widgets() for metric in item["properties"]["metrics"]]
    return [metric for metric in found if isinstance(metric[0], str)]


# Alarms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_tells_somebody_also_when_no_topic_was_given(name: str) -> None:
    (action,) = ALARMS[name]["AlarmActions"]
    assert action == {"If": ["HasAlarmTopic", {"Ref": "AlarmTopicArn"}, {"Ref": "Notifications"}]}


def test_alarms_watch_what_has_to_be_watched() -> None:
    watched = {alarm["MetricName"] for alarm in ALARMS.values()}
    assert watched >= {
        "DeploymentsFailed", "ExecutionsFailed", "ExecutionsTimedOut", "QueueAgeSeconds",
        "UnexpectedFailures", "NotificationsFailed",
    }  # fmt: skip


@pytest.mark.parametrize("metric", ["ExecutionsFailed", "ExecutionsTimedOut"])
def test_every_state_machine_is_watched_and_its_alarm_says_what_its_end_means(metric: str) -> None:
    of = {
        alarm["Dimensions"][0]["Value"]["Ref"]: alarm["AlarmDescription"]
        for alarm in ALARMS.values()
        if alarm["MetricName"] == metric and alarm["Namespace"] == "AWS/States"
    }
    assert set(of) == set(MACHINES)
    for machine, word in (("RolloutStateMachine", "rollout"), ("ShiftStateMachine", "shift")):
        assert of[machine].startswith(f"A {word} ")
        assert "'syndi ro" in of[machine], "what to type"


def test_the_alarms_are_as_the_documents_say() -> None:
    listed_alarms = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", OPERATIONS, re.MULTILINE)
    names = {name for row in listed_alarms for name in re.findall(r"`([a-z-]+)`", row)}
    prefix = "${AWS::StackName}-"
    own = {alarm["AlarmName"]["Sub"].removeprefix(prefix) for alarm in ALARMS.values()}
    assert own - names == set()


# Dashboard ---------------------------------------------------------------------------------------


def test_the_dashboard_is_json_and_its_widgets_lie_side_by_side() -> None:
    places = [
        {(x, y) for x in range(w["x"], w["x"] + w["width"]) for y in range(w["y"], w["y"] + 6)}
        for w in widgets()
    ]
    assert len(places) >= 9
    assert sum(len(place) for place in places) == len(set.union(*places))
    assert max(x for place in places for x, _ in place) < 24  # columns of a dashboard


def test_what_is_counted_is_what_the_dashboard_shows() -> None:
    own = {metric[1] for metric in shown() if metric[0] == NAMESPACE}
    searched = set(re.findall(r'MetricName=\\?"(\w+)', json.dumps(widgets())))
    counted = set(
        re.findall(r'"((?:Deployment|Step|Queue|Slots|Unexpected|Notif)\w+)"', OBSERVABILITY)
    )
    assert own | searched == counted


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_the_dashboard_shows_every_function(metric: str) -> None:
    of = {m[3] for m in shown() if m[:2] == ["AWS/Lambda", metric]}
    assert of == {f"${{{name}}}" for name in functions()}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_dashboard_shows_the_executions_of_every_state_machine(machine: str) -> None:
    of = {m[1] for m in shown() if m[2:4] == ["StateMachineArn", f"${{{machine}}}"]}
    assert of >= {"ExecutionsStarted", "ExecutionsFailed", "ExecutionsTimedOut"}


def test_the_dashboard_names_nothing_that_the_template_does_not_have() -> None:
    named = set(re.findall(r"\$\{(\w+)\}", properties("Dashboard")["DashboardBody"]["Sub"]))
    assert named <= set(template()["Resources"])


# Notifications -----------------------------------------------------------------------------------

RULE = properties("NotificationsRule")


def test_the_rule_takes_this_control_planes_events_and_no_others() -> None:
    pattern = RULE["EventPattern"]
    assert pattern == {"source": [SOURCE], "detail": {"control_plane": [{"Ref": "AWS::StackName"}]}}


def test_the_text_is_made_of_what_an_event_has_between_quotes() -> None:
    (target,) = RULE["Targets"]
    assert target["Arn"] == {"Ref": "Notifications"}
    paths, text = target["InputTransformer"].values()
    detail = Notice("k", "s", "r", "t", "u").detail("c")
    for path in paths.values():
        assert path.removeprefix("$.detail.") in detail
    assert set(re.findall(r"<(\w+)>", text)) == set(paths)
    for line in text.splitlines():  # EventBridge takes no other text
        assert re.fullmatch(r'"[^"\\]+"', line)


def test_a_scheduled_start_that_lambda_gave_up_becomes_a_notice() -> None:
    """Nobody waits for the answer to a schedule's call: without it, nobody is notified."""
    given = translated()["RecordFunctionEventInvokeConfig"]["Properties"]
    assert given["Qualifier"] == "live", "the alias that a schedule calls"
    assert str(given["DestinationConfig"]["OnFailure"]).endswith("event-bus/default'}}")
    rule, event = properties("NotStartedRule"), json.loads(target_input("deployment", {}))
    pattern = rule["EventPattern"]
    assert pattern["source"] == ["lambda"]
    assert pattern["detail"]["requestPayload"] == {"start": {"machine": [{"exists": True}]}}
    (function,) = pattern["detail"]["requestContext"]["functionArn"]
    assert function["prefix"]["Sub"] == "${RecordFunction.Arn}:"
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": "Notifications"}
    paths, text = target["InputTransformer"].values()
    for path in (p for p in paths.values() if p.startswith("$.detail.requestPayload.")):
        first, *below = path.removeprefix("$.detail.requestPayload.").split(".")
        assert first in event, path
        assert below[:1] in ([], ["machine"], ["input"]), path
    assert {"schedule", "env", "org", "condition"} <= set(paths)
    assert set(re.findall(r"<(\w+)>", text["Sub"])) == set(paths)
    for line in text["Sub"].splitlines():  # EventBridge takes no other text
        assert re.fullmatch(r'"[^"\\]+"', line)


def test_an_id_is_valid_and_swept_as_long_as_its_start_may_take() -> None:
    """Else a late start would be recorded as another deployment, or never be closed."""
    given = translated()["RecordFunctionEventInvokeConfig"]["Properties"]
    scheduler = timedelta(seconds=86400)  # EventBridge Scheduler, RetryPolicy: the longest
    assert scheduler + timedelta(seconds=given["MaximumEventAgeInSeconds"]) <= naming.NAMED_BEFORE
    assert record_closing.SETTLED > naming.NAMED_BEFORE


def test_only_the_rules_and_the_stacks_own_alarms_may_publish() -> None:
    document = properties("NotificationsPolicy")["PolicyDocument"]["Statement"]
    by = {statement["Principal"]["Service"]: statement for statement in document}
    assert set(by) == {"events.amazonaws.com", "cloudwatch.amazonaws.com"}
    for statement in document:
        assert (statement["Effect"], statement["Action"]) == ("Allow", "sns:Publish")
        assert statement["Resource"] == {"Ref": "Notifications"}
        assert mentions(statement["Condition"], "aws:SourceArn")
    rules = by["events.amazonaws.com"]["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert rules == [{"GetAtt": "NotificationsRule.Arn"}, {"GetAtt": "NotStartedRule.Arn"}]


def test_who_puts_events_puts_its_own_on_the_default_bus() -> None:
    putting = {
        name: statement
        for name in functions()
        for statement in statements(name)
        if "events:PutEvents" in listed(statement["Action"])
    }
    assert "RecordFunction" in putting
    for statement in putting.values():
        assert statement["Resource"]["Sub"].endswith(":event-bus/default")
        assert statement["Condition"] == {"StringEqualsIfExists": {"events:source": SOURCE}}


def test_the_topics_address_is_an_output() -> None:
    assert template()["Outputs"]["NotificationsTopicArn"]["Value"] == {"Ref": "Notifications"}
