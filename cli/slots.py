"""`syndi slots`: how many deployments work at the same time."""

from typing import Annotated, Any

import typer

from cli.context import command, current
from cli.options import JsonOption
from cli.output import out, print_json
from cli.watching import show_command

app = typer.Typer(no_args_is_help=True, help="How many deployments work at the same time.")


@app.command()
@command
def show(as_json: JsonOption = False) -> None:
    """Who has the slots, and how many deployments wait for one."""
    _print(current.api().call("GET", "/slots"))


@app.command("set")
@command
def set_limit(
    limit: Annotated[int, typer.Argument(min=1, max=400, help="deployments at the same time")],
    as_json: JsonOption = False,
) -> None:
    """Change their number, at once. Nobody loses a slot that he has."""
    _print(current.api().call("PUT", "/slots", {"limit": limit}))


def _print(answer: dict[str, Any]) -> None:
    if current.as_json:
        print_json(answer)
        return
    out.print(f"{answer['taken']} of {answer['limit']} slots taken, {answer['waiting']} waiting")
    for held in answer["holders"]:
        out.print(f"  {held['deployment']}  {held['stack_name']}  since {held['taken_at'][:19]}")
    waiters = answer.get("waiters", [])
    if waiters:
        out.print("waiting, who is next first:")
    for waiter in waiters:
        out.print(f"  {waiter['deployment']}  {_who(waiter)}")
    if answer["waiting"] > len(waiters) > 0:
        out.print(f"  and {answer['waiting'] - len(waiters)} more")


def _who(waiter: dict[str, Any]) -> str:
    if "stack_name" not in waiter:
        return show_command(waiter["deployment"])
    return f"{waiter['stack_name']}  {waiter['priority']}  since {waiter['since'][:19]}"
