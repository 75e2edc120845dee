"""A route between two tenants on moto: the tenants, the zone, and the steps of a shift."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from lambda_calls import answer_with_the_worker
from worker_builders import ALPHA, TABLE
from zone_answers import ID as ID_OF_ZONE
from zone_answers import Zone

from control_plane import aws
from control_plane.errors import TenantNotReady
from control_plane.models import JsonObject, Tenant
from control_plane.services.live import Answer
from control_plane.store import items
from control_plane.store.history import History
from control_plane.store.route_store import Routes
from workers import route

MANIFEST = f'{build.MANIFEST}\n[route]\noutput = "Url"\n'
FILES = {**build.FILES, "application.toml": MANIFEST}
DOMAIN = "example.com"
NAME = f"alpha.stage.{DOMAIN}"
BLUE = build.tenant("alpha-blue")
FINGERPRINT = "f" * 64
SHIFT_MACHINE = build.ENVIRONMENT["SHIFT_STATE_MACHINE_ARN"]
BY = "arn:aws:iam::123456789012:user/operator"
RUN = SHIFT_MACHINE.replace("stateMachine", "execution") + ":stage-alpha-20261122-120000-000abcde"
ID = RUN.removeprefix(SHIFT_MACHINE.replace("stateMachine", "execution") + ":stage-alpha-")


def host(org: str) -> str:
    """Where a tenant answers."""
    return f"{api(org)}.execute-api.us-east-1.amazonaws.com"


def api(org: str) -> str:
    """The id of a tenant's API."""
    return org.replace("-", "")


@dataclass
class Traffic:
    """The zone, the tenants as they answer, and what runs."""

    script: scripted.Scripted
    zone: Zone
    answers: dict[str, Answer | Exception] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    parameters: dict[str, str] = field(default_factory=dict)
    apis: dict[str, str] = field(default_factory=dict)
    """The API that is in a stack, where it is not the one that its outputs name."""
    now: datetime = build.NOON - timedelta(hours=1)

    def clock(self) -> datetime:
        """What people do has its time from here: before the shift, which is at noon, or after."""
        self.now += timedelta(seconds=1)
        return self.now

    def get(self, url: str, token: str | None = None) -> Answer:
        """What a tenant answers without a token."""
        path = "/" + url.split("/", 4)[-1]
        well = Answer(200, {"build": FINGERPRINT}) if path == "/health" else Answer(401, None)
        found = self.answers.get(path, well)
        if isinstance(found, Exception):
            raise found
        return found

    def records(self) -> dict[str, tuple[str, int, int]]:
        """The route's records: host name, weight, TTL."""
        return {
            one["SetIdentifier"]: (one["ResourceRecords"][0]["Value"], one["Weight"], one["TTL"])
            for one in self.zone.sets
            if one["Name"] == f"{NAME}."
        }

    def weights(self) -> dict[str, int]:
        """The weights in the zone."""
        return {
            name.removeprefix("notes-stage-"): weight
            for name, (_, weight, _) in self.records().items()
        }

    def by_hand(self, **weights: int) -> None:
        """Somebody sets weights in the console; `alpha_blue` is the other one."""
        for org, weight in weights.items():
            org = org.replace("_", "-")
            self.zone.put(
                Name=NAME, Type="CNAME", SetIdentifier=f"notes-stage-{org}", Weight=weight,
                ResourceRecords=[{"Value": host(org)}],
            )  # fmt: skip


def begin(script: scripted.Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    """Two tenants that are deployed, and a zone."""
    found = Traffic(script, Zone(script))
    found.parameters = {"HostedZoneId": ID_OF_ZONE, "Domain": DOMAIN}
    aws.stepfunctions().create_state_machine(
        name="syndi-shift", definition="{}", roleArn=build.ROLE
    )
    script.on(aws.cloudformation(), "DescribeStacks", lambda _: _stack(found))
    script.on(aws.cloudformation(), "ListStackResources", lambda asked: _resources(found, asked))
    script.on(aws.stepfunctions(), "DescribeExecution", lambda asked: _execution(found, asked))
    script.on(aws.stepfunctions(), "StopExecution", lambda asked: _stopped(found, asked))
    monkeypatch.setattr("workers.route_checks.get", found.get)
    monkeypatch.setattr("workers.route_changes.utc_now", found.clock)
    answer_with_the_worker(script, route.handler)
    source = build.push_source(FILES)
    for tenant in (ALPHA, BLUE):
        deployed(tenant, source)
    yield found


def deployed(tenant: Tenant, source: str, **more: Any) -> None:
    """A tenant with its last good state."""
    made = build.opened(build.deployment(tenant, source=source))
    build.take_lock(made)
    url = f"https://{host(tenant.org)}/stage"
    receipt = {
        "source": source, "outputs": {"Url": url}, "endpoint": url, "running": FINGERPRINT,
        "stack": {"parameters": {"EnableAuth": "true"}}, **more,
    }  # fmt: skip
    History(TABLE).succeed(
        tenant, made.id, made.execution_arn, receipt, {**receipt, "last_good": made.id},
        is_whole=True,
    )  # fmt: skip


def _stack(found: Traffic) -> JsonObject:
    parameters = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in found.parameters.items()
    ]
    when = build.NOON.isoformat()
    stack = {"StackName": "control-plane-prod-main", "StackStatus": "UPDATE_COMPLETE"}
    return {"Stacks": [{**stack, "CreationTime": when, "Parameters": parameters}]}


def _resources(found: Traffic, asked: JsonObject) -> JsonObject:
    name = asked["StackName"]
    physical = found.apis.get(name, api(name.removeprefix("notes-stage-")))
    if not physical:
        return scripted.failure("ValidationError", f"Stack with id {name} does not exist")
    resource = {"LogicalResourceId": "Api", "ResourceType": "AWS::ApiGateway::RestApi"}
    status = {"ResourceStatus": "CREATE_COMPLETE", "PhysicalResourceId": physical}
    return {"StackResourceSummaries": [resource | status]}


def _execution(found: Traffic, asked: JsonObject) -> JsonObject:
    if asked["executionArn"] in found.running:
        return {"status": "RUNNING", "executionArn": asked["executionArn"]}
    return scripted.failure("ExecutionDoesNotExist")


def _stopped(found: Traffic, asked: JsonObject) -> JsonObject:
    found.running.discard(asked["executionArn"])
    return {"stopDate": build.NOON}


# A shift ------------------------------------------------------------------------------------------


def execution(arn: str = RUN, **asked: Any) -> JsonObject:
    """What the state machine tells of its execution."""
    given = {"env": "stage", "org": "alpha", "to": "alpha-blue", "application": "notes", **asked}
    return {"Id": arn, "StartTime": build.NOON.isoformat(), "Input": given}


def prepared(traffic: Traffic, arn: str = RUN, **asked: Any) -> JsonObject:
    """A shift that has the route, and runs."""
    traffic.running.add(arn)
    traffic.now = build.NOON
    event = {"step": "PrepareShift", "execution": execution(arn, **asked)}
    return dict(route.handler(event, None)["shift"])


def step(name: str, shift: JsonObject, **given: Any) -> JsonObject:
    """One call of the worker by the state machine."""
    return route.handler({"step": name, "shift": shift, **given}, None)


def failure(state: str = "", error: str = "", cause: str = "") -> dict[str, str]:
    return {"state": state, "error": error, "cause": cause}


def recorded(traffic: Traffic, why: dict[str, str], restored: str = "", **asked: Any) -> JsonObject:
    """The end of the execution."""
    event = {
        "step": "RecordShift", "execution": execution(**asked), "failure": why,
        "restored": restored, "not_restored": failure(),
    }  # fmt: skip
    return route.handler(event, None)


def item(of: Tenant = ALPHA) -> JsonObject:
    """The route as the table has it."""
    return Routes(TABLE).get(of) or {}


def changes(of: Tenant) -> list[JsonObject]:
    """A tenant's changes, oldest first."""
    return list(reversed(Routes(TABLE).changes(of, 50)))


def told(of: Tenant) -> list[tuple[str, dict[str, int]]]:
    """The same in short."""
    return [(change["kind"], change["after"]) for change in changes(of)]


def before_recording(traffic: Traffic, act: Callable[[], object]) -> None:
    """Something that happens right before the next transaction in the table, once."""
    left = [act]

    def first(_: JsonObject) -> JsonObject:
        if left:
            left.pop()()
        return scripted.MOTO

    traffic.script.on(aws.dynamodb(), "TransactWriteItems", first)


def ring(traffic: Traffic, **states: str) -> None:
    """Alarms and their states."""
    found = [
        {"AlarmName": name, "StateValue": state, "StateReason": f"{name} says so"}
        for name, state in states.items()
    ]
    half = len(found) // 2
    traffic.script.on(
        aws.cloudwatch(), "DescribeAlarms",
        lambda asked: {
            "MetricAlarms": [a for a in found[half:] if a["AlarmName"] in asked["AlarmNames"]],
            "CompositeAlarms": [a for a in found[:half] if a["AlarmName"] in asked["AlarmNames"]],
        },
    )  # fmt: skip


SILENCE = TenantNotReady("it does not answer")
ROUTE_KEY = items.key("ROUTE#notes#stage#alpha", "ROUTE")
