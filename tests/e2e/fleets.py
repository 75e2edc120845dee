"""Many tenants: their deployments, how many worked at once, and rollouts as operators see them."""

import itertools
from collections.abc import Iterable
from typing import Any

from sources import APPLICATION
from syndi_command import Syndi, eventually

from cli.connection import Api
from cli.failure import Failed
from control_plane.rollout_models import RolloutStatus

Json = dict[str, Any]


def orgs(prefix: str, count: int) -> list[str]:
    """Organizations by number."""
    return [f"{prefix}{number:02d}" for number in range(1, count + 1)]


def options(of: Iterable[str]) -> list[str]:
    """The options of a rollout of these organizations of the almanac."""
    return [*APPLICATION, *itertools.chain.from_iterable(("--org", org) for org in of)]


def start(syndi: Syndi, *arguments: str) -> Json:
    """Start a rollout and watch it to its end, however it ends; gives it."""
    found: Json = syndi.run("--local", "rollout", "start", "dev", *arguments, "--json").json
    assert "state" in found, found
    return found


def begin(syndi: Syndi, *arguments: str) -> str:
    """Start a rollout; its id."""
    command = ("--local", "rollout", "start", "dev", *arguments, "--no-wait", "--json")
    return str(syndi.ok(*command).json["id"])


def deploy_by_api(api: Api, org: str, key: str, **asked: Any) -> Json:
    """Start one of the almanac; a busy machine may need a second try, with the same key."""
    body, name = {"application": "almanac", **asked}, {"Idempotency-Key": f"{key}-{org}"}

    def answered() -> Json | None:
        try:
            return api.call("POST", f"/envs/dev/orgs/{org}/deployments", body, name)
        except Failed:  # no answer in time, from a busy machine
            return None

    return eventually(answered, 120, f"an answer to the start of {org}")


def rollout(syndi: Syndi, rollout_id: str) -> Json:
    """A rollout as it is now, with its tenants."""
    found: Json = syndi.ok("--local", "rollout", "show", rollout_id, "--tenants", "--json").json
    return found


def ended(syndi: Syndi, rollout_id: str, seconds: float = 240) -> Json:
    """A rollout, once it has ended."""

    def end() -> Json | None:
        found = rollout(syndi, rollout_id)
        return found if RolloutStatus(found["state"]["status"]).is_final else None

    return eventually(end, seconds, f"the end of rollout {rollout_id}")


def rows(found: Json, *statuses: str) -> list[str]:
    """The organizations of a rollout that have one of these statuses."""
    return [row["org"] for row in found["tenants"] if row["status"] in statuses]


def counts(found: Json, name: str) -> list[int]:
    """A count of each wave."""
    return [wave[name] for wave in found["state"]["waves"]]


def records(syndi: Syndi, found: Json) -> dict[str, Json]:
    """The records of a rollout's deployments, by organization."""
    deployed = [row for row in found["tenants"] if "deployment" in row]
    return {row["org"]: syndi.show(row["deployment"]) for row in deployed}


def most_at_once(deployments: Iterable[Json], begins: str) -> int:
    """How many deployments were between the begin of a step and their end at the same time."""
    changes = []
    for record in deployments:
        changes += [(record["steps"][begins]["started_at"], 1), (record["finished_at"], -1)]
    # An end before a begin in the same millisecond: the slot was free by then.
    return max(itertools.accumulate(change for _, change in sorted(changes)))
