"""Rollouts, their schedule and tenants' labels through the API."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import CALLER, call
from botocore.exceptions import ClientError
from rollout_calls import (
    advance,
    begun,
    ended,
    executions,
    found,
    last_input,
    prepare,
    prepared,
    state,
)

from control_plane import aws, naming
from control_plane.settings import forget_settings

PATH = "/envs/stage/rollouts"
ARN_OF = "arn:aws:states:us-east-1:123456789012:execution:syndi-rollout:stage-"


@pytest.fixture
def machine(source: str) -> str:
    """The rollouts' state machine, and a source."""
    aws.stepfunctions().create_state_machine(
        name="syndi-rollout", definition="{}", roleArn=build.ROLE
    )
    return source


def deployed() -> None:
    """The tenant alpha is deployed."""
    made = build.deployment()
    ended({"name": naming.execution_name(made.tenant, made.id), "input": {"org": "alpha"}})


def start(**body: Any) -> Any:
    return call("POST", PATH, {"tenants": ["alpha", "beta"], **body})


def test_a_start_is_planned_recorded_and_started_once(machine: str) -> None:
    reply = start(waves=[{"count": 1}, {"rest": True}])
    assert reply.status == 202
    made = reply.body["id"]
    assert reply.body["console_url"].endswith(f"{ARN_OF}{made}")
    assert [wave["size"] for wave in reply.body["state"]["waves"]] == [1, 1]
    given = last_input()
    assert (given["id"], given["source"], given["requested_by"]) == (made, machine, CALLER)
    assert prepare(given, f"{ARN_OF}{made}") == made
    assert state(made)["status"] == "RUNNING"
    assert call("GET", f"/rollouts/{made}").body["id"] == made
    assert [one["id"] for one in call("GET", "/rollouts").body["rollouts"]] == [made]


def test_deploy_only_asks_for_no_source(machine: str) -> None:
    start(mode="deploy-only")
    assert "source" not in last_input()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"waves": [{"count": 1}]}, "waves"),
    ({"waves": [{"count": 0}]}, "waves.0.count"),
    ({"tenants": ["No Org"]}, "tenants.0"),
    ({"source": "7" * 64}, "source"),
    ({"application": "control-plane"}, "application"),
    ({"surprise": 1}, "surprise"),
]


@pytest.mark.parametrize(("body", "field"), REFUSED)
def test_a_wrong_request_names_its_field_and_starts_nothing(
    machine: str, body: dict[str, Any], field: str
) -> None:
    reply = start(**body)
    assert (reply.status, reply.fields) == (400, [field])
    assert executions() == []
    assert call("GET", "/rollouts").body["rollouts"] == []


def test_a_refusal_is_in_words_and_knows_a_rollouts_id(machine: str) -> None:
    told = call("GET", "/rollouts/nope").error["message"]
    assert told == "rollout_id: must be a rollout's id, as 'syndi rollout list' lists them"
    reply = start(waves=[{"rest": True, "count": 1}])
    assert reply.error["details"] == [
        {"field": "waves.0", "reason": "must say exactly one of tenants, count, percent, rest"}
    ]


def test_a_second_one_is_refused_while_the_first_is_open(machine: str) -> None:
    first = start().body["id"]
    reply = start()
    assert reply.status == 409
    assert first in reply.error["message"]
    assert len(executions()) == 1


def test_a_start_that_fails_is_said_and_blocks_nobody(source: str) -> None:
    assert start().status == 500  # there is no such state machine
    (failed,) = call("GET", "/rollouts").body["rollouts"]
    assert failed["state"]["status"] == "FAILED"


def test_pause_resume_and_cancel_reach_the_next_look(machine: str) -> None:
    made, arn = started()
    begun(advance(made, arn=arn)["starts"][0])
    assert call("POST", f"{PATH}/{made}/pause").body["control"] == {"paused_by": CALLER}
    advance(made, arn=arn)
    assert found(made)["note"].startswith("paused")
    assert call("POST", f"{PATH}/{made}/resume").body["control"] == {}
    assert call("POST", f"{PATH}/{made}/resume").status == 409
    assert call("POST", f"{PATH}/{made}/cancel").status == 202
    advance(made, arn=arn)
    assert found(made)["note"].startswith("cancelled")


def started(**body: Any) -> tuple[str, str]:
    made = start(concurrency=1, **body).body["id"]
    arn = f"{ARN_OF}{made}"
    prepare(last_input(), arn)
    return made, arn


def test_an_approval_lets_the_next_wave_begin_and_only_when_asked_for(machine: str) -> None:
    made, arn = started(approval=True, waves=[{"count": 1}, {"rest": True}])
    assert call("POST", f"{PATH}/{made}/approve").status == 409
    ended(advance(made, arn=arn)["starts"][0])
    advance(made, arn=arn)
    assert state(made)["status"] == "AWAITING_APPROVAL"
    assert call("POST", f"{PATH}/{made}/approve").body["control"]["approved"] == 1
    assert len(advance(made, arn=arn)["starts"]) == 1


@pytest.fixture
def approved_in_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every deployment in stage waits for an approval."""
    monkeypatch.setenv("APPROVAL_ENVIRONMENTS", "prod,stage")
    forget_settings()


def test_one_approval_of_a_rollout_is_enough_for_its_own_deployments(
    machine: str, approved_in_stage: None
) -> None:
    made, arn = started()
    assert advance(made, arn=arn)["starts"] == []
    assert state(made)["status"] == "AWAITING_APPROVAL"
    assert call("POST", f"{PATH}/{made}/approve").body["control"]["begun"] is True
    (start_,) = advance(made, arn=arn)["starts"]
    assert prepared(start_).options.approval is False
    pretends = {"name": f"stage-alpha-{naming.new_deployment_id(build.NOON)}"}
    assert prepared({**start_, **pretends}).options.approval is True, "it started no such one"
    nobodys = {**start_["input"], "rollout": naming.new_deployment_id(build.NOON)}
    assert prepared({"name": "by-hand", "input": nobodys}).options.approval is True


def test_a_dry_run_tells_the_waves_and_starts_nothing(machine: str) -> None:
    reply = start(dry_run=True, waves=[{"tenants": ["beta"]}, {"rest": True}], max_failures="1")
    assert [(wave["tenants"], wave["allowed"]) for wave in reply.body["waves"]] == [
        (["beta"], 1), (["alpha"], 1),
    ]  # fmt: skip
    assert executions() == []
    assert call("GET", "/rollouts").body["rollouts"] == []


def test_a_dry_run_says_what_it_would_bring_and_who_is_new(machine: str) -> None:
    deployed()
    reply = start(dry_run=True, waves=[{"tenants": ["beta"]}, {"rest": True}])
    assert [wave["new"] for wave in reply.body["waves"]] == [["beta"], []]
    assert (reply.body["source"], reply.body["mode"]) == (machine, "full")
    selected = call("POST", PATH, {"dry_run": True}).body["waves"]
    assert [(wave["tenants"], wave["new"]) for wave in selected] == [(["alpha"], [])]


@pytest.mark.parametrize("wish", ["pause", "resume", "cancel", "approve"])
def test_what_has_ended_or_is_elsewhere_is_asked_for_nothing(machine: str, wish: str) -> None:
    made, arn = started()
    assert call("POST", f"/envs/dev/rollouts/{made}/{wish}").status == 404
    call("POST", f"{PATH}/{made}/cancel")
    advance(made, arn=arn)
    assert call("POST", f"{PATH}/{made}/{wish}").status == 409


def test_the_tenants_of_a_wave_are_told_a_page_at_a_time(machine: str) -> None:
    made, _ = started(tenants=[f"o{n:02d}" for n in range(5)])
    page = call("GET", f"/rollouts/{made}/tenants", None, None, start="2", limit="2").body
    assert [row["org"] for row in page["tenants"]] == ["o02", "o03"]
    assert call("GET", f"/rollouts/{naming.new_deployment_id(build.NOON)}/tenants").status == 404


# Schedules and labels -----------------------------------------------------------------------------


def test_rollouts_by_a_schedule(machine: str) -> None:
    aws.scheduler().create_schedule_group(Name="syndi")
    asked = {"tenants": ["one", "two"], "max_failures": "5%", "waves": [{"rest": True}]}
    body = {"expression": "rate(1 day)", **asked}
    put = call("PUT", "/envs/stage/rollout-schedule", body)
    assert put.body["expression"] == "rate(1 day)"
    target = aws.scheduler().get_schedule(Name="rollout-notes-stage", GroupName="syndi")["Target"]
    assert target["Arn"] == build.ENVIRONMENT["RECORD_FUNCTION"], "it registers what it starts"
    assert json.loads(target["Input"])["start"]["machine"] == "rollout"
    given = put.body["request"]
    assert (given["env"], given["max_failures"]) == ("stage", "5%")
    assert call("DELETE", "/envs/stage/rollout-schedule").body == {"deleted": True}
    assert call("GET", "/envs/stage/rollout-schedule").status == 404
    assert call("DELETE", "/envs/stage/rollout-schedule").status == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"tenants": ["one", "two"], "waves": [{"count": 1}]}, "waves"),
        ({"labels": {"ring": "nobodys"}}, "tenants"),
        ({"dry_run": True}, "dry_run"),
        ({"expression": "daily"}, "expression"),
        ({"application": "control-plane"}, "application"),
    ],
)
def test_a_schedule_that_could_start_nothing_is_refused(
    machine: str, wrong: dict[str, Any], field: str
) -> None:
    aws.scheduler().create_schedule_group(Name="syndi")
    reply = call("PUT", "/envs/stage/rollout-schedule", {"expression": "rate(1 day)", **wrong})
    assert reply.status == 400
    assert field in str(reply.body)
    assert call("GET", "/envs/stage/rollout-schedule").status == 404


def test_labels_are_set_and_removed(world: None) -> None:
    path = "/envs/stage/orgs/alpha/labels"
    assert call("GET", path).body == {"labels": {}, "deployed": False}
    call("PUT", path, {"labels": {"tier": "gold", "region": "eu"}})
    assert call("PUT", path, {"labels": {"tier": "free"}, "remove": ["region"]}).body == {
        "labels": {"tier": "free"}, "deployed": False,
    }  # fmt: skip
    assert call("PUT", path, {"labels": {"Bad Key": "x"}}).status == 400
    many = {f"l{number}": "x" for number in range(20)}
    assert call("PUT", path, {"labels": many}).fields == ["labels"]
    assert call("GET", path).body == {"labels": {"tier": "free"}, "deployed": False}


def test_labels_say_whether_their_tenant_is_deployed(world: None) -> None:
    deployed()
    assert call("GET", "/envs/stage/orgs/alpha/labels").body["deployed"] is True
    put = call("PUT", "/envs/stage/orgs/alpha/labels", {"labels": {"tier": "free"}})
    assert put.body["deployed"] is True
    assert call("GET", "/envs/prod/orgs/alpha/labels").body["deployed"] is False


@pytest.mark.parametrize("status", [500, 503])
def test_a_rollout_whose_start_has_no_answer_is_not_called_failed(
    machine: str, script: scripted.Scripted, status: int
) -> None:
    """It may be running."""
    lost = {**scripted.failure("X"), "ResponseMetadata": {"HTTPStatusCode": status}}

    def answer(_: Any) -> Any:
        raise ClientError(lost, "StartExecution")

    script.on(aws.stepfunctions(), "StartExecution", answer)
    assert start().status == 503
    (found,) = call("GET", "/rollouts").body["rollouts"]
    assert found["state"]["status"] == "PLANNING"
