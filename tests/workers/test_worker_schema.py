"""Every item has the version of its release; one of a newer release is read all the same."""

import json

import worker_builders as build
from api_calls import call
from record_calls import BARE, NO_ROLLBACK, execution, prepare
from worker_builders import ALPHA, TABLE, arn

from control_plane import aws
from control_plane.models import Env, JsonObject
from control_plane.store import items, schema
from control_plane.store.builds import Builds, BuildStatus
from control_plane.store.listing import Listing
from control_plane.store.overrides import Overrides
from control_plane.store.sources import Sources
from workers import record

FINGERPRINT = "b" * 64


def put(pk: str, sk: str, values: JsonObject, **newer: object) -> None:
    """An item, as a newer release would write it."""
    item = items.key(pk, sk) | items.to_item({**values, **newer, "schema": schema.SCHEMA + 1})
    aws.dynamodb().put_item(TableName=TABLE, Item=item)


def test_every_item_has_its_version(source: str) -> None:
    call("POST", "/envs/stage/orgs/beta/deployments", {}, {"Idempotency-Key": "k"})
    Overrides(TABLE).put(ALPHA, {"title": "x"}, 0, "me", "")
    builds = Builds(TABLE)
    builds.remember(FINGERPRINT, "arn")
    builds.claim(FINGERPRINT, {"stack_name": "notes-stage-alpha"}, "arn")
    builds.started(FINGERPRINT, {"stack_name": "notes-stage-alpha"}, "arn", "b:1")
    builds.finished(FINGERPRINT, builds.get(FINGERPRINT) or {}, BuildStatus.SUCCEEDED)
    made = prepare(BARE)
    build.take_lock(made)
    # Refused before it had a record; its tenant is not known yet.
    refused = execution({"env": "stage", "org": "gamma", "source": "9" * 64}, "refused")
    failure = {"state": "PrepareDeployment", "error": "InvalidRequest", "cause": "no"}
    event = {"execution": refused, "failure": failure, "rollback": NO_ROLLBACK}
    record.handler({"step": "RecordFailure", **event}, None)

    found = {
        (i["PK"]["S"].split("#")[0], i["SK"]["S"].split("#")[0]): i for i in build.everything()
    }
    assert set(found) == {
        ("APPLICATION", "SOURCE"), ("APPLICATION", "PUSHED"), ("APPLICATION", "ENVIRONMENT"),
        ("BUILD", "BUILD"), ("BUILD", "EXECUTION"), ("START", "START"), ("TENANT", "CONFIG"),
        ("TENANT", "DEPLOYMENT"), ("TENANT", "IDEMPOTENCY"), ("TENANT", "LOCK"),
    }  # fmt: skip
    without = [key for key, item in found.items() if "schema" not in item]
    assert without == []
    assert {item["schema"]["N"] for item in build.everything()} == {str(schema.SCHEMA)}
    shown = json.dumps(call("GET", "/envs/stage/orgs/alpha/deployments").body)
    assert '"schema"' not in shown


def test_a_whole_state_has_its_version_and_a_change_of_a_part_keeps_it(source: str) -> None:
    made = prepare(BARE)
    build.take_lock(made)
    event = build.event(made, "RecordOffboarding", leftovers=[], exported={})
    record.handler(event, None)
    before = build.everything()
    later = execution(BARE, "later")
    failure = {"state": "CheckStack", "error": "StackRefused", "cause": "no"}
    event = {"execution": later, "failure": failure, "rollback": NO_ROLLBACK}
    record.handler({"step": "RecordFailure", **event}, None)
    for found in (before, build.everything()):
        (current,) = [item for item in found if item["SK"]["S"] == "CURRENT"]
        assert current["schema"] == {"N": str(schema.SCHEMA)}


# Of a newer release, which was rolled back --------------------------------------------------------


def test_a_record_of_a_newer_release_is_read_as_it_is(world: None) -> None:
    newer = {"id": "d", "status": "SUCCEEDED", "request": {"on_busy": "new"}, "execution_arn": "a"}
    put(items.tenant_key(ALPHA), "DEPLOYMENT#d", newer, weather="fine")
    assert Listing(TABLE).get(ALPHA, "d") == {**newer, "weather": "fine"}


def test_a_source_of_a_newer_release_can_be_deployed(source: str) -> None:
    known = Sources(TABLE).listed("notes")["sources"][0]
    known["manifest"]["tests"]["weather"] = "fine"
    put("APPLICATION#notes", f"SOURCE#{source}", {**known, "manifest": known["manifest"]})
    found, manifest = Sources(TABLE).resolve("notes", Env.STAGE, None)
    assert (found, manifest.name) == (source, "notes")


def test_overrides_of_a_newer_release_are_applied(world: None) -> None:
    values = {"version": 1, "content": '{"title": "x"}', "comment": "", "changed_by": "me"}
    put(items.tenant_key(ALPHA), "CONFIG#00000001", values, weather="fine")
    assert Overrides(TABLE).latest(ALPHA).content == {"title": "x"}


def test_a_request_that_only_a_newer_release_knows_is_refused_by_name(source: str) -> None:
    failed = {
        "id": "20261122-120000-000abcde", "status": "FAILED", "mode": "full", "source": source,
        "request": {"weather": "fine"}, "execution_arn": arn("x"),
    }  # fmt: skip
    put(items.tenant_key(ALPHA), f"DEPLOYMENT#{failed['id']}", failed)
    reply = call("POST", f"/envs/stage/orgs/alpha/deployments/{failed['id']}/retry", {})
    assert (reply.status, reply.fields) == (400, ["weather"])
