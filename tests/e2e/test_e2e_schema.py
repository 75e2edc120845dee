"""An update of a control plane that is one release behind in the table's schema."""

import json
from collections.abc import Iterator
from typing import Any

import first_release
import pytest
from conftest import started
from first_release import everything
from live import listed
from releases import STACK, release, running, updated, updates
from sources import ALMANAC, APPLICATION, copied, push, replace
from syndi_command import Syndi, eventually

from control_plane.store.schema import SCHEMA

HEIR, CLOCK = ("dev", "heir"), ("dev", "clock")


@pytest.fixture(scope="module")
def syndi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syndi]:
    """A laptop of its own: its table is rewritten."""
    with started(tmp_path_factory.mktemp("behind")) as command:
        yield command


@pytest.fixture(scope="module")
def before(syndi: Syndi, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The heir's deployments, newest first: one cancelled, two that brought a build each.

    Then its table is as the first release left it, and the control plane is updated.
    """
    directory = tmp_path_factory.mktemp("sources")
    slow = copied(ALMANAC, directory / "slow")
    replace(slow / "application.toml", 'commands = ["', 'commands = ["sleep 300", "')
    never_built = push(syndi, slow, "dev")
    almanac = copied(ALMANAC, directory)
    for number in (1, 2):
        with (almanac / "almanac" / "handler.py").open("a") as handler:
            handler.write(f"\nEDITION = {number}\n")
        push(syndi, almanac, "dev")
        syndi.deploy(*HEIR, *APPLICATION)
    stopped = syndi.attempt(*HEIR, *APPLICATION, "--source", never_built, "--no-wait").json
    syndi.run("--local", "cancel", stopped["id"])
    found = syndi.history(*HEIR, *APPLICATION)
    assert [item["status"] for item in found] == ["CANCELLED", "SUCCEEDED", "SUCCEEDED"]
    first_release.put_back(syndi)
    assert not [item for item in everything(syndi) if "schema" in item]
    assert running(syndi)["version"] != "8.0.0"
    updated(syndi, release(directory / "release", "8.0.0"))
    return found


def make_the_old_schedule(syndi: Syndi) -> dict[str, Any]:
    """A schedule for the clock, with the input that the first release gave it; its target."""
    syndi.ok("--local", "schedule", "set", *CLOCK, "--rate", "1 day", *APPLICATION)
    client = syndi.client("scheduler")
    named = {
        "Name": "almanac-dev-clock",
        "GroupName": syndi.stack(STACK)["resources"]["ScheduleGroup"],
    }
    kept = client.get_schedule(**named)
    today = json.loads(kept["Target"]["Input"])["start"]["input"]
    place = {key: today[key] for key in ("env", "org", "application")}
    place["trigger"] = "schedule"
    old = {**place, **first_release.request({"on_conflict": "reject", "allow_replacement": ["X"]})}
    assert (old["on_busy"], old["allow_replacement"]) == ("reject", True)
    client.update_schedule(
        **named,
        ScheduleExpression=kept["ScheduleExpression"],
        FlexibleTimeWindow=kept["FlexibleTimeWindow"],
        Target={
            **kept["Target"],
            "Arn": syndi.outputs()["StateMachineArn"],
            "Input": json.dumps(old),
        },
    )
    target: dict[str, Any] = client.get_schedule(**named)["Target"]
    return target


def written(syndi: Syndi, sort_key: str, tenant: str = "almanac#dev#heir") -> str | None:
    """The version of a tenant's item, as it stands in the table; None: of the first release."""
    (found,) = [
        item
        for item in everything(syndi)
        if (item["PK"]["S"], item["SK"]["S"]) == (f"TENANT#{tenant}", sort_key)
    ]
    version = found.get("schema")
    return version and str(version["N"])


NOW = str(SCHEMA)
TOLD = ("id", "status", "mode", "source", "build", "running", "config_source")


def test_the_update_is_seen_and_written_as_of_now(
    syndi: Syndi, before: list[dict[str, Any]]
) -> None:
    assert running(syndi)["version"] == "8.0.0"
    update, installed = updates(syndi)
    assert (update["status"], installed["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert (installed["mode"], installed["running"]) == ("full", installed["build"]["fingerprint"])
    own = "control-plane#dev#local"
    assert written(syndi, f"DEPLOYMENT#{installed['id']}", own) is None, "reading writes nothing"
    assert written(syndi, f"DEPLOYMENT#{update['id']}", own) == NOW
    assert written(syndi, "CURRENT", own) == NOW


def test_history_and_tenants_tell_what_they_told(
    syndi: Syndi, before: list[dict[str, Any]]
) -> None:
    after = syndi.history(*HEIR, *APPLICATION)
    assert told(after) == told(before)
    assert told([syndi.show(item["id"]) for item in before]) == told(before)
    assert all(item["request"].get("on_conflict") == "wait" for item in after)
    summary = after[-1]["change_set"]["summary"]
    assert all(one["id"] and one["type"] for found in summary.values() for one in found)
    heir = listed(syndi, "almanac-dev-heir")
    assert (heir["last_status"], heir["last_good"]) == ("CANCELLED", before[1]["id"])
    assert {written(syndi, f"DEPLOYMENT#{item['id']}") for item in before} == {None}


def told(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: record.get(name) for name in TOLD} for record in records]


def test_the_old_build_is_deployed_again_each_in_its_turn(
    syndi: Syndi, before: list[dict[str, Any]]
) -> None:
    asked = (*HEIR, *APPLICATION, "--mode", "deploy-only", "--no-wait")
    ids = [syndi.attempt(*asked).json["id"] for _ in range(2)]
    first, second = (syndi.ended(id_) for id_ in ids)
    for record in (first, second):
        assert record["status"] == "SUCCEEDED", record
        assert record["build"]["fingerprint"] == before[1]["build"]["fingerprint"]
        assert record["source"] == before[1]["source"]
        assert record["control_plane"]["version"] == "8.0.0"
        assert written(syndi, f"DEPLOYMENT#{record['id']}") == NOW
    assert second["steps"]["CheckStack"]["started_at"] >= first["finished_at"]
    assert written(syndi, "CURRENT") == NOW


def test_it_goes_back_to_a_build_that_the_first_release_deployed(
    syndi: Syndi, before: list[dict[str, Any]]
) -> None:
    back = syndi.ok("--local", "rollback", *HEIR, *APPLICATION, "--json").json
    assert back["status"] == "SUCCEEDED"
    assert back["build"]["fingerprint"] == before[2]["build"]["fingerprint"]
    assert back["running"] == before[2]["running"] != before[1]["running"]
    assert back["source"] == before[2]["source"]


def test_a_schedule_that_the_first_release_made_deploys(
    syndi: Syndi, before: list[dict[str, Any]]
) -> None:
    target = make_the_old_schedule(syndi)
    shown = syndi.ok("--local", "schedule", "show", *CLOCK, *APPLICATION, "--json").json
    assert shown["request"]["on_conflict"] == "reject"
    # What the scheduler does when it is time, without the wait for it.
    syndi.client("stepfunctions").start_execution(
        stateMachineArn=target["Arn"], input=target["Input"]
    )
    (record,) = eventually(
        lambda: syndi.history(*CLOCK, *APPLICATION), 60, "a deployment by the schedule"
    )
    ended = syndi.ended(record["id"])
    # It proves nothing until the sweep has had it call the record worker, but it goes on.
    assert (ended["trigger"], ended["status"]) == ("manual", "SUCCEEDED"), ended
    assert ended["request"]["on_conflict"] == "reject"
    assert not ended["request"].get("allow_replacement"), "any loss was allowed; now none is"
    assert written(syndi, "CURRENT", "almanac#dev#clock") == NOW
