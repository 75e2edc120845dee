"""Sixty deployments at once, by the API, a schedule and a rollout, under six slots."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from fleets import Json, begin, deploy_by_api, ended, most_at_once, options, orgs, rollout
from sources import ALMANAC, push
from syndi_command import Syndi, eventually

from cli.connection import Api
from control_plane.models import DeploymentStatus

SLOTS = 6
BY_API, BY_SCHEDULE, BY_ROLLOUT = orgs("api", 20), orgs("clock", 20), orgs("wave", 20)
URGENT = "siren"


@pytest.fixture
def six(syndi: Syndi) -> Iterator[None]:
    """Six slots, and as many as before afterwards."""
    before = syndi.ok("--local", "slots", "show", "--json").json["limit"]
    syndi.ok("--local", "slots", "set", str(SLOTS))
    yield
    syndi.ok("--local", "slots", "set", str(before))


def test_of_sixty_deployments_never_more_than_six_work_and_all_finish(
    syndi: Syndi, six: None, api: Api
) -> None:
    push(syndi, ALMANAC, "dev")
    at = datetime.now(UTC) + timedelta(seconds=75)  # a schedule is set for a whole minute
    for org in BY_SCHEDULE:
        body = {"expression": f"cron({at.minute} {at.hour} * * ? *)", "application": "almanac"}
        api.call("PUT", f"/envs/dev/orgs/{org}/schedule", body)
    eventually(lambda: datetime.now(UTC) >= at.replace(second=0), 120, "the schedules' minute")
    made = begin(syndi, *options(BY_ROLLOUT), "--concurrency", "20")
    with ThreadPoolExecutor(10) as at_once:
        list(at_once.map(lambda org: deploy_by_api(api, org, "sixty"), BY_API))
    urgent = deploy_by_api(api, URGENT, "sixty", priority="urgent")
    everybody = [*BY_API, *BY_SCHEDULE, *BY_ROLLOUT, URGENT]
    seen: list[int] = []

    def all_ended() -> dict[str, Json] | None:
        shown = api.call("GET", "/slots")
        seen.append(shown["taken"])
        found = {org: newest(api, org) for org in everybody} if shown["taken"] == 0 else {}
        done = [org for org, r in found.items() if r and DeploymentStatus(r["status"]).is_final]
        return found if len(done) == len(everybody) else None

    found = eventually(all_ended, 600, "the end of all sixty-one")
    for org in BY_SCHEDULE:
        api.call("DELETE", f"/envs/dev/orgs/{org}/schedule?application=almanac")
    assert Counter(record["status"] for record in found.values()) == {"SUCCEEDED": 61}, [
        record["reason"] for record in found.values() if record["status"] != "SUCCEEDED"
    ]
    assert Counter(record["trigger"] for record in found.values()) == {
        "api": 21, "schedule": 20, "rollout": 20,
    }  # fmt: skip
    assert max(seen) == SLOTS, "the slots were all in use, and no more"
    assert most_at_once(found.values(), "CheckStack") <= SLOTS
    assert most_at_once(found.values(), "AcquireLock") > 2 * SLOTS, "they did wait for them"
    assert ended(syndi, made)["state"]["status"] == "SUCCEEDED"
    begins = {org: record["steps"]["CheckStack"]["started_at"] for org, record in found.items()}
    passed = [at for at in begins.values() if urgent["created_at"] < at < begins[URGENT]]
    assert len(passed) <= 2 * SLOTS, "the urgent one waited for those that had a slot, no others"
    assert syndi.ok("--local", "slots", "show", "--json").json["waiting"] == 0
    assert len(rollout(syndi, made)["tenants"]) == 20


def newest(api: Api, org: str) -> Json | None:
    """The newest record of a tenant, or None."""
    path = f"/envs/dev/orgs/{org}/deployments?application=almanac&limit=1"
    found = api.call("GET", path)["deployments"]
    return found[0] if found else None


def test_more_slots_than_there_can_be_are_refused(syndi: Syndi) -> None:
    result = syndi.run("--local", "slots", "set", "0")
    assert result.exit_code == 2
