"""`syndi rollout schedule`: rollouts of an application in an environment, again and again."""

from typing import Annotated, Any

import typer

from cli.context import command, current, query
from cli.options import ApplicationOption, EnvArgument, JsonOption, PriorityOption
from cli.output import out, print_json
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
)  # fmt: skip
from cli.rollout_request import RolloutMode, request
from cli.rollout_schedule_table import schedule_table
from cli.scheduling import expression
from control_plane.models import Env, Priority
from control_plane.rollout_models import Failure

app = typer.Typer(no_args_is_help=True, help="Start rollouts by a schedule.")


@app.command("set")
@command
def set_schedule(
    env: EnvArgument,
    rate: Annotated[str | None, typer.Option(help="such as '1 day'")] = None,
    cron: Annotated[str | None, typer.Option(help="such as '0 6 ? * MON-FRI *'")] = None,
    timezone: Annotated[str, typer.Option(help="of --cron, such as Europe/Berlin")] = "UTC",
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
    priority: PriorityOption = Priority.LOW,
    plan: PlanOption = None,
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start such a rollout by a rate or a cron expression; an application has one an environment.

    Who is in it, and which source is current, is decided each time when it starts.
    """
    when = {"expression": expression(rate, cron), "timezone": timezone}
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
    _print(env, current.api().call("PUT", _path(env), body | when))


@app.command("show")
@command
def show_schedule(
    env: EnvArgument, application: ApplicationOption = None, as_json: JsonOption = False
) -> None:
    """When rollouts start by themselves, and what each is asked for."""
    _print(env, current.api().call("GET", _path(env) + query(application=application)))


@app.command("delete")
@command
def delete_schedule(
    env: EnvArgument, application: ApplicationOption = None, as_json: JsonOption = False
) -> None:
    """Start no more rollouts by themselves. One that runs goes on."""
    answer = current.api().call("DELETE", _path(env) + query(application=application))
    if current.as_json:
        print_json(answer)
    else:
        out.print("deleted")


def _path(env: Env) -> str:
    return f"/envs/{env}/rollout-schedule"


def _print(env: Env, found: dict[str, Any]) -> None:
    if current.as_json:
        print_json(found)
    else:
        out.print(schedule_table(env, found))
