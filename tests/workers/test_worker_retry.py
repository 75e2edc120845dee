"""Another try of a deployment that ended without success."""

import json
from typing import Any

import pytest
import worker_builders as build
from api_calls import CALLER, Reply, call
from test_worker_api_starts import executions, input_of
from worker_builders import ALPHA, TABLE

from control_plane import aws, naming
from control_plane.models import DeploymentStatus
from control_plane.store.history import History
from control_plane.store.listing import Listing

pytestmark = pytest.mark.usefixtures("source")
DEPLOYMENTS = "/envs/stage/orgs/alpha/deployments"


def ended(
    body: dict[str, Any] | None = None, status: str = "FAILED", path: str = DEPLOYMENTS
) -> dict[str, Any]:
    """A deployment that was asked for and has ended."""
    method = "DELETE" if "confirm" in (body or {}) else "POST"
    reply = call(method, path, body or {})
    assert reply.status == 202, reply.body
    end(reply.body["id"], reply.body["execution_arn"], status)
    return dict(reply.body)


def end(deployment_id: str, arn: str, status: str = "FAILED") -> None:
    History(TABLE).fail(ALPHA, deployment_id, arn, DeploymentStatus(status), {"reason": "why"})


def retry(deployment_id: str, body: dict[str, Any] | None = None) -> Reply:
    return call("POST", f"{DEPLOYMENTS}/{deployment_id}/retry", body or {})


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED", "SUPERSEDED", "TIMED_OUT"])
def test_the_same_request_is_started_for_the_same_source(source: str, status: str) -> None:
    old = ended({"enable_auth": True, "on_conflict": "supersede"}, status)
    newer = build.push_source({**build.FILES, "README.md": "newer"})
    assert newer != source
    reply = retry(old["id"])
    assert reply.status == 202, reply.body
    assert (reply.body["retry_of"], reply.body["source"]) == (old["id"], source)
    assert reply.body["requested_by"] == CALLER
    assert reply.body["id"] != old["id"]
    started = input_of(reply.body["execution_arn"])
    assert (started["enable_auth"], started["on_conflict"]) == (True, "supersede")
    assert (started["source"], started["retry_of"]) == (source, old["id"])


@pytest.mark.parametrize(
    ("path", "body", "mode"),
    [
        (DEPLOYMENTS, {"mode": "deploy-only"}, "deploy-only"),
        ("/envs/stage/orgs/alpha/drift", {}, "drift"),
    ],
)
def test_every_mode_is_tried_again_as_it_was_asked_for(
    path: str, body: dict[str, Any], mode: str
) -> None:
    old = ended(body, path=path)
    reply = retry(old["id"])
    assert reply.status == 202, reply.body
    assert reply.body["mode"] == mode
    assert reply.body["request"] == {**old["request"], "application": "notes"}
    started = input_of(reply.body["execution_arn"])
    assert {name: started[name] for name in body} == body


@pytest.mark.parametrize(
    ("path", "body", "verb"),
    [
        ("/envs/stage/orgs/alpha/rollback", {}, "syndi rollback"),
        ("/envs/stage/orgs/alpha", {"confirm": "notes-stage-alpha"}, "syndi offboard"),
    ],
)
def test_who_may_only_retry_neither_rolls_back_nor_removes(
    path: str, body: dict[str, Any], verb: str
) -> None:
    reply = retry(ended(body, path=path)["id"])
    assert reply.status == 409
    assert verb in reply.error["message"]


def test_a_retry_that_failed_is_tried_again() -> None:
    first = ended()
    second = retry(first["id"]).body
    end(second["id"], second["execution_arn"])
    third = retry(second["id"])
    assert (third.status, third.body["retry_of"]) == (202, second["id"])


def test_what_succeeded_or_goes_on_is_not_tried_again() -> None:
    good = ended(status="SUCCEEDED")
    open_ = call("POST", DEPLOYMENTS, {}).body
    before = executions()
    for made, told in ((good, "SUCCEEDED: deploy again"), (open_, "is QUEUED: cancel it")):
        reply = retry(made["id"])
        assert (reply.status, reply.error["code"]) == (409, "Conflict")
        assert told in reply.error["message"]
    assert executions() == before


def test_what_is_not_there_is_404() -> None:
    assert retry(build.deployment(number=9).id).status == 404


def test_a_request_that_was_refused_before_it_was_recorded_is_not_tried_again() -> None:
    made = build.deployment(number=3)
    end(made.id, made.execution_arn)
    reply = retry(made.id)
    assert reply.status == 409
    assert "deploy with a request that is right" in reply.error["message"]


def test_a_new_password_is_carried_as_the_first_one_was() -> None:
    old = ended({"admin_username": "admin@example.com", "admin_password": "Correct-Horse-1"})
    reply = retry(old["id"], {"admin_password": "Correct-Horse-2"})
    assert reply.status == 202
    name = naming.given_secret(ALPHA, reply.body["id"])
    secret = aws.secretsmanager().get_secret_value(SecretId=name)["SecretString"]
    assert json.loads(secret)["password"] == "Correct-Horse-2"
    assert "Correct-Horse" not in str(Listing(TABLE).get(ALPHA, reply.body["id"]))


def test_a_password_for_nobody_is_refused_and_starts_nothing() -> None:
    old = ended()
    before = executions()
    reply = retry(old["id"], {"admin_password": "Correct-Horse-2"})
    assert (reply.status, reply.fields) == (400, ["admin_password"])
    assert executions() == before
