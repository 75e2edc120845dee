"""Many tenants brought to a build in waves, on one build; what stops that, and who asks it to."""

import json
from typing import Any

import pytest
from fleets import (
    Json,
    begin,
    counts,
    ended,
    most_at_once,
    options,
    orgs,
    records,
    rollout,
    rows,
    start,
)
from live import ask
from sources import ALMANAC, APPLICATION, add_resources, copied, push, push_beside, replace, unbuilt
from syndi_command import Syndi, eventually

from control_plane import naming
from control_plane.events import STARTED_BY
from control_plane.store.starts import Starts

FLEET = orgs("fleet", 20)
CANARY = FLEET[0]
FLEET_NOTE = "a fleet"
BROKEN = FLEET[2:4]
"""Two of the second wave, for which the next release cannot be deployed."""


@pytest.fixture(scope="module")
def pushed(syndi: Syndi) -> str:
    """An almanac that no other test has built, current in dev."""
    return unbuilt(syndi, "dev", FLEET_NOTE)


@pytest.fixture(scope="module")
def first(syndi: Syndi, pushed: str) -> Json:
    """Twenty tenants that there were not, in three waves with a canary."""
    waves = ("--canary", CANARY, "--waves", "5,rest", "--concurrency", "8")
    made = start(syndi, *options(FLEET), *waves)
    return rollout(syndi, made["id"])


def test_twenty_tenants_in_three_waves_on_one_build(syndi: Syndi, first: Json) -> None:
    assert first["state"]["status"] == "SUCCEEDED", first["state"]
    assert counts(first, "succeeded") == [1, 5, 14]
    deployments = records(syndi, first)
    assert list(deployments) == FLEET
    assert {record["trigger"] for record in deployments.values()} == {"rollout"}
    assert {record["rollout"] for record in deployments.values()} == {first["id"]}
    builds = {record["build"]["build_id"] for record in deployments.values()}
    assert len(builds) == 1, "one CodeBuild run for all"
    for org, record in deployments.items():
        assert record["build"]["template_key"].startswith(f"almanac-dev-{org}/"), "its own prefix"
        assert record["build"]["reused"] is (org != CANARY)
    assert most_at_once(deployments.values(), "PrepareDeployment") <= 8
    for wave in (1, 2):
        before = [deployments[row["org"]] for row in first["tenants"] if row["wave"] < wave]
        begins = [
            deployments[r["org"]]["created_at"] for r in first["tenants"] if r["wave"] == wave
        ]
        assert max(record["finished_at"] for record in before) <= min(begins)


def test_the_executions_of_its_tenants_are_named_after_it_and_green(
    syndi: Syndi, first: Json
) -> None:
    own = syndi.ended_execution(first["execution_arn"])
    assert own["status"] == "SUCCEEDED"
    one = records(syndi, first)[FLEET[-1]]
    nested = syndi.ended_execution(one["execution_arn"])
    assert (nested["status"], first["execution_arn"] in nested["input"]) == ("SUCCEEDED", True)


def test_who_has_it_already_is_skipped_and_says_so(syndi: Syndi, first: Json) -> None:
    for org in FLEET:
        syndi.ok("--local", "label", "dev", org, "fleet=twenty", *APPLICATION)
    selected = (*APPLICATION, "--label", "fleet=twenty", "--waves", "50%,rest")
    again = rollout(syndi, start(syndi, *selected)["id"])
    assert again["state"]["status"] == "SUCCEEDED"
    skipped = {row["org"]: row for row in again["tenants"] if row["status"] == "SKIPPED"}
    assert list(skipped) == FLEET, "all that have the label were selected"
    build = records(syndi, first)[CANARY]["build"]["fingerprint"]
    assert build[:12] in skipped[CANARY]["reason"]
    assert "deployment" not in skipped[CANARY]
    shown = syndi.ok("--local", "rollout", "show", again["id"], "--tenants").stdout
    assert f"has build {build[:12]} and its configuration already" in shown


@pytest.fixture(scope="module")
def clashing(syndi: Syndi, first: Json, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A release with a bucket of each tenant's own; two of them exist already, of somebody else."""
    copy = copied(ALMANAC, tmp_path_factory.mktemp("clashing"))
    name = "almanac-${Environment}-${Organization}-notes"
    # Only they get one: a bucket that the others got could not be taken away again.
    clash = ", ".join(f"!Equals [!Ref Organization, {org}]" for org in BROKEN)
    replace(copy / "stack.yaml", "Conditions:\n", f"Conditions:\n  Clashes: !Or [{clash}]\n")
    add_resources(
        copy,
        "  Notes:\n    Type: AWS::S3::Bucket\n    Condition: Clashes\n"
        f"    Properties: {{BucketName: !Sub '{name}'}}\n",
    )
    for org in BROKEN:
        syndi.client("s3").create_bucket(Bucket=f"almanac-dev-{org}-notes")
    return push_beside(syndi, copy, "dev", current=syndi.state / FLEET_NOTE / ALMANAC.name)


def test_a_wave_over_its_budget_stops_the_rest_and_is_rolled_back(
    syndi: Syndi, first: Json, clashing: str
) -> None:
    old = {org: record["build"]["fingerprint"] for org, record in records(syndi, first).items()}
    stop = ("--max-failures", "1", "--on-failure", "rollback", "--concurrency", "5")
    asked = (*options(FLEET), "--canary", CANARY, "--waves", "5,rest", "--source", clashing, *stop)
    result = syndi.run("--local", "rollout", "start", "dev", *asked, "--json")
    assert result.exit_code == 1
    found = rollout(syndi, result.json["id"])
    assert found["state"]["status"] == "ROLLED_BACK", found["state"]
    assert found["state"]["failure"] == "2 of wave 2 failed, and 1 may"
    assert counts(found, "failed") == [0, 2, 0]
    assert rows(found, "ROLLED_BACK") == FLEET[1:6], "what failed was looked after, too"
    assert rows(found, "SUCCEEDED") == [CANARY], "another wave is left alone"
    assert rows(found, "PENDING") == FLEET[6:], "nothing of the rest was started"
    failed = next(row for row in found["tenants"] if row["org"] == BROKEN[0])
    assert f"almanac-dev-{BROKEN[0]}-notes" in failed["reason"]
    for org in FLEET[1:7]:
        url = syndi.ok("--local", "url", "dev", org, *APPLICATION).stdout.strip()
        assert ask(f"{url}/status")[1]["version"]["build"] == old[org], org
    execution = syndi.ended_execution(found["execution_arn"])
    assert (execution["status"], execution["error"]) == ("FAILED", "RolloutRolledBack")


def test_pause_resume_and_cancel_in_the_middle_of_a_wave(syndi: Syndi, first: Json) -> None:
    labelled = FLEET[8:16]
    for org in labelled:
        syndi.ok("--local", "label", "dev", org, "ring=two", *APPLICATION)
    change = unbuilt(syndi, "dev", "a change")
    push(syndi, syndi.state / FLEET_NOTE / ALMANAC.name, "dev")
    made = begin(
        syndi,
        *APPLICATION,
        "--label",
        "ring=two",
        "--source",
        change,
        "--concurrency",
        "1",
    )
    begun(syndi, made, 1)
    syndi.ok("--local", "rollout", "pause", made)

    def paused() -> Any:
        found = rollout(syndi, made)
        return found if found["state"]["status"] == "PAUSED" else None

    found = eventually(paused, 90, "the pause")
    assert rows(found, "STARTED") == [], "what ran came to its end"
    done = rows(found, "SUCCEEDED")
    assert 1 <= len(done) < len(labelled)
    assert {row["org"] for row in found["tenants"]} == set(labelled), "only who has the label"
    syndi.ok("--local", "rollout", "resume", made)
    begun(syndi, made, len(done) + 1)
    result = syndi.run("--local", "rollout", "cancel", made, "--json")
    assert (result.exit_code, result.json["state"]["status"]) == (0, "CANCELLED")
    found = rollout(syndi, made)
    assert "operator" in found["state"]["failure"]
    assert rows(found, "STARTED", "FAILED") == []
    assert len(rows(found, "SUCCEEDED")) > len(done)
    assert rows(found, "PENDING"), "the rest was not started"
    assert syndi.run("--local", "rollout", "resume", made).exit_code == 2


def begun(syndi: Syndi, made: str, count: int) -> None:
    """So many of its deployments have begun."""

    def some() -> bool:
        found = rollout(syndi, made)
        return len(rows(found, "STARTED", "SUCCEEDED")) >= count

    eventually(some, 120, f"{count} deployments of {made}")


def test_a_rollout_that_cannot_be_is_refused_and_starts_nothing(syndi: Syndi, first: Json) -> None:
    before = syndi.ok("--local", "rollout", "list", "--json").json
    for arguments, field in (
        (("--waves", "5"), "waves"),
        (("--label", "ring=none"), "tenants"),
        (("--canary", "nobody"), "waves"),
        (("--source", "0" * 64), "source"),
    ):
        command = ("--local", "rollout", "start", "dev", *APPLICATION, *arguments, "--json")
        result = syndi.run(*command)
        assert result.exit_code == 2, result.stdout
        assert [item["field"] for item in result.json["error"]["details"]] == [field]
    assert syndi.ok("--local", "rollout", "list", "--json").json == before


def test_a_rollout_goes_on_in_another_execution(syndi: Syndi, first: Json) -> None:
    """As when a history is nearly full: the next execution takes it over from the first."""
    states = syndi.client("stepfunctions", operator=True)
    made = begin(syndi, *options(FLEET[:2]), "--waves", "1,rest", "--bake", "600s")
    before = watched(syndi, made)["execution_arn"]
    given = {"env": "dev", "continues": made, STARTED_BY: before}
    machine = syndi.outputs()["RolloutMachineArn"]
    forged = states.start_execution(stateMachineArn=machine, input=json.dumps(given))
    failed = syndi.ended_execution(forged["executionArn"])
    assert "nobody continues it by hand" in failed["cause"]
    assert rollout(syndi, made)["state"]["status"] == "BAKING", "and goes on"
    name = f"next-{made}"  # as the worker does it, when a history is nearly full
    starts = Starts(syndi.outputs()["TableName"], syndi.client("dynamodb"))
    starts.register(naming.execution_arn(machine, name), given)
    states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(given))

    def handed_over() -> bool:
        told = syndi.client("stepfunctions").describe_execution(executionArn=before)
        return bool(told["status"] == "SUCCEEDED")

    eventually(handed_over, 90, "the end of the first execution")
    assert rollout(syndi, made)["state"]["status"] == "BAKING", "and not of its rollout"
    result = syndi.run("--local", "rollout", "cancel", made, "--json")
    assert (result.exit_code, result.json["state"]["status"]) == (0, "CANCELLED")


def watched(syndi: Syndi, made: str) -> Json:
    """A rollout, as soon as its wave is through and watched."""

    def baking() -> Json | None:
        found = rollout(syndi, made)
        return found if found["state"]["status"] == "BAKING" else None

    return eventually(baking, 60, f"the bake time of {made}")


def test_a_bare_execution_and_one_that_is_stopped_by_hand(syndi: Syndi, first: Json) -> None:
    states = syndi.client("stepfunctions", operator=True)
    machine = syndi.outputs()["RolloutMachineArn"]
    asked = {"env": "dev", "application": "almanac", "tenants": FLEET[:2], "bake_seconds": 600}
    given = json.dumps(asked)
    arn = states.start_execution(stateMachineArn=machine, input=given)["executionArn"]

    def baking() -> str | None:
        found = syndi.ok("--local", "rollout", "list", "--json").json[0]
        mine = found["execution_arn"] == arn and found["state"]["status"] == "BAKING"
        return str(found["id"]) if mine else None

    made = eventually(baking, 60, "a rollout that is watched")
    syndi.client("stepfunctions").stop_execution(executionArn=arn)
    assert ended(syndi, made)["state"]["status"] == "CANCELLED"
