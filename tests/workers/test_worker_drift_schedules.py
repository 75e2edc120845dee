"""A tenant's second schedule, of its drift checks; and what an offboarded tenant is told."""

import json
from typing import Any

import pytest
import worker_builders as build
from api_calls import call

from control_plane import aws
from control_plane.store.history import History
from control_plane.use_cases.admission import parse_input

HERE = "/envs/stage/orgs/alpha"
DRIFT = {"expression": "rate(1 day)", "mode": "drift"}


@pytest.fixture(autouse=True)
def _group(source: str) -> None:
    aws.scheduler().create_schedule_group(Name="syndi")


def names() -> list[str]:
    return sorted(item["Name"] for item in aws.scheduler().list_schedules()["Schedules"])


def test_drift_checks_have_a_schedule_of_their_own_beside_the_deployments() -> None:
    call("PUT", f"{HERE}/schedule", {"expression": "rate(2 hours)"})
    reply = call("PUT", f"{HERE}/schedule", DRIFT)
    assert (reply.status, reply.body["expression"]) == (200, "rate(1 day)")
    assert names() == ["notes-stage-alpha", "notes-stage-alpha-drift"]
    found = aws.scheduler().get_schedule(Name="notes-stage-alpha-drift", GroupName="syndi")
    assert found["Target"]["Arn"] == build.ENVIRONMENT["RECORD_FUNCTION"], "it registers its start"
    assert parse_input(json.loads(found["Target"]["Input"])["start"]["input"]).mode == "drift"
    assert call("GET", f"{HERE}/schedule").body["expression"] == "rate(2 hours)"
    drift = {"mode": "drift"}
    assert call("GET", f"{HERE}/schedule", **drift).body["expression"] == "rate(1 day)"
    assert call("DELETE", f"{HERE}/schedule", **drift).status == 200
    assert names() == ["notes-stage-alpha"]
    assert call("GET", f"{HERE}/schedule", **drift).status == 404


@pytest.mark.parametrize("mode", ["offboard", "rollback", "function"])
def test_what_somebody_has_to_look_on_at_is_not_scheduled(mode: str) -> None:
    body: dict[str, Any] = {"expression": "rate(1 day)", "mode": mode}
    if mode == "offboard":
        body["confirm"] = "notes-stage-alpha"
    reply = call("PUT", f"{HERE}/schedule", body)
    assert (reply.status, reply.fields) == (400, ["mode"])
    assert names() == []


def test_an_offboarded_tenant_is_not_one_that_was_never_deployed() -> None:
    made = build.opened(build.deployment())
    build.take_lock(made)
    gone = {"offboarded_at": "2026-11-22T12:00:00+00:00", "last_reason": "offboarded"}
    History(build.TABLE).succeed(made.tenant, made.id, made.execution_arn, {}, gone)
    for path in (HERE, f"{HERE}/config"):
        reply = call("GET", path)
        assert reply.status == 404
        assert "was offboarded at 2026-11-22" in reply.error["message"]
