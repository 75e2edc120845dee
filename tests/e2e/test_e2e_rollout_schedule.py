"""Rollouts that start by themselves: one brings tenants, those beside it are left out, and the next
finds nothing to do."""

from collections.abc import Iterator

import pytest
from fleets import Json, options, records, rollout, rows
from sources import APPLICATION, unbuilt
from syndi_command import Syndi, eventually

PAIR = ["dawn", "dusk"]
ENV = ("dev", *APPLICATION)


@pytest.fixture
def scheduled(syndi: Syndi) -> Iterator[str]:
    """Every minute, two tenants that there are not yet; gives their source.

    Their waves are watched for so long that the schedule comes again meanwhile.
    """
    source = unbuilt(syndi, "dev", "by the clock")
    every_minute(syndi, "--bake", "35s")
    yield source
    syndi.run("--local", "rollout", "schedule", "delete", *ENV)


def test_a_schedule_brings_tenants_and_then_finds_nothing_to_do(
    syndi: Syndi, scheduled: str
) -> None:
    shown = syndi.ok("--local", "rollout", "schedule", "show", *ENV).stdout
    assert "rate(1 minute) UTC (enabled)" in shown
    assert "dawn, dusk" in shown
    first = eventually(lambda: one(syndi, "SUCCEEDED", PAIR), 240, "a rollout by the schedule")
    assert (first["trigger"], first["state"]["source"]) == ("schedule", scheduled)
    beside = [found for found in by_clock(syndi) if found["state"]["status"] == "SKIPPED"]
    assert beside, "it came again while the first was at work"
    assert all(f"rollout {first['id']} of almanac" in one["state"]["failure"] for one in beside)
    every_minute(syndi)  # in its place, and without the time to watch
    assert {record["trigger"] for record in records(syndi, first).values()} == {"rollout"}
    again = eventually(lambda: one(syndi, "SKIPPED", PAIR), 240, "a rollout with nothing to do")
    assert again["state"]["status"] == "SUCCEEDED"
    assert syndi.ok("--local", "rollout", "schedule", "delete", *ENV).stdout.strip() == "deleted"
    gone = syndi.run("--local", "rollout", "schedule", "show", *ENV)
    assert (gone.exit_code, "no rollout schedule in dev" in gone.stderr) == (2, True)
    eventually(
        lambda: all(found["state"]["status"] != "RUNNING" for found in by_clock(syndi)),
        120,
        "the last one's end",
    )


def every_minute(syndi: Syndi, *more: str) -> None:
    """Set the schedule."""
    waves = ("--canary", PAIR[0], "--waves", "rest", *more)
    command = ("--local", "rollout", "schedule", "set", "dev", "--rate", "1 minute")
    syndi.ok(*command, *options(PAIR), *waves)


def one(syndi: Syndi, status: str, orgs: list[str]) -> Json | None:
    """A scheduled rollout that ended, of which these tenants are in that status."""
    for found in by_clock(syndi):
        if found["state"]["status"] == "SUCCEEDED":
            whole = rollout(syndi, found["id"])
            if rows(whole, status) == orgs:
                return whole
    return None


def by_clock(syndi: Syndi) -> list[Json]:
    """The rollouts that a schedule started."""
    listed: list[Json] = syndi.ok("--local", "rollout", "list", "--json").json
    return [found for found in listed if found["trigger"] == "schedule"]
