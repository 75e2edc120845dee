"""Following a rollout to its end: live on a terminal, else a line for whatever changes."""

import time
from typing import Any

import typer
from rich.live import Live

from cli import watching
from cli.connection import Api
from cli.context import current
from cli.output import err
from cli.rollout_table import is_over, rollout_view

_COUNTED = ("succeeded", "skipped", "failed", "rolled_back", "not_rolled_back")


def watch(api: Api, found: dict[str, Any]) -> dict[str, Any]:
    """Follow a rollout to its end; gives it. Ends the command with exit code 130 when nobody
    answers any more."""
    show = not current.as_json
    told = ""
    try:
        with Live(console=err, auto_refresh=False, transient=True) as live:
            while not is_over(found):
                time.sleep(watching.POLL_SECONDS)  # between two questions
                path = f"/rollouts/{found['id']}"
                found = watching.patiently(api, path, show_command(found["id"]))
                if show and err.is_terminal:
                    live.update(rollout_view(found), refresh=True)
                elif show and news(found) != told:
                    told = news(found)
                    err.print(told, markup=False)
    except KeyboardInterrupt:
        err.print(f"\nnot watching any more; it goes on: {show_command(found['id'])}")
        raise typer.Exit(130) from None
    return found


def news(found: dict[str, Any]) -> str:
    """Where a rollout is, in a line for a log file: its status, its wave and the wave's counts."""
    state = found["state"]
    wave = state["waves"][state["wave"]]
    counts = [f"{wave[name]} {name.replace('_', ' ')}" for name in _COUNTED if wave.get(name)]
    running = len(state.get("running", ()))
    counts += [f"{running} running"] if running else []
    where = f"wave {state['wave'] + 1} of {len(state['waves'])}"
    return f"{state['status']:<17} {where}: {', '.join(counts) or 'nothing yet'} of {wave['size']}"


def show_command(rollout_id: str, option: str = "") -> str:
    """The command that shows a rollout."""
    local = "--local " if current.local else ""
    return f"syndi {local}rollout show {rollout_id}{option}"
