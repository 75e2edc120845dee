"""The three ways to start a deployment, and what is refused before anything starts."""

import json
from typing import Any

import pytest
from live import ask, executions
from syndi_command import Syndi, eventually

FORGED = {"trigger": "api", "requested_by": "arn:aws:iam::000000000000:user/alice"}


def test_prod_accepts_no_start_by_hand_and_a_removal_is_never_one(syndi: Syndi) -> None:
    states = syndi.client("stepfunctions", operator=True)
    machine = syndi.outputs()["StateMachineArn"]
    removal = {"org": "alpha", "mode": "offboard", "confirm": "rawscribe-stage-alpha"}
    for given, why in (
        ({"env": "prod", "org": "alpha", **FORGED}, "prod accepts no deployment"),
        ({"env": "stage", **removal, **FORGED}, "offboard is never started by hand"),
    ):
        arn = states.start_execution(stateMachineArn=machine, input=json.dumps(given))
        found = syndi.ended_execution(arn["executionArn"])
        assert (found["status"], why in found["cause"]) == ("FAILED", True), found["cause"]
        assert syndi.lock(given["env"], "alpha") is None
        (newest, *_) = syndi.history(given["env"], "alpha")
        assert (newest["trigger"], newest["status"]) == ("manual", "FAILED")


def test_api_schedule_and_bare_execution_leave_three_records(syndi: Syndi, alpha: Any) -> None:
    """The API's is signed by the IAM user (`deploy` does that); the schedule is every minute."""
    org = "delta"
    syndi.ok("--local", "schedule", "set", "stage", org, "--rate", "1 minute")
    shown = syndi.ok("--local", "schedule", "show", "stage", org, "--json").json
    assert shown["expression"] == "rate(1 minute)"
    by_api = syndi.deploy("stage", org)
    states = syndi.client("stepfunctions", operator=True)
    started = states.start_execution(
        stateMachineArn=syndi.outputs()["StateMachineArn"],
        input=json.dumps({"env": "stage", "org": org, **FORGED}),
    )

    def triggers() -> dict[str, str] | None:
        ended = {
            item["trigger"]: item["status"]
            for item in syndi.history("stage", org)
            if item["status"] not in ("QUEUED", "RUNNING")
        }
        return ended if len(ended) == 3 else None

    try:
        ended = eventually(triggers, 180, "an API, a schedule and a bare execution's record")
    finally:
        syndi.ok("--local", "schedule", "delete", "stage", org)
    assert ended == {"api": "SUCCEEDED", "schedule": "SUCCEEDED", "manual": "SUCCEEDED"}
    bare = next(item for item in syndi.history("stage", org) if item["trigger"] == "manual")
    assert bare["execution_arn"] == started["executionArn"]
    assert bare.get("requested_by") is None, "whatever its input says"
    assert bare["source"] == by_api["source"]
    assert bare["tests"] == by_api["tests"]
    gone = syndi.run("--local", "schedule", "show", "stage", org)
    assert gone.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("stage", "Bad_Org"), "org"),
        (("stage", "lab-"), "org"),
        (("stage", "a" * 25), "org"),
        (("stage", "fine", "--source", "0" * 64), "source"),
        (("stage", "fine", "--source", "latest"), "source"),
        (("stage", "fine", "--application", "nobody"), "application"),
        (("stage", "fine", "--admin-username", "not-an-address"), "admin_username"),
        (("dev", "fine", "--application", "almanac", "--enable-auth"), "enable_auth"),
        (
            ("stage", "fine", "--no-enable-auth", "--admin-username", "admin@example.com"),
            "admin_username",
        ),
    ],
)
def test_a_wrong_request_names_its_field_and_starts_nothing(
    syndi: Syndi, almanac: Any, arguments: tuple[str, ...], field: str
) -> None:
    before = executions(syndi)
    result = syndi.run("--local", "deploy", *arguments, "--json")
    assert result.exit_code == 2, result.stdout
    error = result.json["error"]
    assert field in [item["field"] for item in error["details"]]
    assert all(item["reason"] for item in error["details"])
    assert executions(syndi) == before


def test_an_environment_that_does_not_exist_is_refused(syndi: Syndi) -> None:
    result = syndi.run("--local", "deploy", "moon", "alpha")
    assert result.exit_code == 2
    assert "dev" in result.stderr
    assert "prod" in result.stderr


def test_the_same_key_is_the_same_deployment_and_another_request_is_refused(
    syndi: Syndi, alpha: Any
) -> None:
    key = ("--idempotency-key", "nightly-1", "--no-wait")
    first = syndi.attempt("stage", "alpha", *key)
    second = syndi.attempt("stage", "alpha", *key)
    assert first.exit_code == second.exit_code == 0
    assert first.json["id"] == second.json["id"]
    other = syndi.attempt("stage", "alpha", *key, "--no-rollback")
    assert other.exit_code == 2
    assert other.json["error"]["code"] == "IdempotencyConflict"
    arn = first.json["execution_arn"]
    syndi.ended_execution(arn, 120)


def test_an_unsigned_request_is_refused(syndi: Syndi) -> None:
    api = syndi.outputs()["ApiUrl"].removeprefix("https://").partition(".")[0]
    port = syndi.variables["SYNDI_LOCAL_PORT"]
    status, _ = ask(f"http://127.0.0.1:{port}/_aws/execute-api/{api}/v1/tenants")
    assert status == 403
    assert syndi.ok("--local", "tenants", "--json").json is not None
