"""What is told of a rollout that ended badly: who failed and why, and who has what now."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from rich.text import Text

from cli.connection import Api
from cli.context import query
from cli.rollout_watching import show_command
from control_plane.rollout_models import RolloutStatus, RowStatus

_NAMED = 5
_WRONG = (RowStatus.FAILED, RowStatus.NOT_ROLLED_BACK, RowStatus.ROLLED_BACK)


def ending(api: Api, found: dict[str, Any]) -> list[Text]:
    """Of a rollout that is over and did not succeed: the first that failed, and the counts."""
    status = RolloutStatus(found["state"]["status"])
    if status.is_good or not status.is_final:
        return []
    waves = found["state"]["waves"]
    wrong = [n for n, wave in enumerate(waves) if wave["failed"] or wave.get("not_rolled_back")]
    # One that was brought back without having failed has no reason.
    rows = (r for r in rows_of(api, found, wrong) if r["status"] in _WRONG and r.get("reason"))
    # No page is asked for in vain: there are no more of them than were counted.
    most = sum(waves[n]["failed"] + waves[n].get("not_rolled_back", 0) for n in wrong)
    some = list(islice(rows, min(most, _NAMED + 1)))
    lines = [f"{row['org']} (wave {row['wave'] + 1}): {row['reason']}" for row in some[:_NAMED]]
    if lines:
        rest = "the rest" if len(some) > _NAMED else "each tenant"
        lines.append(f"{rest}: {show_command(found['id'], ' --tenants')}")
    return [Text(line) for line in [*lines, *_left(found["state"])]]


def _left(state: dict[str, Any]) -> list[str]:
    """How many tenants keep the new build, and how many were never begun."""
    waves, number = state["waves"], state["wave"]
    earlier, here = sum(wave["succeeded"] for wave in waves[:number]), waves[number]
    brought_back = here.get("rolled_back") or here.get("not_rolled_back")
    kept = [f"{earlier} of earlier waves"] if earlier else []
    if here["succeeded"] and not brought_back:
        kept.append(f"{here['succeeded']} of wave {number + 1}")
    done = ("succeeded", "skipped", "failed")
    begun = sum(wave[name] for wave in waves for name in done) + len(state.get("running", ()))
    unbegun = sum(wave["size"] for wave in waves) - begun
    lines = [f"the new build stays with {' and '.join(kept)}"] if kept else []
    return lines + ([f"{unbegun} were not begun"] if unbegun else [])


def rows_of(
    api: Api, found: dict[str, Any], waves: list[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Every tenant of a rollout, or of some of its waves (from 0), read as far as asked for."""
    counted = found["state"]["waves"]
    for number in range(len(counted)) if waves is None else waves:
        for first in range(0, counted[number]["size"], 100):
            asked = query(wave=number + 1, start=first, limit=100)
            yield from api.call("GET", f"/rollouts/{found['id']}/tenants{asked}")["tenants"]
