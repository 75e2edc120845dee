"""`syndi rollout`: many tenants brought to a build, in waves."""

from typing import Annotated, Any

import typer

from cli import rollout_scheduling
from cli.connection import Api
from cli.context import command, current, query
from cli.options import ApplicationOption, EnvArgument, JsonOption, PriorityOption, WaitOption
from cli.output import err, out, print_json
from cli.rollout_ending import ending, rows_of
from cli.rollout_options import (
    AlarmOption,
    ApprovalOption,
    BakeOption,
    BuildOption,
    CanaryOption,
    ConcurrencyOption,
    LabelOption,
    MaxFailuresOption,
    OnFailureOption,
    OrgsOption,
    PlanOption,
    RolloutModeOption,
    RolloutSourceOption,
    WavesOption,
)
from cli.rollout_request import RolloutMode, request
from cli.rollout_table import plan_view, rollout_view, rollouts_table, tenants_rows
from cli.rollout_watching import show_command, watch
from control_plane.models import Priority
from control_plane.rollout_models import Failure, RolloutStatus

app = typer.Typer(no_args_is_help=True, help="Bring many tenants to a build, in waves.")
app.add_typer(rollout_scheduling.app, name="schedule")

RolloutArgument = Annotated[
    str, typer.Argument(metavar="ID", help="a rollout's id, as 'syndi rollout list' has it")
]


@app.command()
@command
def start(
    env: EnvArgument,
    canary: CanaryOption = None,
    waves: WavesOption = "rest",
    org: OrgsOption = None,
    label: LabelOption = None,
    build: BuildOption = None,
    source: RolloutSourceOption = None,
    mode: RolloutModeOption = RolloutMode.FULL,
    concurrency: ConcurrencyOption = 10,
    max_failures: MaxFailuresOption = None,
    on_failure: OnFailureOption = Failure.STOP,
    bake: BakeOption = "0s",
    alarm: AlarmOption = None,
    approval: ApprovalOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show who would be in which wave, and start nothing")
    ] = False,
    priority: PriorityOption = Priority.LOW,
    plan: PlanOption = None,
    application: ApplicationOption = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Start a rollout and, unless told otherwise, watch it to its end."""
    body = request(
        canary=canary,
        waves=waves,
        org=org,
        label=label,
        build=build,
        source=source,
        mode=mode,
        concurrency=concurrency,
        max_failures=max_failures,
        on_failure=on_failure,
        bake=bake,
        alarm=alarm,
        approval=approval,
        priority=priority,
        plan=plan,
        application=application,
    )
    api = current.api()
    found = api.call("POST", f"/envs/{env}/rollouts", body | ({"dry_run": True} if dry_run else {}))
    if not found.get("dry_run"):
        _follow(api, found, wait=wait)
    elif current.as_json:
        print_json(found)
    else:
        out.print(plan_view(found))


@app.command()
@command
def show(
    rollout_id: RolloutArgument,
    watch: Annotated[bool, typer.Option("--watch", help="until it ends")] = False,
    tenants: Annotated[bool, typer.Option("--tenants", help="each tenant, too")] = False,
    as_json: JsonOption = False,
) -> None:
    """What a rollout is doing: its waves and their counts."""
    api = current.api()
    found = api.call("GET", f"/rollouts/{rollout_id}")
    if watch:
        _follow(api, found, wait=True)
        return
    rows = list(rows_of(api, found)) if tenants else []
    if current.as_json:
        print_json({**found, "tenants": rows} if tenants else found)
        return
    below = [tenants_rows(rows)] if tenants else ending(api, found)
    out.print(rollout_view(found), *below, sep="\n")


@app.command("list")
@command
def list_rollouts(
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20, as_json: JsonOption = False
) -> None:
    """The newest rollouts, newest first."""
    found = current.api().call("GET", f"/rollouts{query(limit=limit)}")["rollouts"]
    if current.as_json:
        print_json(found)
    else:
        out.print(rollouts_table(found) if found else "there was no rollout yet")


@app.command()
@command
def pause(rollout_id: RolloutArgument, as_json: JsonOption = False) -> None:
    """Start no more of its deployments; those that run come to their end."""
    _ask(rollout_id, "pause")


@app.command()
@command
def resume(rollout_id: RolloutArgument, as_json: JsonOption = False) -> None:
    """Go on after a pause."""
    found = _asked(rollout_id, "resume")
    if current.as_json:
        print_json(found)
    else:  # its state is that of its last look: PAUSED still
        out.print(f"resumed; it goes on within seconds: {show_command(rollout_id)}")


@app.command()
@command
def approve(rollout_id: RolloutArgument, as_json: JsonOption = False) -> None:
    """Let the next wave begin."""
    _ask(rollout_id, "approve")


@app.command()
@command
def cancel(
    rollout_id: RolloutArgument, wait: WaitOption = True, as_json: JsonOption = False
) -> None:
    """Start no more of its deployments, for good. Those that run come to their end.

    Exit 0: CANCELLED.
    """
    found = _asked(rollout_id, "cancel")
    _follow(current.api(), found, wait=wait, good=RolloutStatus.CANCELLED)


def _ask(rollout_id: str, wish: str) -> None:
    found = _asked(rollout_id, wish)
    if current.as_json:
        print_json(found)
    else:
        out.print(rollout_view(found))


def _asked(rollout_id: str, wish: str) -> dict[str, Any]:
    api = current.api()
    found = api.call("GET", f"/rollouts/{rollout_id}")
    return api.call("POST", f"/envs/{found['env']}/rollouts/{rollout_id}/{wish}", {})


def _follow(
    api: Api,
    found: dict[str, Any],
    *,
    wait: bool,
    good: RolloutStatus = RolloutStatus.SUCCEEDED,
) -> None:
    """Tell how a rollout ends; exit code 1 when its end is not the `good` one."""
    if not current.as_json:
        err.print(f"rollout {found['id']}\n{found['console_url']}")
    if wait:
        found = watch(api, found)
    if current.as_json:
        print_json(found)
    else:
        out.print(rollout_view(found), *ending(api, found), sep="\n")
    if wait and found["state"]["status"] != good:
        raise typer.Exit(1)
