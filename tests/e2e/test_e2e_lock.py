"""One deployment per stack at a time: thirty who want the same tenant in the same moment."""

import itertools
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from live import reaches
from sources import ALMANAC, APPLICATION, copied, push_beside, updates_slowly
from syndi_command import Syndi, eventually

from cli.connection import Api
from cli.failure import Failed
from control_plane import aws
from control_plane.models import DeploymentStatus

ORG = "quay"
MIX = ("supersede", "supersede", "reject", "supersede", "wait")
STARTS = 30


@pytest.fixture
def held(syndi: Syndi, almanac: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A deployment that has the tenant and is at work, until its stack is signalled."""
    copy = copied(ALMANAC, tmp_path)
    updates_slowly(copy)
    options = (*APPLICATION, "--source", push_beside(syndi, copy, "dev"), "--no-wait")
    started: dict[str, Any] = syndi.attempt("dev", ORG, *options).json
    reaches(syndi, started, "AwaitStack")
    return started


def test_of_thirty_simultaneous_starts_none_overlap_and_each_says_what_became_of_it(
    syndi: Syndi, held: dict[str, Any], api: Api
) -> None:
    states = syndi.client("stepfunctions", operator=True)
    machine = syndi.outputs()["StateMachineArn"]

    def start(number: int) -> str:
        asked = {"application": "almanac", "on_conflict": MIX[number % len(MIX)]}
        if number % 3:  # as somebody with the console does it
            given = json.dumps({"env": "dev", "org": ORG, **asked})
            return str(states.start_execution(stateMachineArn=machine, input=given)["executionArn"])
        key = {"Idempotency-Key": f"thirty-{number}"}

        def answered() -> str | None:
            try:
                made = api.call("POST", f"/envs/dev/orgs/{ORG}/deployments", asked, key)
            except Failed:  # no answer in time, from a busy machine: the same key, once more
                return None
            return str(made["execution_arn"])

        return eventually(answered, 240, f"an answer to start {number}")

    def all_records(are: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]] | None:
        path = f"/envs/dev/orgs/{ORG}/deployments?application=almanac&limit=100"
        found = [item for item in api.call("GET", path)["deployments"] if are(item)]
        return found if len(found) == STARTS + 1 else None

    def has_looked(record: dict[str, Any]) -> bool:
        return "AcquireLock" in record["steps"]

    def has_ended(record: dict[str, Any]) -> bool:
        return DeploymentStatus(record["status"]).is_final

    aws.forget_clients()
    with ThreadPoolExecutor(STARTS) as at_once:
        started = set(at_once.map(start, range(STARTS)))
    assert len(started) == STARTS
    eventually(
        lambda: all_records(has_looked), 240, "a look of all thirty at a tenant that is held"
    )
    syndi.client("cloudformation").signal_resource(
        StackName=f"almanac-dev-{ORG}", LogicalResourceId="Signalled", UniqueId="1",
        Status="SUCCESS",
    )  # fmt: skip
    records = eventually(lambda: all_records(has_ended), 240, "the end of all thirty")
    assert {item["execution_arn"] for item in records} == started | {held["execution_arn"]}
    deployed = [item for item in records if "CheckStack" in item["steps"]]
    spans = sorted((i["steps"]["CheckStack"]["started_at"], i["finished_at"]) for i in deployed)
    assert len(spans) >= 2, "the one that held the tenant, and whoever came after it"
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert begin >= end, f"two at once: {spans}"
    for item in records:
        told = (item["status"], item.get("error"), item.get("reason"))
        match item["status"]:
            case "SUCCEEDED":
                assert item in deployed, told
            case "SUPERSEDED":
                assert "took its place" in item["reason"], told
            case _:
                assert told[:2] == ("FAILED", "DeploymentInProgress"), told
                assert item["request"]["on_conflict"] == "reject", told
    ended = Counter(item["status"] for item in records)
    assert ended["SUPERSEDED"] >= STARTS / 4, ended
    assert syndi.lock("dev", ORG, "almanac") is None
    assert syndi.stack(f"almanac-dev-{ORG}")["status"] == "UPDATE_COMPLETE"
