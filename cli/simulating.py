"""`syndi simulate`: how long a rollout would take, what it would ask of AWS, what it would cost."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from cli.context import command, current
from cli.failure import Refused
from cli.options import JsonOption, PriorityOption
from cli.output import err, out, print_json
from cli.rollout_request import read, seconds, wave
from cli.simulation_tables import view
from control_plane.errors import InvalidRequest
from control_plane.in_words import reason
from control_plane.models import Priority
from control_plane.rollout_models import Failure
from simulation.quotas import LIMITS
from simulation.run import run
from simulation.scenario import Scenario
from simulation.summary import summary


@command
def simulate(
    tenants: Annotated[int, typer.Option(min=1, max=10_000, help="how many there are")] = 500,
    slots: Annotated[int, typer.Option(min=1, max=400, help="as 'syndi slots show' has it")] = 50,
    waves: Annotated[
        str, typer.Option(help="counts, percentages and 'rest', such as 5,25%,rest")
    ] = "rest",
    concurrency: Annotated[
        int, typer.Option(min=1, max=200, help="deployments of the rollout at the same time")
    ] = 50,
    max_failures: Annotated[
        str, typer.Option(help="how many may fail: a number, or a share such as 5%")
    ] = "0",
    on_failure: Annotated[
        Failure, typer.Option(help="when more fail: stop, or also roll the wave back")
    ] = Failure.STOP,
    bake: Annotated[
        str, typer.Option(help="how long a wave is watched before the next, such as 90s, 10m, 2h")
    ] = "0s",
    priority: PriorityOption = Priority.LOW,
    failure_rate: Annotated[float, typer.Option(help="share of deployments that fail")] = 0.0,
    skipped: Annotated[float, typer.Option(help="share of tenants that have the build")] = 0.0,
    own_builds: Annotated[
        float, typer.Option(help="share of tenants with dependencies of their own")
    ] = 0.0,
    others: Annotated[
        float, typer.Option(help="deployments an hour that others start meanwhile")
    ] = 0.0,
    urgent: Annotated[float, typer.Option(help="the same, with priority urgent")] = 0.0,
    stack_minutes: Annotated[float, typer.Option(help="an update of a stack, the median")] = 5.0,
    spread: Annotated[
        float, typer.Option(help="how far stacks differ: 0 not at all, 0.25 by a quarter")
    ] = 0.25,
    build_minutes: Annotated[float, typer.Option(help="a build")] = 3.0,
    quota: Annotated[
        list[str] | None,
        typer.Option(help="requests a second, such as cloudformation:DescribeStacks=5; repeat it"),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="a JSON file with the scenario's fields, such as waves of their own"),
    ] = None,
    seed: Annotated[int, typer.Option(help="the same seed, the same outcome")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Simulate a rollout by the rules that run, without AWS. Exit 0, whatever its end."""
    given: dict[str, Any] = {
        "tenants": tenants,
        "slots": slots,
        "waves": [wave(text) for text in waves.split(",")],
        "concurrency": concurrency,
        "max_failures": max_failures,
        "on_failure": on_failure,
        "bake_seconds": seconds(bake),
        "priority": priority,
        "failure_rate": failure_rate,
        "skipped": skipped,
        "own_builds": own_builds,
        "others": others,
        "urgent": urgent,
        "stack_minutes": stack_minutes,
        "spread": spread,
        "build_minutes": build_minutes,
        "quotas": dict(_quota(text) for text in quota or ()),
        "seed": seed,
    }
    planned = read(plan) if plan else {}
    began = time.perf_counter()
    try:
        outcome = run(Scenario.model_validate(given | planned))
    except ValidationError as error:
        wrong = error.errors()[0]
        where = [str(part) for part in wrong["loc"]]
        if where and where[0] not in planned:
            where[0] = f"--{where[0].replace('_', '-')}"
        raise Refused(f"{'.'.join(where)}: {reason(wrong)}") from error
    except InvalidRequest as error:
        raise Refused(str(error)) from error
    except KeyError as error:
        raise Refused(f"--quota: {error} is none of {', '.join(LIMITS)}") from error
    found = summary(outcome)
    if current.as_json:
        print_json(found.model_dump(mode="json"))
        return
    out.print(view(found))
    out.print("\nassumed:")
    for line in found.assumptions:
        out.print(f"- {line}", markup=False)
    err.print(f"simulated in {time.perf_counter() - began:.1f} s")


def _quota(text: str) -> tuple[str, float]:
    name, _, rate = text.rpartition("=")
    try:
        return name, float(rate)
    except ValueError as error:
        raise Refused(f"--quota: {text!r} must be API=requests a second") from error
